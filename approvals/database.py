"""Opening the database, SQLite or PostgreSQL, and the two kinds of transaction."""

import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RootTransaction,
    create_engine,
    event,
    literal_column,
    make_url,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from approvals.batch import Batches

# Libraries 3.7.0 to 3.51.2 can corrupt a WAL database when a reset races a checkpoint
# (https://sqlite.org/wal.html#walresetbug), so the rollback journal is used before the mended release.
FIRST_SOUND_WAL = (3, 51, 3)
READ_ONLY = "25006"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
AUDIT_LOCK = 0x67617465  # any constant; the same for every process that appends


class InDoubt(OperationalError):
    """The server was lost between a commit and its answer: what was written is there, or nothing of it is."""


class Database:
    """One engine, and its transactions: ``reading`` and ``writing``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.patience: dict[str, int | str] = {} if self.is_sqlite else _patience(url)
        self.engine = _sqlite(url) if self.is_sqlite else _postgresql(url, self.patience)
        # SQLite's own busy back-off makes writers of one process wait far longer than they need to.
        self.batches = Batches(self._begin_immediately)
        self._thread = threading.local()

    @property
    def file(self) -> str:
        """Where SQLite keeps it; empty for PostgreSQL."""
        return (self.engine.url.database or "") if self.is_sqlite else ""

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
    def looking(self) -> Iterator[Connection]:
        """Single statements, each of which sees the database as it is when it is made."""
        with self._alone_in_thread(), begun_with(""), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """A write transaction that sees what it writes upon: committed at the end, rolled back by any exception."""
        transaction = self.batches.member() if self.is_sqlite else self._of_its_own()
        with self._alone_in_thread(), transaction as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """The same, for rows as objects."""
        with self.changing() as connection, session_on(connection) as session:
            yield session
            session.flush()

    @contextmanager
    def _of_its_own(self) -> Iterator[Connection]:
        """A transaction on PostgreSQL, which sees by itself to a commit for many."""
        with self.engine.connect() as connection, connection.begin() as transaction:
            yield connection
            try:
                transaction.commit()
            except DBAPIError as error:
                if not error.connection_invalidated or error.orig is None:
                    raise
                raise InDoubt(error.statement, error.params, error.orig, connection_invalidated=True) from error

    def _begin_immediately(self) -> RootTransaction:
        """A transaction that will not find out at its first write that somebody else has written meanwhile."""
        with begun_with("BEGIN IMMEDIATE"):
            connection = self.engine.connect()
            try:
                return connection.begin()
            except BaseException:
                connection.close()
                raise

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

    def alone(self, connection: Connection) -> None:
        """From here to the commit no other process writes what depends on the newest state (PostgreSQL's lock).

        SQLite's ``BEGIN IMMEDIATE`` has given that already.
        """
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": AUDIT_LOCK})

    def close(self) -> None:
        self.engine.dispose()


def plain(db: Session | Connection) -> Connection:
    """The connection for statements that are not about objects: through a session they take twice as long."""
    return db if isinstance(db, Connection) else db.connection()


def is_one_of(column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """``column IN (…)`` for words that the code knows; SQLAlchemy writes a plain list anew at each execution."""
    words = [str(value) for value in values]
    if not all(part.isidentifier() for part in ".".join(words).split(".")):
        raise ValueError("only plain words may stand in a statement themselves")
    found: ColumnElement[bool] = column.in_([literal_column(f"'{word}'") for word in words])
    return found


def session_on(connection: Connection) -> Session:
    """Rows as objects within a transaction that somebody else begins and commits."""
    return Session(connection, expire_on_commit=False, join_transaction_mode="rollback_only")


def journal_mode() -> str:
    return "WAL" if sqlite3.sqlite_version_info >= FIRST_SOUND_WAL else "TRUNCATE"


def _patience(url: str) -> dict[str, int | str]:
    """How soon a server that is gone without a word is given up, and which one is meant where several are named.

    What the address itself says goes before.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
    """
    several = names_several(url)
    ours: dict[str, int | str] = {
        # Seconds for each server. Where there is another one, a command is answered within Slack's three all the same.
        "connect_timeout": 2 if several else 5,
        # Only one of several is written to; the others follow it, and are passed over.
        **({"target_session_attrs": "read-write"} if several else {}),
        "keepalives_idle": 15,  # seconds
        "keepalives_interval": 5,  # seconds
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,  # milliseconds
    }
    return {name: value for name, value in ours.items() if name not in make_url(url).query}


def names_several(url: str) -> bool:
    """Whether an address names more than one server, in either of SQLAlchemy's ways."""
    hosts = make_url(url).query.get("host", "")
    return len(hosts.split(",") if isinstance(hosts, str) else hosts) > 1


def _postgresql(url: str, patience: Mapping[str, int | str]) -> Engine:
    """A connection that died is replaced before it is used, and one to a server that lets nobody write is given up."""
    engine = create_engine(url, pool_size=20, pool_pre_ping=True, hide_parameters=True, connect_args={**patience})

    @event.listens_for(engine, "handle_error")
    def look(context: ExceptionContext) -> None:
        # After a fail-over the pool may hold connections to what is only a copy now: all are opened anew.
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
            context.is_disconnect = True

    return engine


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
        # SQLite's own one knows A to Z only, and nobody would find Özlem or Иван. No index rests on it.
        connection.create_function("lower", 1, _lower, deterministic=True)

    # Not by listening for SQLAlchemy's "begin": with one listener it asks around at every statement.
    engine.dialect.do_begin = _begin  # type: ignore[method-assign, assignment]
    # Each savepoint has a name of its own, and a statement for each would be compiled anew each time.
    for verb, word in _SAVEPOINT.items():
        setattr(engine.dialect, verb, partial(_savepoint, word))
    return engine


_SAVEPOINT = {
    "do_savepoint": "SAVEPOINT", "do_release_savepoint": "RELEASE SAVEPOINT",
    "do_rollback_to_savepoint": "ROLLBACK TO SAVEPOINT",
}  # fmt: skip


def _savepoint(word: str, connection: Connection, name: str) -> None:
    connection.exec_driver_sql(f"{word} {name}")


def _lower(value: object) -> str | None:
    return None if value is None else str(value).lower()


_WORDS = threading.local()


@contextmanager
def begun_with(words: str) -> Iterator[None]:
    """How SQLite's transactions begin in this thread meanwhile; empty: they don't, and each statement is its own."""
    _WORDS.begin = words
    try:
        yield
    finally:
        _WORDS.begin = "BEGIN"


def _begin(connection: DBAPIConnection) -> None:
    words = getattr(_WORDS, "begin", "BEGIN")
    if words:
        connection.cursor().execute(words)
