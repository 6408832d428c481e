"""What is refused whoever asks and whoever approves: the freeze, the ceilings, the last admins, what is protected.

Protected accounts are the policy's (`Policy.untouchable`), and are looked at wherever something is asked, answered,
planned and done. This module holds the rest.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection, delete, func, insert
from sqlmodel import Session, col, select

from approvals import jobs, people
from approvals.clock import real_time
from approvals.database import plain
from approvals.models import AccessRequest, Destruction, Freeze, Lock, Person
from approvals.policy import ORG_ADMIN, Policy
from approvals.states import Status
from approvals.store import Actor, Happened, Store, Write

CEILING = "ceiling.tripped"  # counted; what it stopped has its own entry
DESTROYS = frozenset({"revoke", "deactivate", "offboard", "suspend", "tokens", "email"})
ADMINS_REMAIN = 2
LOCKED = timedelta(seconds=60)  # real time; longer than the calls under it may take
THAWS = 15.0  # seconds between two looks whether the freeze is over
_FROZEN = select(Freeze.by, Freeze.at, Freeze.because).where(col(Freeze.lifted_at).is_(None)).limit(1)


class Admins(Protocol):
    """Where the organization's admins are counted."""

    def org_admins(self) -> frozenset[str]: ...


def frozen(db: Session | Connection) -> str:
    """Since when everything stands still and because of whom; empty when it does not."""
    row = plain(db).execute(_FROZEN).first()
    if row is None:
        return ""
    since = f"everything that gives or destroys stands still since {row.at:%Y-%m-%d %H:%M} UTC"
    return f"{since}: {row.because or 'no reason was given'}. Two of the roles admin and security can let it go on"


def frozen_now(store: Store) -> str:
    """The same between two calls of one deed that has many."""
    with store.look() as connection:
        return frozen(connection)


def freeze(w: Write, by: Actor, because: str) -> bool:
    """Everything that gives or destroys stands still from now on; false when it does already. Ends go on."""
    if frozen(w.connection):
        return False
    w.add(Freeze(by=by.account, because=because, at=w.now))
    w.audit("frozen", actor=by, details={"because": because})
    name = people.names(w.session, {by.account})[by.account]
    for place in ("security", "operators"):
        w.tell("frozen", place=place, once=f"frozen:{place}:{w.now.timestamp()}", by=name, because=because)
    return True


def why_not(w: Write, policy: Policy, request: AccessRequest) -> str:
    """Asked in the transaction that begins a deed. A freeze is waited out, a ceiling is a refusal."""
    if frozen(w.connection):
        raise jobs.Later(THAWS, "frozen")
    if request.verb not in DESTROYS:
        return ""
    above = above_a_ceiling(w.connection, policy, request.requester, w.now)
    if above:
        w.happened.append(Happened(CEILING, request))
    return above


def above_a_ceiling(db: Session | Connection, policy: Policy, actor: str, now: datetime) -> str:
    """Which ceiling one more destructive action would break; empty when none."""
    hour, day = _left(db, policy, actor, now)
    if hour < 1:
        return f"one person may take access away {policy.ceilings.an_hour} times an hour, and has"
    if day < 1:
        return f"access may be taken away {a_day(db, policy)} times a day, and was"
    return ""


def room(db: Session | Connection, policy: Policy, actor: str, now: datetime) -> int:
    """How many destructive actions of this person the ceilings leave room for now."""
    return max(0, min(_left(db, policy, actor, now)))


def _left(db: Session | Connection, policy: Policy, actor: str, now: datetime) -> tuple[int, int]:
    """Of the hour, and of the day."""
    hour = (
        select(func.count())
        .select_from(Destruction)
        .where(Destruction.actor == actor, Destruction.at > now - timedelta(hours=1))
    )
    day = select(func.count()).select_from(Destruction).where(Destruction.at > now - timedelta(days=1))
    left = policy.ceilings.an_hour - plain(db).execute(hour).scalar_one()
    return left, a_day(db, policy) - plain(db).execute(day).scalar_one()


def a_day(db: Session | Connection, policy: Policy) -> int:
    """The ceiling of a day: a number, or a share of the organization's accounts where that is more."""
    accounts = plain(db).execute(select(func.count()).select_from(Person)).scalar_one()
    return max(policy.ceilings.a_day, accounts * policy.ceilings.a_day_percent // 100)


def count(w: Write, request: AccessRequest) -> None:
    """Write a destructive action down, in the transaction that begins it."""
    if request.verb in DESTROYS:
        w.add(
            Destruction(
                request_id=request.id, subject=request.subject, actor=request.requester, verb=request.verb, at=w.now
            )
        )


def count_rows(w: Write, request: AccessRequest, rows: Iterable[tuple[str, str]]) -> None:
    """The same of a list: one for each account of its destructive rows (account, verb)."""
    found = {account: verb for account, verb in rows if verb in DESTROYS}
    if found:
        more = {"request_id": request.id, "actor": request.requester, "at": w.now}
        values = [{**more, "subject": account, "verb": verb} for account, verb in found.items()]
        w.connection.execute(insert(Destruction), values)


# -- the last admins ------------------------------------------------------------------------------------------------


@contextmanager
def alone(store: Store, request: AccessRequest) -> Iterator[None]:
    """One removal of an admin at a time, from the counting to the call's intent: a lease row, no open transaction."""
    if not _is_about_admins(request):
        yield
        return
    holder = secrets.token_hex(8)
    with store.database.changing() as connection:
        store.database.alone(connection)
        now = real_time(connection)
        connection.execute(delete(Lock).where(col(Lock.name) == "org admins", col(Lock.until) < now))
        if connection.execute(select(Lock.holder).where(col(Lock.name) == "org admins")).first() is not None:
            raise jobs.Later(1.0, "another admin is being removed")
        connection.execute(insert(Lock).values(name="org admins", holder=holder, until=now + LOCKED))
    try:
        yield
    finally:
        with store.database.changing() as connection:
            connection.execute(delete(Lock).where(col(Lock.name) == "org admins", col(Lock.holder) == holder))


def look(directory: Admins, store: Store, request: AccessRequest) -> str:
    """Whether two active admins remain besides the emergency accounts, counted just before the call."""
    if not _is_about_admins(request):
        return ""
    admins = directory.org_admins()
    with store.read() as session:
        removed = select(AccessRequest.subject).where(
            AccessRequest.verb == "revoke",
            AccessRequest.entitlement == ORG_ADMIN,
            AccessRequest.id != request.id,
            col(AccessRequest.status).in_([Status.APPLYING, Status.PARTLY]),
        )
        others = session.exec(removed).all()
    left = admins - {request.subject, *others}
    if len(left) >= ADMINS_REMAIN:
        return ""
    return f"{len(left)} organization admins would remain, and {ADMINS_REMAIN} must; make somebody else one first"


def _is_about_admins(request: AccessRequest) -> bool:
    return request.verb == "revoke" and request.entitlement == ORG_ADMIN
