"""A moment that was typed into a field of a form: "Friday 18:00", "tomorrow 9am", "2026-12-24"."""

import re
from datetime import date, time

from handlers.moments import END_OF_DAY, WEEKDAYS, Moment

EXAMPLE = "Friday 18:00"
UNREADABLE = "I can't read that as a time; type it like Friday 18:00, tomorrow 9am or 2026-12-24 18:00."
_DAYS = {short: day for day in WEEKDAYS for short in (day, day[:3])} | {"today": "today", "tomorrow": "tomorrow"}
_MOMENT = re.compile(
    r"(?:on )?(?P<day>[a-z]+|\d{4}-\d\d-\d\d)"
    r"(?:,? (?:at )?(?P<hour>\d{1,2})(?::(?P<minute>\d\d))? ?(?P<half>am|pm)?)?"
)


class Unreadable(Exception):
    """What was typed as a time or a length of time is none; the text says what to type."""


def read_when(text: str) -> Moment:
    """The moment that was typed. Raises ``Unreadable`` with what to type."""
    found = _MOMENT.fullmatch(" ".join(text.casefold().split()))
    day = _day(found["day"]) if found else None
    if found is None or day is None:
        raise Unreadable(UNREADABLE)
    return Moment(day, _time(found) if found["hour"] else END_OF_DAY)


def _day(said: str) -> str | None:
    if said[0].isdigit():
        try:
            return date.fromisoformat(said).isoformat()
        except ValueError:
            return None
    return _DAYS.get(said)


def _time(found: re.Match[str]) -> time:
    hour, half = int(found["hour"]), found["half"]
    if half:
        if not 1 <= hour <= 12:
            raise Unreadable(UNREADABLE)
        hour = hour % 12 + (12 if half == "pm" else 0)
    try:
        return time(hour, int(found["minute"] or 0))
    except ValueError:
        raise Unreadable(UNREADABLE) from None
