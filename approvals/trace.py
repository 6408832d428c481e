"""Which of Slack's payloads, or which job, caused what this thread does now: one id from Slack to Atlassian."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Trace:
    """``id`` is of whatever began it all; ``job`` is the key of the job at hand, empty outside of one."""

    id: str = ""
    job: str = ""


_TRACE: ContextVar[Trace] = ContextVar("trace", default=Trace())  # noqa: B039  (it is frozen)


def new_trace() -> str:
    """For what nobody asked for in Slack: a look that comes again and again, a command of the shell."""
    return secrets.token_hex(8)


def trace() -> Trace:
    """Of what this thread does now."""
    return _TRACE.get()


@contextmanager
def traced(id: str, job: str = "") -> Iterator[None]:
    """What is done, enqueued and logged meanwhile in this thread belongs together."""
    token = _TRACE.set(Trace(id, job))
    try:
        yield
    finally:
        _TRACE.reset(token)


def caused_by(key: str) -> str:
    """The trace that a job with this key inherits; one that asks for itself again begins another story."""
    now = _TRACE.get()
    return "" if now.job == key else now.id
