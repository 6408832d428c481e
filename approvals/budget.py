"""How many calls a credential may make now: a row for all processes, taken from in slices.

Beside ``Store.write``: nothing here is part of the record, so there is no audit entry and nobody waits for the chain.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from approvals.clock import real_time
from approvals.database import Database
from approvals.models import RateBudget

KEPT = timedelta(seconds=5)  # how long a process may keep a slice; then what is left of it is given up
SHORTEST_BLOCK, LONGEST_BLOCK = timedelta(seconds=1), timedelta(hours=1)
CLOCKS_DIFFER = timedelta(minutes=1)  # a row that is further ahead was written by a clock that was wrong
NOTHING = timedelta(0)


@dataclass(frozen=True)
class Allowance:
    """What may be called how often: at most ``calls`` in any ``window``, wherever it begins.

    Half of them may come at once, the other half comes back evenly over the window. ``reserve`` of the half are kept
    for what must not wait: ends and break-glass.
    """

    family: str
    calls: int
    source: str  # who says so
    window: timedelta = timedelta(minutes=1)
    slice: int = 10  # taken at once, so that most calls need no database
    reserve: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.slice <= self.at_once - self.reserve:
            raise ValueError(f"{self.family}: of {self.calls} calls {self.slice} at once leave no {self.reserve} over")

    @property
    def at_once(self) -> int:
        return self.calls // 2

    @property
    def a_second(self) -> float:
        """How many come back. A slice may be taken before a window and spent in it, so that time counts as well."""
        kept = KEPT if self.slice > 1 else NOTHING
        return self.at_once / (self.window + kept).total_seconds()


@dataclass(frozen=True)
class Level:
    """How many calls were left at a moment; they come back with time. Nobody calls before ``blocked_until``."""

    calls: float
    at: datetime
    blocked_until: datetime | None = None


@dataclass(frozen=True)
class Taken:
    """How many calls may be made; when none, ``wait`` says for how many seconds."""

    calls: int
    wait: float = 0.0


def level_now(level: Level, allowance: Allowance, now: datetime) -> Level:
    """What is left now. A clock that was set back gives nothing, and one that was far ahead stops nobody for long."""
    if level.blocked_until and NOTHING < level.blocked_until - now <= LONGEST_BLOCK:
        return level
    if level.at - now > CLOCKS_DIFFER:
        return Level(level.calls, now)
    back = max(0.0, (now - level.at).total_seconds()) * allowance.a_second
    return Level(min(float(allowance.at_once), level.calls + back), max(level.at, now))


def take_from(level: Level, allowance: Allowance, *, urgent: bool, now: datetime) -> tuple[Level, Taken]:
    """A slice, or when there may be one, and what is left then. Who is not urgent leaves the reserve alone."""
    left = level_now(level, allowance, now)
    if left.blocked_until:
        return level, Taken(0, (left.blocked_until - now).total_seconds())
    free = left.calls - (0 if urgent else allowance.reserve)
    given = min(allowance.slice, int(free))
    if given < 1:
        ahead = left.at < level.at  # of a clock that was wrong: time begins anew
        return left if ahead else level, Taken(0, (1 - free) / allowance.a_second)
    return replace(left, calls=left.calls - given), Taken(given)


def block_at(level: Level, allowance: Allowance, *, seconds: float, now: datetime) -> Level:
    """Nobody calls for so long, and then one by one; a block never gives calls that were not there."""
    left = level_now(level, allowance, now)
    until = now + min(max(timedelta(seconds=seconds), SHORTEST_BLOCK), LONGEST_BLOCK)
    until = max(until, left.blocked_until or until)
    then = level_now(Level(left.calls, left.at), allowance, until)
    return Level(min(then.calls, allowance.reserve + 1.0), until, until)


_LOCKED = (
    select(RateBudget.calls_left, RateBudget.at, RateBudget.blocked_until)
    .where(RateBudget.credential == bindparam("_credential"), RateBudget.family == bindparam("_family"))
    .with_for_update()
)
_CHANGE = update(RateBudget).where(
    col(RateBudget.credential) == bindparam("_credential"), col(RateBudget.family) == bindparam("_family")
)
_NEW = {
    name: insert(RateBudget).on_conflict_do_nothing()
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


class RateBudgets:
    """The rows. Each method is one short transaction of its own, never within another one."""

    def __init__(self, database: Database, clock: Callable[[Connection], datetime] = real_time) -> None:
        self.database = database
        self._clock = clock

    def take(self, credential: str, allowance: Allowance, *, urgent: bool) -> Taken:
        """A slice, or when there may be one. Who is not urgent leaves the reserve alone."""
        with self.database.changing() as connection:
            level = self._locked(connection, credential, allowance)
            left, taken = take_from(level, allowance, urgent=urgent, now=self._clock(connection))
            if left != level:
                self._keep(connection, credential, allowance, left)
        return taken

    def block(self, credential: str, allowance: Allowance, *, seconds: float) -> None:
        """Atlassian said 429, which holds for everybody: nobody calls for so long, not even what must not wait."""
        with self.database.changing() as connection:
            level = self._locked(connection, credential, allowance)
            left = block_at(level, allowance, seconds=seconds, now=self._clock(connection))
            self._keep(connection, credential, allowance, left)

    def _locked(self, connection: Connection, credential: str, allowance: Allowance) -> Level:
        """The row, which nobody else changes before the commit; made where it lacks."""
        new = {"calls_left": float(allowance.at_once), "at": self._clock(connection)}
        new |= {"credential": credential, "family": allowance.family}
        connection.execute(_NEW[connection.dialect.name], new)
        row = connection.execute(_LOCKED, _key(credential, allowance)).one()
        return Level(row.calls_left, _aware(row.at), _aware(row.blocked_until) if row.blocked_until else None)

    def _keep(self, connection: Connection, credential: str, allowance: Allowance, level: Level) -> None:
        values = {"calls_left": level.calls, "at": level.at, "blocked_until": level.blocked_until}
        connection.execute(_CHANGE.values(**values), _key(credential, allowance))


def _key(credential: str, allowance: Allowance) -> dict[str, str]:
    return {"_credential": credential, "_family": allowance.family}


def _aware(moment: datetime) -> datetime:
    """SQLite forgets the time zone, which is always UTC here."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
