"""Writers of one process share a commit: nobody goes on before it, and nobody's failure is another's."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from approvals import batch
from approvals.database import Database
from approvals.writable import trouble_of
from tests.support.world import at_once


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path / 'batch.db'}")
    with found.changing() as connection:
        connection.execute(text("CREATE TABLE things (name TEXT UNIQUE)"))
    yield found
    found.close()


@pytest.fixture
def commits(database: Database) -> list[str]:
    """A word for each commit."""
    ended: list[str] = []
    event.listen(database.engine, "commit", lambda connection: ended.append("commit"))
    return ended


def put(connection: Connection, name: str) -> None:
    connection.execute(text("INSERT INTO things VALUES (:name)"), {"name": name})


def put_twice(connection: Connection, name: str) -> None:
    put(connection, name)
    put(connection, name)


def names(database: Database) -> set[str]:
    """What another connection sees, that is what is committed."""
    with database.looking() as connection:
        return set(connection.execute(text("SELECT name FROM things")).scalars())


class Crowd:
    """Holds the first writer in the transaction until all the others wait for the seat."""

    def __init__(self, database: Database, others: int) -> None:
        self.database = database
        self.others = others
        self.first_is_in = threading.Event()

    def first(self, name: str) -> set[str]:
        with self.database.changing() as connection:
            put(connection, name)
            self.first_is_in.set()
            while self.database.batches._wanting < self.others:
                threading.Event().wait(0.001)
        return names(self.database)

    def other(self, name: str, fails: bool = False) -> set[str]:
        self.first_is_in.wait()
        with self.database.changing() as connection:
            put(connection, name)
            if fails:
                raise ValueError(name)
        return names(self.database)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever seems to come is waited for, however busy the machine is."""
    monkeypatch.setattr(batch, "PATIENCE", 60.0)


@pytest.mark.usefixtures("patient")
def test_those_who_wait_are_committed_together_and_each_finds_its_change_on_disk(
    database: Database, commits: list[str]
) -> None:
    crowd = Crowd(database, 5)
    seen = at_once(lambda: crowd.first("first"), *(lambda n=n: crowd.other(f"other {n}") for n in range(5)))
    everybody = {"first", *(f"other {n}" for n in range(5))}
    assert seen == [everybody] * 6
    assert commits == ["commit"]


def test_who_fails_takes_back_only_what_is_theirs(database: Database, commits: list[str]) -> None:
    crowd = Crowd(database, 3)
    seen = at_once(
        lambda: crowd.first("first"),
        lambda: crowd.other("second", fails=True),
        lambda: crowd.other("third"),
        lambda: crowd.other("fourth", fails=True),
    )
    assert [type(each) for each in seen] == [set, ValueError, set, ValueError]
    assert names(database) == {"first", "third"}
    assert 1 <= len(commits) <= 2


def test_a_first_who_fails_leaves_nothing_and_the_next_begins_anew(database: Database, commits: list[str]) -> None:
    with pytest.raises(IntegrityError), database.changing() as connection:
        put_twice(connection, "first")
    with database.changing() as connection:
        put(connection, "second")
    assert names(database) == {"second"}
    assert commits == ["commit"]


def test_a_broken_statement_of_one_is_no_trouble_to_the_others(database: Database) -> None:
    crowd = Crowd(database, 2)
    seen = at_once(lambda: crowd.first("same"), lambda: crowd.other("same"), lambda: crowd.other("another"))
    assert sum(isinstance(each, Exception) for each in seen) == 1
    assert names(database) == {"same", "another"}


def test_when_the_commit_fails_everybody_hears_it_and_the_next_ones_may_write(database: Database) -> None:
    full = [True]

    @event.listens_for(database.engine, "commit")
    def no_room(connection: Connection) -> None:
        if full.pop() if full else False:
            raise OSError("no space left")

    crowd = Crowd(database, 3)
    seen = at_once(lambda: crowd.first("first"), *(lambda n=n: crowd.other(f"other {n}") for n in range(3)))
    assert [str(each) for each in seen] == ["no space left"] * 4
    assert names(database) == set()
    with database.changing() as connection:
        put(connection, "later")
    assert names(database) == {"later"}


def test_whom_the_database_rolled_back_with_somebody_else_hears_it(database: Database) -> None:
    """A full disk undoes the whole transaction, what others wrote too, and committing it afterwards says nothing."""
    with database.changing() as connection:
        connection.execute(text("CREATE TABLE large (body BLOB)"))
        pages = connection.execute(text("PRAGMA page_count")).scalar()
    crowd = Crowd(database, 1)

    def first() -> set[str]:
        with database.changing() as connection:
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
            put(connection, "first")
            crowd.first_is_in.set()
            while database.batches._wanting < 1:
                threading.Event().wait(0.001)
        return names(database)

    def other() -> None:
        crowd.first_is_in.wait()
        with database.changing() as connection:
            connection.execute(text("INSERT INTO large VALUES (zeroblob(100000))"))

    told = at_once(lambda: trouble(first), lambda: trouble(other))
    assert told == ["the disk is full"] * 2
    assert names(database) == set()


def test_whoever_goes_on_after_the_database_rolled_back_is_told_at_the_commit(database: Database) -> None:
    def act() -> None:
        with database.changing() as connection:
            put(connection, "first")
            connection.exec_driver_sql("ROLLBACK")

    assert "rolled everything back" in trouble(act, words=True)
    assert names(database) == set()
    with database.changing() as connection:
        put(connection, "next")
    assert names(database) == {"next"}


def trouble(act: Callable[[], object], *, words: bool = False) -> str:
    try:
        act()
    except OperationalError as error:
        return str(error.orig) if words else trouble_of(error).why
    return "it is on disk"


def test_who_waits_for_somebody_that_does_not_come_commits_alone(database: Database, commits: list[str]) -> None:
    database.batches.coming = lambda: 1
    with database.changing() as connection:
        put(connection, "alone")
    assert names(database) == {"alone"}
    assert commits == ["commit"]


def test_a_commit_has_no_more_members_than_it_may(
    database: Database, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MOST", 3)
    crowd = Crowd(database, 5)
    at_once(lambda: crowd.first("first"), *(lambda n=n: crowd.other(f"other {n}") for n in range(5)))
    assert len(commits) >= 2
    assert len(names(database)) == 6


def test_whoever_waits_for_a_commit_of_others_stands_aside(database: Database) -> None:
    stood: list[str] = []

    @contextmanager
    def aside() -> Iterator[None]:
        stood.append(threading.current_thread().name)
        yield

    database.batches.aside = aside
    crowd = Crowd(database, 1)
    at_once(lambda: crowd.first("first"), lambda: crowd.other("other"))
    assert len(stood) == 1, "the last one commits at once and waits for nobody"


def test_many_threads_and_their_failures_lose_nothing_and_keep_nothing_wrong(database: Database) -> None:
    database.batches.coming = lambda: 1

    def write(thread: int) -> list[str]:
        kept = []
        for n in range(40):
            name = f"{thread} {n}"
            try:
                with database.changing() as connection:
                    put(connection, name)
                    if n % 3 == 0:
                        raise ValueError
            except ValueError:
                continue
            kept.append(name)
            assert name in names(database)
        return kept

    kept = at_once(*(lambda t=t: write(t) for t in range(6)))
    assert all(isinstance(each, list) for each in kept), kept
    assert names(database) == {name for each in kept for name in each}
