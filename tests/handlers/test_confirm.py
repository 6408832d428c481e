"""The higher tiers in Slack: the plan is looked at, the name typed, the pause kept; and giving less than was asked."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from approvals import people
from approvals.confirming import is_the_name
from approvals.models import Grant
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from bot.sandbox.slack.limits import problems_of_view
from handlers.moments import zone_of
from handlers.text import esc, plain
from tests.bot.settled import COMPANY, actions, ask, copies, newcomers, press, settle, status_of, thread_of
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy

_PEOPLE = iter(newcomers())
MEI = COMPANY.person("mei")
OWNED = f'owner = {{slack = "{seed.SLACK_TEAM}/{MEI.slack_id}", account = "{MEI.account_id}"}}\n'
POLICY = (
    roomy()
    .replace('group = "eu-jira-admins"', 'group = "eu-jira-admins"\ntier = "medium"\ninstead = ["release-managers"]')
    .replace('approvers = ["manager", "owner"]', 'approvers = ["manager", "owner"]\ntier = "high"')
)


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    url = copied(migrated_file, tmp_path_factory.mktemp("confirm"))
    with living(url, policy=POLICY, works=False) as bot:
        yield bot


@pytest.fixture
def bot(running: Living) -> Iterator[Living]:
    yield running
    running.slack.clear_faults()
    for who in ("grace", "mei"):
        while running.slack.open_view(who):
            running.slack.close_view(who)


@pytest.fixture
def who() -> str:
    return next(_PEOPLE)


def sent(view: dict[str, Any]) -> dict[str, Any]:
    """What the bot sent of a view that is open."""
    keys = ("type", "title", "submit", "close", "blocks", "callback_id", "private_metadata", "external_id")
    return {key: view[key] for key in keys}


def asked(bot: Living, who: str, what: str) -> str:
    request = ask(bot, who, what)
    settle(bot)
    assert status_of(bot, request) == "pending"
    return request


def test_of_the_medium_tier_the_plan_is_shown_before_it_counts(bot: Living, who: str) -> None:
    request = asked(bot, who, "eu-jira-admins")
    card = copies(bot, request)["grace"][0]
    press(bot, "grace", "approve", card)
    view = bot.slack.open_view("grace")
    assert view is not None
    assert problems_of_view(sent(view), "modal") == []
    assert f"add {COMPANY.person(who).name} to the group eu-jira-admins by SCIM" in text_of(view)
    settle(bot)
    assert status_of(bot, request) == "pending"
    answer = bot.slack.submit("grace", view["id"], {})
    assert (answer["error"], answer["errors"]) == (None, {})
    settle(bot)
    assert status_of(bot, request) == "done"


def test_of_the_high_tier_the_name_is_typed_by_two_and_then_comes_the_pause(bot: Living, who: str) -> None:
    request = asked(bot, who, "eu-confluence-admins")
    for approver in ("grace", "mei"):
        card = copies(bot, request)[approver][0]
        press(bot, approver, "approve", card)
        view = bot.slack.open_view(approver)
        assert view is not None
        wrong = bot.slack.submit(approver, view["id"], {"name": {"name": "Somebody Else"}}, force=True)
        assert "not the name" in wrong["errors"]["name"]
        right = bot.slack.submit(approver, view["id"], {"name": {"name": COMPANY.person(who).name.upper()}})
        assert right["errors"] == {}
        settle(bot)
    assert status_of(bot, request) == "scheduled"
    card = copies(bot, request)["channel"][0]
    assert "Nothing is done before" in text_of(card)
    assert any("Any approver and whoever asked can stop it" in reply for reply in thread_of(card))
    assert "cancel" in actions(card)
    press(bot, "mei", "cancel", card)
    settle(bot)
    assert status_of(bot, request) == "cancelled"
    assert "was taken back by *Mei" in thread_of(copies(bot, request)["channel"][0])[-1]


@pytest.mark.parametrize(
    "name",
    [
        "علی\u200cرضا حسینی", "\u200fדנה לוי\u200f", "Ada *Star* _Ferreira_", "Zoë\ufeff Lind",
        "O\u00adBrien", "Max\u2066imilian\u2069", "Tab\tName",
    ],
)  # fmt: skip
def test_a_name_with_signs_that_nobody_sees_is_typed_or_copied_as_it_is_shown(name: str) -> None:
    for shown in (plain(name), esc(name), name):
        assert is_the_name(shown, name)
    assert is_the_name(esc(name).replace("\u2060", ""), name)
    assert not is_the_name(f"{plain(name)}s", name)
    assert not is_the_name("\u200f\u2060", name)


def test_a_form_that_does_not_open_approves_nothing_and_says_so(bot: Living, who: str) -> None:
    request = asked(bot, who, "eu-jira-admins")
    bot.slack.fault("views.open", error="expired_trigger_id")
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    assert status_of(bot, request) == "pending"
    assert any("look at the plan first" in text_of(message) for message in bot.slack.messages("grace"))


def test_who_may_not_answer_is_shown_no_plan_and_hears_why(bot: Living, who: str) -> None:
    request = asked(bot, who, "eu-jira-admins")
    press(bot, who, "approve", copies(bot, request)["channel"][0])
    settle(bot)
    assert bot.slack.open_view(who) is None
    assert any("nobody approves their own request" in text_of(message) for message in bot.slack.messages(who))


def test_giving_less_asks_anew_in_the_same_thread(bot: Living, who: str) -> None:
    request = asked(bot, who, "eu-jira-admins")
    old = copies(bot, request)["grace"][0]
    press(bot, "grace", "change", old)
    view = bot.slack.open_view("grace")
    assert view is not None
    assert problems_of_view(sent(view), "modal") == []
    unread = bot.slack.submit("grace", view["id"], {"length": {"length": "two moons"}}, force=True)
    assert list(unread["errors"]) == ["length"]
    answer = bot.slack.submit("grace", view["id"], {"length": {"length": "30m"}})
    assert answer["errors"] == {}
    settle(bot)
    card = copies(bot, request)["channel"][0]
    assert "for 30 minutes" in text_of(card)
    assert "plan 2" in text_of(card)
    assert any("changed it from eu-jira-admins for 2 hours to eu-jira-admins for 30 minutes" in reply
               for reply in thread_of(card))  # fmt: skip
    assert status_of(bot, request) == "pending"


def test_longer_is_never_given_by_a_change(bot: Living, who: str) -> None:
    request = asked(bot, who, "eu-jira-admins")
    press(bot, "grace", "change", copies(bot, request)["grace"][0])
    view = bot.slack.open_view("grace")
    assert view is not None
    bot.slack.submit("grace", view["id"], {"length": {"length": "3h"}})
    settle(bot)
    assert any("longer than the 2 hours" in text_of(message) for message in bot.slack.messages("grace"))
    assert status_of(bot, request) == "pending"


def test_the_moment_that_an_approver_types_is_the_end_however_late_it_is_approved(bot: Living, who: str) -> None:
    request = asked(bot, who, "eu-jira-admins")
    press(bot, "grace", "change", copies(bot, request)["grace"][0])
    view = bot.slack.open_view("grace")
    assert view is not None
    clock, moment = an_hour_on(bot, "grace")
    assert bot.slack.submit("grace", view["id"], {"length": {"length": f"until {clock}"}})["errors"] == {}
    settle(bot)
    card = copies(bot, request)["channel"][0]
    until = f"until <!date^{int(moment.timestamp())}^"
    assert until in text_of(card)
    assert "at the latest" not in text_of(card)
    assert any(f"from eu-jira-admins for 2 hours to eu-jira-admins {until}" in reply for reply in thread_of(card))
    press(bot, "grace", "change", copies(bot, request)["grace"][0])
    again = bot.slack.open_view("grace")
    assert again is not None
    assert "over then at the latest" in text_of(again)
    assert problems_of_view(sent(again), "modal") == []
    assert bot.slack.submit("grace", again["id"], {"length": {"length": "10m"}})["errors"] == {}
    settle(bot)
    card = copies(bot, request)["channel"][0]
    assert "for 10 minutes, until <!date" in text_of(card)
    assert any("for 10 minutes, until <!date" in reply and "at the latest" in reply for reply in thread_of(card))
    bot.store.move_time(timedelta(minutes=55))
    press(bot, "grace", "approve", card, force=True)
    shown = bot.slack.open_view("grace")
    assert shown is not None
    bot.slack.submit("grace", shown["id"], {})
    settle(bot)
    bot.store.move_time(timedelta(0))
    assert status_of(bot, request) == "done"
    with bot.store.read() as session:
        grant = session.exec(select(Grant).where(Grant.request_id == request)).one()
    assert grant.ends_at == moment


def an_hour_on(bot: Living, person: str) -> tuple[str, datetime]:
    """The clock on somebody's wall in an hour, and when that is."""
    with bot.store.read() as session:
        zone = people.zone_of(session, seed.SLACK_TEAM, COMPANY.person(person).slack_id)
        there = bot.store.time_in(session).astimezone(zone_of(zone)) + timedelta(hours=1)
    return f"{there:%H:%M}", there.replace(second=0, microsecond=0).astimezone(UTC)


def test_a_stand_in_is_asked_and_told(bot: Living, who: str) -> None:
    request = asked(bot, who, "eu-jira-admins")
    answer = bot.slack.command("grace", "delegate @tomas for 5 days", force=True)
    assert "*Tomáš" in answer["body"]["text"]
    settle(bot)
    direct = [message for message in bot.slack.dms("tomas") if f"{request} · asked" in text_of(message)]
    assert direct
    assert "standing in for the person's manager" in text_of(direct[0])
    assert any("You answer for *Grace Okafor* until" in text_of(message) for message in bot.slack.messages("tomas"))
    press(bot, "tomas", "approve", direct[0])
    view = bot.slack.open_view("tomas")
    assert view is not None
    bot.slack.submit("tomas", view["id"], {})
    settle(bot)
    assert status_of(bot, request) == "done"
    assert bot.slack.command("grace", "delegate nobody", force=True)["body"]["text"] == "You answer for yourself again."


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("delegate", "Who is to answer for you?"),
        ("delegate @tomas", "For how long?"),
        ("delegate @tomas for 40 days", "30 days at most"),
        ("delegate @grace for 2 days", "Nobody stands in for themselves"),
        ("delegate eu-jira-admins", "too much here"),
        ("delegate nobody", "Nobody stands in for you"),
    ],
)
def test_what_is_missing_or_wrong_is_said(bot: Living, typed: str, said: str) -> None:
    answer = bot.slack.command("grace", typed, force=True)
    assert said in answer["body"]["text"]
