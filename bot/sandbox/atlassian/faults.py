"""Faults on demand: what goes wrong with the next calls that match."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote


@dataclass
class Fault:
    """What goes wrong with the next calls that match; ``times`` None means until cleared."""

    method: str | None = None
    path: re.Pattern[str] | None = None
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    lost: bool = False
    garbage: bool = False
    truncated: bool = False
    applied: bool | None = None
    times: int | None = 1

    @property
    def takes_effect(self) -> bool:
        """Unless told: a status or garbage comes from a gateway that never passed the call on, the rest is too late."""
        return not (self.status or self.garbage) if self.applied is None else self.applied

    def fits(self, method: str, path: str) -> bool:
        if self.method and self.method != method:
            return False
        return not self.path or any(self.path.search(form) for form in (path, unquote(path)))

    @classmethod
    def read(cls, body: dict[str, Any]) -> "Fault":
        """From the control API's JSON; ValueError says what is wrong with it."""
        body = dict(body)
        match = body.pop("match", None) or {}
        _insist(isinstance(match, dict) and set(match) <= {"method", "path_regex"}, "match takes method and path_regex")
        unknown = set(body) - set(_FAULT_FIELDS)
        _insist(not unknown, f"a fault has no {', '.join(sorted(unknown))}")
        for name, (kinds, wish) in _FAULT_FIELDS.items():
            _insist(name not in body or (isinstance(body[name], kinds) and _sane(name, body[name])), f"{name}: {wish}")
        try:
            path = re.compile(match["path_regex"]) if match.get("path_regex") else None
            return cls(method=str(match["method"]).upper() if match.get("method") else None, path=path, **body)
        except (re.error, TypeError) as wrong:
            raise ValueError(f"path_regex: {wrong}") from wrong


_FAULT_FIELDS: dict[str, tuple[tuple[type, ...], str]] = {
    "status": ((int, type(None)), "a number from 200 to 599, or null"),
    "body": ((object,), "any JSON"),
    "headers": ((dict,), "an object of strings"),
    "delay": ((int, float), "seconds from 0 to 600"),
    "lost": ((bool,), "true or false"),
    "garbage": ((bool,), "true or false"),
    "truncated": ((bool,), "true or false"),
    "applied": ((bool, type(None)), "true, false or null"),
    "times": ((int, type(None)), "a number from 1, or null for until cleared"),
}


def _sane(name: str, value: Any) -> bool:
    if name == "headers":
        texts = [*value.keys(), *value.values()]
        return all(isinstance(text, str) and text.isascii() and text.isprintable() for text in texts)
    ranges = {"status": (200, 599), "delay": (0, 600), "times": (1, 10**9)}
    if name not in ranges or value is None:
        return True
    low, high = ranges[name]
    return not isinstance(value, bool) and low <= value <= high


def _insist(truth: bool, message: str) -> None:
    if not truth:
        raise ValueError(message)


class Faults:
    """Faults waiting for a call, first come first served."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def take(self, method: str, path: str) -> Fault | None:
        fault = next((fault for fault in self._waiting if fault.fits(method, path)), None)
        if fault and fault.times is not None:
            fault.times -= 1
            if fault.times == 0:
                self._waiting.remove(fault)
        return fault
