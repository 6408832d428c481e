"""Opening the database, SQLite or PostgreSQL, and the two kinds of transaction."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

# Libraries 3.7.0 to 3.51.2 can corrupt a WAL database when a reset races a checkpoint
# (https://sqlite.org/wal.html#walresetbug), so the rollback journal is used before the mended release.
FIRST_SOUND_WAL = (3, 51, 3)
AUDIT_LOCK = 0x67617465  # any constant; the same for every process that appends


class Database:
    """One engine, and its transactions: ``reading`` and ``writing``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = (
            _sqlite(url)
            if self.is_sqlite
            else create_engine(url, pool_size=20, pool_pre_ping=True, hide_parameters=True)
        )
        self._immediate = self.engine.execution_options(immediate=True)
        # SQLite's own busy back-off makes writers of one process wait far longer than they need to.
        self._one_writer = threading.Lock()
        self._thread = threading.local()

    @property
    def journal(self) -> str:
        """How commits are made durable, for the log at start."""
        if not self.is_sqlite:
            return "postgresql"
        return f"sqlite {sqlite3.sqlite_version}, journal {journal_mode()}, synchronous FULL"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A short read transaction: with the rollback journal a long one would hold writers up."""
        with self._alone_in_thread(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A write transaction that sees what it writes upon: committed at the end, rolled back by any exception."""
        alone: AbstractContextManager[object]
        engine, alone = (self._immediate, self._one_writer) if self.is_sqlite else (self.engine, nullcontext())
        with self._alone_in_thread(), alone, Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def _alone_in_thread(self) -> Iterator[None]:
        """One transaction a thread: a second one would wait for a writer that waits for the first."""
        if getattr(self._thread, "busy", False):
            raise RuntimeError("a transaction was opened inside another one of the same thread")
        self._thread.busy = True
        try:
            yield
        finally:
            self._thread.busy = False

    def alone(self, session: Session) -> None:
        """From here to the commit no other process writes what depends on the newest state (PostgreSQL's lock).

        SQLite's ``BEGIN IMMEDIATE`` has given that already.
        """
        if not self.is_sqlite:
            session.connection().execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": AUDIT_LOCK})

    def close(self) -> None:
        self.engine.dispose()


def journal_mode() -> str:
    return "WAL" if sqlite3.sqlite_version_info >= FIRST_SOUND_WAL else "TRUNCATE"


def _sqlite(url: str) -> Engine:
    # hide_parameters: an error's text goes into logs and to operators, and the parameters are people's words.
    engine = create_engine(url, pool_size=20, max_overflow=20, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        # The driver's own transaction handling opens none for a SELECT, which loses updates without an error.
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 10000")
        connection.execute(f"PRAGMA journal_mode = {journal_mode()}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
