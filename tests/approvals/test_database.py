"""The database: what happens to the pool when the server ends connections, or lets nobody write any more."""

import socket
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from approvals.database import Database
from approvals.store import MACHINE, Store
from tests.conftest import SERVER


def of_server(url: str, statement: str) -> None:
    """A statement about the database of this address, by somebody else."""
    name = make_url(url).database
    assert name is not None
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(sql.SQL(statement).format(name=sql.Identifier(name), text=sql.Literal(name)))


def test_small_letters_are_made_of_every_alphabets_capitals(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'gatehouse.db'}")
    with database.looking() as connection:
        words = connection.execute(text("SELECT lower('ÖZLEM'), lower('ИВАН'), lower('Ada'), lower(NULL), lower(12)"))
        assert words.one() == ("özlem", "иван", "ada", None, "12")
    database.close()


CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {text} AND pid <> pg_backend_pid()"


def test_a_connection_that_the_server_ended_is_replaced_before_it_is_used(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    store = Store(database)
    for number in range(3):
        with store.write() as w:
            w.audit("kept", actor=MACHINE, data={"n": number})
        of_server(postgresql_url, CUT)
    assert store.verify().entries == 3
    database.close()


def test_after_a_server_let_nobody_write_for_a_while_all_goes_on(postgresql_url: str) -> None:
    """As after a fail-over: the old connections lead to a copy, which refuses each write and closes nothing."""
    database = Database(postgresql_url)
    store = Store(database)
    of_server(postgresql_url, "ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        of_server(postgresql_url, CUT)
        for _ in range(3):
            with pytest.raises(DBAPIError), store.write() as w:
                w.audit("lost", actor=MACHINE)
            with store.look() as connection:  # reading goes on
                assert connection.execute(text("SELECT count(*) FROM audit")).scalar_one() == 0
    finally:
        of_server(postgresql_url, "ALTER DATABASE {name} RESET default_transaction_read_only")
    with pytest.raises(DBAPIError), store.write() as w:  # the connection of the last look, which is given up now
        w.audit("lost", actor=MACHINE)
    with store.write() as w:
        w.audit("kept", actor=MACHINE)
    assert store.verify().entries == 1
    database.close()


def test_a_server_that_stands_still_is_passed_over_for_the_other_one(postgresql_url: str) -> None:
    """Its machine takes the connection and says nothing, as one that is frozen does."""
    url = make_url(postgresql_url)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = [f"127.0.0.1:{silent.getsockname()[1]}", f"{url.host}:{url.port or 5432}"]
        both = url.set(host=None, port=None).update_query_dict({"host": hosts})
        database = Database(both.render_as_string(hide_password=False))
        with Store(database).write() as w:
            w.audit("kept", actor=MACHINE)
        assert Store(database).verify().entries == 1
        database.close()


def test_of_several_servers_only_the_one_that_may_be_written_is_meant(postgresql_url: str) -> None:
    for url, wanted in (
        (postgresql_url, None),  # the only one may be read while it can't be written
        ("postgresql+psycopg://nobody@/none?host=one&host=two", "read-write"),
        ("postgresql+psycopg://nobody@/none?host=one,two", "read-write"),
        ("postgresql+psycopg://nobody@/none?host=one&host=two&target_session_attrs=primary", None),  # it says so itself
    ):
        database = Database(url)
        assert database.patience.get("target_session_attrs") == wanted
        database.close()


@pytest.mark.parametrize(("more", "wanted"), [("", 5), ("?connect_timeout=9", None)])
def test_the_patience_of_the_address_goes_before_ours(more: str, wanted: int | None) -> None:
    database = Database(f"postgresql+psycopg://nobody@127.0.0.1:1/none{more}")
    assert database.patience.get("connect_timeout") == wanted
    database.close()
