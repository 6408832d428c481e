"""What came by several names is done once, whichever of them comes again."""

import pytest
from sqlmodel import select

from approvals.models import AccessRequest, Replay
from approvals.source import Source, keys_of, known
from approvals.store import AlreadyThere, Store
from tests.support.world import World


def test_a_source_is_its_first_key_wherever_it_is_compared() -> None:
    source = Source("done", "delivered")
    assert source == "done"
    assert source.keys == keys_of(source) == ("done", "delivered")
    assert keys_of("plain") == ("plain",)


def test_all_keys_are_remembered_in_one_transaction_and_each_is_refused_afterwards(store: Store) -> None:
    with store.write() as w:
        w.first_time(Source("done", "delivered"))
    with store.read() as session:
        assert known(session, ("done", "delivered", "other")) == {"done", "delivered"}
    for again in (Source("done", "delivered anew"), Source("other", "delivered"), "delivered"):
        with pytest.raises(AlreadyThere), store.write() as w:
            w.first_time(again)
    with store.read() as session:
        assert len(session.exec(select(Replay)).all()) == 2


def test_what_fails_leaves_no_key_behind(store: Store) -> None:
    with store.write() as w:
        w.first_time("seen")
    with pytest.raises(AlreadyThere):
        write_both(store, Source("done", "delivered"), "seen")
    with store.read() as session:
        assert known(session, ("done", "delivered")) == frozenset()


def test_one_deed_delivered_twice_is_one_request(store: Store) -> None:
    world = World(store)
    first = world.ask(source=Source("done", "delivered"))
    again = world.ask(source=Source("done", "delivered anew"))
    assert again.id == first.id
    with store.read() as session:
        assert len(session.exec(select(AccessRequest)).all()) == 1


def write_both(store: Store, *sources: str) -> None:
    with store.write() as w:
        for source in sources:
            w.first_time(source)
