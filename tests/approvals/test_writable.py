"""A database that can't be written: it is found out, said in plain words, and nothing but the reading goes on."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from approvals.database import Database
from approvals.models import AccessRequest, Call, Meta
from approvals.states import Status
from approvals.store import Store
from approvals.writable import cannot_write, insist_room, patiently, trouble_of
from tests.support.world import World

FAULTS = ("full", "read-only")


@contextmanager
def unwritable(database: Database, fault: str) -> Iterator[None]:
    """As SQLite itself reports it: no page may be added, or none be written."""
    statements = {"full": "PRAGMA max_page_count = 1", "read-only": "PRAGMA query_only = ON"}
    mended = {"full": "PRAGMA max_page_count = 1073741823", "read-only": "PRAGMA query_only = OFF"}

    def spoil(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(statements[fault])

    def mend(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(mended[fault])

    event.listen(database.engine, "checkout", spoil)
    event.listen(database.engine, "checkin", mend)
    try:
        yield
    finally:
        event.remove(database.engine, "checkout", spoil)
        event.remove(database.engine, "checkin", mend)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def world(database: Database) -> World:
    return World(Store(database, movable_time=True))


def caught(database: Database) -> SQLAlchemyError:
    with pytest.raises(OperationalError) as raised:
        insist_room(database)
    return raised.value


def test_where_there_is_room_nothing_is_left_of_looking(store: Store) -> None:
    for _ in range(3):
        insist_room(store.database)
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Meta)).scalar_one() == 0


def test_what_somebody_left_who_was_killed_while_looking_is_taken_away(store: Store) -> None:
    with store.write() as w:
        w.add(Meta(key="room 0123", value="x"))
    insist_room(store.database)
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Meta)).scalar_one() == 0


@pytest.mark.parametrize(("fault", "why"), [("full", "the disk is full"), ("read-only", "it may only be read")])
def test_a_database_without_room_is_found_out_again_and_again(database: Database, fault: str, why: str) -> None:
    with unwritable(database, fault):
        for _ in range(2):
            trouble = trouble_of(caught(database))
            assert (trouble.why, trouble.reads) == (why, True)
    insist_room(database)


def test_one_that_another_process_holds_is_told_apart(database: Database, sqlite_url: str) -> None:
    with database.engine.connect() as connection:  # whoever waits, waits ten seconds: not in a test
        connection.exec_driver_sql("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        assert trouble_of(caught(database)).why == "another process holds it"
    finally:
        other.close()


def test_a_server_that_does_not_answer_is_told_apart() -> None:
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    trouble = trouble_of(caught(database))
    assert (trouble.why, trouble.reads) == ("it can't be reached", False)
    database.close()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("53100", "the disk is full"), ("25006", "it may only be read"), ("57P01", "it is being restarted"),
        ("57P03", "it is being restarted"), ("08006", "it can't be reached"), ("53300", "it has too many connections"),
        ("99999", "it fails (Other)"),
    ],
)  # fmt: skip
def test_postgresql_is_understood_by_its_codes_and_never_by_its_words(code: str, why: str) -> None:
    class Other(psycopg.DatabaseError):
        sqlstate = code

    assert trouble_of(OperationalError("INSERT", {}, Other("the disk is full, said a person"))).why == why


def test_a_server_on_postgresql_that_cuts_connections_at_a_start_is_asked_again(postgresql_url: str) -> None:
    database, tries = Database(postgresql_url), []

    def begin() -> int:
        with database.changing() as connection:
            tries.append(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
            if len(tries) < 3:
                connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        return tries[-1]

    try:
        assert patiently(begin, again=0.01) == tries[-1]
    finally:
        database.close()
    assert len(set(tries)) == 3


def test_nobody_waits_for_long_and_not_for_what_does_not_pass(database: Database) -> None:
    tries = []

    def begin() -> None:
        tries.append("a try")
        insist_room(database)

    with unwritable(database, "read-only"), pytest.raises(OperationalError):
        patiently(begin)
    assert len(tries) == 1
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with pytest.raises(OperationalError):
        patiently(lambda: insist_room(away), seconds=0.0, again=0.01)
    away.close()


def test_what_is_told_names_the_trouble_and_what_still_goes() -> None:
    full = OperationalError("INSERT", {}, sqlite3.OperationalError("x"))
    full.orig.sqlite_errorname = "SQLITE_FULL"  # type: ignore[union-attr]
    assert "the disk is full" in cannot_write(trouble_of(full))
    assert "`/access mine`" in cannot_write(trouble_of(full))
    away = OperationalError("INSERT", {}, psycopg.OperationalError("password=secret"))
    assert "secret" not in cannot_write(trouble_of(away))
    assert "`/access mine`" not in cannot_write(trouble_of(away))


@pytest.mark.parametrize("fault", FAULTS)
def test_no_effect_happens_without_its_entry_and_all_goes_on_when_there_is_room_again(world: World, fault: str) -> None:
    request = world.ask()
    world.run()
    world.click("grace", request)
    with unwritable(world.store.database, fault):
        for _ in range(3):
            try_to_work(world)
            assert len(world.directory.calls) == len(world.record("call.intended")), "no entry, no effect"
            if fault == "read-only":  # a full one may have room left on pages that it has
                assert world.request(request).status == Status.PENDING, "reading goes on"
    for _ in range(5):
        world.run()
        if world.request(request).status == Status.DONE:
            break
        wait_for_the_next_try(world)
    assert world.request(request).status == Status.DONE
    assert world.holds("ada")
    assert len(world.directory.calls) == 1
    assert world.store.verify().ok


def try_to_work(world: World) -> None:
    """What the worker's threads do: whatever the database says ends a look, not the worker."""
    try:
        world.run()
    except SQLAlchemyError:
        return


def wait_for_the_next_try(world: World) -> None:
    """Every job that was put off is due now, and every lease is over."""
    with world.store.database.changing() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET run_at = '2020-01-01 00:00:00', leased_until = '2020-01-01 00:00:00'"
        )


def test_the_same_on_the_way_of_the_call_leaves_it_in_doubt_and_it_is_read_before_it_is_called_again(
    world: World,
) -> None:
    """It can't be written between the call and its answer's entry: the intent is there, the effect is found."""
    request = world.ask()
    world.run()
    world.click("grace", request)
    fault = unwritable(world.store.database, "read-only")
    world.directory.on_perform = lambda step: fault.__enter__()
    try_to_work(world)
    fault.__exit__(None, None, None)
    world.directory.on_perform = lambda step: None
    assert world.holds("ada")
    with world.store.read() as session:
        assert session.execute(select(Call.answer)).scalars().all() == [None]
        assert session.get(AccessRequest, request.id).status == Status.APPLYING  # type: ignore[union-attr]
    wait_for_the_next_try(world)
    world.run()
    assert world.request(request).status == Status.DONE
    assert len(world.directory.calls) == 1
