"""Hears PostgreSQL say that there is work, on a connection of its own; whoever commits elsewhere is heard at once."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import structlog
from psycopg import sql
from sqlalchemy.exc import SQLAlchemyError

from approvals.database import Database
from approvals.jobs import CHANNEL

log = structlog.get_logger()
AWAY = 1.0  # seconds before a server that is away is tried again
LOOK = 1.0  # seconds between two looks whether it is time to stop
ASKED = 5.0  # seconds between two looks whether this is still the server that is written to


class Listening:
    """LISTEN for as long as the worker works, again after each loss. https://www.postgresql.org/docs/current/sql-listen.html

    A server that may only be read says nothing, however well it is listened to: another one may have taken over.
    What was said while nobody listened is lost, so after each connect the worker looks by itself; and it looks every
    ``Worker.poll`` seconds anyway, should a connection be dead without having been closed.
    """

    def __init__(self, database: Database, wake: Callable[[], None], stopping: threading.Event) -> None:
        self._database = database
        self._wake = wake
        self._stopping = stopping
        self._said = False  # of this loss: once, not at every try
        self._lost = False  # and not looked yet what came instead
        self.after_a_loss: Callable[[], None] = lambda: None  # for whoever must know that it may be another server
        self.connected = threading.Event()

    def run(self) -> None:
        """The body of a thread."""
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    self._hear(connection)
            except (psycopg.Error, SQLAlchemyError) as error:
                if not self._said:
                    log.warning("PostgreSQL can't be listened to; work is looked for", kind=type(error).__name__)
                self._said = self._lost = True
            finally:
                self.connected.clear()
            self._stopping.wait(AWAY)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """By the very address, with the very patience, that the pool has."""
        _, names = self._database.engine.dialect.create_connect_args(self._database.engine.url)
        given: dict[str, Any] = {**names, **self._database.patience}
        return psycopg.connect(**given, autocommit=True, application_name="gatehouse listens")

    def _hear(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        insist_written_to(connection)
        if self._lost:
            self.after_a_loss()
        self._said, self._lost, looked = False, False, time.monotonic()
        self.connected.set()
        self._wake()
        while not self._stopping.is_set():
            for _ in connection.notifies(timeout=LOOK, stop_after=1):
                self._wake()
            if time.monotonic() - looked >= ASKED:
                insist_written_to(connection)
                looked = time.monotonic()


def insist_written_to(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Nobody commits on a server that may only be read, so nobody is heard there."""
    if connection.execute("SHOW transaction_read_only").fetchone() != ("off",):
        raise psycopg.errors.ReadOnlySqlTransaction("this server may only be read")
