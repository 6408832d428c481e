"""Approve and Deny: a click is a vote, a no has a reason, and whoever may not answer hears why."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

from approvals.models import SlackUser, Vote
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.bot.settled import ask, copies, newcomers, press, settle, status_of, thread_of
from tests.support.living import Living, living
from tests.support.outside import copied

_PEOPLE = iter(reversed(newcomers()))


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path_factory.mktemp("decide")), works=False) as bot:
        yield bot


@pytest.fixture
def bot(running: Living) -> Iterator[Living]:
    yield running
    running.slack.clear_faults()
    while running.slack.open_view("grace"):
        running.slack.close_view("grace")


@pytest.fixture
def who() -> str:
    return next(_PEOPLE)


@pytest.fixture
def request_id(bot: Living, who: str) -> str:
    """A question that waits for Grace or Mei."""
    request = ask(bot, who)
    settle(bot)
    assert status_of(bot, request) == "pending"
    return request


def votes(bot: Living, request: str) -> list[Vote]:
    with bot.store.read() as session:
        return list(session.exec(select(Vote).where(Vote.request_id == request)))


def card(bot: Living, request: str, place: str = "grace") -> dict[str, Any]:
    return copies(bot, request)[place][0]


def reason(text: str) -> dict[str, Any]:
    return {"reason": {"text": text}}


def heard(bot: Living, person: str, words: str) -> bool:
    return any(words in text_of(m).replace("\u2060", "") for m in bot.slack.messages(person))


def test_deny_asks_why_before_it_counts(bot: Living, request_id: str) -> None:
    press(bot, "grace", "deny", card(bot, request_id))
    view = bot.slack.open_view("grace")
    assert view is not None
    assert text_of(view).startswith("Deny the request")
    settle(bot)
    assert status_of(bot, request_id) == "pending"
    assert votes(bot, request_id) == []


def test_a_no_with_its_reason_is_told_to_whoever_asked(bot: Living, request_id: str, who: str) -> None:
    press(bot, "grace", "deny", card(bot, request_id))
    view = bot.slack.open_view("grace")
    assert view is not None
    answer = bot.slack.submit("grace", view["id"], reason("R&D needs <no> admins; *ask* Mei"))
    assert (answer["error"], answer["errors"]) == (None, {})
    assert bot.slack.open_view("grace") is None
    settle(bot)
    assert status_of(bot, request_id) == "denied"
    said = thread_of(card(bot, request_id, "channel"))[-1].replace("\u2060", "")
    assert "was denied by *Grace Okafor*: R&amp;D needs &lt;no&gt; admins; *ask* Mei" in said
    assert heard(bot, who, "R&amp;D needs &lt;no&gt; admins")


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_a_no_without_a_reason_is_asked_again_in_the_form(bot: Living, request_id: str, text: str) -> None:
    press(bot, "grace", "deny", card(bot, request_id))
    view = bot.slack.open_view("grace")
    assert view is not None
    answer = bot.slack.submit("grace", view["id"], reason(text), force=True)
    assert answer["error"] is None
    assert list(answer["errors"]) == ["reason"]
    assert "why" in answer["errors"]["reason"]
    assert bot.slack.open_view("grace") is not None
    settle(bot)
    assert status_of(bot, request_id) == "pending"


@pytest.mark.parametrize(
    "fault", [{"error": "expired_trigger_id"}, {"status": 503}, {"error": "ratelimited", "status": 429}]
)
def test_a_form_that_does_not_open_loses_no_no(bot: Living, request_id: str, who: str, fault: dict[str, Any]) -> None:
    bot.slack.fault("views.open", **fault)
    answer = press(bot, "grace", "deny", card(bot, request_id))
    assert answer["error"] is None
    settle(bot)
    assert status_of(bot, request_id) == "denied"
    assert heard(bot, who, "no reason was given")


def test_a_slow_form_does_not_cost_the_acknowledgement(bot: Living, request_id: str) -> None:
    bot.slack.fault("views.open", delay=20)
    answer = press(bot, "grace", "deny", card(bot, request_id))
    assert answer["error"] is None  # Slack waits for three seconds, and was answered
    settle(bot)
    assert status_of(bot, request_id) == "denied"


def test_a_click_on_deny_that_is_sent_again_is_no_second_click(bot: Living, request_id: str) -> None:
    press(bot, "grace", "deny", card(bot, request_id))
    sent = bot.slack.last_request()
    assert sent is not None
    again = httpx.post(sent["url"], content=sent["body"], headers=sent["headers"], trust_env=False)
    assert again.status_code in (200, 401)
    settle(bot)
    assert votes(bot, request_id) == []
    assert status_of(bot, request_id) == "pending"


@pytest.mark.parametrize("action", ["approve", "deny"])
def test_who_may_not_answer_hears_why_and_is_asked_nothing(bot: Living, request_id: str, action: str) -> None:
    press(bot, "tomas", action, card(bot, request_id, "channel"))
    assert bot.slack.open_view("tomas") is None
    settle(bot)
    told = [m for m in bot.slack.seen("tomas")["ephemerals"] if request_id in text_of(m)]
    assert "Your answer does not count" in text_of(told[-1])
    assert status_of(bot, request_id) == "pending"


def test_nobody_answers_their_own_question(bot: Living, request_id: str, who: str) -> None:
    press(bot, who, "approve", card(bot, request_id, "channel"), force=True)
    settle(bot)
    assert heard(bot, who, "nobody approves their own request")
    assert status_of(bot, request_id) == "pending"


@pytest.mark.parametrize("action", ["approve", "deny"])
def test_a_forged_click_by_somebody_who_can_not_see_the_card_changes_nothing(
    bot: Living, request_id: str, action: str
) -> None:
    press(bot, "person186", action, card(bot, request_id), force=True)
    settle(bot)
    assert status_of(bot, request_id) == "pending"
    assert {vote.outcome for vote in votes(bot, request_id)} == {"refused"}
    assert heard(bot, "person186", "Your answer does not count")


@pytest.mark.parametrize("action", ["approve", "deny"])
@pytest.mark.parametrize("kind", ["guest", "deleted", "bot", "stranger"])
def test_who_is_no_member_any_more_decides_nothing(bot: Living, request_id: str, kind: str, action: str) -> None:
    shown = card(bot, request_id)
    bot.slack.change_user("mei", kind=kind)
    try:
        with bot.store.write() as w:
            for row in w.session.exec(select(SlackUser)):
                row.read_at -= timedelta(days=1)
        bot.slack.click("mei", action, ts=shown["ts"], channel=shown["channel"], force=True)
        settle(bot)
        assert status_of(bot, request_id) == "pending"
    finally:
        bot.slack.change_user("mei", kind="member", team_id=seed.SLACK_TEAM)
        with bot.store.write() as w:
            mei = w.session.get_one(SlackUser, (seed.SLACK_TEAM, seed.company().person("mei").slack_id))
            mei.standing = "member"


@pytest.mark.parametrize("value", ["REQ-0000000000:1", "garbage", "", ":", "REQ-:x", "x" * 2000, "../../etc", "'; --"])
@pytest.mark.parametrize("action", ["approve", "deny"])
def test_a_forged_value_is_about_nothing(bot: Living, request_id: str, value: str, action: str) -> None:
    shown = card(bot, request_id)
    answer = bot.slack.click("grace", action, ts=shown["ts"], channel=shown["channel"], value=value, force=True)
    assert answer["error"] is None
    settle(bot)
    assert status_of(bot, request_id) == "pending"
    assert votes(bot, request_id) == []


@pytest.mark.parametrize("version", ["0", "2", "999999999999", "-1", "one"])
def test_an_answer_to_another_plan_does_not_count(bot: Living, request_id: str, version: str) -> None:
    shown = card(bot, request_id)
    value = f"{request_id}:{version}"
    answer = bot.slack.click("grace", "approve", ts=shown["ts"], channel=shown["channel"], value=value, force=True)
    assert answer["error"] is None
    settle(bot)
    assert status_of(bot, request_id) == "pending"
    assert heard(bot, "grace", f"{request_id} has a new plan since you saw it")


def test_of_two_answers_one_counts_and_the_other_hears_whose(bot: Living, request_id: str) -> None:
    for person in ("mei", "grace"):
        press(bot, person, "approve", copies(bot, request_id)[person][0])
    settle(bot)
    assert status_of(bot, request_id) == "done"
    assert sorted(vote.outcome for vote in votes(bot, request_id)) == ["counted", "refused"]
    assert heard(bot, "grace", f"{request_id} is already approved, by Mei Tanaka")


def test_a_reason_typed_too_late_hears_that_it_is_decided(bot: Living, request_id: str) -> None:
    press(bot, "grace", "deny", card(bot, request_id))
    view = bot.slack.open_view("grace")
    assert view is not None
    press(bot, "mei", "approve", copies(bot, request_id)["mei"][0])
    settle(bot)
    bot.slack.submit("grace", view["id"], reason("no, thank you"))
    settle(bot)
    assert status_of(bot, request_id) == "done"
    assert heard(bot, "grace", f"{request_id} is already approved, by Mei Tanaka")
