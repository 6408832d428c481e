"""The ledger: every call the sandbox was sent, with what came of it."""

import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

READS_BY_POST = ("/users/search", "/groups/search", "/workspaces", "/get-scim-links-for-email")


@dataclass(frozen=True)
class Entry:
    """One call as it was on the wire; ``status`` is None when the caller was left without an answer."""

    number: int
    time: str
    actor: str  # api | by hand | identity provider
    method: str
    path: str
    credential: str  # scim:<directory name> | org | site | none
    body: Any
    status: int | None
    applied: bool  # did it change anything?

    @property
    def is_write(self) -> bool:
        path = self.path.partition("?")[0]
        return self.method not in ("GET", "HEAD", "OPTIONS") and not path.endswith(READS_BY_POST)


class Ledger:
    """Every call in the order of its effect."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._number = 0

    def record(self, at: float, **facts: Any) -> None:
        with self._lock:
            self._number += 1
            time = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")
            self._entries.append(Entry(number=self._number, time=time, **facts))

    def entries(self, after: int = 0, writes: bool = False) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(e) for e in self._entries if e.number > after and (e.is_write or not writes)]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
