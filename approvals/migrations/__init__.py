"""The schema's history, and how a database is brought to its newest state."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import inspect, text

from approvals.database import Database

HERE = Path(__file__).parent
NEWER = "it was made by a newer Gatehouse: install that one, or put back the copy made before"


def migrate(database: Database) -> None:
    """Bring the database to the newest schema; nothing happens when it is there already."""
    # Alembic weighs ten megabytes, which a process that only asks whether all is well need not carry for ever.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["database"] = database
    with _one_at_a_time(database):
        if not is_current(database):
            command.upgrade(config, "head")


@contextmanager
def _one_at_a_time(database: Database) -> Iterator[None]:
    """Of two processes that start at once on one SQLite file the second waits, and finds it done.

    SQLite's own lock is of no use: both read, and then one of them may not write. PostgreSQL has a lock for it.
    """
    if not database.file:
        yield
        return
    beside = f"{database.file}-migrating"
    while True:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
        with suppress(OSError):  # where a file can't be locked it is as if there were no other process
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_still(beside, handle):
            break
        os.close(handle)  # whoever had it has taken it away, and somebody else may have made a new one
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(beside)
        os.close(handle)


def _is_still(path: str, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def newest() -> str:
    """The newest schema this code knows; each file of the history begins with its number."""
    return max(file.name.split("_")[0] for file in (HERE / "versions").glob("[0-9]*.py"))


def is_current(database: Database) -> bool:
    """Whether the database has the newest schema."""
    return _version(database) == newest()


def is_newer(database: Database) -> bool:
    """Whether a later release has migrated it: this one knows nothing of what is in it."""
    return _version(database) > newest()


def _version(database: Database) -> str:
    """The number of its schema; empty where it has none."""
    with database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")
