"""kill -9 while the glass is broken: taken once, ended, heard, and judged, whatever dies in between."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.sandbox.slack.control import text_of
from tests.stories.test_glass import TYPED, filled
from tests.stories.test_kill import ADA, GROUP, MEI, OF_GLASS, furnished_file, operation
from tests.support.outside import COMPANY, Bot, between_sandboxes, copied
from tests.support.share import some_of
from tests.support.tool import SECRET, Tool

__all__ = ["ADA", "furnished_file"]  # a fixture
TOMAS = COMPANY.person("tomas").account_id
# Reached only where a second person must agree or nobody can be told: stories of their own, below.
OTHERWISE = ("glass: seconded", "glass: unheard")
LABELS = tuple(label for label in OF_GLASS if label not in OTHERWISE)
NEVER_LEFT_OUT = ("glass: committed",)
ALSO = ("apply: end committed", "give: called", "news: before sending", "news: sent", "end: called")


@pytest.fixture
def bot(tmp_path: Path, furnished_file: Path) -> Iterator[Bot]:
    with between_sandboxes(tmp_path / "bot", copied(furnished_file, tmp_path / "bot")) as bot:
        yield bot


@pytest.mark.torture
@pytest.mark.parametrize("label", some_of((*LABELS, *ALSO), NEVER_LEFT_OUT))
def test_killed_at_any_of_these_points_the_emergency_ends_as_it_should(bot: Bot, label: str) -> None:
    tell(bot, "kill", label, "1")
    assert bot.deaths == 1


@pytest.mark.torture
def test_killed_when_a_second_person_has_agreed_it_is_taken_once_and_ends(bot: Bot) -> None:
    for hours in (30, 29):  # two within a week, so that the next one takes a second person
        assert bot.gatehouse(*by_hand(hours)).returncode == 0
    bot.start("kill", "glass: seconded", "1")
    breaks(bot)
    bot.until(lambda: heard(bot, "mei", "Another of you must agree"))
    agree(bot)
    for who in ("sade", "grace"):
        bot.until(lambda who=who: heard(bot, who, "breaks glass for *INC-42*"))  # type: ignore[misc]
    stops(bot)
    ends_well(bot)
    assert bot.deaths == 1


def by_hand(hours: int) -> list[str]:
    """What was given to him by hand so many hours ago, for ten minutes, and is entered now."""
    begin = datetime.now(UTC) - timedelta(hours=hours)
    times = ["--from", begin.isoformat(), "--until", (begin + timedelta(minutes=10)).isoformat()]
    said = ["--incident", "INC-1", "--because", "Slack was down at night", "--was-member", "no"]
    return ["record-manual", COMPANY.person("tomas").email, GROUP, *times, *said]


def agree(bot: Bot) -> None:
    """Pressed again until it is taken: what Slack called an error may or may not be in the record."""

    def taken() -> bool:
        if TOMAS in bot.atlassian.members(GROUP):
            return True
        asked = heard(bot, "mei", "Another of you must agree")
        if asked is not None:
            bot.slack.click("mei", "glass_second", ts=asked["ts"], channel=asked["channel"], force=True)
        return False

    bot.until(taken)


@pytest.mark.torture
def test_killed_when_nobody_has_heard_of_it_it_is_made_shorter_once_and_everybody_hears_of_it_later(bot: Bot) -> None:
    bot.slack.fault("chat.postMessage", error="channel_not_found", times=-1)
    bot.start("kill", "glass: unheard", "1")
    breaks(bot)
    bot.until(lambda: TOMAS in bot.atlassian.members(GROUP))
    bot.move_time(timedelta(seconds=61))
    bot.until(lambda: bot.deaths == 1)
    bot.move_time(timedelta(minutes=29))
    assert TOMAS in bot.atlassian.members(GROUP), "half of what was left, and not half of that once more"
    bot.slack.clear_faults()
    bot.move_time(timedelta(minutes=33))
    bot.until(lambda: TOMAS not in bot.atlassian.members(GROUP))
    for who in ("sade", "grace", "omar"):
        bot.until(lambda who=who: heard(bot, who, "breaks glass for *INC-42*"))  # type: ignore[misc]
    ends_well(bot)


def ends_well(bot: Bot) -> None:
    bot.until(lambda: TOMAS not in bot.atlassian.members(GROUP))
    assert [operation(effect) for effect in bot.effects(TOMAS)] == ["add", "remove"]
    assert bot.atlassian.members(GROUP) == {MEI}
    proof = bot.gatehouse("audit", "verify")
    assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")


def test_the_undisturbed_emergency_passes_every_one_of_these_points(bot: Bot, tmp_path: Path) -> None:
    tell(bot, "log", str(tmp_path / "labels.txt"))
    assert bot.deaths == 0
    reached = set((tmp_path / "labels.txt").read_text(encoding="utf-8").splitlines())
    assert {*LABELS, *ALSO} - reached == set()


def tell(bot: Bot, *crashing: str) -> None:
    bot.environ["INCIDENT_WEBHOOK_SECRET"] = SECRET
    bot.start(*crashing)
    announces(bot)
    breaks(bot)
    bot.until(lambda: TOMAS in bot.atlassian.members(GROUP))
    for who in ("sade", "grace"):
        bot.until(lambda who=who: heard(bot, who, "breaks glass for *INC-42*"))  # type: ignore[misc]
    stops(bot)
    bot.until(lambda: TOMAS not in bot.atlassian.members(GROUP))
    # Known to be over before the day passes, or its events would be looked for ten minutes after that.
    bot.until(lambda: not any(key.startswith("end:") for key, _ in bot.jobs()))
    bot.move_time(timedelta(hours=24, minutes=1))
    bot.until(lambda: heard(bot, "sade", "Overdue: nobody has said"))
    judges(bot)
    bot.until(lambda: heard(bot, "tomas", "taken by break-glass: it was right"))
    bot.until(lambda: not bot.jobs())
    assert [operation(effect) for effect in bot.effects(TOMAS)] == ["add", "remove"]
    assert bot.atlassian.members(GROUP) == {MEI}
    proof = bot.gatehouse("audit", "verify")
    assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")


def announces(bot: Bot) -> None:
    """An incident tool says so until it is told that this was heard; nobody is on call by the policy of this story."""
    tool = Tool(f"http://127.0.0.1:{bot.environ['PORT']}")

    def answered() -> bool:
        try:
            return tool.announce().status_code in (200, 202)
        except httpx.HTTPError:
            return False

    bot.until(answered)
    bot.until(lambda: heard(bot, "sade", "An incident tool announces *INC-42*"))
    bot.until(lambda: not [key for key, _ in bot.jobs() if key.startswith("offer:")])


def breaks(bot: Bot) -> None:
    """Typed, and sent; whatever the kill swallowed is done again, until it is in the record."""
    before = bot.newest()

    def asked() -> bool:
        if bot.newest() != before:
            return True
        view = bot.slack.open_view("tomas")
        if view is None:
            bot.slack.command("tomas", TYPED, command="/breakglass", channel="#general")
        else:
            bot.slack.submit("tomas", view["id"], filled(view, GROUP))
        return False

    bot.until(asked)
    shut(bot, "tomas")


def stops(bot: Bot) -> None:
    def ended() -> bool:
        if TOMAS not in bot.atlassian.members(GROUP):
            return True
        seen = heard(bot, "grace", "You hear of it because you would have been asked")
        if seen is not None:
            bot.slack.click("grace", "glass_end", ts=seen["ts"], channel=seen["channel"], force=True)
        return False

    bot.until(ended)


def judges(bot: Bot) -> None:
    def settled() -> bool:
        card = heard(bot, "sade", "What the bot did")
        if card is None or "Settle…" not in text_of(card):
            return card is not None and "Settled" in text_of(card)
        view = bot.slack.open_view("sade")
        if view is None:
            bot.slack.click("sade", "review_settle", ts=card["ts"], channel=card["channel"], force=True)
            return False
        answer = {"verdict": {"verdict": "legitimate"}, "reason": {"reason": "the queue was stuck"}}
        bot.slack.submit("sade", view["id"], answer)
        return False

    bot.until(settled)
    shut(bot, "sade")


def shut(bot: Bot, who: str) -> None:
    if bot.slack.open_view(who):
        bot.slack.close_view(who, all=True)


def heard(bot: Bot, who: str, words: str) -> dict[str, Any] | None:
    seen = reversed(bot.slack.messages(who))
    return next((m for m in seen if words in text_of(m).replace("\u2060", "")), None)
