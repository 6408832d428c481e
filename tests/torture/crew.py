"""One thread in which many seem to work at once: each goes on until it waits, and the seed says who is next.

Whoever is in the middle of something pauses at the points that the harness knows: before each transaction, at each
crash point, around each call outward. Nobody pauses inside a transaction.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from greenlet import greenlet

from tests.torture.clock import Clock


class Killed(BaseException):
    """The process died here. It is nobody's to catch."""


class Body:
    """What can be killed and what can stand still: a process. ``still_until`` is in true seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.still_until = 0.0
        self.tasks: set[Task] = set()


class Task:
    """Something that goes on by itself."""

    def __init__(self, crew: Crew, doing: Callable[[], None], body: Body | None) -> None:
        self.body = body
        self.turn = 0  # which of its entries in the queue counts
        self._crew = crew
        self._doing = doing
        self.thread = greenlet(self._run, parent=crew.hub)
        if body is not None:
            body.tasks.add(self)

    def _run(self) -> None:
        try:
            self._doing()
        except Killed:
            pass
        finally:
            self._crew.tasks.discard(self)
            if self.body is not None:
                self.body.tasks.discard(self)


class Crew:
    """The queue of those who wait, by when they go on."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.hub = greenlet.getcurrent()
        self.running: Task | None = None
        self.switches = 0
        self.closed = False
        self.tasks: set[Task] = set()
        self._queue: list[tuple[float, int, Task, int]] = []
        self._number = 0

    def begin(self, doing: Callable[[], None], *, body: Body | None = None, after: float = 0.0) -> Task:
        task = Task(self, doing, body)
        self.tasks.add(task)
        self.wake(task, after)
        return task

    def wake(self, task: Task, after: float = 0.0) -> None:
        """It goes on then, and no other time that was set for it counts."""
        task.turn += 1
        self._number += 1
        heapq.heappush(self._queue, (self.clock.true + after, self._number, task, task.turn))

    def pause(self, seconds: float) -> None:
        """Whoever runs lets the others go on; outside of all tasks time just passes."""
        task = self.running
        if task is None:
            self.clock.true += seconds
            return
        self._insist_on_life(task)
        self.wake(task, seconds)
        self.hub.switch()
        self._insist_on_life(task)

    def _insist_on_life(self, task: Task) -> None:
        if self.closed or (task.body is not None and task.body.dead):
            raise Killed

    def run(self, until: float) -> None:
        """Let time go on up to then, or until nobody waits for anything."""
        while self._queue and self._queue[0][0] <= until:
            at, _, task, turn = heapq.heappop(self._queue)
            if turn != task.turn or task.thread.dead:
                continue
            self.clock.true = max(self.clock.true, at)
            if task.body is not None and task.body.still_until > self.clock.true and not task.body.dead:
                self.wake(task, task.body.still_until - self.clock.true)
                continue
            self.switches += 1
            self.running = task
            task.thread.switch()
            self.running = None
        self.clock.true = max(self.clock.true, until)

    def kill(self, body: Body) -> None:
        """Nobody of it does anything from here on; whoever runs just now must raise ``Killed`` themselves."""
        body.dead = True
        for task in body.tasks:
            if task is not self.running:
                self.wake(task)

    def close(self) -> None:
        """The run is over for everybody, wherever they wait."""
        self.closed = True
        for task in list(self.tasks):
            self.running = task
            if task.thread:
                task.thread.throw(Killed)
        self.running = None
        self.tasks.clear()

    @contextmanager
    def within(self, body: Body) -> Iterator[None]:
        """Whoever runs is served by this process meanwhile, and hears nothing more when it dies."""
        task = self.running
        if task is None:
            yield
            return
        task.body = body
        body.tasks.add(task)
        try:
            yield
        finally:
            body.tasks.discard(task)
            task.body = None


class Bell:
    """What several wait at until somebody rings; stands for a worker's condition.

    With ``due``, seconds until there is something to do, whoever is rung for nothing goes on waiting: a poll that finds
    nothing.
    """

    def __init__(self, crew: Crew, due: Callable[[], float] | None = None) -> None:
        self.crew = crew
        self._due = due
        self._waiting: list[Task] = []

    def wait(self, timeout: float) -> None:
        if self._due is None or self.crew.running is None:
            return self._wait(timeout)
        until = self.crew.clock.true + timeout
        while (left := min(self._due(), until - self.crew.clock.true)) > 0:
            self._wait(left)

    def _wait(self, seconds: float) -> None:
        task = self.crew.running
        if task is None:
            return self.crew.pause(seconds)
        self._waiting.append(task)
        try:
            self.crew.pause(seconds)
        finally:
            if task in self._waiting:
                self._waiting.remove(task)

    def notify(self, after: float = 0.0) -> None:
        if self._waiting:
            self.crew.wake(self._waiting.pop(0), after)

    def notify_all(self, after: float = 0.0) -> None:
        while self._waiting:
            self.notify(after)

    def __enter__(self) -> Bell:
        return self

    def __exit__(self, *_: Any) -> None:
        return None
