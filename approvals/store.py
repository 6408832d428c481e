"""The only module that writes: guarded moves, their audit entries and the jobs they cause, in one transaction."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import delete, update
from sqlmodel import Session, SQLModel, col, select

from approvals import audit, jobs
from approvals.database import Database
from approvals.models import AccessRequest, AuditEntry, Grant, Meta, News, RefusedAttempt, Replay
from approvals.source import keys_of, known
from approvals.states import Grant as GrantStatus
from approvals.states import Status, after

OFFSET = "domain time offset"
REPLAY_KEPT = timedelta(minutes=15)
REFUSALS_AN_HOUR = 20  # audit entries a person and hour for refused attempts; a counter after that
Row = TypeVar("Row", bound=SQLModel)


class Stale(Exception):
    """Somebody moved it since you looked; ``now`` is the row as it is."""

    def __init__(self, now: AccessRequest | Grant) -> None:
        super().__init__(f"it is {now.status} already")
        self.now = type(now)(**now.model_dump())  # a copy: the rollback that follows empties the row itself


class AlreadyThere(Exception):
    """The same payload was acted on before."""


@dataclass
class Actor:
    """Who did it: an account, and the Slack user they spoke as; the bot itself is ``gatehouse``."""

    account: str = "gatehouse"
    team: str = ""
    user: str = ""


MACHINE = Actor()


@dataclass
class Write:
    """One write transaction. ``now`` is domain time, the same for all it writes."""

    session: Session
    now: datetime
    enqueued: bool = field(default=False, init=False)

    def add(self, row: Row) -> Row:
        self.session.add(row)
        self.session.flush()
        return row

    def audit(
        self,
        event: str,
        *,
        actor: Actor,
        request: str | None = None,
        data: Mapping[str, Any] | None = None,
        details: Mapping[str, str] | None = None,
    ) -> AuditEntry:
        whose = {"team": actor.team, "user": actor.user} if actor.user else {}
        return audit.append(
            self.session,
            at=self.now,
            event=event,
            actor=actor.account,
            request=request,
            data={**whose, **(data or {})},
            details=details,
        )

    def enqueue(
        self, kind: str, about: str | int, *, at: datetime | None = None, priority: int = jobs.ORDINARY
    ) -> None:
        jobs.enqueue(self.session, kind, str(about), at=at or self.now, priority=priority)
        self.enqueued = True

    def move(
        self,
        request: AccessRequest,
        verb: str,
        *,
        actor: Actor,
        data: Mapping[str, Any] | None = None,
        details: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> AccessRequest:
        """Move a request as the table allows, if nobody has moved it since it was read; its cards are redrawn."""
        to = self._target(request, verb)
        moved = self.session.execute(
            update(AccessRequest)
            .where(
                col(AccessRequest.id) == request.id,
                col(AccessRequest.status) == request.status,
                col(AccessRequest.version) == request.version,
            )
            .values(status=str(to), moved_at=self.now, **changes)
            .returning(col(AccessRequest.id))
        ).first()
        now = self.request(request.id)
        if moved is None:
            raise Stale(now)
        self.audit(
            f"request.{to}",
            actor=actor,
            request=request.id,
            data={"verb": verb, "before": request.status, "version": now.version, **(data or {})},
            details=details,
        )
        self.enqueue("draw", request.id, priority=jobs.PEOPLE)
        return now

    def move_grant(self, grant: Grant, verb: str, *, actor: Actor, because: str = "", **changes: Any) -> Grant:
        """The same for a grant."""
        to = self._target(grant, verb)
        moved = self.session.execute(
            update(Grant)
            .where(col(Grant.id) == grant.id, col(Grant.status) == grant.status)
            .values(status=str(to), because=because, **changes)
            .returning(col(Grant.id))
        ).first()
        now = self.session.exec(
            select(Grant).where(Grant.id == grant.id).execution_options(populate_existing=True)
        ).one()
        if moved is None:
            raise Stale(now)
        self.audit(
            f"grant.{to}",
            actor=actor,
            request=grant.request_id,
            data={"verb": verb, "before": grant.status, "account": grant.account, "holding": grant.holding},
        )
        self.enqueue("draw", grant.request_id, priority=jobs.PEOPLE)
        return now

    def _target(self, row: AccessRequest | Grant, verb: str) -> StrEnum:
        kind = Status if isinstance(row, AccessRequest) else GrantStatus
        to = after(kind(row.status), verb)
        if to is None:
            raise Stale(row)
        return to

    def request(self, id: str) -> AccessRequest:
        """A request as it is in this transaction."""
        return self.session.exec(
            select(AccessRequest).where(AccessRequest.id == id).execution_options(populate_existing=True)
        ).one()

    def tell(
        self,
        kind: str,
        *,
        place: str,
        request: str | None = None,
        once: str = "",
        team: str = "",
        user: str = "",
        channel: str = "",
        **facts: Any,
    ) -> None:
        """Somebody must be told; ``once`` makes it one message however often this line runs."""
        key = once or secrets.token_hex(8)
        if once and self.session.exec(select(News.id).where(News.key == key)).first() is not None:
            return
        row = self.add(
            News(
                key=key,
                request_id=request,
                kind=kind,
                place=place,
                team=team,
                user=user,
                channel=channel,
                facts=json.dumps(facts),
                at=self.now,
            )
        )
        self.enqueue("tell", row.id or 0, priority=jobs.PEOPLE)

    def first_time(self, source: str) -> None:
        """Remember a payload, by all its keys, in the transaction of what it caused; raises when one is known."""
        keys = keys_of(source)
        if known(self.session, keys):
            raise AlreadyThere(source)
        self.session.execute(delete(Replay).where(col(Replay.at) < datetime.now(UTC) - REPLAY_KEPT))
        for key in keys:
            self.add(Replay(source=key, at=datetime.now(UTC)))

    def note_refusal(
        self,
        event: str,
        *,
        actor: Actor,
        because: str,
        request: str | None = None,
        details: Mapping[str, str] | None = None,
    ) -> None:
        """One audit entry for a refused attempt, at most twenty a person and hour; after that a counter."""
        hour = self.now.strftime("%Y-%m-%dT%H")
        row = self.session.get(RefusedAttempt, (actor.team, actor.user, hour))
        row = row or RefusedAttempt(team=actor.team, user=actor.user, hour=hour)
        row.count += 1
        self.add(row)
        if row.count <= REFUSALS_AN_HOUR:
            self.audit(event, actor=actor, request=request, details={"because": because, **(details or {})})


class Store:
    """Reading and writing the record, by domain time, and waking whoever works."""

    def __init__(self, database: Database, *, movable_time: bool = False) -> None:
        self.database = database
        self._movable_time = movable_time  # only where both sides of the world are local stand-ins
        self._wake: list[Callable[[], None]] = []

    def on_work(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` after each commit that enqueued something."""
        self._wake.append(wake)

    def now(self) -> datetime:
        """Domain time, aware UTC: real time plus an offset that only local demonstrations and tests can set."""
        if not self._movable_time:
            return datetime.now(UTC)
        with self.database.reading() as session:
            return self.time_in(session)

    def time_in(self, session: Session) -> datetime:
        """Domain time, read in a transaction that is open already."""
        offset = session.exec(select(Meta.value).where(Meta.key == OFFSET)).first() if self._movable_time else None
        return datetime.now(UTC) + timedelta(seconds=float(offset or 0))

    def move_time(self, offset: timedelta) -> None:
        if not self._movable_time:
            raise ValueError("Time can be moved only while both Slack and Atlassian are local sandboxes.")
        with self.write() as w:
            w.session.merge(Meta(key=OFFSET, value=str(offset.total_seconds())))
            w.enqueued = True

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self.database.reading() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Write]:
        """One transaction, alone from its first line; whoever works is woken after its commit."""
        with self.database.writing() as session:
            # first of all: whoever locked a row before and waited here would wait for who holds this and wants that row
            self.database.alone(session)
            w = Write(session, self.time_in(session))
            yield w
        if w.enqueued:
            for wake in self._wake:
                wake()

    def claim(self, kinds: tuple[str, ...] | None = None) -> jobs.Claim | None:
        """The next job, if one is due; looks before it locks, so that an idle worker writes nothing."""
        clock = datetime.now(UTC)
        with self.database.reading() as session:
            if not jobs.is_due(session, now=self.time_in(session), clock=clock):
                return None
        with self.database.writing() as session:
            return jobs.claim(session, now=self.time_in(session), clock=clock, kinds=kinds)

    def take_over(self) -> None:
        """At the start of the only worker there is, after its port was won: what a dead one held is free at once."""
        with self.database.writing() as session:
            jobs.release_all(session)

    @contextmanager
    def work(self, claim: jobs.Claim) -> Iterator[Write]:
        """A transaction of a job: it commits only while the job is still ours."""
        with self.write() as w:
            jobs.hold(w.session, claim, clock=datetime.now(UTC))
            yield w

    def head_is_whole(self) -> bool:
        """Whether the newest entry still hashes to what it says: a quick look, not the walk of ``verify``."""
        with self.database.reading() as session:
            head = session.exec(select(AuditEntry).order_by(col(AuditEntry.seq).desc()).limit(1)).first()
        return head is None or audit.link(head.prev, head.seq, head.body.encode()) == head.hash

    def verify(self) -> audit.Verification:
        """Check the whole chain, page by page, in short read transactions."""

        def walk() -> Iterator[tuple[list[AuditEntry], list[Any]]]:
            after_seq = None
            while True:
                with self.database.reading() as session:
                    entries, details = audit.pages(session, after_seq)
                if not entries:
                    return
                after_seq = entries[-1].seq
                yield entries, details

        return audit.verify(walk())


def new_request_id() -> str:
    """Random, so that nobody can guess the next one."""
    alphabet = "23456789abcdefghjkmnpqrstuvwxyz"
    return "REQ-" + "".join(secrets.choice(alphabet) for _ in range(10))
