"""Whose turn it is to compute: one thread of those that answer people, for the interpreter runs one at a time anyway.

Threads that all compute take the interpreter from each other at every statement they send to the database, and whoever
comes back from it waits while holding what the others wait for. In turns they are a quarter faster.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """Threads that never took it are not held up by it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self.waiting = 0  # how many would like to have it
        self._mine = threading.local()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Compute alone among those who take turns; within a turn of one's own it changes nothing."""
        if self._is_mine():
            yield
            return
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Wait for the network while another has the turn; nothing may be held here that others wait for in theirs."""
        mine = self._is_mine()
        if mine:
            self._give()
        try:
            yield
        finally:
            if mine:
                self._take()

    def wanted(self) -> bool:
        """Whether somebody has it now: who may as well work later lets them."""
        return self._lock.locked()

    def wait_while_wanted(self, seconds: float) -> None:
        """Until nobody has it, for so long at most; woken at the moment it is given back."""
        until = time.monotonic() + seconds
        while self.wanted() and (left := until - time.monotonic()) > 0:
            if self._lock.acquire(timeout=left):
                self._lock.release()

    def _is_mine(self) -> bool:
        return bool(getattr(self._mine, "taken", False))

    def _take(self) -> None:
        with self._counting:
            self.waiting += 1
        self._lock.acquire()
        with self._counting:
            self.waiting -= 1
        self._mine.taken = True

    def _give(self) -> None:
        self._mine.taken = False
        self._lock.release()


TURN = Turn()  # a process has one interpreter
