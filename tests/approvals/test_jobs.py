"""Durable work: asked for once, held by one, and never forgotten."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlmodel import select

from approvals import jobs
from approvals.database import Database
from approvals.models import Job
from approvals.store import Store
from tests.support.world import at_once


def ask(store: Store, kind: str, about: str | int, *, after: float = 0, priority: int = jobs.ORDINARY) -> None:
    with store.write() as w:
        w.enqueue(kind, about, at=w.now + timedelta(seconds=after), priority=priority)


def job(store: Store, key: str) -> Job:
    with store.read() as session:
        return session.exec(select(Job).where(Job.key == key)).one()


def keys(store: Store) -> list[str]:
    with store.read() as session:
        return sorted(session.exec(select(Job.key)))


def taken(store: Store) -> jobs.Claim:
    claim = store.claim()
    assert claim is not None
    return claim


def let_the_lease_run_out(store: Store) -> None:
    with store.database.writing() as session:
        session.execute(update(Job).values(leased_until=datetime.now(UTC) - timedelta(seconds=1)))


# -- asking -----------------------------------------------------------------------------------------------------------


def test_work_asked_for_again_is_moved_and_not_doubled(store: Store) -> None:
    ask(store, "end", 1, after=3600)
    assert store.claim() is None
    ask(store, "end", 1)
    assert keys(store) == ["end:1"]
    assert taken(store).key == "end:1"


def test_work_is_moved_later_as_well(store: Store) -> None:
    ask(store, "end", 1)
    ask(store, "end", 1, after=3600)
    assert store.claim() is None


def test_work_of_another_kind_or_about_something_else_is_its_own(store: Store) -> None:
    for kind, about in [("end", "1"), ("end", "11"), ("tell", "1")]:
        ask(store, kind, about)
    assert keys(store) == ["end:1", "end:11", "tell:1"]


def test_work_asked_for_while_it_runs_runs_once_more(store: Store) -> None:
    ask(store, "draw", "REQ-1")
    claim = taken(store)
    ask(store, "draw", "REQ-1")
    ask(store, "draw", "REQ-1")
    assert store.claim() is None, "not while it runs"
    with store.database.writing() as session:
        jobs.finish(session, claim)
    again = taken(store)
    assert (again.key, again.attempts) == ("draw:REQ-1", 1)
    with store.database.writing() as session:
        jobs.finish(session, again)
    assert keys(store) == []


def test_work_that_is_no_longer_wanted_is_gone_unless_it_runs(store: Store) -> None:
    ask(store, "end", 1)
    ask(store, "end", 2)
    claim = taken(store)
    with store.database.writing() as session:
        jobs.cancel(session, "end", "1")
        jobs.cancel(session, "end", "2")
    assert keys(store) == [claim.key]


# -- claiming ---------------------------------------------------------------------------------------------------------


def test_the_urgent_goes_first_and_among_equals_the_oldest(store: Store) -> None:
    ask(store, "mirror", "slack", after=-90, priority=jobs.BACKGROUND)
    ask(store, "plan", "young", after=-10)
    ask(store, "plan", "old", after=-20)
    ask(store, "tell", "people", after=-5, priority=jobs.PEOPLE)
    ask(store, "end", "1", after=-1, priority=jobs.ENDS)
    ask(store, "end", "tomorrow", after=86400, priority=jobs.ENDS)
    order = []
    while (claim := store.claim()) is not None:
        order.append(claim.key)
    assert order == ["end:1", "tell:people", "plan:old", "plan:young", "mirror:slack"]


def test_two_threads_never_claim_the_same_job(store: Store) -> None:
    with store.write() as w:
        for n in range(200):
            w.enqueue("plan", n)

    def work() -> list[int]:
        mine = []
        while True:
            claim = store.claim()
            if claim is not None:
                mine.append(claim.id)
                continue
            with store.read() as session:  # somebody else may just have taken the one this thread looked at
                if session.exec(select(Job.id).where(Job.status == "ready")).first() is None:
                    return mine

    found = at_once(*[work] * 8)
    assert not [error for error in found if isinstance(error, Exception)]
    counted = Counter(id for mine in found for id in mine)
    assert len(counted) == 200
    assert set(counted.values()) == {1}


# -- leases -----------------------------------------------------------------------------------------------------------


def test_a_job_whose_holder_died_is_taken_by_another_and_the_old_one_is_fenced_off(store: Store) -> None:
    ask(store, "apply", "REQ-1")
    old = taken(store)
    assert store.claim() is None
    let_the_lease_run_out(store)
    new = taken(store)
    assert (new.id, new.attempts) == (old.id, 2)
    assert new.lease != old.lease
    with pytest.raises(jobs.LeaseLost, match="apply:REQ-1"), store.database.writing() as session:
        jobs.hold(session, old)
    with pytest.raises(jobs.LeaseLost, match="apply:REQ-1"), store.database.writing() as session:
        jobs.finish(session, old)
    with store.database.writing() as session:
        jobs.put_off(session, old, at=store_time(), failed=True)
        jobs.bury(session, old, trouble="x")
    now = job(store, "apply:REQ-1")
    assert (now.status, now.lease, now.trouble) == ("running", new.lease, "")


def store_time() -> datetime:
    return datetime.now(UTC)


def test_a_lease_that_is_held_does_not_run_out(store: Store) -> None:
    ask(store, "apply", "REQ-1")
    claim = taken(store)
    let_the_lease_run_out(store)
    with store.database.writing() as session:
        jobs.hold(session, claim)
    assert store.claim() is None
    left = job(store, "apply:REQ-1").leased_until
    assert left is not None
    assert left > datetime.now(UTC) + jobs.LEASE / 2


def test_moved_time_does_not_end_a_lease(store: Store) -> None:
    """Leases are real time: the demo may jump hours ahead while a job runs."""
    ask(store, "apply", "REQ-1")
    taken(store)
    store.move_time(timedelta(hours=5))
    assert store.claim() is None


@pytest.mark.parametrize("hours", [1, -1])
def test_a_worker_whose_clock_is_wrong_takes_nothing_that_is_held_and_begins_nothing_early_or_late(
    postgresql_url: str, hours: int
) -> None:
    """Several machines are PostgreSQL's, and its clock is the only one there; the worker is a process of its own."""
    database = Database(postgresql_url)
    store = Store(database)
    ask(store, "apply", "held")
    taken(store)
    ask(store, "end", "in half an hour", after=1800)
    ask(store, "end", "due")
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.wrong_clock", str(hours), postgresql_url],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    database.close()
    assert done.stdout.splitlines() == ["end:due"]


@pytest.mark.parametrize("hours", [1, -1])
def test_what_a_worker_with_a_wrong_clock_holds_runs_out_when_it_should(postgresql_url: str, hours: int) -> None:
    database = Database(postgresql_url)
    store = Store(database)
    ask(store, "apply", "REQ-1")
    subprocess.run(
        [sys.executable, "-m", "tests.support.wrong_clock", str(hours), postgresql_url], timeout=120, check=True
    )
    left = job(store, "apply:REQ-1").leased_until
    database.close()
    assert left is not None
    assert abs(left - datetime.now(UTC)) <= jobs.LEASE * 4, "an hour would be nobody's, or everybody's"


def test_the_only_worker_takes_everything_over_at_its_start(store: Store) -> None:
    for n in range(3):
        ask(store, "apply", n)
        taken(store)
    ask(store, "plan", "dead")
    with store.database.writing() as session:
        jobs.bury(session, jobs.claim(session, now=store_time()), trouble="x")  # type: ignore[arg-type]
    assert store.claim() is None
    store.take_over()
    assert {taken(store).key for _ in range(3)} == {"apply:0", "apply:1", "apply:2"}
    assert job(store, "plan:dead").status == "dead"


# -- putting off and giving up ----------------------------------------------------------------------------------------


def test_a_failure_keeps_its_count_and_its_reason_and_a_wait_does_not(store: Store) -> None:
    ask(store, "apply", "REQ-1")
    for attempt in (1, 2):
        claim = taken(store)
        assert claim.attempts == attempt
        with store.database.writing() as session:
            jobs.put_off(session, claim, at=store_time(), trouble="HTTP 503", failed=True)
        assert job(store, "apply:REQ-1").trouble == "HTTP 503"
    for _ in range(3):
        claim = taken(store)
        assert claim.attempts == 3
        with store.database.writing() as session:
            jobs.put_off(session, claim, at=store_time())
    now = job(store, "apply:REQ-1")
    assert (now.status, now.attempts, now.trouble, now.lease) == ("ready", 2, "", None)


@pytest.mark.parametrize("failed", [False, True])
def test_what_waits_and_is_asked_for_meanwhile_waits_no_longer_but_a_failure_does(store: Store, failed: bool) -> None:
    ask(store, "apply", "REQ-1")
    claim = taken(store)
    ask(store, "apply", "REQ-1")
    with store.database.writing() as session:
        jobs.put_off(session, claim, at=store_time() + timedelta(hours=1), failed=failed)
    again = store.claim()
    assert (again is None) == failed


def test_what_was_put_off_waits(store: Store) -> None:
    ask(store, "apply", "REQ-1")
    with store.database.writing() as session:
        claim = jobs.claim(session, now=store_time())
        assert claim is not None
        jobs.put_off(session, claim, at=store_time() + timedelta(hours=1), trouble="x" * 900, failed=True)
    assert store.claim() is None
    assert len(job(store, "apply:REQ-1").trouble) == 500
    store.move_time(timedelta(hours=1, seconds=1))
    assert taken(store).key == "apply:REQ-1"


def test_a_buried_job_stays_to_be_seen_and_asking_again_revives_it(store: Store) -> None:
    ask(store, "plan", "REQ-1")
    claim = taken(store)
    with store.database.writing() as session:
        jobs.bury(session, claim, trouble="no such group")
    store.move_time(timedelta(days=30))
    let_the_lease_run_out(store)
    store.take_over()
    assert store.claim() is None
    buried = job(store, "plan:REQ-1")
    assert (buried.status, buried.trouble) == ("dead", "no such group")
    ask(store, "plan", "REQ-1")
    assert taken(store).key == "plan:REQ-1"


# -- when -------------------------------------------------------------------------------------------------------------


def test_the_next_due_is_the_earliest_ready_one_in_aware_time(store: Store) -> None:
    with store.read() as session:
        assert jobs.next_due(session) is None
    with store.write() as w:
        now = w.now
        w.enqueue("end", 1, at=now + timedelta(hours=2))
        w.enqueue("end", 2, at=now + timedelta(hours=1))
        w.enqueue("plan", 3, at=now)
    taken(store)
    with store.read() as session:
        assert jobs.next_due(session) == now + timedelta(hours=1)


def test_pauses_double_with_jitter_up_to_a_limit() -> None:
    for attempts in range(40):
        longest = min(jobs.LONGEST_PAUSE, 2.0 ** min(attempts, 10))
        pauses = [jobs.pause(attempts) for _ in range(200)]
        assert longest / 2 <= min(pauses) <= max(pauses) <= longest
        assert len(set(pauses)) > 100, "no two workers come back together"


def test_a_pause_is_never_shorter_than_the_other_side_asked_for() -> None:
    assert jobs.pause(1, 90.0) == 90.0
    assert jobs.pause(40, 1.0) >= jobs.LONGEST_PAUSE / 2
    assert jobs.pause(1, 0.0) >= 1.0
