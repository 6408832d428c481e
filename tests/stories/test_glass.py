"""Break-glass through both doors' real wires: typed, confirmed, heard by everybody, ended with a click, judged."""

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from approvals.models import AccessRequest, AuditEntry, Grant, Job, News, Review
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.support.living import Living, living, until

COMPANY = seed.company()
TOMAS = COMPANY.person("tomas").account_id
GROUP = "eu-jira-admins"
TYPED = f"{GROUP} incident INC-42 because the queue is stuck & <!channel> “R&D” waits"


@pytest.fixture
def bot(sqlite_url: str) -> Iterator[Living]:
    with living(sqlite_url) as bot:
        yield bot


def types(bot: Living, who: str, text: str) -> dict[str, Any]:
    return bot.slack.command(who, text, command="/breakglass", channel="#general")


def said(answer: dict[str, Any]) -> str:
    return text_of(answer["body"] or {}) or answer.get("text") or ""


def form(bot: Living, who: str) -> dict[str, Any]:
    return bot.slack.wait_for(lambda: bot.slack.open_view(who))


def breaks(bot: Living, who: str = "tomas", text: str = TYPED, name: str = GROUP) -> AccessRequest:
    assert types(bot, who, text)["error"] is None
    view = form(bot, who)
    bot.slack.submit(who, view["id"], filled(view, name))
    bot.slack.close_view(who, all=True)
    return newest(bot)


def filled(view: dict[str, Any], name: str, **more: str) -> dict[str, Any]:
    """What is filled in already, and the name."""
    values = {}
    for block in view["blocks"]:
        if block["type"] == "input":
            values[block["block_id"]] = {block["block_id"]: block["element"].get("initial_value", "")}
    typed = more | {"name": name}
    return values | {field: {field: value} for field, value in typed.items()}


def newest(bot: Living) -> AccessRequest:
    with bot.store.read() as session:
        return session.exec(select(AccessRequest).order_by(AccessRequest.asked_at.desc())).first()  # type: ignore[attr-defined,no-any-return]


def message(bot: Living, who: str, *words: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        seen = reversed(bot.slack.messages(who))
        return next((m for m in seen if all(word in text_of(m).replace("\u2060", "") for word in words)), None)

    return bot.slack.wait_for(look)


def holds(bot: Living) -> bool:
    return TOMAS in bot.atlassian.members(GROUP)


def test_from_the_command_to_the_verdict(bot: Living) -> None:
    request = breaks(bot)
    until(lambda: holds(bot))
    message(bot, "tomas", "is given", "for 1 hour")
    for who in ("grace", "sade", "omar"):
        loud = message(bot, who, "breaks glass for *INC-42*", "Nobody was asked")
        assert "<!channel>" not in str(loud["blocks"])
    seen = message(bot, "grace", "breaks glass for *INC-42*", "You hear of it because")
    bot.slack.click("grace", "glass_end", ts=seen["ts"], channel=seen["channel"])
    until(lambda: not holds(bot))
    message(bot, "tomas", "was ended early by Grace Okafor")
    card = message(bot, "sade", "Somebody must say whether this was right", "held for", "PATCH")
    calls = [line for line in text_of(card).splitlines() if "PATCH" in line]
    assert len(calls) == 2
    assert "to the group eu-jira-admins" in calls[0], "giving and taking are the same call with another body"
    assert "out of the group eu-jira-admins" in calls[1]
    bot.slack.click("sade", "review_settle", ts=card["ts"], channel=card["channel"])
    view = form(bot, "sade")
    answer = {"verdict": {"verdict": "legitimate"}, "reason": {"reason": "the queue was stuck, and R&D waited"}}
    sent = bot.slack.submit("sade", view["id"], answer)
    assert not sent["errors"], sent
    message(bot, "tomas", "*Sade Adeyemi* says of", "it was right")
    message(bot, "sade", "Settled", "the queue was stuck, and R&amp;D waited")
    with bot.store.read() as session:
        assert session.get_one(Review, request.id).verdict == "legitimate"
    assert bot.store.verify().ok


@pytest.mark.parametrize(
    ("who", "text", "words"),
    [
        ("tomas", "help", "I don't know what “help” is"),
        ("tomas", "help", "Emergency access is taken first"),
        ("ada", "", "Breaking glass is for people the policy names"),
        ("gus", "", "Guests of this workspace can't use Gatehouse"),
        ("tomas", "nothing incident INC-1 because of the queue", "I don't know what “nothing” is"),
        ("ada", TYPED, "Breaking glass is for people the policy names"),
        ("tomas", "release-managers INC-42 because the queue is stuck", "is not taken by break-glass"),
    ],
)
def test_what_no_form_helps_against_is_said_at_once(bot: Living, who: str, text: str, words: str) -> None:
    answer = types(bot, who, text)
    assert words in said(answer).replace("\u2060", "")
    assert bot.slack.open_view(who) is None


def test_what_is_missing_is_asked_in_the_form_and_what_is_wrong_is_said_there(bot: Living) -> None:
    assert types(bot, "tomas", f"please {GROUP}")["error"] is None
    view = form(bot, "tomas")
    right = {"incident": "INC-42", "reason": "the queue is stuck"}
    for wrong, field in (
        ({"name": "something else"}, "name"), ({"incident": "42"}, "incident"), ({"reason": "now"}, "reason"),
        ({"incident": "DRILL"}, "name"),
    ):  # fmt: skip
        values = filled(view, GROUP, **right) | {key: {key: value} for key, value in wrong.items()}
        answer = bot.slack.submit("tomas", view["id"], values)
        assert list(answer["body"]["errors"]) == [field], answer
    bot.slack.submit("tomas", view["id"], filled(view, GROUP, incident="inc-42", reason="the queue is stuck"))
    until(lambda: holds(bot))
    assert newest(bot).value == "INC-42"


def test_a_drill_by_command(bot: Living) -> None:
    bot.slack.command("sade", "drill")
    view = form(bot, "sade")
    assert "A drill" in text_of(view)
    bot.slack.submit("sade", view["id"], filled(view, "breakglass-drill", reason="we practise today"))
    until(lambda: COMPANY.person("sade").account_id in bot.atlassian.members("breakglass-drill"))
    message(bot, "omar", "DRILL", "practises break-glass")
    assert "You may not drill" in said(bot.slack.command("ada", "drill"))
    bot.slack.open_home("omar")
    until(lambda: "last practised" in text_of(bot.slack.home("omar") or {}))


def test_what_slack_does_not_take_is_sent_again_until_it_arrives(bot: Living) -> None:
    bot.slack.fault("chat.postMessage", error="channel_not_found", times=6)
    breaks(bot)
    until(lambda: holds(bot))

    def told() -> bool:
        with bot.store.read() as session:
            rows = session.exec(select(News).where(News.kind == "glass")).all()
        return len(rows) == 4 and all(news.told_at is not None for news in rows)

    for rounds in range(1, 20):
        bot.store.move_time(timedelta(seconds=6 * rounds))
        with contextlib.suppress(TimeoutError):
            until(told, seconds=1)
            break
    message(bot, "grace", "breaks glass for *INC-42*", "You hear of it because")
    message(bot, "sade", "breaks glass for *INC-42*")


# -- End it now -------------------------------------------------------------------------------------------------------


def loud(bot: Living, who: str) -> dict[str, Any]:
    return message(bot, who, "breaks glass for *INC-42*", "End it now")


@pytest.mark.parametrize(
    ("who", "name"), [("grace", "Grace Okafor"), ("sade", "Sade Adeyemi"), ("omar", "Omar Haddad")]
)
def test_whoever_was_told_ends_it_where_they_were_told(bot: Living, who: str, name: str) -> None:
    """The bypassed approver in their direct messages, security and an admin in the security channel."""
    breaks(bot)
    until(lambda: holds(bot))
    seen = loud(bot, who)
    bot.slack.click(who, "glass_end", ts=seen["ts"], channel=seen["channel"])
    until(lambda: not holds(bot))
    message(bot, who, "is being ended")
    message(bot, "tomas", f"was ended early by {name}")


def test_whoever_holds_it_ends_it_on_their_card(bot: Living) -> None:
    request = breaks(bot)
    until(lambda: holds(bot))
    card = message(bot, "tomas", request.id, "Broken glass for *INC-42*", "End now")
    bot.slack.click("tomas", "end", ts=card["ts"], channel=card["channel"])
    until(lambda: not holds(bot))


@pytest.mark.parametrize(("who", "words"), [("ada", "no such request of yours"), ("gus", "Guests of this workspace")])
def test_a_stranger_who_gets_hold_of_the_button_is_refused_and_in_the_record(bot: Living, who: str, words: str) -> None:
    request = breaks(bot)
    until(lambda: holds(bot))
    seen = loud(bot, "sade")
    bot.slack.click(who, "glass_end", ts=seen["ts"], channel=seen["channel"], force=True)
    message(bot, who, words)
    assert holds(bot)
    with bot.store.read() as session:
        entries = session.exec(
            select(AuditEntry).where(col(AuditEntry.event).in_(("end.refused", "ask.refused")))
        ).all()
        ended = session.exec(select(AuditEntry).where(AuditEntry.event == "grant.end_asked")).all()
    assert [json.loads(entry.body)["data"]["user"] for entry in entries] == [COMPANY.person(who).slack_id]
    assert ended == []
    assert newest(bot).id == request.id


def test_pressed_twice_it_is_ended_once_and_the_second_hears_so(bot: Living) -> None:
    breaks(bot)
    until(lambda: holds(bot))
    grace, sade = loud(bot, "grace"), loud(bot, "sade")
    bot.slack.click("grace", "glass_end", ts=grace["ts"], channel=grace["channel"])
    bot.slack.again()  # the very same click, delivered twice
    until(lambda: not holds(bot))
    message(bot, "tomas", "was ended early by Grace Okafor")
    bot.slack.click("sade", "glass_end", ts=sade["ts"], channel=sade["channel"])
    message(bot, "sade", "gives nothing at the moment, so there is nothing to end")
    writes = [entry for entry in bot.atlassian.ledger(writes=True) if entry["applied"]]
    assert len([entry for entry in writes if entry["method"] == "PATCH"]) == 2


@pytest.mark.parametrize("who", ["grace", "sade"])
def test_pressed_before_atlassian_could_be_called_nothing_is_given(bot: Living, who: str) -> None:
    """Atlassian refuses the call for a while; the loud messages are there before it is tried again."""
    bot.atlassian.fault(method="PATCH", status=503, times=None)
    request = breaks(bot)
    seen = loud(bot, who)
    until(lambda: bot.atlassian.ledger(writes=True) != [])  # pressed sooner, it is refused and never tried
    bot.slack.click(who, "glass_end", ts=seen["ts"], channel=seen["channel"])
    bot.store.move_time(timedelta(minutes=6))
    message(bot, "tomas", "was given up", "ended early by")
    bot.atlassian.clear_faults()
    bot.store.move_time(timedelta(minutes=30))

    def settled() -> bool:
        with bot.store.read() as session:
            grant = session.exec(select(Grant).where(Grant.request_id == request.id)).one()
            left = session.exec(select(Job.key).where(col(Job.kind).in_(("apply", "end")))).all()
        return grant.status in ("void", "ended") and not left

    until(settled)
    assert not holds(bot)
    assert [entry for entry in bot.atlassian.ledger(writes=True) if entry["applied"]] == []
