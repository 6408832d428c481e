"""How much may be said in Slack now, and in which order those who must wait come to their turn."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from approvals.jobs import Later

# https://docs.slack.dev/apis/web-api/rate-limits: about one message a second and channel, updates in tier 3.
PACE: dict[str, tuple[int, float]] = {
    "chat.postMessage": (1, 1.0),  # messages, seconds; counted per channel
    "chat.update": (45, 60.0),  # per workspace
}
MISSED = 60.0  # seconds after which a turn that nobody took is given up


class Budget:
    """What doesn't fit is done later by the same job, so ends never wait behind it.

    Who finds no room is given a turn of their own, one pace behind the last that was given: a thousand messages that
    wait look once each when it is their turn, and not all of them whenever one could be sent.
    """

    def __init__(
        self, pace: dict[str, tuple[int, float]] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._lock = Lock()
        self._pace = PACE if pace is None else pace
        self._lanes: dict[tuple[str, str], _Lane] = {}

    def take(self, method: str, channel: str, what: str = "", *, first: bool = False) -> None:
        """Take room for one call about ``what``; raises ``Later`` with the seconds until its turn.

        ``first``: ahead of all that have a turn, who come one pace later for it.
        """
        if method not in self._pace:
            return
        lane = (method, channel if method == "chat.postMessage" else "")
        with self._lock:
            if lane not in self._lanes:
                self._lanes[lane] = _Lane(*self._pace[method])
            wait = self._lanes[lane].wait(what, self._clock(), first=first)
        if wait > 0:
            raise Later(wait, "Slack's budget")


@dataclass
class _Lane:
    """Calls that share one limit: ``most`` in ``seconds``."""

    most: int
    seconds: float
    spent: deque[float] = field(default_factory=deque)
    turns: dict[str, float] = field(default_factory=dict)  # in the order they were given
    last_turn: float = 0.0
    ahead: dict[str, float] = field(default_factory=dict)  # who goes before every turn, and until when that is kept

    def wait(self, what: str, now: float, *, first: bool = False) -> float:
        """Seconds until ``what`` may go; 0 when it goes now."""
        self._forget(now)
        full = self.spent[0] + self.seconds - now if len(self.spent) >= self.most else 0.0
        if first:
            return self._go_ahead(what, now, full)
        if self.ahead:
            full = max(full, self.seconds / self.most)
        turn = self.turns.get(what)
        if turn is None:
            turn = now if not self.turns and not full else max(now + full, self.last_turn + self.seconds / self.most)
        if turn <= now and not full:
            self.turns.pop(what, None)
            self.spent.append(now)
            return 0.0
        if what not in self.turns:
            self.turns[what] = self.last_turn = turn
        return max(full, turn - now)

    def _go_ahead(self, what: str, now: float, full: float) -> float:
        if full:
            self.ahead[what] = now + MISSED
            return full
        self.ahead.pop(what, None)
        self.spent.append(now)
        return 0.0

    def _forget(self, now: float) -> None:
        while self.spent and self.spent[0] <= now - self.seconds:
            self.spent.popleft()
        while self.turns and next(iter(self.turns.values())) < now - MISSED:
            del self.turns[next(iter(self.turns))]
        self.ahead = {what: until for what, until in self.ahead.items() if until > now}
