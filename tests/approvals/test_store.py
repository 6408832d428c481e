"""The only module that writes: one transaction at a time, whole or not at all."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel, func, select

from approvals import jobs
from approvals.database import Database
from approvals.models import AccessRequest, AuditEntry, Job, News, RefusedAttempt, Replay
from approvals.states import Status
from approvals.store import MACHINE, REFUSALS_AN_HOUR, SWEEP, Actor, AlreadyThere, Stale, Store, Write, new_request_id
from tests.support.world import World, at_once

ADA = Actor("account-ada", "T1", "U1")


def how_many(store: Store, kind: type[SQLModel]) -> int:
    with store.read() as session:
        return session.exec(select(func.count()).select_from(kind)).one()


def bare_request(store: Store, number: int = 1, status: Status = Status.PENDING) -> AccessRequest:
    with store.write() as w:
        return w.add(
            AccessRequest(
                id=f"REQ-{number:04d}", verb="grant", subject="s", requester="r", team="T1", user="U1",
                entitlement="e", duration=60, reason="because", status=status, rule_hash="r", policy_hash="p",
                source=f"source {number}", asked_at=w.now, moved_at=w.now, lapses_at=w.now,
            )
        )  # fmt: skip


# -- races ------------------------------------------------------------------------------------------------------------


def test_of_two_who_move_a_request_at_once_exactly_one_wins(store: Store) -> None:
    def move(request: AccessRequest, verb: str) -> str:
        with store.write() as w:
            return w.move(request, verb, actor=ADA).status

    for number in range(200):
        seen = bare_request(store, number)
        approved, denied = at_once(lambda seen=seen: move(seen, "approve"), lambda seen=seen: move(seen, "deny"))
        outcomes = {"approved": approved, "denied": denied}
        (loser,) = [error for error in outcomes.values() if isinstance(error, Stale)]
        (winner,) = [name for name, outcome in outcomes.items() if outcome == name]
        assert loser.now.status == winner, "the loser is told who won"
    assert how_many(store, AuditEntry) == 200
    assert store.verify().ok


def test_of_two_grants_moved_at_once_exactly_one_is(store: Store) -> None:
    world = World(store)
    request = world.ask()
    world.run()
    world.click("grace", request)
    world.run()
    seen = world.grant(request)
    assert seen is not None

    def end(because: str) -> str:
        with store.write() as w:
            return w.move_grant(seen, "end", actor=MACHINE, because=because).because

    outcomes = at_once(lambda: end("first"), lambda: end("second"))
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 1
    assert len(world.record("grant.ending")) == 1


def test_writers_never_wait_for_each_other_in_a_ring(store: Store) -> None:
    """A cancel, a job of the same request and a refusal of the same person touch the same rows in different orders."""
    request = bare_request(store)
    with store.write() as w:
        w.enqueue("end", "1")

    def first(n: int) -> None:
        with store.write() as w:
            w.enqueue("end", "1")
            w.note_refusal("ask.refused", actor=ADA, because="no")
            w.tell("x", place="thread", once=f"first {n}")

    def second(n: int) -> None:
        with store.write() as w:
            w.audit("x", actor=ADA)
            w.note_refusal("ask.refused", actor=ADA, because="no")
            w.session.execute(text("UPDATE requests SET because = 'x'"))
            w.enqueue("end", "1")

    for n in range(50):
        assert at_once(lambda n=n: first(n), lambda n=n: second(n), lambda n=n: second(n)) == [None, None, None]
    with store.read() as session:
        assert session.exec(select(RefusedAttempt.count)).one() == 150, "no refusal was lost"
    assert store.verify().ok
    assert request.id


def test_the_same_payload_twice_at_once_is_acted_on_once(store: Store) -> None:
    def act(source: str) -> str:
        with store.write() as w:
            w.first_time(source)
            w.audit("acted", actor=ADA)
            return "acted"

    for n in range(50):
        outcomes = at_once(lambda n=n: act(f"payload {n}"), lambda n=n: act(f"payload {n}"))
        assert sorted(map(str, outcomes)) == sorted(["acted", f"payload {n}"])
        assert sum(isinstance(outcome, AlreadyThere) for outcome in outcomes) == 1
    assert how_many(store, AuditEntry) == 50


def test_new_work_of_the_same_kind_asked_for_at_once_is_one_job(store: Store) -> None:
    def ask(n: int) -> None:
        with store.write() as w:
            w.enqueue("look up", f"T1/U{n}")

    for n in range(50):
        assert at_once(*(lambda n=n: ask(n) for _ in range(3))) == [None, None, None]
    assert how_many(store, Job) == 50


# -- whole or not at all ----------------------------------------------------------------------------------------------


class Broken(Exception):
    pass


def test_what_a_broken_transaction_did_is_undone_with_entry_job_and_news(store: Store) -> None:
    request = bare_request(store)

    def write_and_break() -> None:
        with store.write() as w:
            w.first_time("a payload")
            w.move(request, "approve", actor=ADA, details={"reason": "x"})
            w.enqueue("apply", request.id)
            w.tell("approved", place="thread", request=request.id)
            w.note_refusal("ask.refused", actor=ADA, because="no")
            raise Broken

    with pytest.raises(Broken):
        write_and_break()
    with store.read() as session:
        now = session.get(AccessRequest, request.id)
    assert now is not None
    assert now.status == Status.PENDING
    for kind in (AuditEntry, Job, News, Replay, RefusedAttempt):
        assert how_many(store, kind) == 0, kind.__name__


def test_no_entry_no_change(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the record can't be written, nothing is moved."""
    request = bare_request(store)

    def broken(self: Write, *_: object, **__: object) -> None:
        raise Broken

    monkeypatch.setattr(Write, "audit", broken)
    with pytest.raises(Broken), store.write() as w:
        w.move(request, "approve", actor=ADA)
    with store.read() as session:
        assert session.get(AccessRequest, request.id).status == Status.PENDING  # type: ignore[union-attr]
    assert how_many(store, Job) == 0


def test_a_move_leaves_its_entry_and_a_redrawing(store: Store) -> None:
    request = bare_request(store)
    with store.write() as w:
        w.move(request, "approve", actor=ADA)
    with store.read() as session:
        entry = session.exec(select(AuditEntry)).one()
        job = session.exec(select(Job)).one()
    assert (entry.event, entry.request_id) == ("request.approved", request.id)
    assert (job.key, job.priority) == (f"draw:{request.id}", jobs.PEOPLE)


def test_a_job_that_lost_its_lease_writes_nothing(store: Store) -> None:
    request = bare_request(store)
    with store.write() as w:
        w.enqueue("apply", request.id)
    old = store.claim()
    assert old is not None
    store.take_over()
    assert store.claim() is not None
    with pytest.raises(jobs.LeaseLost), store.work(old) as w:
        w.move(request, "approve", actor=ADA)
    assert how_many(store, AuditEntry) == 0


# -- replay and flooding ----------------------------------------------------------------------------------------------


def test_a_payload_is_remembered_for_longer_than_slack_s_window_and_then_forgotten(store: Store) -> None:
    with store.write() as w:
        w.first_time("now")
        w.session.add(Replay(source="six minutes ago", at=datetime.now(UTC) - timedelta(minutes=6)))
        w.session.add(Replay(source="long ago", at=datetime.now(UTC) - timedelta(hours=1)))
    for known in ("now", "six minutes ago"):
        with pytest.raises(AlreadyThere), store.write() as w:
            w.first_time(known)
    for number in range(SWEEP):  # looked for once in so many
        with store.write() as w:
            w.first_time(f"another {number}")
    with store.read() as session:
        left = set(session.exec(select(Replay.source)))
    assert {source for source in left if not source.startswith("another")} == {"now", "six minutes ago"}


def test_twenty_refusals_an_hour_are_written_down_and_the_rest_are_counted(store: Store) -> None:
    for _ in range(REFUSALS_AN_HOUR + 5):
        with store.write() as w:
            w.note_refusal("ask.refused", actor=ADA, because="no")
    assert REFUSALS_AN_HOUR == 20
    assert how_many(store, AuditEntry) == 20
    with store.read() as session:
        assert session.exec(select(RefusedAttempt.count)).one() == 25
    with store.write() as w:
        w.note_refusal("ask.refused", actor=Actor("account-bob", "T1", "U2"), because="no")
    assert how_many(store, AuditEntry) == 21, "somebody else has their own twenty"
    store.move_time(timedelta(hours=1))
    with store.write() as w:
        w.note_refusal("ask.refused", actor=ADA, because="no")
    assert how_many(store, AuditEntry) == 22, "the next hour has its own twenty"


def test_what_is_said_once_is_said_once(store: Store) -> None:
    for _ in range(3):
        with store.write() as w:
            w.tell("approved", place="thread", once="approved:1")
            w.tell("heard", place="thread")
    with store.read() as session:
        kinds = sorted(session.exec(select(News.kind)))
    assert kinds == ["approved", "heard", "heard", "heard"]


# -- time -------------------------------------------------------------------------------------------------------------


def test_time_is_moved_for_all_who_read_it(store: Store, database: Database) -> None:
    store.move_time(timedelta(days=3))
    other = Store(database, movable_time=True)
    assert other.now() > datetime.now(UTC) + timedelta(days=2)
    with other.write() as w:
        assert w.now > datetime.now(UTC) + timedelta(days=2)


def test_time_can_not_be_moved_where_the_world_is_real(database: Database) -> None:
    Store(database, movable_time=True).move_time(timedelta(days=3))
    real = Store(database)
    with pytest.raises(ValueError, match="local sandboxes"):
        real.move_time(timedelta(days=1))
    assert real.now() < datetime.now(UTC) + timedelta(days=1), "an offset that was left behind counts for nothing"


def test_times_come_back_aware(store: Store) -> None:
    request = bare_request(store)
    with store.read() as session:
        found = session.get(AccessRequest, request.id)
    assert found is not None
    assert found.asked_at.tzinfo is not None
    assert found.asked_at == request.asked_at


# -- transactions and waking ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["read", "write", "claim", "now"])
@pytest.mark.parametrize("outer", ["read", "write"])
def test_a_transaction_inside_another_one_of_the_thread_is_a_bug_that_is_heard(
    store: Store, outer: str, inner: str
) -> None:
    def open_inner() -> None:
        if inner in ("read", "write"):
            with getattr(store, inner)():
                pass
        else:
            getattr(store, inner)()

    with pytest.raises(RuntimeError, match="inside another one"), getattr(store, outer)():
        open_inner()
    open_inner()  # the thread is usable again


def test_workers_are_woken_after_the_commit_and_only_for_work(store: Store) -> None:
    seen: list[int] = []
    store.on_work(lambda: seen.append(how_many(store, Job)))
    with store.write() as w:
        w.enqueue("plan", "REQ-1")
        assert seen == [], "not before the commit"
    assert seen == [1], "what was enqueued can be read already"
    with store.write() as w:
        w.audit("x", actor=ADA)
    assert seen == [1]

    def enqueue_and_break() -> None:
        with store.write() as w:
            w.enqueue("plan", "REQ-2")
            raise Broken

    with pytest.raises(Broken):
        enqueue_and_break()
    assert seen == [1], "not for what was rolled back"
    store.move_time(timedelta(hours=1))
    assert len(seen) == 2, "moved time may have made something due"


def test_sqlite_writes_through_to_the_disk(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    try:
        with database.reading() as session:
            assert session.execute(text("PRAGMA synchronous")).scalar() == 2, "2 is FULL"
            assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
            assert session.execute(text("PRAGMA busy_timeout")).scalar() == 10000
            mode = session.execute(text("PRAGMA journal_mode")).scalar()
        assert database.journal.endswith(f"journal {str(mode).upper()}, synchronous FULL")
    finally:
        database.close()


def test_a_sqlite_with_the_wal_reset_bug_uses_the_rollback_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    from approvals.database import journal_mode

    for version, mode in [((3, 40, 1), "TRUNCATE"), ((3, 51, 2), "TRUNCATE"), ((3, 51, 3), "WAL"), ((3, 52, 0), "WAL")]:
        monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
        assert journal_mode() == mode


def test_no_update_is_lost_between_a_read_and_a_write_of_one_transaction(store: Store) -> None:
    bare_request(store)

    def count_up() -> None:
        for _ in range(25):
            with store.write() as w:
                request = w.request("REQ-0001")
                request.version += 1

    assert at_once(*[count_up] * 8) == [None] * 8
    with store.read() as session:
        assert session.exec(select(AccessRequest.version)).one() == 201


def test_request_ids_are_random_and_easy_to_read_aloud() -> None:
    ids = {new_request_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(id.startswith("REQ-") and not set(id[4:]) & set("01ilo") and len(id) == 14 for id in ids)
