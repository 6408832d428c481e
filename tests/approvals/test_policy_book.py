"""Which policy counts: the newest in the record, whatever a file says."""

import pytest
from sqlalchemy import text as sql
from sqlmodel import select

from approvals.models import AuditEntry, News, PolicyVersion
from approvals.policy import Policy
from approvals.policy_book import NoPolicy, PolicyBook, adopt_first, tell_of_a_forged_one
from approvals.store import MACHINE, Store
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
    by_hand(store, text, entered=True)


def by_hand(store: Store, text: str, *, digest: str = "", entered: bool = False) -> None:
    """A row of the table; by itself it is one that anybody may have written."""
    with store.write() as w:
        digest = digest or Policy.parse(text).hash
        w.add(PolicyVersion(hash=digest, text=text, applied_at=w.now, applied_by="two admins"))
        if entered:
            w.audit("policy.applied", actor=MACHINE, data={"policy_hash": digest, "agreed": ["two admins"]})


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


def alarms(book: PolicyBook, store: Store) -> list[str]:
    with store.write() as w:
        tell_of_a_forged_one(w, book)
    with store.read() as session:
        return [one.place for one in session.exec(select(News).where(News.kind == "alarm").order_by(News.place))]


@pytest.mark.parametrize("anew", [False, True])
def test_a_row_written_by_hand_rules_nothing_and_is_an_alarm(store: Store, anew: bool) -> None:
    adopt(store, demo_policy())
    book = PolicyBook()
    assert (longest(book, store), alarms(book, store)) == (30, [])
    by_hand(store, OTHER)
    book = PolicyBook() if anew else book
    assert longest(book, store) == 30
    assert alarms(book, store) == ["operators", "security"]
    assert alarms(book, store) == ["operators", "security"], "once"


def test_nor_does_an_older_policy_that_is_written_there_again(store: Store) -> None:
    adopt(store, demo_policy())
    apply(store, OTHER)
    by_hand(store, demo_policy())
    assert longest(PolicyBook(), store) == 29
    assert alarms(PolicyBook(), store) != []


def test_nor_does_another_text_under_the_hash_of_the_one_applied(store: Store) -> None:
    adopt(store, demo_policy())
    by_hand(store, OTHER, digest=Policy.parse(demo_policy()).hash)
    assert longest(PolicyBook(), store) == 30


def test_what_is_applied_after_a_forged_one_counts(store: Store) -> None:
    adopt(store, demo_policy())
    book = PolicyBook()
    by_hand(store, OTHER)
    assert longest(book, store) == 30
    apply(store, OTHER)
    assert longest(book, store) == 29


def test_where_the_applied_text_is_gone_the_last_proven_goes_on_and_a_new_process_has_none(store: Store) -> None:
    adopt(store, demo_policy())
    book = PolicyBook()
    assert longest(book, store) == 30
    with store.database.writing() as session:
        session.connection().execute(sql("UPDATE policies SET text = :t, hash = :h"),
                                     {"t": OTHER, "h": Policy.parse(OTHER).hash})  # fmt: skip
    assert longest(book, store) == 30
    with pytest.raises(NoPolicy, match="not in the record"):
        longest(PolicyBook(), store)
