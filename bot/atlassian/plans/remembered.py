"""What was read a moment ago and decides nothing by itself: kept for a while, bounded, and dropped when it is wrong."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """``seconds`` is how long something is believed, ``most`` how much is kept; the clock is monotonic."""

    def __init__(self, seconds: float, most: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        with self._lock:
            at, value = self._kept.get(key, (None, None))
            return value if at is not None and self._clock() - at < self.seconds else None

    def put(self, key: Key, value: Value) -> Value:
        with self._lock:
            self._kept[key] = (self._clock(), value)
            self._kept.move_to_end(key)
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return value

    def known(self) -> list[Key]:
        """Of what something is still believed."""
        with self._lock:
            return [key for key, (at, _) in self._kept.items() if self._clock() - at < self.seconds]

    def forget(self, key: Key) -> None:
        with self._lock:
            self._kept.pop(key, None)
