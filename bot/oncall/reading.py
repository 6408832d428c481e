"""What each source of people on call gives, and how trouble outside becomes the error of the port."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from approvals.ports import OnCallError, OutsideError
from bot.http import IDS

MAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
READ_SECONDS = 5.0  # a person waits for the answer, so these calls have less time than others


@dataclass(frozen=True)
class Reading:
    """Those on call at a moment; ``until`` is when that may change at the earliest, where the source tells."""

    people: frozenset[str]
    until: datetime | None = None


class Source(Protocol):
    """One schedule somewhere."""

    def read(self, at: datetime) -> Reading:
        """Those on call at that moment. Raises ``OnCallError``."""
        ...

    def close(self) -> None: ...


def identity(text: object) -> str | None:
    """A mail address in lower case or an account id as it is; None when it is neither."""
    if not isinstance(text, str):
        return None
    text = text.strip()
    if MAIL.fullmatch(text):
        return text.lower()
    return text if IDS["account"].fullmatch(text) else None


def in_utc(at: datetime) -> str:
    """The second a moment lies in, as both APIs read it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def as_on_call_error() -> Iterator[None]:
    """What is wrong outside is one error for those who decide: nobody knows who is on call."""
    try:
        yield
    except OnCallError:
        raise
    except OutsideError as error:
        raise OnCallError(str(error), retry=error.retry, after=error.after) from error
