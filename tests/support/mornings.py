"""Records as they are when a test begins, written once by the product's own code and copied for each further test."""

import atexit
import os
import sqlite3
import tempfile
from contextlib import closing
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

_KEPT: dict[tuple[str, str], str] = {}  # (where it may be copied to, what is in it) -> the file or the schema
_numbers = count(1)


def begin_like_before(url: str, what: str) -> bool:
    """Fill an empty record with what was kept; False when nothing was, it isn't empty, or the address is a special one.

    Special are records in memory, and servers that another may stand in for.
    """
    kept = _KEPT.get((_where(url), what))
    if kept is None or _is_special(url):
        return False
    return _copy_file(kept, _file(url)) if url.startswith("sqlite") else _copy_schema(kept, url)


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
        _keep_schema(kept, url)
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


def _server(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def _keep_schema(kept: str, url: str) -> None:
    with psycopg.connect(_server(url)) as server:
        server.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(kept)))
        for name in _tables(server, "public"):
            if _has_rows(server, name):
                copy = sql.SQL("CREATE TABLE {} AS TABLE {}")
                server.execute(copy.format(sql.Identifier(kept, name), sql.Identifier(name)))


def _tables(server: psycopg.Connection, schema: str) -> list[str]:
    names = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]).fetchall()
    return [str(name) for (name,) in names if name != "alembic_version"]


def _has_rows(server: psycopg.Connection, table: str) -> bool:
    return bool(server.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table))).fetchone())


def _copy_schema(kept: str, url: str) -> bool:
    with psycopg.connect(_server(url)) as server:
        if _has_rows(server, "audit"):
            return False
        server.execute("SET LOCAL session_replication_role = replica")  # the guards would refuse what is not at its end
        for name in _tables(server, kept):
            fill = sql.SQL("INSERT INTO {} SELECT * FROM {}")
            server.execute(fill.format(sql.Identifier(name), sql.Identifier(kept, name)))
        server.execute(FORWARD)
    return True


# Numbers that are handed out go on behind those that are there.
FORWARD = """
    DO $$ DECLARE one record; BEGIN
        FOR one IN
            SELECT s.oid::regclass AS numbers, a.attname AS name, d.refobjid::regclass AS rows
            FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i')
            JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE s.relkind = 'S' AND s.relnamespace = 'public'::regnamespace
        LOOP
            EXECUTE format(
                'SELECT setval(%L, coalesce(max(%I), 0) + 1, false) FROM %s', one.numbers, one.name, one.rows
            );
        END LOOP;
    END $$
"""
