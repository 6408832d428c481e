"""Processes whose threads do things to the same requests at the same instants, and work like any worker besides."""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import update
from sqlmodel import col

from approvals import jobs
from approvals.database import Database
from approvals.models import AccessRequest, Grant
from approvals.store import Store
from approvals.workflow import Click, Refused
from bot.sandbox import seed
from tests.support.world import COMPANY, MemoryDirectory, MemoryIncidents, World

PROCESSES, THREADS = 3, 2
SLOTS = PROCESSES * THREADS
PATIENCE = 120.0  # seconds for one contest, however busy the machine is


@dataclass(frozen=True)
class Deed:
    """What one of them does: ``does`` is approve, deny, cancel, end, lapse or expire."""

    does: str
    who: str  # handle; empty: time itself
    request: str
    grant: int = 0
    after: float = 0.0  # seconds; a click is judged by a job, and what needs none would always be first


Contest = dict[int, Deed]  # by slot
Answers = list[tuple[Deed, str]]  # what each was answered: empty when it was taken


def act(world: World, deed: Deed) -> str:
    """Why it was refused; empty when it was not."""
    time.sleep(deed.after)
    source = f"{deed.does} of {deed.request} by {deed.who}"
    try:
        match deed.does:
            case "approve" | "deny":
                user = COMPANY.person(deed.who).slack_id
                world.workflow.vote(
                    Click(deed.request, 1, deed.does, seed.SLACK_TEAM, user, "D1", source, reason="not now")
                )
            case "cancel":
                world.workflow.cancel(world.speaker(deed.who), deed.request, source)
            case "end":
                world.workflow.end(world.speaker(deed.who), deed.request, source)
            case "lapse":
                its_time_is_over(world.store, deed, "wait")
            case "expire":
                its_time_is_over(world.store, deed, "end")
    except Refused as refused:
        return str(refused)
    return ""


def its_time_is_over(store: Store, deed: Deed, job: str) -> None:
    """As if it had been asked for so long ago: the job that looks after it is due now."""
    with store.write() as w:
        lapses = update(AccessRequest).where(col(AccessRequest.id) == deed.request).values(lapses_at=w.now)
        ends = update(Grant).where(col(Grant.id) == deed.grant).values(ends_at=w.now)
        w.connection.execute(lapses if job == "wait" else ends)
        w.enqueue(job, deed.request if job == "wait" else deed.grant, priority=jobs.ENDS)


def rival(url: str, number: int, together: Any, pipe: Any) -> None:
    """One process. Each of its threads meets all others before each contest."""
    with closing(Database(url)) as database:
        outside = SimpleNamespace(directory=MemoryDirectory({}), incidents=MemoryIncidents(), clicks=0)
        world = World(Store(database), after=cast(World, outside))
        world.worker.kinds["apply"] = lambda claim: None  # what was approved stays so, for whoever judges
        slots = range(number * THREADS, (number + 1) * THREADS)

        def goes_through(slot: int, contests: Sequence[Contest]) -> Answers:
            said = []
            for contest in contests:
                cast(Barrier, together).wait(PATIENCE)
                if slot in contest:
                    said.append((contest[slot], act(world, contest[slot])))
                world.run()
            return said

        with ThreadPoolExecutor(THREADS) as threads, suppress(EOFError):  # whoever judges has seen enough
            while True:
                contests = pipe.recv()
                answers = [threads.submit(goes_through, slot, contests) for slot in slots]
                pipe.send([one for answer in answers for one in answer.result()])


class Rivals:
    """All of them, from the process that judges."""

    def __init__(self, pipes: Sequence[Any]) -> None:
        self._pipes = pipes

    def fight(self, contests: Sequence[Contest]) -> Answers:
        for pipe in self._pipes:
            pipe.send(contests)
        return [one for pipe in self._pipes for one in pipe.recv()]


@contextmanager
def rivals(url: str) -> Iterator[Rivals]:
    fresh = multiprocessing.get_context("spawn")
    together, ends = fresh.Barrier(SLOTS), [fresh.Pipe() for _ in range(PROCESSES)]
    started = [
        fresh.Process(target=rival, args=(url, number, together, there), daemon=True)
        for number, (_, there) in enumerate(ends)
    ]
    for process, (_, there) in zip(started, ends, strict=True):
        process.start()
        there.close()  # so that it is known when the process has died
    try:
        yield Rivals([here for here, _ in ends])
    finally:
        together.abort()  # nobody waits for one that has died
        for here, _ in ends:
            here.close()
        for process in started:
            process.join(PATIENCE)
