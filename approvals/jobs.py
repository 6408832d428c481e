"""Durable work in the same database: enqueued with the change that causes it, claimed with a lease, retried."""

import random
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NewType

from sqlalchemy import (
    ColumnElement,
    Connection,
    Interval,
    Select,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from approvals.clock import seconds_gone
from approvals.database import plain
from approvals.models import Job
from approvals.trace import caused_by

CHANNEL = "gatehouse_jobs"  # where PostgreSQL tells every worker that there is work
LEASE = timedelta(seconds=15)  # renewed every few seconds while the job runs
LOUD_AFTER = 3  # failures of the same job before operators hear of it
LONGEST_PAUSE = 300.0  # seconds
# What comes again and again for as long as there is a worker: it is never over, so nobody waits for that.
RECURRING = frozenset({
    "mirror", "sources", "events", "checkpoint", "texts", "emergency", "heartbeat", "reconcile", "watch",
})  # fmt: skip
# Priorities. Ends and break-glass go before everything else, and may use the calls that are kept back.
ENDS, EFFECTS, PEOPLE, ORDINARY, BACKGROUND = 1, 2, 3, 5, 9

Lease = NewType("Lease", str)


class Later(Exception):
    """Not a failure: the same job is to run again in ``seconds``."""

    def __init__(self, seconds: float, why: str = "") -> None:
        super().__init__(why)
        self.seconds = seconds


class Halted(Exception):
    """This process stops: the step at hand is done, the next one is somebody else's. Not a failure either."""


class LeaseLost(Exception):
    """Somebody else holds this job now: what was about to be written must not be."""


def _asked_for(insert: Callable[[Any], Any]) -> Any:
    """Both engines know the same upsert, SQLAlchemy has it twice."""
    new = insert(Job.__table__).values(status="ready", attempts=0, again=False, trouble="")  # type: ignore[attr-defined]
    job = Job.__table__.c  # type: ignore[attr-defined]
    moved = {
        "run_at": new.excluded.run_at,
        "again": job.status == "running",
        "status": func.replace(job.status, "dead", "ready"),
        "attempts": case((job.status == "dead", 0), else_=job.attempts),  # revived, it has all its tries
        "trace": new.excluded.trace,
    }
    return new.on_conflict_do_update(index_elements=[job.key], set_=moved)


_ASKED_FOR = {"sqlite": _asked_for(sqlite.insert), "postgresql": _asked_for(postgresql.insert)}
_TELL_WORKERS = select(func.pg_notify(CHANNEL, ""))
_NEXT_DUE = select(func.min(Job.run_at)).where(Job.status == "ready", col(Job.priority) <= bindparam("least"))


def _claiming(clock: ColumnElement[datetime], until: ColumnElement[datetime]) -> Any:
    due = or_(
        and_(col(Job.status) == "ready", col(Job.run_at) <= bindparam("now")),
        and_(col(Job.status) == "running", col(Job.leased_until) < clock),
    )
    wanted = and_(due, col(Job.priority) <= bindparam("least"))
    most_urgent = select(Job.id).where(wanted).order_by(col(Job.priority), col(Job.run_at)).limit(1)
    return (
        update(Job)
        .where(col(Job.id) == most_urgent.with_for_update(skip_locked=True).scalar_subquery())
        .values(status="running", lease=bindparam("new_lease"), leased_until=until, attempts=Job.attempts + 1)
        .returning(*(col(c) for c in (Job.id, Job.key, Job.kind, Job.about, Job.attempts, Job.priority, Job.trace)))
    )


_OURS = (col(Job.id) == bindparam("job"), col(Job.lease) == bindparam("held"))


def _holding(until: ColumnElement[datetime]) -> Update:
    return update(Job).where(*_OURS).values(leased_until=until)


# Leases run by one clock: on PostgreSQL its own, asked in the statement itself; SQLite's processes share a machine.
_THERE = func.clock_timestamp()
_THERE_UNTIL = _THERE + literal(LEASE, Interval)
_CLAIM = {
    "sqlite": _claiming(bindparam("clock"), bindparam("until")),
    "postgresql": _claiming(_THERE, _THERE_UNTIL),
}
_HOLD = {"sqlite": _holding(bindparam("until")), "postgresql": _holding(_THERE_UNTIL)}
_GONE = delete(Job).where(*_OURS, col(Job.again).is_(False))
_AGAIN = update(Job).where(*_OURS).values(status="ready", again=False, attempts=0, lease=None, trouble="")


@dataclass
class Claim:
    """A job taken by one worker, with the fence that proves it is still theirs."""

    id: int
    key: str
    kind: str
    about: str
    attempts: int
    lease: Lease
    priority: int
    trace: str = ""  # of what caused it; empty: nobody in Slack did
    held_at: float = field(default_factory=lambda: seconds_gone())  # when it was last known to be ours
    done: bool = False  # its last transaction was committed and has finished it
    halted: bool = False  # whoever runs it stops, and begins no further call
    takes_next: bool = False  # whoever runs it goes on with what its last transaction claims for them
    least: int = BACKGROUND  # and takes nothing that is less urgent
    following: "Claim | None" = None

    def goes_on(self, following: "Claim | None") -> None:
        """Its last transaction is committed, and has claimed this for whoever runs it."""
        self.done, self.following = True, following

    def insist(self) -> None:
        """Raises where so much time went by that another worker may have it: this process has stood still."""
        if seconds_gone() - self.held_at >= LEASE.total_seconds():
            raise LeaseLost(self.key)


@dataclass(frozen=True)
class Work:
    """Something to be done at a time; small priorities go first."""

    kind: str
    about: str
    at: datetime
    priority: int = ORDINARY

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.about}"


def enqueue(connection: Connection, works: Iterable[Work]) -> None:
    """Ask for work once: a job of the same kind about the same thing is moved, not doubled.

    Asked for while it runs, it runs once more afterwards, so the newest state is never missed.
    """
    rows = [
        {
            "key": work.key, "kind": work.kind, "about": work.about, "run_at": work.at, "priority": work.priority,
            "trace": caused_by(work.key),
        }
        for work in works
    ]  # fmt: skip
    connection.execute(_ASKED_FOR[connection.dialect.name], rows)
    if connection.dialect.name == "postgresql":
        connection.execute(_TELL_WORKERS)  # they hear of it when this transaction commits, and only then


def cancel(db: Session | Connection, kind: str, *about: str) -> None:
    """The work is no longer wanted; what runs already finishes and finds that out by itself."""
    keys = [f"{kind}:{one}" for one in about]
    plain(db).execute(delete(Job).where(col(Job.key).in_(keys), col(Job.status) == "ready"))


def cancel_untried(db: Session | Connection, kind: str, about: Select[Any]) -> None:
    """Of many at once. What was tried before has some trouble of its own, and how often is counted in its job."""
    of_them = (col(Job.kind) == kind, col(Job.about).in_(about), col(Job.status) == "ready", col(Job.attempts) == 0)
    plain(db).execute(delete(Job).where(*of_them))


def claim(db: Session | Connection, *, now: datetime, least: int = BACKGROUND) -> Claim | None:
    """Take the most urgent job that is due (domain time ``now``), or one whose lease ran out (real time).

    Nothing less urgent than ``least`` is taken.
    """
    connection, lease, since = plain(db), Lease(secrets.token_hex(8)), seconds_gone()
    values = {"now": now, "new_lease": lease, "least": least, **_our_clock(connection)}
    row = connection.execute(_CLAIM[connection.dialect.name], values).first()
    if row is None:
        return None
    taken = (row.id, row.key, row.kind, row.about, row.attempts, lease, row.priority, row.trace)
    return Claim(*taken, held_at=since, least=least)


def hold(db: Session | Connection, claim: Claim) -> None:
    """Prove in this transaction that the job is still ours, and keep it for another lease."""
    connection, now = plain(db), seconds_gone()
    clock = _our_clock(connection)
    clock.pop("clock", None)
    held = connection.execute(_HOLD[connection.dialect.name], {**_ours(claim), **clock})
    if held.rowcount == 0:
        raise LeaseLost(claim.key)
    claim.held_at = now


def _our_clock(connection: Connection) -> dict[str, datetime]:
    """What SQLite's statements are told; PostgreSQL looks at its own clock."""
    if connection.dialect.name != "sqlite":
        return {}
    clock = datetime.now(UTC)
    return {"clock": clock, "until": clock + LEASE}


def finish(db: Session | Connection, claim: Claim) -> None:
    """The job is done: gone, or ready once more when it was asked for while it ran. Raises when it is not ours."""
    connection = plain(db)
    if not connection.execute(_GONE, _ours(claim)).rowcount and not connection.execute(_AGAIN, _ours(claim)).rowcount:
        raise LeaseLost(claim.key)


def _ours(claim: Claim) -> dict[str, Any]:
    return {"job": claim.id, "held": claim.lease}


def put_off(db: Session | Connection, claim: Claim, *, at: datetime, trouble: str = "", failed: bool = False) -> bool:
    """Give the job back until ``at``; a failure keeps its count and its reason, a wait does not. False: it is not ours.

    A job that only waits and was asked for meanwhile runs when it was asked for: what it waits for may have come.
    """
    attempts = Job.attempts if failed else Job.attempts - 1
    run_at = at if failed else case((col(Job.again).is_(True), col(Job.run_at)), else_=at)
    given = plain(db).execute(
        update(Job)
        .where(col(Job.id) == claim.id, col(Job.lease) == claim.lease)
        .values(status="ready", run_at=run_at, lease=None, trouble=trouble[:500], attempts=attempts, again=False)
    )
    return given.rowcount > 0


def bury(db: Session | Connection, claim: Claim, *, trouble: str) -> bool:
    """The job can't be done as it stands; it stays to be seen, and asking for it again revives it.

    False when it is not dead: asked for while it ran, it runs once more, for what it was asked for may be another.
    """
    again = col(Job.again).is_(True)
    status = plain(db).execute(
        update(Job)
        .where(col(Job.id) == claim.id, col(Job.lease) == claim.lease)
        .values(
            status=case((again, "ready"), else_="dead"),
            attempts=case((again, 0), else_=Job.attempts),
            again=False,
            lease=None,
            trouble=trouble[:500],
        )
        .returning(col(Job.status))
    )
    return status.scalar() == "dead"


def next_due(db: Session | Connection, least: int = BACKGROUND) -> datetime | None:
    """When the next ready job is to run, in domain time; nothing less urgent than ``least`` counts."""
    first: datetime | None = plain(db).execute(_NEXT_DUE, {"least": least}).scalar()
    return first.replace(tzinfo=UTC) if first and first.tzinfo is None else first


def pause(attempts: int, at_least: float | None = None) -> float:
    """Seconds before the next try: doubling with full jitter, never less than the other side asked for."""
    longest: float = min(LONGEST_PAUSE, 2.0 ** min(attempts, 10))
    return max(at_least or 0.0, longest / 2 + random.random() * longest / 2)


def release_all(db: Session | Connection) -> None:
    """At the start of the only worker there is: whoever held a lease is dead."""
    plain(db).execute(update(Job).where(col(Job.status) == "running").values(status="ready", lease=None))
