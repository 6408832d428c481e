"""How many calls a credential may make now: a row for all processes, taken from in slices."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Row, bindparam, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from approvals.database import Database
from approvals.models import RateBudget


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
        """How many come back."""
        return self.at_once / self.window.total_seconds()

    def left(self, of: float, passed: float) -> float:
        """How many are left of so many after ``passed`` seconds; a clock that was set back gives nothing."""
        return min(float(self.at_once), of + max(0.0, passed) * self.a_second)


@dataclass(frozen=True)
class Taken:
    """How many calls may be made; when none, ``wait`` says for how many seconds."""

    calls: int
    wait: float = 0.0


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
    """The rows. Each method is one short transaction of its own. ``now`` is real time, as Atlassian counts by it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def take(self, credential: str, allowance: Allowance, *, urgent: bool, now: datetime) -> Taken:
        """A slice, or when there may be one. Who is not urgent leaves the reserve alone."""
        key = {"_credential": credential, "_family": allowance.family}
        with self.database.changing() as connection:
            row = _locked(connection, key, allowance, now)
            blocked = (_aware(row.blocked_until) - now).total_seconds() if row.blocked_until else 0.0
            if blocked > 0:
                return Taken(0, blocked)
            left = allowance.left(row.calls_left, (now - _aware(row.at)).total_seconds())
            free = left - (0 if urgent else allowance.reserve)
            given = min(allowance.slice, int(free))
            if given < 1:
                return Taken(0, (1 - free) / allowance.a_second)
            connection.execute(
                _CHANGE.values(calls_left=left - given, at=max(now, _aware(row.at)), blocked_until=None), key
            )
            return Taken(given)

    def block(self, credential: str, allowance: Allowance, *, until: datetime, now: datetime) -> None:
        """Atlassian said 429: nobody calls before ``until``, and then one by one."""
        key = {"_credential": credential, "_family": allowance.family}
        with self.database.changing() as connection:
            row = _locked(connection, key, allowance, now)
            later = max(until, _aware(row.blocked_until)) if row.blocked_until else until
            connection.execute(_CHANGE.values(calls_left=allowance.reserve + 1.0, at=later, blocked_until=later), key)


def _locked(
    connection: Connection, key: dict[str, str], allowance: Allowance, now: datetime
) -> Row[tuple[float, datetime, datetime | None]]:
    """The row, which nobody else changes before the commit; made where it lacks."""
    new = {
        "credential": key["_credential"],
        "family": key["_family"],
        "calls_left": float(allowance.at_once),
        "at": now,
    }
    connection.execute(_NEW[connection.dialect.name], new)
    return connection.execute(_LOCKED, key).one()


def _aware(moment: datetime) -> datetime:
    """SQLite forgets the time zone, which is always UTC here."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
