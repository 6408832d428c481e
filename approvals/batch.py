"""One durable commit for all who wait for it: SQLite's writers, one at a time, in a transaction they share.

A commit on disk takes longer than what is written in it. Whoever is through while another already waits leaves the
transaction open for them and waits; the last one commits for all. Nobody goes on before their own change is on disk,
and who fails takes back only what is theirs.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field

from sqlalchemy import Connection, RootTransaction
from sqlalchemy.exc import OperationalError

UNDONE = "the database has rolled everything back by itself"
NO_SAVEPOINT = "no such savepoint"
MOST = 16  # members of one commit
PATIENCE = 0.005  # seconds that whoever is through waits for somebody who seemed to come


@dataclass
class _Batch:
    """A transaction that is open, and who is in it."""

    connection: Connection
    transaction: RootTransaction
    members: int = 0
    error: BaseException | None = None
    # The last one waits for another to join, all before it for the end: else each who joins would wake all of them.
    joined: threading.Condition = field(default_factory=threading.Condition)
    over: threading.Event = field(default_factory=threading.Event)


class Batches:
    """Gives out the one writer's seat.

    ``coming`` says how many others are likely to write in a moment, besides those who wait here; whoever waits for
    somebody else's commit does so within ``aside``.
    """

    def __init__(self, begin: Callable[[], RootTransaction]) -> None:
        self.coming: Callable[[], int] = lambda: 0
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext
        self._begin_one = begin
        self._seat = threading.Lock()
        self._open: _Batch | None = None  # only touched from the seat
        self._counting = threading.Lock()
        self._wanting = 0

    @contextmanager
    def member(self) -> Iterator[Connection]:
        """Write alone; afterwards everything written here is committed, or nothing of it."""
        self._sit_down()
        try:
            batch = self._open or self._begin()
            number = self._join(batch)
            with ExitStack() as mine:
                if number > 1:
                    mine.enter_context(batch.connection.begin_nested())
                yield batch.connection
        except BaseException as error:
            first = _first_of(error)
            self._fail(first)
            if first is not error:
                raise first from None
            raise
        self._leave(batch, number)
        if batch.error is not None:
            raise batch.error

    def _sit_down(self) -> None:
        with self._counting:
            self._wanting += 1
        self._seat.acquire()
        with self._counting:
            self._wanting -= 1

    def _begin(self) -> _Batch:
        transaction = self._begin_one()
        self._open = _Batch(transaction.connection, transaction)
        return self._open

    def _join(self, batch: _Batch) -> int:
        """Who left before is no longer the last one, so it need not see to the commit."""
        with batch.joined:
            batch.members += 1
            batch.joined.notify()
            return batch.members

    def _fail(self, error: BaseException) -> None:
        """Nothing of mine is kept; what others wrote before is committed, for they wait for it."""
        batch = self._open
        if batch is None:
            self._seat.release()
        elif batch.members > 1 and _stands(batch.connection):
            self._close(batch)
        else:
            self._close(batch, error)

    def _leave(self, batch: _Batch, number: int) -> None:
        if number >= MOST or not (self._wanting or self.coming()):
            self._close(batch)
            return
        self._seat.release()
        with self.aside():
            if not self._followed(batch, number):
                self._sit_down()
                if batch.over.is_set() or batch.members > number:
                    self._seat.release()
                else:
                    self._close(batch)
            batch.over.wait()

    def _followed(self, batch: _Batch, number: int) -> bool:
        """Whether somebody has joined behind: the seat is theirs before anything can be over."""
        with batch.joined:
            return batch.joined.wait_for(lambda: batch.members > number, PATIENCE)

    def _close(self, batch: _Batch, error: BaseException | None = None) -> None:
        """Commit for all, or roll back; then the seat is free, and everybody hears how it went."""
        try:
            if error is None and not _stands(batch.connection):
                raise OperationalError("COMMIT", None, sqlite3.OperationalError(UNDONE))
            if error is None:
                batch.transaction.commit()
            else:
                batch.error = error
                batch.transaction.rollback()
        except BaseException as failed:
            batch.error = error or failed
            batch.connection.invalidate()  # whatever it still holds open is rolled back with it
        finally:
            batch.connection.close()
            self._open = None
            self._seat.release()
            batch.over.set()


def _stands(connection: Connection) -> bool:
    """Whether the transaction is still open. A full disk, or one that fails, has SQLite roll back all of it by itself,
    what others wrote too (https://sqlite.org/lang_transaction.html); to commit then does nothing and says nothing.
    """
    there = connection.connection.driver_connection
    return not isinstance(there, sqlite3.Connection) or there.in_transaction


def _first_of(error: BaseException) -> BaseException:
    """What went wrong, where all that is said is that there is nothing left to take back."""
    first: BaseException | None = error
    while first is not None and NO_SAVEPOINT in str(first):
        first = first.__context__
    return error if first is None else first
