"""When whose turn is: shifts with a beginning and an end, and rotations that hand over every so many weeks.

Times of the clock on the wall follow RFC 5545, section 3.3.5: one that happens twice is the first of them, one that
never happens counts by the offset before the gap, so 02:30 becomes 03:30 on the morning the clocks go forward.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class FixedShift:
    """These people, from a moment until before another."""

    who: frozenset[str]
    start: datetime
    until: datetime

    def people(self, at: datetime) -> frozenset[str]:
        return self.who if self.start <= at < self.until else frozenset()

    def changes(self, at: datetime) -> list[datetime]:
        """The moments near ``at``, later than it, when somebody else may be on call."""
        return [moment for moment in (self.start, self.until) if moment > at]


@dataclass(frozen=True)
class Rotation:
    """Turns of ``weeks`` each, in order and over again; the first one begins on ``first`` at ``handover``."""

    turns: Sequence[frozenset[str]]
    first: date
    handover: time
    zone: ZoneInfo
    weeks: int = 1
    until: datetime | None = None

    def people(self, at: datetime) -> frozenset[str]:
        turn = self.turn(at)
        if turn is None or (self.until is not None and at >= self.until):
            return frozenset()
        return self.turns[turn % len(self.turns)]

    def changes(self, at: datetime) -> list[datetime]:
        turn = self.turn(at)
        following = self.begins(0 if turn is None else turn + 1)
        return [moment for moment in (following, self.until) if moment is not None and moment > at]

    def turn(self, at: datetime) -> int | None:
        """Which turn it is, from 0; None before the first one."""
        days = (at.astimezone(self.zone).date() - self.first).days
        number = days // (7 * self.weeks)
        # The date may be a turn ahead on the day of a handover, and behind after the clock went back past midnight.
        while self.begins(number) > at:
            number -= 1
        while self.begins(number + 1) <= at:
            number += 1
        return number if number >= 0 else None

    def begins(self, turn: int) -> datetime:
        return moment(datetime.combine(self.first + turn * self.weeks * WEEK, self.handover), self.zone)


def moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment a clock on the wall shows ``wall``, as RFC 5545 reads it."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def is_plain(wall: datetime, zone: ZoneInfo) -> bool:
    """Whether a clock on the wall shows ``wall`` exactly once."""
    offsets = {wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    return len(offsets) == 1
