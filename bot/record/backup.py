"""A consistent copy of a SQLite record while others write into it, checked before anybody relies on it."""

import contextlib
import errno
import hashlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from approvals.database import Database
from approvals.models import Meta
from approvals.store import Store
from bot.record.loss import COPY

PAGES, PAUSE = 256, 0.01  # in a step, and seconds between two: nobody waits longer for a lock than one step takes
BEGUN_ANEW = 20  # times that a step found the record changed and began again, before all is copied in one
POSTGRESQL = (
    "DATABASE_URL is PostgreSQL, which copies itself: pg_dump --format=custom --file FILE DATABASE is as consistent. "
    "docs/runbooks/database-lost.md says how it is put back."
)


class NoBackup(Exception):
    """Why there is none; the text is fit to show, and no file was left behind."""


@dataclass(frozen=True)
class Made:
    """The copy: how far its chain goes, and what the file is."""

    entries: int
    head: str
    size: int
    sha256: str


def back_up(database: Database, file: Path) -> Made:
    """Into a file of its own beside it first: what has the name is whole. Raises ``NoBackup``."""
    if not database.is_sqlite:
        raise NoBackup(POSTGRESQL)
    source = Path(database.file)
    if file.exists():
        raise NoBackup(f"{file} is there already, and nothing is ever overwritten. Give another name.")
    part = file.with_name(f"{file.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise NoBackup(
            f"{part} is there already: a copy is being made, or one was stopped. Look, and delete it."
        ) from None
    except OSError as error:
        raise NoBackup(f"{file} can't be written ({error.strerror}).") from None
    try:
        _copy(source, part)
        found = _check(part)
        made = Made(found[0], found[1], part.stat().st_size, _digest(part))
        _name(part, file)
    except sqlite3.Error as error:
        raise NoBackup(f"The record could not be copied ({error}).") from None
    except OSError as error:
        raise NoBackup(f"{file} can't be written ({error.strerror}).") from None
    finally:
        part.unlink(missing_ok=True)
    return made


def _name(part: Path, file: Path) -> None:
    """A link never overwrites; where the disk knows no links a moment is left in which somebody else could take it."""
    try:
        os.link(part, file)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK) or file.exists():
            raise
        part.rename(file)


class _BegunAnew(Exception):
    """Somebody has written so often that a copy in steps would not come to its end."""


def _copy(source: Path, target: Path) -> None:
    """In steps; SQLite begins again when somebody else has written between two. Where that never ends, all in one."""
    times, left = 0, 0

    def look(_: int, remaining: int, total: int) -> None:
        nonlocal times, left
        times += remaining > left > 0
        left = remaining
        if times >= BEGUN_ANEW:
            raise _BegunAnew

    origin = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    copy = sqlite3.connect(target)
    with contextlib.closing(origin), contextlib.closing(copy):
        try:
            origin.backup(copy, pages=PAGES, progress=look, sleep=PAUSE)
        except _BegunAnew:
            origin.backup(copy)


def _check(file: Path) -> tuple[int, str]:
    """The file is sound, its chain is whole; and it says of itself that it is a copy."""
    with contextlib.closing(sqlite3.connect(file)) as copy:
        (sound,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if sound != "ok":
        raise NoBackup(f"The copy is not sound: {sound}. Look at the disk.")
    database = Database(f"sqlite:///{file}")
    try:
        store = Store(database)
        found = store.verify()
        if not found.ok:
            raise NoBackup(f"The chain of the record is not whole, so this is no copy to rely on: {found.problems[0]}.")
        with database.writing() as session:
            _mark(session, found.entries)
    finally:
        database.close()
    with contextlib.closing(sqlite3.connect(file)) as copy:
        for mode in ("PERSIST", "DELETE"):  # one file, whatever the record's own way is: a kept journal goes as well
            copy.execute(f"PRAGMA journal_mode = {mode}")
    return found.entries, found.head


def _mark(session: Session, entries: int) -> None:
    """Where nothing outside tells how far the record was, this does: whoever starts from it is in safe mode."""
    session.merge(Meta(key=COPY, value=str(entries)))


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
        os.fsync(stream.fileno())
    return digest.hexdigest()
