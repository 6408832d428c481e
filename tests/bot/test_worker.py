"""The worker: what a failure means, who hears of it, and that nothing waits for a clock that ticks."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlmodel import select
from structlog.testing import capture_logs

import bot.worker
from approvals import jobs
from approvals.budget import Allowance, RateBudgets
from approvals.database import Database
from approvals.models import AccessRequest, AuditEntry, Job, News
from approvals.ports import DirectoryError, OutsideError, PeopleError
from approvals.store import MACHINE, Stale, Store, Write
from bot.atlassian.budget import Allowances, Budget
from bot.worker import BUGS_FORGIVEN, Worker

NEVER = 3600.0  # seconds between two looks: in a test's time the worker does not look by itself
LONG = 30  # seconds after which a test gives up waiting for an event


class Bench:
    """A worker with one kind of job, which does what the test says, and what became of the jobs."""

    def __init__(self, store: Store, kind: str = "apply", *, threads: int = 2) -> None:
        self.store = store
        self.kind = kind
        self.done: list[str] = []
        self.act: Callable[[jobs.Claim], None] = lambda claim: None
        self.worker = Worker(store, {kind: self._run}, threads=threads, poll=NEVER)

    def _run(self, claim: jobs.Claim) -> None:
        self.act(claim)
        self.done.append(claim.about)

    def enqueue(self, about: str = "REQ-1") -> None:
        with self.store.write() as w:
            w.enqueue(self.kind, about)

    def run(self, times: int = 1) -> None:
        """Run what is there, made due each time."""
        for _ in range(times):
            now = self.store.now()
            with self.store.database.writing() as session:
                for job in session.exec(select(Job).where(Job.status == "ready")):
                    ours = job.kind == self.kind
                    job.run_at = now + timedelta(seconds=-1 if ours else 3600)
            claim = self.store.claim()
            assert claim is not None
            self.worker.run(claim)

    def job(self) -> Job | None:
        with self.store.read() as session:
            return session.exec(select(Job).where(Job.kind == self.kind)).first()

    def told(self) -> list[News]:
        with self.store.read() as session:
            return list(session.exec(select(News).where(News.place == "operators")))


def raising(error: Exception) -> Callable[[jobs.Claim], None]:
    def act(claim: jobs.Claim) -> None:
        raise error

    return act


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    """Nobody reads the log here, and drawing a traceback with all it holds takes seconds."""
    with capture_logs():
        yield


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


def test_a_job_that_is_done_is_gone(bench: Bench) -> None:
    bench.enqueue()
    bench.run()
    assert bench.done == ["REQ-1"]
    assert bench.job() is None


def test_whoever_lost_a_job_says_nothing_of_its_failures(store: Store) -> None:
    """Another one has it, and is perhaps done: that it is tried again would be false."""
    bench = Bench(store, "end")
    bench.enqueue("7")

    def act(claim: jobs.Claim) -> None:
        with store.database.writing() as session:
            session.exec(update(Job).values(lease="somebody else", status="running"))
        raise DirectoryError("no answer", retry=True)

    bench.act = act
    with store.database.writing() as session:
        session.exec(update(Job).values(attempts=jobs.LOUD_AFTER - 1))
    bench.run()
    job = bench.job()
    assert job is not None
    assert (job.lease, job.status, bench.told()) == ("somebody else", "running", [])


def test_what_was_claimed_with_a_commit_is_done_though_whoever_counts_raises(bench: Bench) -> None:
    """Else it would wait for its lease to run out, with nobody at work on it."""

    def raises(happened: object) -> None:
        raise ZeroDivisionError

    bench.enqueue()
    claim = bench.store.claim()
    assert claim is not None
    claim.takes_next = True
    bench.store.on_happened(raises)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012, SIM117
        with bench.store.work(claim, last=True) as w:
            w.enqueue("apply", "REQ-2", priority=jobs.EFFECTS)
            w.note_refusal("asked", actor=MACHINE, because="no")
    assert claim.done
    assert claim.following is not None
    assert claim.following.about == "REQ-2"


def test_a_job_that_waits_is_put_off_and_not_counted(bench: Bench) -> None:
    bench.act = raising(jobs.Later(600, "the card comes first"))
    bench.enqueue()
    bench.run(times=20)
    job = bench.job()
    assert job is not None
    assert (job.status, job.attempts, job.trouble) == ("ready", 0, "the card comes first")
    assert job.run_at > datetime.now(UTC) + timedelta(seconds=500)
    assert bench.told() == []


@pytest.mark.parametrize("error", [OutsideError, DirectoryError, PeopleError])
def test_trouble_outside_is_tried_again_for_ever(bench: Bench, error: type[OutsideError]) -> None:
    bench.act = raising(error("Atlassian: there was no answer", retry=True, after=120.0))
    bench.enqueue()
    bench.run(times=BUGS_FORGIVEN + 5)
    job = bench.job()
    assert job is not None
    assert (job.status, job.attempts) == ("ready", BUGS_FORGIVEN + 5)
    assert job.run_at >= datetime.now(UTC) + timedelta(seconds=100)  # at least as long as the other side asked for
    assert bench.told() == []


def test_trouble_that_no_repeat_mends_is_given_up_and_operators_hear_why(bench: Bench) -> None:
    bench.act = raising(DirectoryError("Atlassian: it is not allowed"))
    bench.enqueue()
    bench.run()
    job = bench.job()
    assert job is not None
    assert (job.status, job.trouble) == ("dead", "Atlassian: it is not allowed")
    (news,) = bench.told()
    assert news.kind == "job_in_trouble"
    assert "it is not allowed" in news.facts
    assert '"dead": true' in news.facts


def test_a_bug_is_forgiven_a_few_times_and_then_told(bench: Bench) -> None:
    bench.act = raising(ZeroDivisionError("division by zero"))
    bench.enqueue()
    bench.run(times=BUGS_FORGIVEN - 1)
    job = bench.job()
    assert job is not None
    assert (job.status, job.attempts, bench.told()) == ("ready", BUGS_FORGIVEN - 1, [])
    bench.run()
    job = bench.job()
    assert job is not None
    assert job.status == "dead"
    (news,) = bench.told()
    assert "ZeroDivisionError" in news.facts


def test_a_database_in_trouble_is_no_bug_of_the_job_and_tried_again_for_ever(bench: Bench) -> None:
    bench.act = raising(OperationalError("a statement", {}, Exception("database or disk is full")))
    bench.enqueue()
    bench.run(times=BUGS_FORGIVEN + 5)
    job = bench.job()
    assert job is not None
    assert (job.status, job.attempts) == ("ready", 0)
    bench.act = lambda claim: None
    bench.run()
    assert bench.job() is None


def test_a_dead_job_that_is_asked_for_again_lives(bench: Bench) -> None:
    bench.act = raising(DirectoryError("no"))
    bench.enqueue()
    bench.run()
    bench.act = lambda claim: None
    bench.enqueue()
    bench.run()
    assert bench.job() is None


def test_an_end_is_never_given_up_and_shouts(store: Store) -> None:
    bench = Bench(store, "end")
    bench.act = raising(DirectoryError("Atlassian: it is not allowed"))
    bench.enqueue("1")
    bench.run(times=9)
    job = bench.job()
    assert job is not None
    assert (job.status, job.attempts) == ("ready", 9)
    assert len(bench.told()) == 3  # at every third failure
    assert all('"dead": false' in news.facts for news in bench.told())


@pytest.mark.parametrize(("priority", "calls"), [(jobs.ENDS, 2), (jobs.EFFECTS, 1), (jobs.ORDINARY, 1)])
def test_only_the_most_pressing_work_uses_the_calls_that_are_kept_back(bench: Bench, priority: int, calls: int) -> None:
    allowance = Allowance("all", 4, "ours", slice=1, reserve=1, window=timedelta(days=1))
    budget = Budget(RateBudgets(bench.store.database), "key", Allowances({}, allowance))
    made: list[bool] = []
    bench.act = lambda claim: made.extend(budget.spend("/x") == 0.0 for _ in range(3))
    with bench.store.write() as w:
        w.enqueue(bench.kind, "REQ-1", priority=priority)
    bench.run()
    assert sum(made) == calls


@pytest.mark.parametrize("kind", ["draw", "tell"])
def test_a_message_that_can_not_be_sent_is_no_secret_either(store: Store, kind: str) -> None:
    bench = Bench(store, kind)
    bench.act = raising(OutsideError("Slack: invalid_blocks"))
    bench.enqueue("17")
    bench.run()
    job = bench.job()
    assert job is not None
    assert job.status == "dead"
    (news,) = bench.told()
    assert f'"job": "{kind}:17"' in news.facts


def test_trouble_with_telling_of_trouble_is_not_told_for_ever(store: Store) -> None:
    with store.write() as w:
        w.tell("job_in_trouble", place="operators", once="x", job="apply:1", dead=True, attempts=8, why="x", about="")
    bench = Bench(store, "tell")
    bench.act = raising(OutsideError("Slack: invalid_blocks"))
    bench.run()
    job = bench.job()
    assert job is not None
    assert job.status == "dead"
    assert len(bench.told()) == 1


@pytest.mark.parametrize(
    ("kind", "about"),
    [
        *(("mirror", "slack"), ("checkpoint", "log"), ("watch", "keys")),
        *(("wait", "REQ-1"), ("review due", "REQ-1"), ("glass heard", "REQ-1")),
    ],
)
def test_what_comes_again_and_again_is_never_given_up_and_its_bug_is_told_once(
    store: Store, kind: str, about: str
) -> None:
    bench = Bench(store, kind)
    bench.act = raising(ZeroDivisionError("division by zero"))
    bench.enqueue(about)
    bench.run(times=2 * BUGS_FORGIVEN)
    job = bench.job()
    assert job is not None
    assert job.status == "ready"
    (news,) = bench.told()
    assert '"dead": false' in news.facts


NO_ANSWER = OutsideError("CHECKPOINT_WEBHOOK_URL: HTTP 404", retry=True)


def test_what_is_never_given_up_and_fails_is_told_once_a_day_while_it_lasts(store: Store) -> None:
    """Also what another try might mend: an address that answers 404 does so for months."""
    bench = Bench(store, "checkpoint")
    bench.act = raising(NO_ANSWER)
    bench.enqueue("webhook")
    bench.run(times=BUGS_FORGIVEN - 1)
    assert bench.told() == []
    for days in (0, 1, 2):
        store.move_time(timedelta(days=days))
        bench.run(times=BUGS_FORGIVEN)
        assert len(bench.told()) == days + 1
    assert "HTTP 404" in bench.told()[-1].facts


@pytest.mark.parametrize(("kind", "about"), [("mirror", "slack"), ("checkpoint", "webhook"), ("watch", "record")])
def test_trouble_that_comes_back_another_day_is_told_again(store: Store, kind: str, about: str) -> None:
    bench = Bench(store, kind)
    for days in (0, 1, 7):
        store.move_time(timedelta(days=days))
        bench.act = raising(NO_ANSWER)
        bench.enqueue(about)
        bench.run(times=BUGS_FORGIVEN + 2)
        bench.act = lambda claim: None
        bench.run()
        assert bench.job() is None
    assert len(bench.told()) == 3


@pytest.mark.parametrize("kind", ["end", "bulk end", "group end"])
def test_an_end_that_fails_again_after_it_was_done_shouts_again(store: Store, kind: str) -> None:
    """On the same day too: of one holding there may be several ends."""
    bench = Bench(store, kind)
    for shouts in (1, 2):
        bench.act = raising(DirectoryError("Atlassian: it is not allowed"))
        bench.enqueue("5")
        bench.run(times=jobs.LOUD_AFTER)
        bench.act = lambda claim: None
        bench.run()
        assert len(bench.told()) == shouts


class Killed(BaseException):
    """The process is gone."""


def test_who_was_killed_before_trouble_was_told_tells_it_at_the_next_try(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(store, "mirror")
    bench.act = raising(NO_ANSWER)
    bench.enqueue("slack")
    bench.run(times=BUGS_FORGIVEN - 1)
    with monkeypatch.context() as dying:
        dying.setattr(bot.worker.dead_letters, "announce", lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            bench.run()
    assert bench.told() == []
    store.take_over()  # it is told and given back at once, so the job is still the dead one's
    bench.run(times=2)
    assert len(bench.told()) == 1


# -- what is given up -----------------------------------------------------------------------------------------------


def dies(bench: Bench) -> None:
    bench.act = raising(DirectoryError("no"))
    bench.enqueue()
    bench.run()


def test_each_death_is_told_once_also_of_a_job_that_lived_again(bench: Bench) -> None:
    for deaths in (1, 2, 3):
        dies(bench)
        assert len(bench.told()) == deaths


def test_last_words_are_written_with_the_death_and_told_with_it(bench: Bench) -> None:
    def last_words(w: Write, claim: jobs.Claim) -> bool:
        w.audit("closed", actor=MACHINE, data={"about": claim.about})
        return True

    bench.worker.last_words["apply"] = last_words
    dies(bench)
    (news,) = bench.told()
    assert '"closed": true' in news.facts
    with bench.store.read() as session:
        assert session.exec(select(AuditEntry).where(AuditEntry.event == "closed")).one()


def test_last_words_that_fail_too_leave_no_trace_and_the_job_is_buried_all_the_same(bench: Bench) -> None:
    def last_words(w: Write, claim: jobs.Claim) -> bool:
        w.audit("closed", actor=MACHINE)
        raise ZeroDivisionError

    bench.worker.last_words["apply"] = last_words
    dies(bench)
    job = bench.job()
    assert job is not None
    assert job.status == "dead"
    (news,) = bench.told()
    assert '"closed": false' in news.facts
    with bench.store.read() as session:
        assert session.exec(select(AuditEntry).where(AuditEntry.event == "closed")).first() is None


def test_what_is_asked_for_while_it_dies_is_tried_once_more(bench: Bench) -> None:
    def act(claim: jobs.Claim) -> None:
        bench.enqueue()
        raise DirectoryError("no")

    bench.act = act
    bench.enqueue()
    bench.run()
    job = bench.job()
    assert job is not None
    assert (job.status, bench.told()) == ("ready", [])
    dies(bench)
    assert len(bench.told()) == 1


def test_a_job_that_somebody_else_holds_by_now_is_not_given_up(bench: Bench) -> None:
    def act(claim: jobs.Claim) -> None:
        with bench.store.database.writing() as session:
            session.execute(update(Job).values(lease="another"))
        raise DirectoryError("no")

    bench.act = act
    bench.enqueue()
    bench.run()
    job = bench.job()
    assert job is not None
    assert (job.status, job.lease, bench.told()) == ("running", "another", [])


@pytest.mark.parametrize("error", [OperationalError, InterfaceError, InternalError])
def test_trouble_of_the_database_never_kills_a_job(bench: Bench, error: type[DBAPIError]) -> None:
    """A server that is restarted every few seconds is not a mistake of the work that it interrupts."""
    bench.act = raising(error("UPDATE", {}, Exception("the server closed the connection unexpectedly")))
    bench.enqueue()
    bench.run(times=BUGS_FORGIVEN + 5)
    job = bench.job()
    assert job is not None
    assert (job.status, job.attempts, bench.told()) == ("ready", 0, [])
    assert job.run_at <= datetime.now(UTC) + timedelta(seconds=5), "what goes on must go on soon"


def test_who_comes_too_late_looks_again(bench: Bench) -> None:
    """As it is now there may still be something to do: only the job itself can tell."""
    bench.act = raising(Stale(AccessRequest(id="REQ-1", status="denied")))
    bench.enqueue()
    bench.run()
    job = bench.job()
    assert job is not None
    assert (job.status, job.attempts, bench.told()) == ("ready", 1, [])
    assert job.run_at <= datetime.now(UTC) + timedelta(seconds=3)
    bench.act = lambda claim: None
    bench.run()
    assert bench.job() is None


def test_who_lost_the_lease_writes_nothing(bench: Bench) -> None:
    bench.act = raising(jobs.LeaseLost("apply:REQ-1"))
    bench.enqueue()
    bench.run()
    job = bench.job()
    assert job is not None
    assert job.status == "running"  # whoever holds it now finishes it


def test_a_job_of_a_kind_nobody_knows_is_kept_and_counted(bench: Bench) -> None:
    with bench.store.write() as w:
        w.enqueue("unheard of", "x")
    claim = bench.store.claim()
    assert claim is not None
    bench.worker.run(claim)
    with bench.store.read() as session:
        job = session.exec(select(Job)).one()
    assert (job.status, job.attempts) == ("ready", 1)


# -- with threads ---------------------------------------------------------------------------------------------------


@pytest.fixture
def started(bench: Bench) -> Iterator[Bench]:
    bench.worker.start()
    yield bench
    bench.worker.stop(patience=LONG)


def test_work_that_is_committed_is_begun_without_waiting_for_the_next_look(started: Bench) -> None:
    begun = threading.Event()
    started.act = lambda claim: begun.set()
    started.enqueue()
    assert begun.wait(LONG)


def test_work_is_begun_however_often_the_worker_was_idle_before(started: Bench) -> None:
    for number in range(20):
        begun = threading.Event()
        started.act = lambda claim, begun=begun: begun.set()  # type: ignore[misc]
        started.enqueue(f"REQ-{number}")
        assert begun.wait(LONG)


def test_two_pieces_of_work_are_done_side_by_side(started: Bench) -> None:
    both = threading.Barrier(2, timeout=LONG)
    over = threading.Semaphore(0)

    def act(claim: jobs.Claim) -> None:
        both.wait()
        over.release()

    started.act = act
    started.enqueue("REQ-1")
    started.enqueue("REQ-2")
    assert over.acquire(timeout=LONG)
    assert over.acquire(timeout=LONG)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("due", [timedelta(0), timedelta(seconds=0.2)], ids=["at once", "at its time"])
def test_an_end_begins_while_every_thread_is_in_the_middle_of_something_long(
    store: Store, threads: int, due: timedelta
) -> None:
    bench = Bench(store, threads=threads)
    held, go_on, ended = threading.Semaphore(0), threading.Event(), threading.Event()

    def act(claim: jobs.Claim) -> None:
        held.release()
        go_on.wait(LONG)

    bench.act = act
    bench.worker.kinds["end"] = lambda claim: ended.set()
    for number in range(threads + 1):
        bench.enqueue(f"REQ-{number}")
    bench.worker.start()
    try:
        for _ in range(threads):
            assert held.acquire(timeout=LONG)
        with store.write() as w:
            w.enqueue("end", 7, at=w.now + due, priority=jobs.ENDS)
        assert ended.wait(LONG)
        assert not held.acquire(blocking=False), "what is kept for ends took something else"
    finally:
        go_on.set()
        bench.worker.stop(patience=LONG)


def test_whoever_is_kept_for_ends_goes_on_with_nothing_else(store: Store) -> None:
    """The last transaction of an end claims what is most urgent then, which may be a list of an hour."""
    with store.write() as w:
        w.enqueue("end", 7, priority=jobs.ENDS)
    claim = store.claim(jobs.ENDS)
    assert claim is not None
    claim.takes_next = True
    with store.work(claim, last=True) as w:
        w.enqueue("apply", "REQ-1", priority=jobs.EFFECTS)
    assert claim.following is None
    assert store.claim(jobs.ENDS) is None
    assert store.claim() is not None


def test_what_is_asked_for_while_it_runs_is_done_once_more(started: Bench) -> None:
    runs, first, go_on = threading.Semaphore(0), threading.Event(), threading.Event()

    def act(claim: jobs.Claim) -> None:
        first.set()
        go_on.wait(LONG)
        runs.release()

    started.act = act
    started.enqueue()
    assert first.wait(LONG)
    started.enqueue()
    go_on.set()
    assert runs.acquire(timeout=LONG)
    started.enqueue("wake")  # the repeat is found at the next look
    assert runs.acquire(timeout=LONG)
    assert runs.acquire(timeout=LONG)


def test_a_lease_is_renewed_while_the_work_lasts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.worker, "BEAT", 0.02)
    renewed, begun = threading.Event(), threading.Event()
    first: list[Any] = []

    def act(claim: jobs.Claim) -> None:
        begun.set()
        for _ in range(LONG * 50):
            job = bench.job()
            assert job is not None
            first.append(job.leased_until)
            if job.leased_until != first[0]:
                renewed.set()
                return
            threading.Event().wait(0.02)

    bench.act = act
    bench.worker.start()
    try:
        bench.enqueue()
        assert begun.wait(LONG)
        assert renewed.wait(LONG)
        assert max(first) > first[0]
    finally:
        bench.worker.stop(patience=LONG)


def test_told_to_stop_it_finishes_what_it_has_in_hand_and_begins_nothing(bench: Bench) -> None:
    bench.worker.start()
    begun, go_on = threading.Semaphore(0), threading.Event()

    def act(claim: jobs.Claim) -> None:
        begun.release()
        go_on.wait(LONG)

    bench.act = act
    for number in range(5):
        bench.enqueue(f"REQ-{number}")
    assert begun.acquire(timeout=LONG)
    assert begun.acquire(timeout=LONG)  # both threads have work
    stopping = threading.Thread(target=lambda: bench.worker.stop(patience=LONG))
    stopping.start()
    bench.worker._stopping.wait(LONG)
    go_on.set()
    stopping.join(LONG)
    assert not stopping.is_alive()
    assert len(bench.done) == 2
    with bench.store.read() as session:
        left = session.exec(select(Job.status)).all()
    assert list(left) == ["ready"] * 3


class Shaky(Store):
    """A record whose database is away for the first few looks."""

    failures = 5

    def claim(self, least: int = jobs.BACKGROUND) -> jobs.Claim | None:
        if self.failures:
            self.failures -= 1
            raise OperationalError("SELECT", {}, Exception("the server closed the connection unexpectedly"))
        return super().claim(least)


def test_a_database_that_was_away_is_tried_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's thread that ends with the first lost connection would leave a bot that takes orders and does none."""
    monkeypatch.setattr(bot.worker, "AWAY", 0.01)
    bench = Bench(Shaky(database))
    begun = threading.Event()
    bench.act = lambda claim: begun.set()
    bench.enqueue()
    bench.worker.start()
    try:
        assert begun.wait(LONG)
    finally:
        bench.worker.stop(patience=LONG)


def test_a_database_that_goes_away_in_the_middle_of_work_leaves_the_job(bench: Bench) -> None:
    bench.act = raising(OperationalError("UPDATE", {}, Exception("gone")))
    bench.enqueue()
    bench.run()
    job = bench.job()
    assert job is not None
    assert (job.status, job.attempts) == ("ready", 0)


# -- told to stop ---------------------------------------------------------------------------------------------------


def test_what_is_in_the_middle_of_a_call_when_patience_ends_is_given_back_and_can_write_nothing(bench: Bench) -> None:
    begun, go_on, over = threading.Event(), threading.Event(), threading.Event()
    lost: list[Exception] = []

    def act(claim: jobs.Claim) -> None:
        begun.set()
        go_on.wait(LONG)
        try:
            with bench.store.work(claim) as w:
                w.audit("too late", actor=MACHINE)
        except jobs.LeaseLost as error:
            lost.append(error)
        finally:
            over.set()

    bench.act = act
    bench.worker.start()
    bench.enqueue()
    assert begun.wait(LONG)
    bench.worker.stop(patience=0.1)
    job = bench.job()
    assert job is not None
    assert (job.status, job.lease, job.attempts) == ("ready", None, 0)
    assert job.run_at > bench.store.now(), "Atlassian may still be doing what it was asked"
    go_on.set()
    assert over.wait(LONG)
    bench.worker.stop(patience=LONG)
    assert len(lost) == 1
    with bench.store.read() as session:
        assert session.exec(select(AuditEntry).where(AuditEntry.event == "too late")).first() is None


def test_a_job_that_is_told_to_stop_between_two_calls_is_ready_for_another_at_once(bench: Bench) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def act(claim: jobs.Claim) -> None:
        begun.set()
        go_on.wait(LONG)
        if claim.halted:
            raise jobs.Halted(claim.key)

    bench.act = act
    bench.worker.start()
    bench.enqueue()
    assert begun.wait(LONG)
    bench.worker.halt()
    go_on.set()
    bench.worker.stop(patience=LONG)
    job = bench.job()
    assert job is not None
    assert (job.status, job.attempts, job.trouble) == ("ready", 0, "")
    assert job.run_at <= bench.store.now()
