"""Durable work in the same database: enqueued with the change that causes it, claimed with a lease, retried."""

import random
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NewType

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, update
from sqlmodel import Session, col, select

from approvals.models import Job

LEASE = timedelta(seconds=15)  # renewed every few seconds while the job runs
LOUD_AFTER = 3  # failures of the same job before operators hear of it
LONGEST_PAUSE = 300.0  # seconds
ENDS, PEOPLE, ORDINARY, BACKGROUND = 1, 3, 5, 9  # priorities; ends go before everything else

Lease = NewType("Lease", str)


class Later(Exception):
    """Not a failure: the same job is to run again in ``seconds``."""

    def __init__(self, seconds: float, why: str = "") -> None:
        super().__init__(why)
        self.seconds = seconds


class LeaseLost(Exception):
    """Somebody else holds this job now: what was about to be written must not be."""


@dataclass(frozen=True)
class Claim:
    """A job taken by one worker, with the fence that proves it is still theirs."""

    id: int
    key: str
    kind: str
    about: str
    attempts: int
    lease: Lease


def enqueue(session: Session, kind: str, about: str, *, at: datetime, priority: int = ORDINARY) -> None:
    """Ask for work once: a job of the same kind about the same thing is moved, not doubled.

    Asked for while it runs, it runs once more afterwards, so the newest state is never missed.
    """
    key = f"{kind}:{about}"
    moved = session.execute(
        update(Job)
        .where(col(Job.key) == key)
        .values(
            run_at=at,
            again=col(Job.status) == "running",
            status=func.replace(col(Job.status), "dead", "ready"),
            attempts=case((col(Job.status) == "dead", 0), else_=col(Job.attempts)),  # revived, it has all its tries
        )
        .returning(col(Job.id))
    ).first()
    if moved is None:
        session.add(Job(key=key, kind=kind, about=about, run_at=at, priority=priority))


def cancel(session: Session, kind: str, about: str) -> None:
    """The work is no longer wanted; what runs already finishes and finds that out by itself."""
    session.execute(delete(Job).where(col(Job.key) == f"{kind}:{about}", col(Job.status) == "ready"))


def claim(session: Session, *, now: datetime, clock: datetime, kinds: tuple[str, ...] | None = None) -> Claim | None:
    """Take the most urgent job that is due (domain time ``now``), or one whose lease ran out (real time ``clock``)."""
    due = _due(now, clock)
    if kinds is not None:
        due = and_(due, col(Job.kind).in_(kinds))
    first = select(Job.id).where(due).order_by(col(Job.priority), col(Job.run_at)).limit(1)
    lease = Lease(secrets.token_hex(8))
    row = session.execute(
        update(Job)
        .where(col(Job.id) == first.with_for_update(skip_locked=True).scalar_subquery())
        .values(status="running", lease=lease, leased_until=clock + LEASE, attempts=Job.attempts + 1)
        .returning(col(Job.id), col(Job.key), col(Job.kind), col(Job.about), col(Job.attempts))
    ).first()
    return Claim(row[0], row[1], row[2], row[3], row[4], lease) if row else None


def is_due(session: Session, *, now: datetime, clock: datetime) -> bool:
    """Whether there is anything to claim, without locking."""
    return session.exec(select(Job.id).where(_due(now, clock)).limit(1)).first() is not None


def _due(now: datetime, clock: datetime) -> ColumnElement[bool]:
    return or_(
        and_(col(Job.status) == "ready", col(Job.run_at) <= now),
        and_(col(Job.status) == "running", col(Job.leased_until) < clock),
    )


def hold(session: Session, claim: Claim, *, clock: datetime) -> None:
    """Prove in this transaction that the job is still ours, and keep it for another lease."""
    held = session.execute(
        update(Job)
        .where(col(Job.id) == claim.id, col(Job.lease) == claim.lease)
        .values(leased_until=clock + LEASE)
        .returning(col(Job.id))
    ).first()
    if held is None:
        raise LeaseLost(claim.key)


def finish(session: Session, claim: Claim) -> None:
    """The job is done: gone, or ready once more when it was asked for while it ran."""
    ours = (col(Job.id) == claim.id, col(Job.lease) == claim.lease)
    again = session.execute(
        update(Job)
        .where(*ours, col(Job.again).is_(True))
        .values(status="ready", again=False, attempts=0, lease=None, trouble="")
        .returning(col(Job.id))
    ).first()
    if again is None:
        session.execute(delete(Job).where(*ours))


def put_off(session: Session, claim: Claim, *, at: datetime, trouble: str = "", failed: bool = False) -> None:
    """Give the job back until ``at``; a failure keeps its count and its reason, a wait does not.

    A job that only waits and was asked for meanwhile runs when it was asked for: what it waits for may have come.
    """
    attempts = Job.attempts if failed else Job.attempts - 1
    run_at = at if failed else case((col(Job.again).is_(True), col(Job.run_at)), else_=at)
    session.execute(
        update(Job)
        .where(col(Job.id) == claim.id, col(Job.lease) == claim.lease)
        .values(status="ready", run_at=run_at, lease=None, trouble=trouble[:500], attempts=attempts, again=False)
    )


def bury(session: Session, claim: Claim, *, trouble: str) -> None:
    """The job can't be done as it stands; it stays to be seen, and asking for it again revives it."""
    session.execute(
        update(Job)
        .where(col(Job.id) == claim.id, col(Job.lease) == claim.lease)
        .values(status="dead", lease=None, trouble=trouble[:500])
    )


def next_due(session: Session) -> datetime | None:
    """When the next ready job is to run, in domain time."""
    first: datetime | None = session.exec(select(func.min(Job.run_at)).where(Job.status == "ready")).one()
    return first.replace(tzinfo=UTC) if first and first.tzinfo is None else first


def pause(attempts: int, at_least: float | None = None) -> float:
    """Seconds before the next try: doubling with full jitter, never less than the other side asked for."""
    longest: float = min(LONGEST_PAUSE, 2.0 ** min(attempts, 10))
    return max(at_least or 0.0, longest / 2 + random.random() * longest / 2)


def release_all(session: Session) -> None:
    """At the start of the only worker there is: whoever held a lease is dead."""
    session.execute(update(Job).where(col(Job.status) == "running").values(status="ready", lease=None))
