"""Moments as people type them: "Friday 18:00", "tomorrow 9am", "2026-12-24"; in the zone of whoever speaks."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
END_OF_DAY = time(18, 0)  # what a day without a time of day means


@dataclass(frozen=True)
class Moment:
    """A day and a time of day, still without a zone. ``day`` is a weekday, "today", "tomorrow" or an ISO date."""

    day: str
    at: time = END_OF_DAY

    def __str__(self) -> str:
        return f"{self.day} {self.at:%H:%M}"

    def resolve(self, now: datetime, zone: str) -> datetime:
        """The next such moment after ``now``, in the named zone (UTC where that is unknown), as aware UTC.

        An ISO date may be in the past; whoever asks is told so by the caller.
        """
        here = now.astimezone(zone_of(zone))
        if self.day in WEEKDAYS:
            ahead = (WEEKDAYS.index(self.day) - here.weekday()) % 7
            found = self._on(here.date() + timedelta(days=ahead), here)
            return found if found > now else self._on(here.date() + timedelta(days=ahead + 7), here)
        if self.day in ("today", "tomorrow"):
            return self._on(here.date() + timedelta(days=self.day == "tomorrow"), here)
        return self._on(date.fromisoformat(self.day), here)

    def _on(self, day: date, here: datetime) -> datetime:
        return datetime.combine(day, self.at, here.tzinfo).astimezone(UTC)


def zone_of(name: str) -> tzinfo:
    """A time zone by the name that Slack gives; UTC where there is none of that name."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
