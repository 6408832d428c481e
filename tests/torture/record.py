"""The record of a simulated run: real SQLite in memory, copied from one that was furnished once."""

import random
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import StaticPool
from sqlmodel import Session

from approvals import jobs
from approvals.database import Database, _begin
from approvals.gatehouse_verify import Page
from approvals.migrations import migrate
from approvals.store import Store
from tests.support.world import World
from tests.torture.clock import Clock, simulated

_NEXT = (
    "SELECT min(at) FROM (SELECT min(run_at) AS at FROM jobs WHERE status = 'ready' AND priority <= :least"
    " UNION ALL SELECT min(leased_until) FROM jobs WHERE status = 'running' AND priority <= :least)"
)


def nothing(what: str) -> None:
    return None


class Lasting(sqlite3.Connection):
    """After a failure the product opens the file anew; this one is the file, and only what was begun is gone."""

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()


class Record(Database):
    """One connection for all, as only one of them is ever in a transaction.

    ``before`` is called where a transaction is about to begin, with "read" or "write"; ``committing`` and
    ``committed`` around the end of one that writes. What they raise happens to whoever is there.
    """

    def __init__(self) -> None:
        super().__init__("sqlite:////nowhere/simulated.db")
        self.engine.dispose()
        self.raw = raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=Lasting)
        self.engine = create_engine("sqlite://", poolclass=StaticPool, creator=lambda: raw, hide_parameters=True)
        self.engine.dialect.do_begin = _begin  # type: ignore[method-assign, assignment]
        self.undisturbed()

    def undisturbed(self) -> None:
        self.before: Callable[[str], None] = nothing
        self.committing: Callable[[str], None] = nothing
        self.committed: Callable[[str], None] = nothing

    def load(self, image: bytes) -> None:
        """Begin with this content, whatever was there before."""
        self.raw.deserialize(image)
        self.raw.execute("PRAGMA foreign_keys = ON")

    @property
    def in_transaction(self) -> bool:
        return bool(getattr(self._thread, "busy", False))

    @contextmanager
    def reading(self) -> Iterator[Session]:
        self.before("read")
        with super().reading() as session:
            yield session

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        self.before("read")
        with super().looking() as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        self.before("write")
        with super().changing() as connection:
            yield connection
            self.committing("commit")
        self.committed("committed")

    def at_each_statement(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call this before each statement; what is returned stops that. It makes everything slower."""

        def look(*_: object) -> None:
            hook()

        event.listen(self.engine, "before_cursor_execute", look)
        return lambda: event.remove(self.engine, "before_cursor_execute", look)

    def chain(self) -> Page:
        """The chain as it stands, for who judges it: its entries, and the texts that lie beside them."""
        entries = self.raw.execute(
            "SELECT seq, prev, hash, CAST(body AS BLOB), event, request_id FROM audit ORDER BY seq"
        )
        texts = self.raw.execute("SELECT seq, name, salt, text FROM audit_details ORDER BY seq, name")
        return entries.fetchall(), texts.fetchall()

    def due_in(self, clock: Clock, least: int = jobs.BACKGROUND) -> float:
        """Seconds until a worker that polls would find something: work whose time comes, or a lease that ran out."""
        found = self.raw.execute(_NEXT, {"least": least}).fetchone()[0]
        if found is None:
            return 1e9
        at = datetime.fromisoformat(found).replace(tzinfo=UTC)
        return max(0.0, (at - clock.now()).total_seconds() + 0.001)

    def left(self, now: str) -> list[tuple[str, str, str]]:
        """Work that is due and not done, and what was given up."""
        due = "SELECT key, status, trouble FROM jobs WHERE status <> 'ready' OR run_at <= ?"
        return list(self.raw.execute(due, (now,)))


@cache
def the_record() -> Record:
    """One a process: what SQLAlchemy has compiled for it is used again by the next run."""
    return Record()


@cache
def furnished() -> bytes:
    """A record with the policy and the people in it, the same each time."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gatehouse.db"
        database = Database(f"sqlite:///{file}")
        migrate(database)
        database.close()
        with sqlite3.connect(file) as connection:
            empty = connection.serialize()
        connection.close()
    record = the_record()
    record.undisturbed()
    record.load(empty)
    with simulated(Clock(), random.Random(0)):
        World(Store(record))
    return record.raw.serialize()
