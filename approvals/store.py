"""The only module that writes: guarded moves, their audit entries and the jobs they cause, in one transaction."""

import itertools
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Update, bindparam, delete, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col, select

from approvals import audit, jobs
from approvals.clock import clock_of
from approvals.database import Database, plain, session_on
from approvals.gatehouse_verify import Found, pages, texts_of_nobody, verify
from approvals.models import AccessRequest, AuditEntry, Grant, Meta, News, RefusedAttempt, Replay, Review, StepRow
from approvals.source import keys_of
from approvals.states import OPEN, Status, after
from approvals.states import Grant as GrantStatus
from approvals.states import Review as ReviewStatus

OFFSET = "domain time offset"
OFFSET_KEPT = 0.05  # seconds
REPLAY_KEPT = timedelta(minutes=15)
SWEEP = 100  # payloads between two looks for those that are too old to come again
LOUD = frozenset({"glass", "glass_second", "offer", "offer_to_nobody"})  # news that goes before every other
REFUSALS_AN_HOUR = 20  # audit entries a person and hour for refused attempts; a counter after that
Row = TypeVar("Row", bound=SQLModel)
# Built once: what every command runs is built by SQLAlchemy in more time than the database needs for it.
_MOVED: dict[str, tuple[float, timedelta]] = {}  # by database: when it was read, in monotonic seconds, and what
_OFFSET = select(Meta.value).where(Meta.key == OFFSET)
_PAYLOADS = itertools.count()
_FORGET = delete(Replay).where(col(Replay.at) < bindparam("before"))
_REMEMBER = {
    name: insert(Replay).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_AS_SEEN = {
    AccessRequest: update(AccessRequest).where(
        col(AccessRequest.id) == bindparam("_id"),
        col(AccessRequest.status) == bindparam("_status"),
        col(AccessRequest.version) == bindparam("_version"),
    ),
    Grant: update(Grant).where(col(Grant.id) == bindparam("_id"), col(Grant.status) == bindparam("_status")),
}

# What was read of a list for a plan that is never made holds people's names and is of use to nobody.
_UNPLANNED = delete(StepRow).where(
    col(StepRow.request_id) == bindparam("request"), col(StepRow.purpose) == bindparam("purpose", "plan")
)
_REQUEST = select(AccessRequest).where(AccessRequest.id == bindparam("_id")).execution_options(populate_existing=True)
_GRANT = select(Grant).where(Grant.id == bindparam("_id")).execution_options(populate_existing=True)
_TELL = {
    name: insert(News).on_conflict_do_nothing(index_elements=["key"]).returning(col(News.id))
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


@cache
def _moving(kind: type[AccessRequest | Grant], changed: frozenset[str]) -> Update:
    """The guarded move that changes these columns."""
    return _AS_SEEN[kind].values({name: bindparam(f"_new_{name}") for name in sorted(changed)})


def _renamed(new: Mapping[str, Any]) -> dict[str, Any]:
    return {f"_new_{name}": value for name, value in new.items()}


class Stale(Exception):
    """Somebody moved it since you looked; ``now`` is the row as it is."""

    def __init__(self, now: AccessRequest | Grant | Review) -> None:
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


@dataclass(frozen=True)
class Happened:
    """An entry of the record that was just committed, for whoever counts. ``rule`` is why somebody was refused."""

    event: str
    request: AccessRequest | None = None
    rule: str = ""
    refused: bool = False


@dataclass
class Write:
    """One write transaction. ``now`` is domain time, the same for all it writes.

    ``connection`` is for statements, ``session`` for rows as objects: it is made when somebody wants it.
    """

    connection: Connection
    now: datetime
    enqueued: bool = field(default=False, init=False)
    happened: list[Happened] = field(default_factory=list, init=False)
    committed: list[Callable[[], None]] = field(default_factory=list, init=False)  # called right after the commit
    _session: Session | None = field(default=None, init=False)
    _works: dict[str, jobs.Work] = field(default_factory=dict, init=False)
    _head: audit.Head | None = field(default=None, init=False)  # of the chain, once something was appended

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = session_on(self.connection)
        return self._session

    @property
    def asks_for_effect(self) -> bool:
        """Whether some of the work asked for is to reach Atlassian now."""
        return any(work.priority <= jobs.EFFECTS and work.at <= self.now for work in self._works.values())

    def flush(self) -> None:
        """Send what changed in objects; then the work asked for, so that both stand in one order."""
        if self._session is not None:
            self._session.flush()
        if self._works:
            jobs.enqueue(self.connection, self._works.values())
            self._works.clear()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

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
    ) -> None:
        whose = {"team": actor.team, "user": actor.user} if actor.user else {}
        self._head = audit.append(
            self.connection,
            behind=self._head,
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
        """Ask for work, at the end of the transaction; asked for twice in it, the later time counts."""
        work = jobs.Work(kind, str(about), at or self.now, priority)
        self._works[work.key] = work
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
        where = {"_id": request.id, "_status": request.status, "_version": request.version}
        if self._session is not None:
            self._session.flush()
        new = {"status": str(to), "moved_at": self.now, **changes}
        moved = self.connection.execute(_moving(AccessRequest, frozenset(new)), where | _renamed(new))
        now = self.request(request.id)
        if moved.rowcount == 0:
            raise Stale(now)
        if request.verb == "bulk" and to not in OPEN:
            self.connection.execute(_UNPLANNED, {"request": request.id})
        self.audit(
            f"request.{to}",
            actor=actor,
            request=request.id,
            data={"verb": verb, "before": request.status, "version": now.version, **(data or {})},
            details=details,
        )
        self.happened.append(Happened(f"request.{to}", now))
        self.enqueue("draw", request.id, priority=jobs.PEOPLE)
        return now

    def move_grant(
        self,
        grant: Grant,
        verb: str,
        *,
        actor: Actor,
        because: str = "",
        data: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Grant:
        """The same for a grant."""
        to = self._target(grant, verb)
        where = {"_id": grant.id, "_status": grant.status}
        self.session.flush()
        new = {"status": str(to), "because": because, **changes}
        moved = self.connection.execute(_moving(Grant, frozenset(new)), where | _renamed(new))
        now: Grant = self.session.execute(_GRANT, {"_id": grant.id}).scalar_one()
        if moved.rowcount == 0:
            raise Stale(now)
        self.audit(
            f"grant.{to}",
            actor=actor,
            request=grant.request_id,
            data={
                "verb": verb, "before": grant.status, "account": grant.account, "holding": grant.holding,
                **(data or {}),
            },
        )  # fmt: skip
        self.enqueue("draw", grant.request_id, priority=jobs.PEOPLE)
        return now

    def move_review(
        self, review: Review, verb: str, *, actor: Actor, details: Mapping[str, str] | None = None, **changes: Any
    ) -> Review:
        """The same for a review."""
        to = self._target(review, verb)
        moved = self.session.execute(
            update(Review)
            .where(col(Review.request_id) == review.request_id, col(Review.status) == review.status)
            .values(status=str(to), **changes)
            .returning(col(Review.request_id))
        ).first()
        same = select(Review).where(Review.request_id == review.request_id).execution_options(populate_existing=True)
        now = self.session.exec(same).one()
        if moved is None:
            raise Stale(now)
        data = {"verb": verb, "person": now.person, "verdict": now.verdict, "drill": now.drill}
        self.audit(f"review.{to}", actor=actor, request=review.request_id, data=data, details=details)
        self.enqueue("review", review.request_id, priority=jobs.PEOPLE)
        return now

    def _target(self, row: AccessRequest | Grant | Review, verb: str) -> StrEnum:
        life = {AccessRequest: Status, Grant: GrantStatus, Review: ReviewStatus}
        kind: type[StrEnum] = life[type(row)]
        to = after(kind(row.status), verb)
        if to is None:
            raise Stale(row)
        return to

    def request(self, id: str) -> AccessRequest:
        """A request as it is in this transaction."""
        found: AccessRequest = self.session.execute(_REQUEST, {"_id": id}).scalar_one()
        return found

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
        values = {
            "key": key,
            "request_id": request,
            "kind": kind,
            "place": place,
            "team": team,
            "user": user,
            "channel": channel,
            "facts": json.dumps(facts),
            "at": self.now,
        }
        news = self.connection.execute(_TELL[self.connection.dialect.name], values).scalar()
        if news is not None:
            self.enqueue("tell", news, priority=jobs.ENDS if kind in LOUD else jobs.PEOPLE)

    def first_time(self, source: str) -> None:
        """Remember a payload, by all its keys, in the transaction of what it caused; raises when one is known."""
        keys, now = keys_of(source), datetime.now(UTC)
        if next(_PAYLOADS) % SWEEP == 0:
            self.connection.execute(_FORGET, {"before": now - REPLAY_KEPT})
        rows = [{"source": key, "at": now} for key in keys]
        if self.connection.execute(_REMEMBER[self.connection.dialect.name], rows).rowcount < len(keys):
            raise AlreadyThere(source)

    def note_refusal(
        self,
        event: str,
        *,
        actor: Actor,
        because: str,
        request: str | None = None,
        details: Mapping[str, str] | None = None,
        rule: str = "",
    ) -> None:
        """One audit entry for a refused attempt, at most twenty a person and hour; after that a counter.

        ``rule`` names why, for whoever counts, in a word of the policy or of ours.
        """
        hour = self.now.strftime("%Y-%m-%dT%H")
        row = self.session.get(RefusedAttempt, (actor.team, actor.user, hour))
        row = row or RefusedAttempt(team=actor.team, user=actor.user, hour=hour)
        row.count += 1
        self.add(row)
        self.happened.append(Happened(event, rule=rule, refused=True))
        if row.count <= REFUSALS_AN_HOUR:
            self.audit(event, actor=actor, request=request, details={"because": because, **(details or {})})


class Store:
    """Reading and writing the record, by domain time, and waking whoever works."""

    def __init__(self, database: Database, *, movable_time: bool = False) -> None:
        self.database = database
        self._clock = clock_of(database.url)
        _MOVED.pop(database.url, None)
        self._movable_time = movable_time  # only where both sides of the world are local stand-ins
        self._wake: list[Callable[[], None]] = []
        self._counters: list[Callable[[list[Happened]], None]] = []

    def on_happened(self, count: Callable[[list[Happened]], None]) -> None:
        """Call ``count`` after each commit with what it wrote that is worth counting."""
        self._counters.append(count)

    def on_work(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` after each commit that enqueued something."""
        self._wake.append(wake)

    def now(self) -> datetime:
        """Domain time, aware UTC: real time plus an offset that only local demonstrations and tests can set."""
        known = None if self._movable_time else self._clock.kept()
        if known is not None:
            return known
        with self.database.looking() as connection:
            return self.time_in(connection)

    def time_in(self, db: Session | Connection) -> datetime:
        """Domain time, read in a transaction that is open already."""
        return self._clock.now(db) + (self._offset(db) if self._movable_time else timedelta(0))

    def _offset(self, db: Session | Connection) -> timedelta:
        """Where domain time was moved to; looked up twenty times a second at most, for whoever else may move it."""
        read, offset = _MOVED.get(self.database.url, (0.0, timedelta(0)))
        if time.monotonic() - read > OFFSET_KEPT:
            read = time.monotonic()
            offset = timedelta(seconds=float(plain(db).execute(_OFFSET).scalar() or 0))
            _MOVED[self.database.url] = (read, offset)
        return offset

    def move_time(self, offset: timedelta) -> None:
        if not self._movable_time:
            raise ValueError("Time can be moved only while both Slack and Atlassian are local sandboxes.")
        with self.write() as w:
            w.session.merge(Meta(key=OFFSET, value=str(offset.total_seconds())))
            w.enqueued = True
        _MOVED.pop(self.database.url, None)

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self.database.reading() as session:
            yield session

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """For one statement, or for some that need not see the same moment; half as dear as ``read``."""
        with self.database.looking() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Write]:
        """One transaction, alone from its first line; whoever works is woken after its commit."""
        with self.database.changing() as connection:
            # first of all: whoever locked a row before and waited here would wait for who holds this and wants that row
            self.database.alone(connection)
            w = Write(connection, self.time_in(connection))
            try:
                yield w
                w.flush()
            finally:
                w.close()
        for known in w.committed:  # before anybody else, who may raise, is told
            known()
        if w.enqueued:
            for wake in self._wake:
                wake()
        if w.happened:
            for count in self._counters:
                count(w.happened)

    def claim(self, least: int = jobs.BACKGROUND) -> jobs.Claim | None:
        """The next job, if one is due. A claim that finds nothing changes no page, so an idle worker writes nothing."""
        with self.database.changing() as connection:
            return jobs.claim(connection, now=self.time_in(connection), least=least)

    def take_over(self) -> None:
        """At the start of the only worker there is, after its port was won: what a dead one held is free at once."""
        with self.database.changing() as connection:
            jobs.release_all(connection)

    @contextmanager
    def work(self, claim: jobs.Claim, *, last: bool = False) -> Iterator[Write]:
        """A transaction of a job: it commits only while the job is still ours; the last one finishes the job.

        Where it asks for an effect, the same transaction claims what is most urgent then, which saves a commit.
        """
        with self.write() as w:
            if not last:
                jobs.hold(w.connection, claim)
            yield w
            if last:
                urgent = claim.takes_next and w.asks_for_effect
                w.flush()
                jobs.finish(w.connection, claim)
                following = jobs.claim(w.connection, now=w.now, least=claim.least) if urgent else None
                w.committed.append(lambda: claim.goes_on(following))

    def head_is_whole(self) -> bool:
        """Whether the newest entry still hashes to what it says: a quick look, not the walk of ``verify``."""
        with self.database.reading() as session:
            head = session.exec(select(AuditEntry).order_by(col(AuditEntry.seq).desc()).limit(1)).first()
        return head is None or audit.link(head.prev, head.seq, head.body.encode()) == head.hash

    def verify(self) -> Found:
        """Check the whole chain, page by page, in short read transactions."""

        def ask(statement: str, values: Mapping[str, Any]) -> list[Any]:
            with self.database.looking() as connection:
                return list(connection.execute(text(statement), values))

        bytes_of = "CAST(body AS BLOB)" if self.database.is_sqlite else "convert_to(body, 'UTF8')"
        found = verify(pages(ask, bytes_of=bytes_of))
        found.problems += texts_of_nobody(ask)
        return found


def new_request_id() -> str:
    """Random, so that nobody can guess the next one."""
    alphabet = "23456789abcdefghjkmnpqrstuvwxyz"
    return "REQ-" + "".join(secrets.choice(alphabet) for _ in range(10))
