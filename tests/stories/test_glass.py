"""Break-glass through both doors' real wires: typed, confirmed, heard by everybody, ended with a click, judged."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from approvals.models import AccessRequest, News, Review
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
        ("tomas", "", "Emergency access is taken first"),
        ("tomas", "help", "I don't know what “help” is"),
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
