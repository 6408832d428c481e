"""`gatehouse record-manual` on the whole bot: a shell enters what was given by hand, and the worker sees to its end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.stories.test_kill import ADA, GROUP, MEI, furnished_file, operation
from tests.support.outside import COMPANY, Bot, between_sandboxes, copied

__all__ = ["furnished_file"]  # a fixture
MAIL = COMPANY.person("ada").email


@pytest.fixture
def bot(tmp_path: Path, furnished_file: Path) -> Iterator[Bot]:
    with between_sandboxes(tmp_path / "bot", copied(furnished_file, tmp_path / "bot")) as bot:
        yield bot


def at(minutes: float) -> str:
    """So many minutes from now, in a zone of its own."""
    moment = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=minutes)
    return moment.astimezone().isoformat()


def words(*, who: str = MAIL, what: str = GROUP, **more: str) -> list[str]:
    options = {
        "incident": "inc-42", "from": at(-60), "until": at(30), "because": "Slack was down, and the queue was stuck",
        "was-member": "no",
    }  # fmt: skip
    given = options | {name.replace("_", "-"): value for name, value in more.items()}
    return ["record-manual", who, what, *(part for name, value in given.items() for part in (f"--{name}", value))]


def seen(bot: Bot, who: str, *said: str) -> dict[str, Any] | None:
    found = reversed(bot.slack.messages(who))
    return next((m for m in found if all(one in text_of(m).replace("\u2060", "") for one in said)), None)


def test_entered_ended_judged_with_atlassians_own_events_and_never_given(bot: Bot) -> None:
    bot.atlassian.add_by_hand(GROUP, ADA)
    bot.atlassian.happens(ADA, "jira_issue_viewed", "Viewed EU-1", ago=1800)
    bot.start()
    typed = words()
    done = bot.gatehouse(*typed)
    assert done.returncode == 0, done.stderr
    assert "Ada Ferreira had eu-jira-admins for INC-42" in done.stdout
    assert "takes it away at" in done.stdout
    again = bot.gatehouse(*typed)
    assert again.returncode == 0
    assert "It was entered before, as REQ-" in again.stdout
    for who in ("sade", "omar", "grace"):
        bot.until(lambda who=who: seen(bot, who, "enters what was given by hand for *INC-42*"))  # type: ignore[misc]
    bot.until(lambda: seen(bot, "sade", "was given it by hand for *INC-42*", "What the bot did", "Nothing yet"))
    bot.until(lambda: seen(bot, "ada", "Given by hand, entered afterwards"))
    assert bot.effects(ADA) == []
    bot.move_time(timedelta(minutes=31))
    bot.until(lambda: ADA not in bot.atlassian.members(GROUP))
    bot.until(lambda: seen(bot, "ada", "the time of `eu-jira-admins` is over"))
    bot.move_time(timedelta(minutes=45))
    bot.until(lambda: seen(bot, "sade", "What the bot did", "1 event of theirs in the window"))
    bot.move_time(timedelta(hours=25))
    bot.until(lambda: seen(bot, "sade", "was given access by hand for *INC-42*", "within 24 hours"))
    assert [operation(effect) for effect in bot.effects(ADA)] == ["remove"]
    assert bot.atlassian.members(GROUP) == {MEI}
    proof = bot.gatehouse("audit", "verify")
    assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")


def test_what_atlassian_does_not_show_is_entered_and_not_given(bot: Bot) -> None:
    bot.start()
    done = bot.gatehouse(*words())
    assert done.returncode == 0, done.stderr
    assert "Atlassian does not show it now. Nothing is given" in done.stdout
    bot.until(lambda: seen(bot, "sade", "Nothing is given; at its end what is found is taken away"))
    bot.move_time(timedelta(minutes=31))
    bot.until(lambda: seen(bot, "ada", "the time of `eu-jira-admins` is over"))
    assert bot.effects(ADA) == []


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (words(what="eu-jira-admin"), "Did you mean `eu-jira-admins`"),
        (words(who=COMPANY.person(seed.EMERGENCY).email), "is protected (emergency administrator)"),
        (words(who="nobody@harbour.example"), "No account, or more than one, has the address nobody@harbour.example"),
        (words(who="712020:../../x"), "WHO is an Atlassian account id"),
        (words(who="712020:nobody-here"), "The organization has no account 712020:nobody-here"),
        (words(**{"from": at(-10), "until": at(-20)}), "are they the wrong way round?"),
        (words(**{"from": "2026-03-01T22:10"}), "--from does not say in which zone: write it with its zone, like"),
        (words(until="half past ten"), "--until is no time: write it with its zone, like"),
        (words(until="0001-01-01T00:00+12:00"), "--until is no time: write it with its zone, like"),
        (words(until=at(10_000)), "An emergency ends within 4 hours"),
        (words(incident="the fire"), "is no incident's id: it is written like INC-[0-9]+"),
        (words(because="down"), "reason of at least 10 characters is needed"),
        (words(was_member="perhaps"), "--was-member takes yes"),
    ],
)
def test_bad_input_is_a_sentence_and_enters_nothing(bot: Bot, typed: list[str], sentence: str) -> None:
    done = bot.gatehouse(*typed)
    assert done.returncode == 2, done.stdout
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert bot.newest() is None


def test_without_atlassian_nothing_is_entered_and_it_is_said(bot: Bot) -> None:
    bot.atlassian.fault(status=503, times=None)
    done = bot.gatehouse(*words())
    assert done.returncode == 2
    assert "Nothing was entered. Try it again when Atlassian can be read." in done.stderr
    assert bot.newest() is None
