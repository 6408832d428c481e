"""Whether the database can be written now, and in which words it is said that it can't."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import delete, insert
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import col

from approvals.database import READ_ONLY, Database
from approvals.models import Meta

T = TypeVar("T")
# The database's own trouble, and no mistake of ours: it is away, full, locked, read-only, or was just restarted.
DATABASE = (OperationalError, InterfaceError, InternalError, PendingRollbackError, PoolTimeout)
ROOM = 32_000  # characters: more than the rows of a few effects
_ROOM = "room "


def insist_room(database: Database) -> None:
    """Write as much as a few effects write, durably, and take it away again; raises what the database raises.

    What is taken away leaves its pages free, so when this goes well there was room, and there still is.
    """
    with database.changing() as connection:
        connection.execute(insert(Meta).values(key=_ROOM + secrets.token_hex(8), value=secrets.token_hex(ROOM // 2)))
    with database.changing() as connection:  # also of whoever was killed in between
        connection.execute(delete(Meta).where(col(Meta.key).startswith(_ROOM)))


@dataclass(frozen=True)
class Trouble:
    """Why, fit to show; and whether reading is likely to go on meanwhile."""

    why: str
    reads: bool


def patiently(do: Callable[[], T], *, seconds: float = 5.0, again: float = 0.5) -> T:
    """What ``do`` gives, which may be begun anew; a server that is away for a moment is asked again for so long.

    For the start of a process, that would otherwise be over because of what the next try would not even see. Whoever
    waits here hears no signal, and a process that is told to stop must be gone in ten seconds.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return do()
        except DATABASE as error:
            if trouble_of(error) not in _PASSING or time.monotonic() > until:
                raise
            time.sleep(again)


def cannot_write(trouble: Trouble) -> str:
    """The acknowledgement of what could not be written down."""
    first = f"My database is in trouble ({trouble.why}), so I could not write that down: nothing was asked"
    rest = "What only reads goes on, like `/access mine` and `/access status`. " if trouble.reads else ""
    return f"{first} and nothing was changed. {rest}Please try again in a few minutes."


def cannot_tell(trouble: Trouble) -> str:
    """The acknowledgement of what was written down, or was not: the database was lost before it could say so."""
    first = (
        f"My database was lost ({trouble.why}) at the very moment when I wrote that down, so I can't tell whether it"
    )
    return f"{first} was. Please look at `/access mine` in a few minutes, before you ask again."


_FULL = Trouble("the disk is full", reads=True)
_NOT_WRITABLE = Trouble("it may only be read", reads=True)
_AWAY = Trouble("it can't be reached", reads=False)
_CROWDED = Trouble("it has too many connections", reads=False)
_RESTARTED = Trouble("it is being restarted", reads=False)
_PASSING = (_AWAY, _CROWDED, _RESTARTED)
# https://sqlite.org/rescode.html, by the beginning of the name
_SQLITE = {
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _NOT_WRITABLE,
    "SQLITE_PERM": _NOT_WRITABLE,
    "SQLITE_BUSY": Trouble("another process holds it", reads=True),
    "SQLITE_LOCKED": Trouble("another process holds it", reads=True),
    "SQLITE_IOERR": Trouble("the disk fails", reads=True),
    "SQLITE_CANTOPEN": Trouble("its file can't be opened", reads=False),
    "SQLITE_CORRUPT": Trouble("its file is damaged", reads=False),
    "SQLITE_NOTADB": Trouble("its file is damaged", reads=False),
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html, by the beginning of the code
_POSTGRESQL = {
    "53100": _FULL,
    READ_ONLY: _NOT_WRITABLE,
    "53300": _CROWDED,
    "57P": _RESTARTED,
    "08": _AWAY,
}


def trouble_of(error: SQLAlchemyError) -> Trouble:
    """What is wrong with the database. Its own text is never shown: there may be people's words in it."""
    cause = getattr(error, "orig", None)
    name, code = getattr(cause, "sqlite_errorname", "") or "", getattr(cause, "sqlstate", "") or ""
    for said, table in ((name, _SQLITE), (code, _POSTGRESQL)):
        for beginning, trouble in table.items():
            if said.startswith(beginning):
                return trouble
    if type(cause).__module__.startswith("psycopg") and not code:  # no connection, or one that broke
        return _AWAY
    return Trouble(f"it fails ({type(cause or error).__name__})", reads=False)
