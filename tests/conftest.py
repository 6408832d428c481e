"""Databases for the tests: each test that asks for one gets a fresh one, on SQLite and on PostgreSQL."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlmodel import SQLModel

from approvals import models  # noqa: F401  (fills the metadata)
from approvals.database import Database
from approvals.migrations import migrate
from approvals.store import Store
from tests.support.fork_server import fork_what_is_ours
from tests.support.logs import plain_logs
from tests.support.once import reckon_once
from tests.support.share import MINUTES, SEED, SHARE

# The tests' files live in memory where there is some: they kill processes, not machines, and wait for no disk.
if os.access("/dev/shm", os.W_OK):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")
plain_logs()
reckon_once()
fork_what_is_ours()
SERVER = os.environ.get("GATEHOUSE_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")


def counted(reports: Iterable[Any]) -> str:
    """What the command lines of all reports gave, whichever process ran them; empty when none ran."""
    seen: Counter[str] = Counter()
    for report in reports:
        if getattr(report, "when", "") == "call":  # what a test noted is in the report of its teardown as well
            seen.update(dict(report.user_properties).get("command lines", {}))
    if not seen:
        return ""
    return (
        f"{seen.total():,} command lines: {seen['request']:,} gave a request, {seen['form']:,} a form, "
        f"{seen['sentence']:,} a sentence, {seen['other command']:,} another command"
    )


def reached(reports: Iterable[Any]) -> Iterator[str]:
    """What tests with large counts have met, as they tell it."""
    for report in reports:
        if getattr(report, "when", "") == "call":
            yield from (str(told) for name, told in report.user_properties if name == "reach")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    all_of_them = [report for reports in terminalreporter.stats.values() for report in reports]
    lines = counted(all_of_them)
    if lines:
        terminalreporter.line(lines)
    for told in reached(all_of_them):
        terminalreporter.line(told)
    minutes = f", each test begins no more after {MINUTES:g} minutes" if MINUTES else ""
    terminalreporter.line(
        f"of the large counts: a share of {SHARE:g}{minutes}, seed {SEED} (GATEHOUSE_SHARE, GATEHOUSE_SEED)"
    )


LONG = (
    *("hostile_pair", "mutations", "test_story", "simulator", "test_nth", "test_failover", "several_machines"),
    *("test_restore", "test_races", "test_memory", "test_kill", "stopping", "in_trouble", "no_room", "test_model"),
    *("contests", "lost_and_found", "browser", "test_by_hand", "test_loss", "test_reconcile", "one_id"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on PostgreSQL carry its name, so that a skip names what is missing; the long ones come first."""
    for item in items:
        if "postgresql" in item.name:
            item.add_marker(pytest.mark.postgresql)
    rank = {item: next((n for n, file in enumerate(LONG) if file in item.path.name), len(LONG)) for item in items}
    long_ones = sorted((item for item in items if rank[item] < len(LONG)), key=rank.__getitem__)
    rest = [item for item in items if rank[item] == len(LONG)]
    items[:] = shared_out(long_ones, rest, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def shared_out(long_ones: list[pytest.Item], rest: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The order in which each second worker begins with long tests, which mostly wait, while the others compute.

    pytest-xdist cuts what is collected into as many pieces as there are workers, one behind the other.
    """
    count, with_long = len(long_ones) + len(rest), -(-workers // 2)
    order: list[pytest.Item] = []
    for worker in range(workers):
        piece = (count - len(order)) // (workers - worker)
        mine = long_ones[worker // 2 :: with_long] if worker % 2 == 0 else []
        take = max(0, piece - len(mine))
        order += [*mine, *rest[:take]]
        rest = rest[take:]
    return order + rest


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema, to copy."""
    path = tmp_path_factory.mktemp("schema") / "gatehouse.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def migrated_server(worker_id: str) -> Iterator[str]:
    """The name of a PostgreSQL database with the newest schema: one a worker, because making one is slow."""
    name = f"gatehouse_test_{worker_id}_{os.getpid()}"
    try:
        with psycopg.connect(SERVER, autocommit=True, connect_timeout=5) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.OperationalError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"PostgreSQL is not there: {str(error).splitlines()[0]}")
    database = Database(_url(name))
    migrate(database)
    database.close()
    yield name
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_file: Path) -> str:
    path = tmp_path / "gatehouse.db"
    shutil.copy(migrated_file, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(migrated_server: str) -> str:
    """The worker's database, emptied: nobody else is in it, no row is left, and the guards of the record stand."""
    emptied = [
        sql.SQL("DELETE FROM {}").format(sql.Identifier(t.name)) for t in reversed(SQLModel.metadata.sorted_tables)
    ]
    with psycopg.connect(
        SERVER.rsplit("/", 1)[0] + f"/{migrated_server}", options="-csynchronous_commit=off"
    ) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [migrated_server],
        )
        server.execute("SET LOCAL session_replication_role = replica")  # the guards would refuse to empty the record
        server.execute(sql.SQL(";").join(emptied))
        server.execute("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")
        server.execute("ALTER TABLE audit ENABLE TRIGGER ALL")
    return _url(migrated_server)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database of each engine: the test runs on both."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> Store:
    """The record, with domain time that the test may move."""
    return Store(database, movable_time=True)


def _url(name: str) -> str:
    address = SERVER.replace("postgresql://", "postgresql+psycopg://").rsplit("/", 1)[0]
    return f"{address}/{name}?options=-csynchronous_commit%3Doff"
