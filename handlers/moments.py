"""Moments as people type them: "Friday 18:00", "tomorrow 9am", "24 December"; in the zone of whoever speaks."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
NEAR = ("today", "tomorrow")
SHORT_DAYS = {
    **{day[:3]: day for day in WEEKDAYS},
    **{"tues": "tuesday", "thur": "thursday", "thurs": "thursday"},
}
SHORT_MONTHS = {**{month[:3]: month for month in MONTHS}, "sept": "september"}
END_OF_DAY = time(18, 0)  # what a day without a time of day means
LEAP = 2024  # a year that has every day
MOST_WORDS = 12  # no moment is said in more
YEARS = range(2000, 2200)  # nobody means others, and every zone can be told of these

_ISO = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:t(.+))?", re.ASCII)
_DOTTED = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})?", re.ASCII)
_SLASHED = re.compile(r"[0-9]{1,4}/[0-9]{1,2}(?:/[0-9]{2,4})?", re.ASCII)
_DAY_OF_MONTH = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th|\.)?", re.ASCII)
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(am|pm)?|([0-9]{1,2})(am|pm)", re.ASCII)
_YEAR = re.compile(r"[0-9]{4}", re.ASCII)
_HOUR = re.compile(r"[0-9]{1,2}", re.ASCII)
_LIKE_A_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]", re.ASCII)
_HALVES = {"am": "am", "pm": "pm", "a.m.": "am", "p.m.": "pm"}
_ZONES = re.compile(r"(?:utc|gmt|cet|cest|bst|ist|jst|[ecmp][sd]t)(?:[+-][0-9:]*)?|[+-][0-9]{2}:?[0-9]{2}", re.ASCII)
_PASSED_OVER = {"the", "this", "on", "at", "of", "coming"}


@dataclass(frozen=True)
class Moment:
    """A day and a time of day, still without a zone.

    ``day`` is a weekday, "today", "tomorrow", an ISO date, a day of any year like "24 december", or empty for the next
    time a clock shows ``at``.
    """

    day: str
    at: time = END_OF_DAY

    def __str__(self) -> str:
        shown = self.day if self.day in NEAR else self.day.title()
        return f"{shown} {self.at:%H:%M}".strip()

    def resolve(self, now: datetime, zone: str) -> datetime:
        """The next such moment after ``now``, in the named zone (UTC where that is unknown), as aware UTC.

        Today and an ISO date may be in the past; whoever asks is told so by the caller.
        """
        here = now.astimezone(zone_of(zone))
        days = self._days(here.date())
        found = [_on(day, self.at, here) for day in days]
        return next((at for at in found if at > now), found[-1])

    def _days(self, today: date) -> list[date]:
        """The days it may be, the first that is still to come is meant."""
        if self.day in WEEKDAYS:
            ahead = (WEEKDAYS.index(self.day) - today.weekday()) % 7
            return [today + timedelta(days=ahead), today + timedelta(days=ahead + 7)]
        if not self.day:
            return [today, today + timedelta(days=1), today + timedelta(days=2)]
        if self.day in NEAR:
            return [today + timedelta(days=NEAR.index(self.day))]
        if self.day[0].isdigit() and self.day[-1].isdigit():
            return [date.fromisoformat(self.day)]
        number, month = self.day.split()
        years = range(today.year, today.year + 9)  # eight years may lie between two 29 February
        return [day for year in years if (day := _day(year, MONTHS.index(month) + 1, int(number)))]


def beginning(moment: Moment) -> str:
    """A moment from which on something is done, as one types it: "on Friday 18:00", "at 18:00", "tomorrow 09:00"."""
    before = "at " if not moment.day else "" if moment.day in NEAR else "on "
    return f"{before}{moment}"


def moment_at_end(text: str) -> Moment | None:
    """The moment that a sentence ends in after "on" or "at", as in "she leaves on Friday 18:00"."""
    words = [word.strip("[]()") for word in text.casefold().split()[-MOST_WORDS - 1 :]]
    for ending in (words, [*words[:-1], words[-1].rstrip(".!?")] if words else []):  # "24.12." needs its full stop
        for at, word in enumerate(ending):
            found = _whole_moment(ending[at + 1 :]) if word in ("on", "at") else None
            if found is not None:
                return found
    return None


def _whole_moment(words: Sequence[str]) -> Moment | None:
    try:
        found = read_moment(words, expected=True)
    except WrongMoment:  # most that follows "on" or "at" in a sentence is no time
        return None
    return found[0] if found and found[1] == len(words) else None


class WrongMoment(Exception):
    """Something that means a moment but can't be one; the text says why."""


def zone_of(name: str) -> tzinfo:
    """A time zone by the name that Slack gives; UTC where there is none of that name."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def read_moment(words: Sequence[str], *, expected: bool = False) -> tuple[Moment, int] | None:
    """The moment at the start of ``words`` and how many words it takes; None when there is none.

    ``expected`` (after "until" or "on") makes what can't be read wrong instead of a word like any other.
    """
    words, apart = _apart([word.casefold().rstrip(",") for word in words[:MOST_WORDS]])
    day, taken = _day_in(words, expected)
    if not taken and not expected and not _CLOCK.match(" ".join(words[:1])) and words[:1] != ["noon"]:
        return None  # most words are no moment, and cheaply told from one
    clock, more = _clock_in(words[taken:], after_a_day=bool(taken), expected=expected)
    taken += more
    if clock is not None and not day:
        day, more = _day_in(words[taken:], False)
        taken += more
    if clock is None and not day:
        if expected:
            raise WrongMoment(_unreadable(words))
        return None
    if clock is not None and taken < len(words) and _ZONES.fullmatch(words[taken]):
        raise WrongMoment(f"Times are those of your own zone, as Slack knows it; leave “{words[taken][:10]}” out.")
    if taken == apart + 1:
        raise WrongMoment(f"I can't read “{words[apart]}t{words[apart + 1][:10]}” as one day and one time.")
    return Moment(day, END_OF_DAY if clock is None else clock), taken - (taken > apart)


def _apart(words: list[str]) -> tuple[list[str], int]:
    """With "2026-12-24t18:00" as two words, and where the first of them is; beyond all words when there is none."""
    for at, word in enumerate(words[:2]):
        found = _ISO.fullmatch(word)
        if found and found[4]:
            return [*words[:at], word.partition("t")[0], found[4], *words[at + 1 :]], at
    return words, MOST_WORDS + 1


# -- days ---------------------------------------------------------------------------------------------------------


def _day_in(words: Sequence[str], expected: bool) -> tuple[str, int]:
    """The day at the start and how many words it takes; none takes no words."""
    skipped = 0
    while expected and skipped < len(words) and words[skipped] in _PASSED_OVER:
        skipped += 1
    if not expected and words[:1] == ["on"]:
        skipped = 1
    rest = words[skipped : skipped + 5]
    day, taken = _named_day(rest, expected)
    if not taken:
        day, taken = _dated(rest)
    return (day, skipped + taken) if taken else ("", 0)


def _named_day(rest: Sequence[str], expected: bool) -> tuple[str, int]:
    first, second = (*rest, "", "")[:2]
    if first in NEAR or first in WEEKDAYS:
        return first, 1
    if first in SHORT_DAYS and (expected or _CLOCK.fullmatch(second)):
        return SHORT_DAYS[first], 1
    if first == "next" and second in (*WEEKDAYS, *SHORT_DAYS, "week", "month", "year"):
        raise WrongMoment(f"“next {second}” can mean several days.")
    if first == "eod" or " ".join(rest[:3]) == "end of day":
        return "today", 1 if first == "eod" else 3
    if rest[:4] == ["end", "of", "the", "day"]:
        return "today", 4
    return "", 0


def _dated(rest: Sequence[str]) -> tuple[str, int]:
    """A date in figures, or a day of a month by its name, in either order, with a year or without."""
    if not rest:
        return "", 0
    if found := _ISO.fullmatch(rest[0]):
        return _iso(int(found[1]), int(found[2]), int(found[3])), 1
    if (found := _DOTTED.fullmatch(rest[0])) and 1 <= int(found[2]) <= 12:
        month = MONTHS[int(found[2]) - 1]
        return (_iso(int(found[3]), int(found[2]), int(found[1])) if found[3] else _yearly(found[1], month)), 1
    if _SLASHED.fullmatch(rest[0]):
        raise WrongMoment(f"“{rest[0][:12]}” is read in two ways in the world.")
    of = 1 if rest[1:2] == ["of"] else 0
    first, second, third = (*rest, "", "", "")[:3]
    for number, month, taken in ((first, third if of else second, 2 + of), (second, first, 2)):
        name = SHORT_MONTHS.get(month.rstrip("."), month)
        found = _DAY_OF_MONTH.fullmatch(number)
        if name in MONTHS and found:
            if len(rest) > taken and _YEAR.fullmatch(rest[taken]):
                return _iso(int(rest[taken]), MONTHS.index(name) + 1, int(found[1])), taken + 1
            return _yearly(found[1], name), taken
    return "", 0


def _iso(year: int, month: int, number: int) -> str:
    day = _day(year, month, number) if year in YEARS else None
    if day is None:
        raise WrongMoment(f"There is no day {year}-{month:02}-{number:02} that anybody could mean.")
    return day.isoformat()


def _yearly(number: str, month: str) -> str:
    if _day(LEAP, MONTHS.index(month) + 1, int(number)) is None:
        raise WrongMoment(f"There is no {int(number)} {month.title()}.")
    return f"{int(number)} {month}"


def _day(year: int, month: int, number: int) -> date | None:
    try:
        return date(year, month, number)
    except ValueError:
        return None


# -- times of day -------------------------------------------------------------------------------------------------


def _clock_in(words: Sequence[str], *, after_a_day: bool, expected: bool) -> tuple[time | None, int]:
    """The time of day at the start and how many words it takes."""
    skipped = 1 if words[:1] == ["at"] else 0
    first, second = (*words[skipped:], "", "")[:2]
    if first == "noon":
        return time(12), skipped + 1
    if first == "midnight":
        if after_a_day:
            raise WrongMoment("Midnight of a day can be its beginning or its end; write 0:00 or 23:59.")
        return time(0), skipped + 1
    half = _HALVES.get(second, "")
    if _HOUR.fullmatch(first) and (half or skipped or after_a_day or expected):
        if not half and int(first) <= 12:
            raise WrongMoment(f"“{first}” can be in the morning or in the evening; write {int(first)}:00 or {first}pm.")
        return _time(int(first), 0, half, first), skipped + (2 if half else 1)
    found = _CLOCK.fullmatch(first)
    if found is None:
        if _LIKE_A_CLOCK.match(first):
            raise WrongMoment(f"“{first[:12]}” is no time of day.")
        return None, 0
    glued = found[3] or found[5] or ""
    at = _time(int(found[1] or found[4]), int(found[2] or 0), glued or half, first)
    return at, skipped + (2 if half and not glued else 1)


def _time(hour: int, minute: int, half: str, said: str) -> time:
    if minute > 59 or hour > 23 or (half and not 1 <= hour <= 12):
        raise WrongMoment(f"“{said[:12]}” is no time of day.")
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return time(hour, minute)


def _on(day: date, at: time, here: datetime) -> datetime:
    """That wall clock in the zone of ``here``; one that a zone leaves out or has twice is the first it can be."""
    return datetime.combine(day, at, here.tzinfo).astimezone(UTC)


def _unreadable(words: Sequence[str]) -> str:
    if not words:
        return "The day or the time is missing."
    near = difflib.get_close_matches(words[0][:20], (*WEEKDAYS, *NEAR, *MONTHS), 1, 0.7)
    hint = f"; did you mean “{near[0]}”?" if near else "."
    return f"“{words[0][:20]}” is no day or time I can read{hint}"
