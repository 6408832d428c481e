"""Many writers make one chain: 100,000 entries from 8 processes on SQLite, from 32 connections on PostgreSQL."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlmodel import select

from approvals.database import Database
from approvals.models import AuditEntry
from approvals.store import Store
from tests.support.appender import append
from tests.support.share import all_or
from tests.support.world import at_once

ROOT = Path(__file__).parents[2]
ENTRIES = all_or(100_000, 0.01)
PROCESSES, CONNECTIONS = 8, 32


def one_chain(database: Database, writers: int, each: int) -> None:
    """No fork, no gap, nothing lost, and each writer's entries in the order it wrote them."""
    found = Store(database).verify()
    assert (found.problems, found.entries) == ([], writers * each)
    with database.reading() as session:
        bodies = [json.loads(body) for body in session.exec(select(AuditEntry.body).order_by("seq"))]
    seen: Counter[str] = Counter()
    for body in bodies:
        assert body["data"]["n"] == seen[body["actor"]]
        seen[body["actor"]] += 1
    assert set(seen.values()) == {each}


@pytest.mark.torture
def test_eight_processes_on_sqlite_make_one_chain(sqlite_url: str) -> None:
    each = ENTRIES // PROCESSES
    words = [sys.executable, "-m", "tests.support.appender", sqlite_url]
    running = [subprocess.Popen([*words, str(writer), str(each)], cwd=ROOT) for writer in range(PROCESSES)]
    assert [process.wait(timeout=3600) for process in running] == [0] * PROCESSES
    database = Database(sqlite_url)
    one_chain(database, PROCESSES, each)
    database.close()


@pytest.mark.torture
def test_thirty_two_connections_to_postgresql_make_one_chain(postgresql_url: str) -> None:
    each = ENTRIES // CONNECTIONS
    databases = [Database(postgresql_url), Database(postgresql_url)]  # a pool holds fewer than all of them
    stores = [Store(database) for database in databases]
    writers = [lambda n=n: append(stores[n % 2], n, each) for n in range(CONNECTIONS)]
    assert at_once(*writers) == [None] * CONNECTIONS
    one_chain(databases[0], CONNECTIONS, each)
    for database in databases:
        database.close()
