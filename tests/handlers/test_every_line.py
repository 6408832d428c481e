"""A million command lines: each is a command or a sentence, and nothing that follows raises either."""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from handlers.command import VERBS
from handlers.durations import Duration
from handlers.moments import Moment
from handlers.parse import Command, Problem, canonical, parse
from handlers.request_form import Unreadable, read_length
from handlers.verbs import DOES, MISSING
from tests.support.lines import damaged, noise, valid
from tests.support.share import SEED, all_or

LINES = all_or(1_000_000, least=0.05)
PARTS = 8  # so that several processes can share them
# Days on which clocks are put forward or back, the last hours of a year, a 29 February, and an ordinary day.
NOWS = [
    datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 3, 8, 6, 59, tzinfo=UTC), datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2028, 2, 29, 12, 0, tzinfo=UTC),
    datetime(2026, 7, 1, 15, 0, tzinfo=UTC),
]  # fmt: skip
ZONES = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Apia", "Asia/Kathmandu",
    "America/St_Johns", "Etc/GMT+12", "", "no/such/zone",
]  # fmt: skip
ASKS = {"grant", "extend", *DOES}  # the verbs that make a request


@pytest.mark.torture
@pytest.mark.parametrize("part", range(PARTS))
def test_any_line_is_a_command_or_a_sentence(part: int, record_property: Callable[[str, object], None]) -> None:
    chance = random.Random(f"{SEED}:{part}")
    seen: Counter[str] = Counter()
    for number in range(part, LINES, PARTS):
        line = damaged(chance) if number // PARTS % 2 else noise(chance)
        try:
            seen[outcome(line, chance)] += 1
        except Exception as error:
            pytest.fail(f"{line!r} of the seed {SEED} raised {type(error).__name__}: {error}")
    assert sum(seen.values()) == len(range(part, LINES, PARTS))
    record_property("command lines", dict(seen))


def outcome(line: str, chance: random.Random) -> str:
    """What the line gives: a request, a form, another command, or a sentence; and all that follows was tried."""
    found = parse(line)
    if isinstance(found, Problem):
        sentence = found.sentence()
        assert sentence.endswith((".", "?", "”", "…")), sentence
        assert len(sentence) < 900, sentence
        return "sentence"
    assert isinstance(found, Command)
    assert found.verb in VERBS
    typed = canonical(found)
    assert parse(typed) == found, typed
    for moment in (found.until, found.starts):
        if moment is not None:
            comes_in(moment, chance)
    how_long = f"until {found.until}" if found.until else str(found.duration or "")
    if how_long:
        assert read_length(how_long) == (found.until or found.duration)
    if found.verb not in ASKS or (found.verb == "tokens" and "delete" not in found.options):
        return "other command"
    return "form" if something_missing(found) else "request"


def comes_in(moment: Moment, chance: random.Random) -> None:
    """A moment of the calendar is found in every zone; one without a year is still to come, and not far away."""
    now, zone = chance.choice(NOWS), chance.choice(ZONES)
    at = moment.resolve(now, zone)
    assert at.tzinfo is UTC
    if moment.day != "today" and not moment.day[-2:].isdigit():
        assert now < at, (str(moment), now, zone)
        assert (at - now).days <= 8 * 366, (str(moment), now, zone)


def something_missing(command: Command) -> bool:
    """What the handlers would open the form for, or ask for in a sentence that shows the whole command."""
    if not command.reason and command.verb != "extend":
        return True
    if command.verb in ("grant", "extend"):
        named = command.request_id if command.verb == "extend" else command.entitlement
        return not named or not (command.duration or command.until)
    field, _ = MISSING.get(command.verb, ("", ""))
    whom = command.subject or command.myself or command.verb in ("revoke", "provision")
    name = command.name or command.verb != "provision"
    return not (whom and name and (not field or getattr(command, field)))


def test_undamaged_lines_are_understood() -> None:
    chance = random.Random(SEED)
    lines = [valid(chance) for _ in range(2000)]
    assert [line for line in lines if isinstance(parse(line), Problem)] == []


@pytest.mark.parametrize("part", range(2))
def test_any_text_in_the_form_is_a_length_or_a_sentence(part: int) -> None:
    chance = random.Random(f"{SEED}:form:{part}")
    for _ in range(3000):
        text = " ".join(damaged(chance).split(" ")[1:])[:60] if part else noise(chance)[:60]
        with suppress(Unreadable):
            assert isinstance(read_length(text), Duration | Moment)


def test_what_the_lines_gave_is_counted_in_any_run() -> None:
    """The counts come back from the processes of pytest-xdist as properties of the reports."""
    from tests.conftest import counted

    class Report:
        when = "call"

        def __init__(self, seen: dict[str, int]) -> None:
            self.user_properties = [("command lines", seen)]

    said = counted([Report({"request": 1000, "form": 2}), Report({"request": 500, "sentence": 3})])
    assert said == "1,505 command lines: 1,500 gave a request, 2 a form, 3 a sentence, 0 another command"
    assert counted([]) == ""
