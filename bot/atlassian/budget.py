"""Keeps each credential within Atlassian's rate limits, with room for ends and break-glass, before Atlassian has to."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from approvals.budget import KEPT, Allowance, RateBudgets
from bot.atlassian.limits import OURS, RATES, CallLimits
from bot.atlassian.org_events import ACTIONS, EVENT, EVENTS, STREAM
from bot.atlassian.org_users import LAST_ACTIVE

BLOCK = 30.0  # seconds after a 429 that does not say for how long
_URGENT: ContextVar[bool] = ContextVar("urgent", default=False)


@contextmanager
def urgently(urgent: bool = True) -> Iterator[None]:
    """Calls made meanwhile in this thread may use what is kept back: an end, an emergency."""
    token = _URGENT.set(urgent)
    try:
        yield
    finally:
        _URGENT.reset(token)


def is_urgent() -> bool:
    """Whether what is done in this thread now must not wait."""
    return _URGENT.get()


@dataclass(frozen=True)
class Allowances:
    """Which calls count together, and how many of them there may be. The first family whose template fits counts."""

    by_template: Mapping[str, Allowance]
    others: Allowance

    def of(self, template: str) -> Allowance:
        return self.by_template.get(template, self.others)


def organization_allowances(limits: CallLimits) -> Allowances:
    """What Atlassian publishes for the audit log and the last-active dates; the rest is for us to choose.

    Events, one event and the actions count by path *and* by user, so they are one family here.
    """
    events = _allowance("events", limits.events, RATES, limits.kept)
    stream = _allowance("events-stream", limits.events_stream, RATES, limits.kept)
    last_active = _allowance("last-active", limits.last_active, RATES, limits.kept)
    templates = {EVENTS: events, EVENT: events, ACTIONS: events, STREAM: stream, LAST_ACTIVE: last_active}
    return Allowances(templates, usual(limits))


def usual(limits: CallLimits) -> Allowance:
    return _allowance("all", limits.others, OURS, limits.kept)


def _allowance(family: str, a_minute: int, source: str, kept: float) -> Allowance:
    """Slices of 10 where there are many, one by one where there are few: what is left of a slice is lost."""
    half = a_minute // 2
    return Allowance(family, a_minute, source, slice=max(1, min(10, half // 50)), reserve=max(1, int(half * kept)))


@dataclass
class _Slice:
    """Calls that were taken from the row and not made yet.

    What is left of them at ``until`` is given up, so that a block reaches everybody soon.
    """

    calls: int
    until: float


class Budget:
    """One credential's. ``clock`` gives seconds, by which a slice grows old."""

    def __init__(
        self,
        rows: RateBudgets,
        credential: str,
        allowances: Allowances,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = rows
        self._credential = credential
        self._allowances = allowances
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[tuple[str, bool], _Slice] = {}

    def spend(self, template: str) -> float:
        """Count a call that is about to be made: 0.0, or for how many seconds there is none left."""
        allowance, urgent = self._allowances.of(template), _URGENT.get()
        with self._lock:
            now, key = self._clock(), (allowance.family, urgent)
            held = self._held.get(key)
            if held is None or held.calls < 1 or held.until <= now:
                taken = self._rows.take(self._credential, allowance, urgent=urgent)
                if taken.calls < 1:
                    return max(0.1, taken.wait)
                held = self._held[key] = _Slice(taken.calls, now + KEPT.total_seconds())
            held.calls -= 1
            return 0.0

    def refused(self, template: str, after: float | None) -> None:
        """Atlassian answered 429: nobody calls this family before ``after`` seconds, here or elsewhere."""
        allowance = self._allowances.of(template)
        with self._lock:
            for urgent in (False, True):
                self._held.pop((allowance.family, urgent), None)
            self._rows.block(self._credential, allowance, seconds=BLOCK if after is None else after)
