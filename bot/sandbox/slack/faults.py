"""Trouble on request: Web API calls that fail, dawdle, or whose answer is lost; with the record of all calls."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from bot.sandbox.slack.arguments import Arguments, invalid
from bot.sandbox.slack.people import Json

CALLS_KEPT = 20_000


@dataclass
class Fault:
    """What goes wrong with the next calls of a method (``*`` for any)."""

    method: str
    error: str | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    lost: bool = False  # the call takes effect, and the connection drops before the answer
    times: int = 1  # -1: until cleared
    naming: str = ""  # only calls in whose arguments this stands: a channel, a user


class Faults:
    """The faults that are still to happen, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, args: Arguments) -> None:
        fault = _read(args)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, method: str, said: bytes = b"") -> Fault | None:
        """The fault this call meets, used up once; ``said`` are its arguments as they came."""
        with self._lock:
            for fault in self._faults:
                if fault.method in (method, "*") and fault.naming.encode() in said:
                    fault.times -= fault.times > 0
                    if fault.times == 0:
                        self._faults.remove(fault)
                    return fault
        return None


class Calls:
    """Every Web API call and what was answered, numbered from one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._calls: deque[Json] = deque(maxlen=CALLS_KEPT)
            self._number = 0

    def add(self, method: str, args: Json, answer: Json, status: int, lost: bool) -> None:
        with self._lock:
            self._number += 1
            self._calls.append(
                {
                    "number": self._number, "method": method, "args": args, "answer": answer, "status": status,
                    "lost": lost, "time": time.time(),
                }
            )  # fmt: skip

    def after(self, number: int) -> list[Json]:
        with self._lock:
            return [call for call in self._calls if call["number"] > number]


def _read(args: Arguments) -> Fault:
    headers, status = args.given.get("headers", {}), args.number("status", 0)
    if not isinstance(headers, dict) or not all(_is_header(name, value) for name, value in headers.items()):
        raise invalid("headers must be an object of plain strings")
    if status and not 200 <= status <= 599:
        raise invalid("status must be between 200 and 599")
    try:
        delay = float(args.text("delay", "0"))
    except ValueError:
        raise invalid("delay must be a number of seconds") from None
    if not 0 <= delay <= 60:
        raise invalid("delay must be between 0 and 60 seconds")
    return Fault(
        args.required("method"), args.text("error") or None, status or None, headers, delay, args.flag("lost"),
        args.number("times", 1) or 1, args.text("naming", ""),
    )  # fmt: skip


def _is_header(name: str, value: object) -> bool:
    plain = name.replace("-", "").isalnum() and name.isascii()
    return plain and isinstance(value, str) and value.isascii() and value.isprintable()
