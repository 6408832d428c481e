"""Lengths of time as people type them: "2h", "2 hours", "1h30m", "a week", "until revoked"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from approvals.durations import CEILING, UNTIL_REVOKED, say_duration

TYPE_THIS = "Type it like “for 30m”, “for 4h”, “for 3 days” or “until revoked”."
UNITS = {
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 1),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 60),
    **dict.fromkeys(("d", "day", "days"), 24 * 60),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 7 * 24 * 60),
}
COUNTS = {
    **{"a": "1", "an": "1", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"},
    **{"seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12"},
}
MOST_DIGITS = 7  # ten years have 5,256,000 minutes; int() itself refuses thousands of digits with an exception

_NUMBER = re.compile(r"[-+\u2212]?[0-9]+(?:\.[0-9]+)?")
_PART = re.compile(rf"({_NUMBER.pattern})([a-z]+)")
_GLUED = re.compile(rf"(?:{_NUMBER.pattern}[a-z]+)+")


@dataclass(frozen=True)
class Duration:
    """A length of time that was asked for; ``length`` None means until revoked."""

    length: timedelta | None

    @property
    def until_revoked(self) -> bool:
        return self.length is None

    def __str__(self) -> str:
        return say_duration(self.length)


class WrongDuration(Exception):
    """Something that means a length of time but can't be one; the text says why."""


def read_duration(words: Sequence[str], *, expected: bool = False) -> tuple[Duration, int] | None:
    """The duration at the start of ``words`` and how many words it takes; None when there is none.

    ``expected`` (after "for") makes a number with an unknown unit wrong instead of a word like any other.
    """
    words = [word.casefold() for word in words]
    if " ".join(words[:2]) == UNTIL_REVOKED:
        return Duration(None), 2
    minutes, taken = Fraction(0), 0
    while part := _read_part(words[taken:], expected):
        minutes += part[0]
        taken += part[1]
        if words[taken : taken + 1] == ["and"] and _read_part(words[taken + 1 :], expected):
            taken += 1
    return (_checked(minutes, " ".join(words[:taken])), taken) if taken else None


def _read_part(words: Sequence[str], expected: bool) -> tuple[Fraction, int] | None:
    """One "2h", "1h30m" or "2 hours": how many minutes, how many words."""
    if not words:
        return None
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first == "half" and second in ("a", "an") and words[2:3] and words[2] in UNITS:
        return Fraction(UNITS[words[2]], 2), 3
    if _GLUED.fullmatch(first):
        parts = _PART.findall(first)
        strange = next((unit for _, unit in parts if unit not in UNITS), None)
        if strange is None:
            return sum((_minutes(number, unit) for number, unit in parts), Fraction(0)), 1
        if expected:
            raise WrongDuration(_unknown(strange))
        return None  # may be a name, like "3d-printers"
    if not _NUMBER.fullmatch(first) and (first not in COUNTS or second not in UNITS):
        return None
    if second not in UNITS:
        raise WrongDuration(_unknown(second) if second.isalpha() else f"“{first[:20]}” of what is not said.")
    return _minutes(COUNTS.get(first, first), second), 2


def _unknown(unit: str) -> str:
    return f"“{unit[:20]}” is not a unit here; Gatehouse counts in minutes, hours, days and weeks."


def _minutes(number: str, unit: str) -> Fraction:
    number = number.replace("\u2212", "-")
    if len(number) > MOST_DIGITS:
        raise WrongDuration(f"“{number[:20]}…” is not a number anybody would ask for.")
    minutes = Fraction(number) * UNITS[unit]
    if minutes <= 0:
        raise WrongDuration(f"“{number} {unit}” is no time at all.")
    return minutes


def _checked(minutes: Fraction, said: str) -> Duration:
    if minutes.denominator != 1:
        raise WrongDuration(f"“{said[:40]}” is not a whole number of minutes.")
    if minutes > CEILING // timedelta(minutes=1):
        raise WrongDuration(f"“{said[:40]}” is longer than ten years.")
    return Duration(timedelta(minutes=int(minutes)))
