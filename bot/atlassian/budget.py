"""Keeps each credential within Atlassian's rate limits, with room for ends and break-glass, before Atlassian has to."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from approvals.budget import KEPT, Allowance, RateBudgets
from bot.atlassian.org_calls import V1

LIMITS = "https://developer.atlassian.com/cloud/admin/organization/rest/intro/ (rate limits)"
OURS = "ours: Atlassian publishes no figure"
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


@dataclass(frozen=True)
class Allowances:
    """Which calls count together, and how many of them there may be. The first family whose template fits counts."""

    by_template: Mapping[str, Allowance]
    others: Allowance

    def of(self, template: str) -> Allowance:
        return self.by_template.get(template, self.others)


def organization_allowances(calls_a_minute: int) -> Allowances:
    """What Atlassian publishes for the audit log and the last-active dates; the rest is for us to choose.

    Events, one event and the actions count by path *and* by user, so they are one family here; a slice is one call.
    """
    events = Allowance("events", 10, LIMITS, slice=1, reserve=1)
    return Allowances(
        {
            f"{V1}/events": events,
            f"{V1}/events/{{event}}": events,
            f"{V1}/event-actions": events,
            f"{V1}/events-stream": Allowance("events-stream", 50, LIMITS, slice=1, reserve=5),
            f"{V1}/directory/users/{{account}}/last-active-dates": Allowance("last-active", 200, LIMITS, reserve=20),
        },
        usual(calls_a_minute),
    )


def usual(calls_a_minute: int) -> Allowance:
    """A fifth of what may come at once is kept for what must not wait."""
    half = calls_a_minute // 2
    return Allowance("all", calls_a_minute, OURS, slice=max(1, min(10, half // 5)), reserve=half // 5)


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
