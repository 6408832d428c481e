"""Ends that are due: asked for again at every start, and said aloud for as long as they are not true."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import String, cast, func, literal
from sqlmodel import and_, col, or_, select

from approvals import jobs
from approvals.bulk_cases import BULK
from approvals.models import AccessRequest, Grant, Job
from approvals.states import HELD
from approvals.states import Grant as GrantStatus
from approvals.store import Store, Write

PATIENCE = timedelta(minutes=5)  # after which an end that is not true is said to be late
SHOWN = 10
NEVER = datetime.max.replace(tzinfo=UTC)
PAGE = 500


def ask_for_every_end(store: Store, *, due_too: bool) -> int:
    """Each end that lost its job has one again, at its time: a timer that was lost is no reason for access to stay.

    Nor is one that was set too late: what is over is tried now where its job has not begun.

    ``due_too``, at every start: what is due is tried now, however long its last failure made it wait. How many were
    asked for.
    """
    asked, after = 0, 0
    first: dict[tuple[str, str], datetime] = {}  # of all that one job ends
    while True:
        with store.write() as w:
            found = w.session.exec(_to_be_asked_for(w.now, after, due_too)).all()
            for grant, verb, job in found:
                whose, at = _whose(grant, verb, job), _due(grant, w.now)
                if at < first.get(whose, NEVER):
                    first[whose] = at
                    w.enqueue(*whose, at=at, priority=jobs.ENDS)
        asked += len(found)
        if len(found) < PAGE:
            return asked
        after = found[-1][0].id or 0


def _due(grant: Grant, now: datetime) -> datetime:
    """What is being taken away is due whatever its time was to be: it was given up, or ended early."""
    return now if grant.status == GrantStatus.ENDING or grant.ends_at is None else max(grant.ends_at, now)


def _whose(grant: Grant, verb: str, job: str | None) -> tuple[str, str]:
    """The kind of job that ends it, and what about."""
    if verb == BULK:
        return "bulk end", grant.request_id
    return ("group end", grant.holding) if job == "group end" else ("end", str(grant.id))


def _to_be_asked_for(now: datetime, after: int, due_too: bool) -> Any:
    """The grants of a page that have no job which will end them in time, or are due."""
    of_one = col(Job.key) == literal("end:") + cast(col(Grant.id), String)
    of_a_list = and_(col(AccessRequest.verb) == BULK, col(Job.key) == literal("bulk end:") + col(Grant.request_id))
    of_a_group = and_(col(AccessRequest.verb) != BULK, col(Job.key) == literal("group end:") + col(Grant.holding))
    alive = and_(or_(of_one, of_a_list, of_a_group), col(Job.status) != "dead")
    ending = Grant.status == GrantStatus.ENDING
    lost = and_(or_(col(Grant.ends_at).is_not(None), ending), col(Job.id).is_(None))
    untried = and_(Job.status == "ready", Job.attempts == 0, col(Job.run_at) > now)
    too_late = and_(col(Grant.ends_at) <= now, untried)
    return (
        select(Grant, AccessRequest.verb, Job.kind)
        .join(AccessRequest, col(AccessRequest.id) == col(Grant.request_id))
        .outerjoin(Job, alive)
        .where(col(Grant.id) > after, col(Grant.status).in_(HELD))
        .where(or_(lost, col(Grant.ends_at) <= now, ending) if due_too else or_(lost, too_late))
        .order_by(col(Grant.id))
        .limit(PAGE)
    )


def shout(w: Write) -> None:
    """Operators hear of all late ends in one message an hour, and security too once one is an hour late."""
    late = (col(Grant.status).in_(HELD), col(Grant.ends_at) <= w.now - PATIENCE)
    first = w.session.exec(select(Grant).where(*late).order_by(col(Grant.ends_at)).limit(SHOWN)).all()
    if not first:
        return
    count = w.session.exec(select(func.count()).select_from(Grant).where(*late)).one()
    by = max(w.now - grant.ends_at for grant in first if grant.ends_at is not None)
    some = [[grant.entitlement, grant.request_id] for grant in first]
    for place in _who_hears(by):
        once = f"ends late:{w.now:%Y-%m-%dT%H}:{place}"
        w.tell("ends_late", place=place, once=once, count=count, some=some, late=round(by.total_seconds()))


def _who_hears(by: timedelta) -> Iterator[str]:
    yield "operators"
    if by >= timedelta(hours=1):
        yield "security"
