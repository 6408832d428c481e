"""Two organization admins must remain, whichever process takes one out: counted by one at a time, then known as gone.

Atlassian lists somebody for a while who is none any more, so whoever is about to be taken out counts as gone from the
moment that is written down, which is before the call.
"""

import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, and_, delete, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from approvals import jobs
from approvals.clock import real_time
from approvals.models import AccessRequest, AdminGoing, Lock
from approvals.policy import ORG_ADMIN
from approvals.ports import DirectoryError
from approvals.states import Status
from approvals.store import Store

REMAIN = 2
LISTED = timedelta(minutes=5)  # an admin that was removed may be listed still; Atlassian says for 30 seconds
LOCK = "org admins"
LOCKED = timedelta(seconds=60)  # real time; longer than the calls under it may take
WAITS, BETWEEN = 5.0, 0.1  # seconds that an end waits for its turn, and between two tries
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Admins(Protocol):
    """Where the organization's admins are counted."""

    def org_admins(self) -> frozenset[str]: ...


@dataclass(frozen=True)
class Turn:
    """The right to count the admins and to say who goes, until its lease runs out."""

    store: Store
    holder: str
    gone: frozenset[str]  # accounts that are being taken out, or were a moment ago

    def insist(self, connection: Connection) -> None:
        """Raises ``Later`` where the lease has run out: what was counted may be old by now."""
        ours = (Lock.name == LOCK, Lock.holder == self.holder, col(Lock.until) > real_time(connection))
        # whoever takes the lease over waits for this transaction, and reads what it has written
        if connection.execute(select(Lock.holder).where(*ours).with_for_update()).first() is None:
            raise jobs.Later(1.0, "counting the admins took so long that they may be others by now")

    def take(self, connection: Connection, accounts: Collection[str], now: datetime) -> None:
        """Whoever counts from here on counts these as gone."""
        new = _INSERT[connection.dialect.name](AdminGoing)
        later = new.on_conflict_do_update(index_elements=["account"], set_={"until": new.excluded.until})
        connection.execute(later, [{"account": account, "until": now + LISTED} for account in accounts])

    def goes(self, accounts: Collection[str]) -> None:
        """The same in a transaction of its own; ``DirectoryError`` where the lease has run out."""
        try:
            with self.store.database.changing() as connection:
                self.insist(connection)
                self.take(connection, accounts, self.store.time_in(connection))
        except jobs.Later as late:
            raise DirectoryError(str(late), retry=True, after=late.seconds) from late


@contextmanager
def turn(store: Store) -> Iterator[Turn]:
    """A lease row, no open transaction. Raises ``Later`` while another has it."""
    holder = secrets.token_hex(8)
    with store.database.changing() as connection:
        if not _taken(connection, holder):
            raise jobs.Later(1.0, "another admin is being removed")
        connection.execute(delete(AdminGoing).where(col(AdminGoing.until) < store.time_in(connection)))
        gone = frozenset(connection.execute(select(AdminGoing.account)).scalars())
    try:
        yield Turn(store, holder, gone)
    finally:
        with store.database.changing() as connection:
            connection.execute(delete(Lock).where(col(Lock.name) == LOCK, col(Lock.holder) == holder))


def _taken(connection: Connection, holder: str) -> bool:
    """One statement, so that of two at once one gets it; a lease that has run out is anybody's."""
    now = real_time(connection)
    new = _INSERT[connection.dialect.name](Lock).values(name=LOCK, holder=holder, until=now + LOCKED)
    moved: dict[str, Any] = {"holder": new.excluded.holder, "until": new.excluded.until}
    ours = new.on_conflict_do_update(index_elements=["name"], set_=moved, where=col(Lock.until) < now)
    return connection.execute(ours.returning(col(Lock.name))).first() is not None


@contextmanager
def patient_turn(store: Store) -> Iterator[Turn]:
    """For what is not put off lightly: waits a little, and raises ``DirectoryError`` where that was not enough."""
    until = time.monotonic() + WAITS
    with ExitStack() as stack:
        mine = None
        while mine is None:
            try:
                mine = stack.enter_context(turn(store))
            except jobs.Later as late:
                if time.monotonic() > until:
                    raise DirectoryError(str(late), retry=True, after=late.seconds) from late
                time.sleep(BETWEEN)
        yield mine


@contextmanager
def turn_for(store: Store, request: AccessRequest) -> Iterator[Turn | None]:
    """From the counting to the call's intent; None for what is not about admins."""
    if not _is_about_admins(request):
        yield None
        return
    with turn(store) as mine:
        yield mine


def too_few(directory: Admins, store: Store, request: AccessRequest, gone: frozenset[str]) -> str:
    """Why this removal would leave too few besides the emergency accounts, counted just before the call; or nothing.

    Who is being taken out by another request, and who was lately, counts as gone.
    """
    admins = directory.org_admins()
    with store.read() as session:
        lately = and_(
            col(AccessRequest.status) == Status.DONE, col(AccessRequest.moved_at) > store.time_in(session) - LISTED
        )
        removed = select(AccessRequest.subject).where(
            AccessRequest.verb == "revoke",
            AccessRequest.entitlement == ORG_ADMIN,
            AccessRequest.id != request.id,
            or_(col(AccessRequest.status).in_([Status.APPLYING, Status.PARTLY]), lately),
        )
        others = session.exec(removed).all()
    left = admins - {request.subject, *others} - gone
    if len(left) >= REMAIN:
        return ""
    return f"{len(left)} organization admins would remain, and {REMAIN} must; make somebody else one first"


def _is_about_admins(request: AccessRequest) -> bool:
    return request.verb == "revoke" and request.entitlement == ORG_ADMIN
