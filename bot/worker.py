"""The worker: claims jobs the moment they are committed, runs them, and decides what a failure means."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from approvals import jobs
from approvals.crash import crash_point
from approvals.ports import OutsideError
from approvals.store import Stale, Store
from bot.atlassian.budget import urgently
from bot.turn import TURN

log = structlog.get_logger()
Run = Callable[[jobs.Claim], None]
BEAT = 5.0  # seconds between renewals of the leases that are held
AWAY = 1.0  # seconds before a database that failed is tried again
BUGS_FORGIVEN = 8  # tries of a job that raised something nobody expected
NEVER_BURIED = frozenset({  # an end is retried until it is true, and who comes again and again comes again
    "end", "bulk end", "mirror", "checkpoint", "events", "emergency", "heartbeat", "reconcile", "outside", "safe mode",
    "safe mode over", "stray",
})  # fmt: skip
BLINK = 0.05  # seconds that whoever comes next leaves a deed alone with the interpreter
DEEDS = frozenset({"count", "apply", "end", "bulk end"})
TALK = frozenset({"draw", "tell"})  # their trouble can't be told by more talk


class Worker:
    """A few threads that do the work in the order of its urgency."""

    def __init__(self, store: Store, kinds: Mapping[str, Run], *, threads: int = 4, poll: float = 1.0) -> None:
        self.store = store
        self.kinds = dict(kinds)
        self.poll = poll
        self._threads = [threading.Thread(target=self._loop, name=f"worker {n}", daemon=True) for n in range(threads)]
        self._threads.append(threading.Thread(target=self._beat, name="heartbeat", daemon=True))
        self._held: dict[int, jobs.Claim] = {}
        self._work = threading.Condition()
        self._asked = 0
        self._doer: threading.Thread | None = None
        self._left_alone_until = 0.0  # monotonic seconds
        self._stopping = threading.Event()
        store.on_work(self.wake)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Something was enqueued: one thread looks, and wakes another if it finds work."""
        with self._work:
            self._asked += 1
            self._work.notify()

    def stop(self, patience: float) -> None:
        """Take nothing more, finish the steps at hand, give the rest back. ``patience`` in seconds."""
        self._stopping.set()
        with self._work:
            self._work.notify_all()
        until = datetime.now(UTC) + timedelta(seconds=patience)
        for thread in self._threads:
            thread.join(max(0.0, (until - datetime.now(UTC)).total_seconds()))

    def run_until_idle(self) -> None:
        """Do all that is due now in the calling thread, for tests and tools."""
        while (claim := self.store.claim()) is not None:
            for each in self._one_after_another(claim):
                self.run(each)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self._look()
            except SQLAlchemyError as error:  # the database is away: what was claimed comes back with its lease
                log.error("the database can't be used", kind=type(error).__name__, again_in=AWAY)
                self._stopping.wait(AWAY)

    def _look(self) -> None:
        """Do one piece of work, or wait until there may be some."""
        with self._work:
            asked = self._asked
        self._let_others_begin()
        claim = self.store.claim()
        if claim is not None:
            for each in self._one_after_another(claim):
                if each.kind in DEEDS:
                    self._doer, self._left_alone_until = threading.current_thread(), time.monotonic() + BLINK
                self.wake()
                self.run(each)
                if each.kind in DEEDS:
                    self._left_alone_until = 0.0
            return
        wait = self._idle_for()
        with self._work:
            if self._asked == asked and not self._stopping.is_set():
                self._work.wait(wait)

    def _one_after_another(self, claim: jobs.Claim) -> Iterator[jobs.Claim]:
        """A job, and each that the last transaction of the one before has claimed for us."""
        following: jobs.Claim | None = claim
        while following is not None:
            following.takes_next = True
            yield following
            following = following.following
            if following is not None and self._stopping.is_set():
                self._put_off(following, 0.0, "", failed=False)
                return

    def _let_others_begin(self) -> None:
        """Drawing cards would compete for the interpreter with what they are about, and be drawn again after it."""
        who = threading.current_thread()
        while who is not self._doer and time.monotonic() < self._left_alone_until:
            self._stopping.wait(BLINK / 10)
        until = time.monotonic() + BLINK  # whoever is being answered goes first as well
        while TURN.wanted() and time.monotonic() < until:
            self._stopping.wait(BLINK / 50)

    def _idle_for(self) -> float:
        with self.store.look() as connection:
            due = jobs.next_due(connection)
        return self.poll if due is None else min(self.poll, max(0.01, (due - self.store.now()).total_seconds()))

    def _beat(self) -> None:
        while not self._stopping.wait(BEAT):
            for claim in list(self._held.values()):
                try:
                    with self.store.database.changing() as connection:
                        jobs.hold(connection, claim, clock=datetime.now(UTC))
                except jobs.LeaseLost:
                    if claim.id in self._held:  # not one that was just finished
                        log.warning("lease lost", job=claim.key)
                except SQLAlchemyError as error:  # tried again at the next beat
                    log.error("the database can't be used", kind=type(error).__name__, again_in=BEAT)

    def run(self, claim: jobs.Claim) -> None:
        """Run one job and write down what became of it."""
        self._held[claim.id] = claim
        try:
            crash_point(f"{claim.kind}: claimed")
            with urgently(claim.priority <= jobs.ENDS):
                self.kinds[claim.kind](claim)
            crash_point(f"{claim.kind}: over")
        except jobs.Later as later:
            self._put_off(claim, later.seconds, str(later), failed=False)
        except jobs.LeaseLost:
            log.warning("lease lost", job=claim.key)
        except Stale as stale:
            log.info("moved by somebody else", job=claim.key, now=stale.now.status)
            self._finish(claim)
        except OutsideError as error:
            self._outside(claim, error)
        except OperationalError as error:  # the database's trouble is no bug of the job's, which waits until it is over
            log.error("the database can't be used", kind=type(error).__name__, job=claim.key)
            self._failed(claim, f"{type(error).__name__}: {error}", None, hopeless=False)
        except Exception as error:  # the edge: whatever else it is, it is a bug, logged once and tried again
            log.exception("job raised", job=claim.key, attempt=claim.attempts)
            self._failed(claim, f"{type(error).__name__}: {error}", None, claim.attempts >= BUGS_FORGIVEN)
        else:
            if not claim.done:
                self._finish(claim)
        finally:
            self._held.pop(claim.id, None)

    def _outside(self, claim: jobs.Claim, error: OutsideError) -> None:
        log.warning("job put off", job=claim.key, attempt=claim.attempts, why=str(error), retry=error.retry)
        self._failed(claim, str(error), error.after, not error.retry)

    def _failed(self, claim: jobs.Claim, why: str, after: float | None, hopeless: bool) -> None:
        dead = hopeless and claim.kind not in NEVER_BURIED
        if dead:
            with self.store.database.changing() as connection:
                jobs.bury(connection, claim, trouble=why)
        else:
            self._put_off(claim, jobs.pause(claim.attempts, after), why, failed=True)
        loud = dead or (claim.kind in ("end", "bulk end") and claim.attempts % jobs.LOUD_AFTER == 0)
        if loud and claim.kind not in TALK:
            with self.store.write() as w:
                once = f"trouble:{claim.key}:{claim.attempts}"
                w.tell(
                    "job_in_trouble",
                    place="operators",
                    once=once,
                    job=claim.key,
                    dead=dead,
                    attempts=claim.attempts,
                    why=why,
                )

    def _put_off(self, claim: jobs.Claim, seconds: float, why: str, *, failed: bool) -> None:
        at = self.store.now() + timedelta(seconds=seconds)
        with self.store.database.changing() as connection:
            jobs.put_off(connection, claim, at=at, trouble=why, failed=failed)

    def _finish(self, claim: jobs.Claim) -> None:
        try:
            with self.store.database.changing() as connection:
                jobs.finish(connection, claim)
        except jobs.LeaseLost:  # done twice, which every job bears; whoever has it now finishes it
            log.warning("lease lost", job=claim.key)
