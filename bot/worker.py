"""The worker: claims jobs the moment they are committed, runs them, and decides what a failure means."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from approvals import dead_letters, jobs
from approvals.crash import crash_point
from approvals.ports import OutsideError
from approvals.store import Stale, Store, Write
from approvals.trace import new_trace, traced
from approvals.writable import DATABASE, trouble_of
from bot.atlassian.budget import urgently
from bot.turn import TURN

if TYPE_CHECKING:
    from bot.listening import Listening

log = structlog.get_logger()
Run = Callable[[jobs.Claim], None]
LastWords = Callable[[Write, jobs.Claim], bool]  # close what a job belongs to that is given up; whether there was any
BEAT = 5.0  # seconds between renewals of the leases that are held
SETTLES = 5.0  # seconds that Atlassian has to finish what was cut off, before another worker looks
SOON = 2.0  # seconds before what the database stopped is tried again
AWAY = 1.0  # seconds before a database that failed is tried again
BUGS_FORGIVEN = 8  # tries of a job that raised something nobody expected
# An end is retried until it is true; what comes again and again, or guards a lost record, would be missing for ever.
NEVER_BURIED = jobs.RECURRING | {
    *("end", "bulk end", "group end", "glass heard", "wait", "review due"),
    *("outside", "safe mode", "safe mode over", "stray"),
}
BLINK = 0.05  # seconds that whoever comes next leaves a deed alone with the interpreter
DEEDS = frozenset({"count", "apply", "end", "bulk end", "group end"})
ENDS = frozenset({"end", "bulk end", "group end"})


class Worker:
    """A few threads that do the work in the order of its urgency, and one more that does nothing but the most urgent.

    Ends and break-glass begin where every other thread is in the middle of a long list.
    """

    def __init__(
        self,
        store: Store,
        kinds: Mapping[str, Run],
        *,
        last_words: Mapping[str, LastWords] | None = None,
        threads: int = 4,
        poll: float = 1.0,
    ) -> None:
        self.store = store
        self.kinds = dict(kinds)
        self.last_words = dict(last_words or {})
        self.on_failure: Callable[[str], None] = lambda kind: None  # for whoever counts
        self.poll = poll
        self._threads = [threading.Thread(target=self._loop, name=f"worker {n}", daemon=True) for n in range(threads)]
        self._threads.append(threading.Thread(target=self._loop, args=(jobs.ENDS,), name="worker ends", daemon=True))
        self._threads.append(threading.Thread(target=self._beat, name="heartbeat", daemon=True))
        self._held: dict[int, jobs.Claim] = {}
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # where those wait who do anything
        self._ends = threading.Condition(self._lock)  # where the one waits who does what is most urgent
        self._idle = 0  # of those who do anything
        self._asked = 0
        self._trouble = ""  # of the database
        self._doer: threading.Thread | None = None
        self._left_alone_until = 0.0  # monotonic seconds
        self._stopping = threading.Event()
        self.listening = None if store.database.is_sqlite else self._listening()
        if self.listening is not None:
            self._threads.append(threading.Thread(target=self.listening.run, name="listening", daemon=True))
        store.on_work(self.wake)

    def _listening(self) -> "Listening":
        from bot.listening import Listening  # with its driver, ten megabytes that SQLite has no use for

        return Listening(self.store.database, self.wake, self._stopping)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Something was enqueued: one thread looks, and wakes another if it finds work.

        The one that is kept for ends is woken only where nobody else is left, for whoever is looks for ends first too.
        """
        with self._lock:
            self._asked += 1
            (self._work if self._idle else self._ends).notify()

    def halt(self) -> None:
        """Take nothing more, and begin no further call in what is at hand. Takes no lock: a signal may do it."""
        self._stopping.set()
        for claim in list(self._held.values()):
            claim.halted = True

    def stop(self, patience: float) -> None:
        """Take nothing more, finish the steps at hand, give the rest back. ``patience`` in seconds."""
        self.halt()
        with self._lock:
            self._work.notify_all()
            self._ends.notify_all()
        until = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._release()

    def _release(self) -> None:
        """What is still in the middle of a call is another worker's soon, which reads before it calls.

        Whoever is in that call here finds the lease gone and writes nothing any more.
        """
        for claim in list(self._held.values()):
            try:
                self._put_off(claim, SETTLES, "the process that had it was stopped", failed=False)
            except SQLAlchemyError as error:  # then its lease runs out
                log.error("a job could not be given back", job=claim.key, kind=type(error).__name__)
            else:
                log.warning("given back in the middle of a call", job=claim.key)

    def run_until_idle(self) -> None:
        """Do all that is due now in the calling thread, for tests and tools."""
        while (claim := self.store.claim()) is not None:
            for each in self._one_after_another(claim):
                self.run(each)

    def _loop(self, least: int = jobs.BACKGROUND) -> None:
        """Until it is stopped; nothing less urgent than ``least`` is taken."""
        while not self._stopping.is_set():
            try:
                self._look(least)
            except SQLAlchemyError as error:  # the database is away: what was claimed comes back with its lease
                self._weather(trouble_of(error).why)
                self._stopping.wait(AWAY)

    def _weather(self, trouble: str) -> None:
        """Said when it turns, not at each try."""
        with self._lock:
            before, self._trouble = self._trouble, trouble
        if trouble and trouble != before:
            log.error("the database can't be used, so nothing is done", why=trouble, again_in=AWAY)
        elif before and not trouble:
            log.info("the database can be used again", was=before)

    def _look(self, least: int) -> None:
        """Do one piece of work, or wait until there may be some."""
        with self._lock:
            asked = self._asked
        self._let_others_begin()
        claim = self.store.claim(least)
        self._weather("")  # not after the wait: whoever has waited knows nothing of what came meanwhile
        if claim is not None:
            for each in self._one_after_another(claim):
                if each.kind in DEEDS:
                    self._doer, self._left_alone_until = threading.current_thread(), time.monotonic() + BLINK
                self.wake()
                self.run(each)
                if each.kind in DEEDS:
                    self._left_alone_until = 0.0
            return
        wait = self._idle_for(least)
        with self._lock:
            if self._asked == asked and not self._stopping.is_set():
                self._wait(wait, least)

    def _wait(self, seconds: float, least: int) -> None:
        if least <= jobs.ENDS:
            self._ends.wait(seconds)
            return
        self._idle += 1
        try:
            self._work.wait(seconds)
        finally:
            self._idle -= 1

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
        TURN.wait_while_wanted(BLINK)  # whoever is being answered goes first as well

    def _idle_for(self, least: int) -> float:
        with self.store.look() as connection:
            due = jobs.next_due(connection, least)
        return self.poll if due is None else min(self.poll, max(0.01, (due - self.store.now()).total_seconds()))

    def _beat(self) -> None:
        while not self._stopping.wait(BEAT):
            for claim in list(self._held.values()):
                try:
                    with self.store.database.changing() as connection:
                        jobs.hold(connection, claim)
                except jobs.LeaseLost:
                    if claim.id in self._held:  # not one that was just finished
                        log.warning("lease lost", job=claim.key)
                except SQLAlchemyError as error:  # tried again at the next beat
                    log.error("the database can't be used", kind=type(error).__name__, again_in=BEAT)

    def run(self, claim: jobs.Claim) -> None:
        """Run one job and write down what became of it, all under the trace of whatever caused it."""
        with traced(claim.trace or new_trace(), claim.key):
            try:
                self._run(claim)
            except jobs.LeaseLost:  # found out while its failure was to be written down: whoever has it now does that
                log.warning("lease lost", job=claim.key)

    def _run(self, claim: jobs.Claim) -> None:
        self._held[claim.id] = claim
        claim.halted = self._stopping.is_set()
        try:
            crash_point(f"{claim.kind}: claimed")
            with urgently(claim.priority <= jobs.ENDS):
                self.kinds[claim.kind](claim)
            crash_point(f"{claim.kind}: over")
        except jobs.Later as later:
            self._put_off(claim, later.seconds, str(later), failed=False)
        except jobs.Halted:
            self._put_off(claim, 0.0, "", failed=False)
        except jobs.LeaseLost:
            log.warning("lease lost", job=claim.key)
        except Stale as stale:  # as it is now there may still be something to do: an end that met its own gift has
            log.info("moved by somebody else", job=claim.key, now=stale.now.status)
            self._failed(claim, f"moved by somebody else: {stale.now.status}", None, claim.attempts >= BUGS_FORGIVEN)
        except OutsideError as error:
            self._outside(claim, error)
        except DATABASE as error:
            self._without_database(claim, error)
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

    def _without_database(self, claim: jobs.Claim, error: SQLAlchemyError) -> None:
        """Tried again soon, for as long as it takes; while not even that can be written, its lease runs out instead."""
        why = trouble_of(error).why
        log.error("the database could not be used", attempt=claim.attempts, kind=type(error).__name__, why=why)
        self.on_failure(claim.kind)
        self._put_off(claim, SOON, f"the database could not be used: {why}", failed=False)

    def _failed(self, claim: jobs.Claim, why: str, after: float | None, hopeless: bool) -> None:
        self.on_failure(claim.kind)
        if hopeless and claim.kind not in NEVER_BURIED:
            return self._give_up(claim, why)
        at = self.store.now() + timedelta(seconds=jobs.pause(claim.attempts, after))
        with self.store.write() as w:
            ours = jobs.put_off(w.connection, claim, at=at, trouble=why, failed=True)
            if ours and is_worth_telling(claim):  # else whoever has it now tells how it goes
                dead_letters.announce(w, claim, why, dead=False, daily=claim.kind not in ENDS)

    def _give_up(self, claim: jobs.Claim, why: str) -> None:
        """Buried, told, and what it belonged to closed, all at once."""
        try:
            self._bury(claim, why, self.last_words.get(claim.kind))
        except (jobs.LeaseLost, *DATABASE):
            raise
        except Exception:  # the edge: the same mistake may stand in the way of closing it; it is buried and told
            log.exception("what a job belonged to could not be closed", job=claim.key)
            self._bury(claim, why, None)

    def _bury(self, claim: jobs.Claim, why: str, last_words: LastWords | None) -> None:
        with self.store.work(claim) as w:
            closed = last_words(w, claim) if last_words is not None else False
            w.flush()
            if jobs.bury(w.connection, claim, trouble=why):
                dead_letters.announce(w, claim, why, dead=True, closed=closed)

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


def is_worth_telling(claim: jobs.Claim) -> bool:
    """Of a job that failed and is tried again: every few failures of an end, and what is never given up in the end.

    That is so whatever failed: an address that answers 404 may be mended, and may never be if nobody hears of it.
    """
    if claim.kind in ENDS:
        return claim.attempts % jobs.LOUD_AFTER == 0
    return claim.kind in NEVER_BURIED and claim.attempts >= BUGS_FORGIVEN
