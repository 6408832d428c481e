"""Records as they are when a test begins, written once by the product's own code and copied for each further test."""

import atexit
import os
import sqlite3
import tempfile
from contextlib import closing
from importlib import import_module
from itertools import count
from pathlib import Path
from types import ModuleType

_KEPT: dict[tuple[str, str], str] = {}  # (where it may be copied to, what is in it) -> the file or the schema
_numbers = count(1)


def begin_like_before(url: str, what: str) -> bool:
    """Fill an empty record with what was kept; False when nothing was, it isn't empty, or the address is a special one.

    Special are records in memory, and servers that another may stand in for.
    """
    kept = _KEPT.get((_where(url), what))
    if kept is None or _is_special(url):
        return False
    return _copy_file(kept, _file(url)) if url.startswith("sqlite") else _schemas().copy_schema(kept, url)


def keep(url: str, what: str) -> None:
    """Keep a record as it is now, for this process; not one with a special address."""
    if _is_special(url):
        return
    if url.startswith("sqlite"):
        folder = tempfile.TemporaryDirectory(prefix="gatehouse-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
        atexit.register(folder.cleanup)
        kept = str(Path(folder.name) / "gatehouse.db")
        with closing(sqlite3.connect(_file(url))) as here, closing(sqlite3.connect(kept)) as there:
            here.backup(there)
    else:
        kept = f"kept_{next(_numbers)}"
        _schemas().keep_schema(kept, url)
    _KEPT[_where(url), what] = kept


def _is_special(url: str) -> bool:
    return not Path(_file(url)).exists() if url.startswith("sqlite") else "host=" in url


def _where(url: str) -> str:
    return "sqlite" if url.startswith("sqlite") else url


def _file(url: str) -> str:
    return url.removeprefix("sqlite:///")


def _copy_file(kept: str, file: str) -> bool:
    with closing(sqlite3.connect(kept)) as here, closing(sqlite3.connect(file)) as there:
        if there.execute("SELECT 1 FROM audit").fetchone():
            return False
        here.backup(there)
    return True


def _schemas() -> ModuleType:
    return import_module("tests.support.schemas")  # loads the driver, so only where PostgreSQL is used
