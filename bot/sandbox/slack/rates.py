"""How often each Web API method may be called. https://docs.slack.dev/apis/web-api/rate-limits"""

import math
import threading
import time
from dataclasses import dataclass

POST_BURST = 5  # messages to one channel before one a second is enforced


@dataclass
class Bucket:
    """Room for *size* calls, refilled at *per_second*."""

    size: float
    per_second: float
    left: float
    seen: float

    def wait(self, now: float) -> float:
        """Seconds until the next call is allowed; 0 takes it."""
        self.left = min(self.size, self.left + (now - self.seen) * self.per_second)
        self.seen = now
        if self.left >= 1:
            self.left -= 1
            return 0
        return (1 - self.left) / self.per_second


class RateLimits:
    """Counts calls of the one app there is in the one workspace there is."""

    def __init__(self, on: bool = True) -> None:
        self.on = on
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def retry_after(self, method: str, per_minute: int, channel: str = "") -> int:
        """0 when the call may go ahead, else the whole seconds Slack puts in Retry-After."""
        if not self.on:
            return 0
        size, per_second = (POST_BURST, 1.0) if channel else (per_minute, per_minute / 60)
        with self._lock:
            now = time.monotonic()
            bucket = self._buckets.setdefault((method, channel), Bucket(size, per_second, size, now))
            return math.ceil(bucket.wait(now))

    def reset(self) -> None:
        with self._lock:
            self._buckets.clear()
