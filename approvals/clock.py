"""What time it is, for everybody who shares a database: on PostgreSQL that is its own time, not a machine's.

Machines' clocks differ, and one that is an hour ahead would end everything an hour early. SQLite's processes share one.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select
from sqlmodel import Session

from approvals.database import plain

AGREED = 5.0  # seconds until the database is asked again; a quartz loses less than a millisecond in them
NOT_BACK = timedelta(seconds=1)  # by less than so much time is never seen to go back


def real_time(connection: Connection) -> datetime:
    """This very moment, asked for; on SQLite the machine's."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return moment


@dataclass(frozen=True)
class _Reading:
    """The database's time, and what our own clock that is never set said in the same moment."""

    at: datetime
    seconds: float


class Clock:
    """One database's time. It is asked every few seconds; in between this process counts them by itself."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        self._read: _Reading | None = None
        self._latest: datetime | None = None

    def kept(self) -> datetime | None:
        """The time, when it is known without asking."""
        if self._is_sqlite:
            return datetime.now(UTC)
        read, seconds = self._read, seconds_gone()
        if read is None or not 0 <= seconds - read.seconds < AGREED:
            return None
        return self._onward(read.at + timedelta(seconds=seconds - read.seconds))

    def now(self, db: Session | Connection) -> datetime:
        """The time; asked for in the transaction that is open when it is not known any more."""
        known = self.kept()
        if known is not None:
            return known
        before = seconds_gone()
        at = real_time(plain(db))
        self._read = _Reading(at, (before + seconds_gone()) / 2)
        return self._onward(at)

    def _onward(self, now: datetime) -> datetime:
        """Two readings differ by a millisecond; one that is far back is another server's, and counts."""
        latest = self._latest
        if latest is not None and timedelta(0) < latest - now < NOT_BACK:
            return latest
        self._latest = now
        return now


_CLOCKS: dict[str, Clock] = {}  # by database: whatever one part of a process has written is due for the others


def clock_of(url: str) -> Clock:
    """The clock of a database, one a process."""
    return _CLOCKS.setdefault(url, Clock(is_sqlite=url.startswith("sqlite")))


def seconds_gone() -> float:
    """Of a clock that nobody sets; where there is one that also goes while the machine sleeps, of that.

    What a lease has left is to be counted by it: while this machine sleeps, another one takes the job over.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
