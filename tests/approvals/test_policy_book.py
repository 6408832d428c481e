"""Which policy counts: the newest in the record, whatever a file says."""

import pytest
from sqlmodel import select

from approvals.models import AuditEntry, PolicyVersion
from approvals.policy import Policy
from approvals.policy_book import NoPolicy, PolicyBook, adopt_first
from approvals.store import Store
from bot.sandbox.demo_policy import demo_policy
from tests.support.world import at_once

OTHER = demo_policy().replace('longest = "30d"', 'longest = "29d"')


def adopt(store: Store, text: str) -> bool:
    return adopt_first(store, text, Policy.parse(text))


def longest(book: PolicyBook, store: Store) -> int:
    with store.read() as session:
        entitlement = book.current(session).entitlement("eu-confluence-admins")
    assert entitlement is not None
    assert entitlement.longest is not None
    return entitlement.longest.days


def apply(store: Store, text: str) -> None:
    with store.write() as w:
        w.add(PolicyVersion(hash=Policy.parse(text).hash, text=text, applied_at=w.now, applied_by="two admins"))


def test_without_a_policy_nothing_may_be_asked(store: Store) -> None:
    with pytest.raises(NoPolicy), store.read() as session:
        PolicyBook().current(session)


def test_the_first_file_counts_at_once_and_is_in_the_chain(store: Store) -> None:
    assert adopt(store, demo_policy())
    assert longest(PolicyBook(), store) == 30
    with store.read() as session:
        (entry,) = session.exec(select(AuditEntry)).all()
    assert entry.event == "policy.applied"
    assert Policy.parse(demo_policy()).hash in entry.body


def test_a_changed_file_changes_nothing(store: Store) -> None:
    adopt(store, demo_policy())
    assert not adopt(store, OTHER), "and says so"
    assert adopt(store, demo_policy()), "the same file again is what counts"
    assert longest(PolicyBook(), store) == 30
    with store.read() as session:
        assert len(session.exec(select(PolicyVersion)).all()) == 1
        assert len(session.exec(select(AuditEntry)).all()) == 1


def test_of_several_processes_that_start_at_once_one_takes_the_first_file(store: Store) -> None:
    assert at_once(*[lambda: adopt(store, demo_policy())] * 4) == [True] * 4
    with store.read() as session:
        assert len(session.exec(select(PolicyVersion)).all()) == 1


def test_the_newest_policy_counts_from_its_commit_on(store: Store) -> None:
    adopt(store, demo_policy())
    book = PolicyBook()
    assert longest(book, store) == 30
    apply(store, OTHER)
    assert longest(book, store) == 29
    apply(store, demo_policy())
    assert longest(book, store) == 30, "an older text applied again is the newest"


def test_a_policy_is_parsed_once_a_version(store: Store) -> None:
    adopt(store, demo_policy())
    book = PolicyBook()
    with store.read() as session:
        assert book.current(session) is book.current(session)


def test_threads_that_read_while_the_policy_changes_each_get_one(store: Store) -> None:
    adopt(store, demo_policy())
    book = PolicyBook()

    def read() -> set[int]:
        return {longest(book, store) for _ in range(50)}

    def change() -> None:
        for n in range(10):
            apply(store, OTHER if n % 2 == 0 else demo_policy())

    *seen, changed = at_once(read, read, read, change)
    assert changed is None
    assert all(days <= {29, 30} for days in seen), seen
