"""The schema: what the migrations make is what the models say, on both engines."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import inspect, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel, select

from approvals.database import Database
from approvals.migrations import is_current, migrate
from approvals.models import Job
from approvals.store import MACHINE, Store
from tests.conftest import SERVER


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without a single table."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
        yield database
        database.close()
        return
    url = make_url(request.getfixturevalue("postgresql_url"))
    name = f"{url.database}_empty"
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    database = Database(url.set(database=name).render_as_string(hide_password=False))
    yield database
    database.close()
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def shape(database: Database) -> dict[str, list[str]]:
    found = inspect(database.engine)
    return {table: sorted(column["name"] for column in found.get_columns(table)) for table in found.get_table_names()}


def test_the_migrations_make_exactly_what_the_models_say(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_each_check_of_the_models_is_in_the_database(database: Database) -> None:
    """Alembic does not compare CHECKs."""
    found = inspect(database.engine)
    for table in SQLModel.metadata.sorted_tables:
        wanted = {str(check.name) for check in table.constraints if str(check.name).endswith("_known")}
        assert {check["name"] for check in found.get_check_constraints(table.name)} >= wanted, table.name


def test_each_status_of_the_models_is_allowed(store: Store) -> None:
    with store.database.writing() as session:
        for status in ("ready", "running", "dead"):
            session.execute(
                text(
                    "INSERT INTO jobs (key, kind, about, status, priority, run_at, attempts, again, trouble)"
                    f" VALUES ('{status}', 'x', 'x', '{status}', 5, '2026-01-01 00:00:00', 0, false, '')"
                )
            )
    with store.read() as session:
        assert {job.status for job in session.exec(select(Job))} == {"ready", "running", "dead"}


def test_an_empty_database_is_not_current_and_a_migrated_one_is(empty: Database) -> None:
    assert not is_current(empty)
    migrate(empty)
    assert is_current(empty)


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    migrate(empty)
    first = shape(empty)
    with Store(empty).write() as w:
        w.audit("kept", actor=MACHINE)
    migrate(empty)
    assert shape(empty) == first
    assert Store(empty).verify().entries == 1


def test_a_second_machine_finds_the_schema_made(postgresql_url: str) -> None:
    url = make_url(postgresql_url)
    name = f"{url.database}_again"
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    again = url.set(database=name).render_as_string(hide_password=False)
    databases = [Database(again) for _ in range(2)]
    try:
        first, second = databases
        migrate(first)
        migrate(second)
        assert is_current(first)
        assert is_current(second)
    finally:
        for database in databases:
            database.close()
        with psycopg.connect(SERVER, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_a_row_that_hangs_on_nothing_is_refused(store: Store) -> None:
    """Foreign keys are enforced, on SQLite too."""
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), store.database.writing() as session:
        session.execute(
            text("INSERT INTO plans (request_id, version, hash, body, made_at) VALUES ('x', 1, 'h', 'b', '2026-01-01')")
        )
