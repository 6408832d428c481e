"""One simulated run of the whole bot, drawn by a seed: one process, one thread, a day or more of a company's life.

    python -m tests.torture.simulation --seed 4711          one run, told in full: the same each time
    python -m tests.torture.simulation --first 0 --runs 500 many runs; what they met as JSON (GATEHOUSE_MINUTES: an end)

The product's own code runs on a real SQLite in memory; Atlassian, Slack, the clock and the chance are simulated.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy.exc import SQLAlchemyError

from approvals import crash
from tests.support.share import time_is_up
from tests.torture.clock import Clock, simulated
from tests.torture.crew import Crew, Killed
from tests.torture.judge import Judge
from tests.torture.machine import Machine
from tests.torture.messages import SimulatedSlack
from tests.torture.organization import Organization
from tests.torture.people import People
from tests.torture.reach import Reach
from tests.torture.record import Record, furnished, the_record
from tests.torture.stories import Story, by_hand, story_of
from tests.torture.weather import HOUR, Trouble, Weather, database_error, trouble_of

BETWEEN = 25  # runs from one look for garbage to the next
# Of the few people there are two are a crowd; and looking every minute would take most of a run's time.
SMALLER: dict[str, Any] = {
    "approvals.ending.CROWD": 2, "approvals.ending_together.CROWD": 2,
    "approvals.reconciliation.SOON": timedelta(minutes=4),
}  # fmt: skip
WITH_CARDS = 0.15  # of the runs draw every card, which takes half of their time
WITH_LOOKS = 0.15
CALM_AFTERWARDS = 100 * HOUR  # from when nothing goes wrong any more: a review is asked for until its third day


class Simulation:
    """The world of one run, and the hooks by which it happens to the bot."""

    def __init__(self, seed: int, trouble: Trouble | None = None, *, cards: bool | None = None) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        trouble = trouble or trouble_of(seed)
        drawn = self.chance.random() < WITH_CARDS
        self.cards = drawn if cards is None else cards  # drawn and redrawn as in Slack, or only cried
        looked = self.chance.choice(("report", "repair"))
        self.looks = looked if self.chance.random() < WITH_LOOKS else ""  # whether the record is held against Atlassian
        self.clock = Clock()
        self.crew = Crew(self.clock)
        self.weather = Weather(trouble, self.clock, self.crew, self.chance)
        self.organization = Organization(self.weather)
        self.slack = SimulatedSlack(self.weather)
        self.record: Record = the_record()
        self.machines: list[Machine] = []
        self.people = People(self)
        self.met: Counter[str] = self.weather.met
        self.bugs: Counter[str] = Counter()  # what a job raised that nobody expected
        self.left: list[tuple[str, str, str]] = []  # work that was due when the run was over
        self.worst_clock = 0.0  # seconds by which the bot's clock was off at most
        self.latest = 0.0  # seconds by which an end was late at most

    # -- the world ------------------------------------------------------------------------------------------------

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Within this the product lives in the simulated world."""
        self.record.undisturbed()
        self.record.load(furnished())
        self.record.before = self._before
        self.record.committing = self._committing
        self.record.committed = self._committed
        self._fate = ""
        unhook = self.record.at_each_statement(self._statement) if self.weather.nth.side == "statement" else _nothing
        with ExitStack() as patched:
            patched.enter_context(simulated(self.clock, self.chance))
            patched.enter_context(patch("bot.worker.log", Log(self)))
            for name, value in SMALLER.items():
                patched.enter_context(patch(name, value))
            crash.set_hook(self._crash_point)
            try:
                yield
            finally:
                self.crew.close()
                crash.set_hook(crash._nothing)
                unhook()
                self.record.undisturbed()

    def open_the_house(self) -> None:
        """Start the processes, and whatever goes wrong by itself."""
        processes = self.chance.choice(self.weather.trouble.processes)
        self._alone = processes == 1  # who won its port: what a dead one held is free at once
        for number in range(processes):
            self._start(f"process {number}")
        for _ in range(self.weather.trouble.jumps):
            self.crew.begin(self._jump, after=self.chance.uniform(0.0, self.weather.trouble.lasts))
        if self.weather.trouble.jumps:
            self.crew.begin(self._clock_is_right, after=self.weather.trouble.lasts)

    def _start(self, name: str) -> None:
        machine = Machine(self, name, threads=self.chance.choice((1, 2)))
        if self._alone:
            self.insist(machine.store.take_over)
        machine.work()
        self.machines.append(machine)

    def insist(self, beginning: Callable[[], object]) -> None:
        """What a process begins with, until the database lets it."""
        while True:
            try:
                beginning()
                return
            except SQLAlchemyError:
                self.crew.pause(1.0)

    def _jump(self) -> None:
        by = self.chance.choice((-1, 1)) * self.chance.choice((30.0, 600.0, HOUR, 2 * HOUR)) * self.chance.random()
        self.weather.note("clock: forward" if by > 0 else "clock: backward")
        self._set_clock(0.0 if self.clock.wrong and self.chance.random() < 0.5 else by)

    def _clock_is_right(self) -> None:
        self._set_clock(0.0)

    def _set_clock(self, wrong: float) -> None:
        self.clock.wrong = wrong
        self.worst_clock = max(self.worst_clock, abs(wrong))
        for machine in self.machines:
            machine.worker.wake_all()

    # -- the hooks ------------------------------------------------------------------------------------------------

    def _before(self, what: str) -> None:
        if self.record.in_transaction:
            raise RuntimeError("a transaction within a transaction")
        self.crew.pause(self.chance.uniform(0.0005, 0.02))
        self._fate = self.weather.transaction() if what == "write" else ""
        if self._fate == "busy":
            self._database_fails("busy")
        if what == "write" and self.weather.nth.falls_on("commit", self.clock.true):
            self._fate = self.weather.nth.how

    def _statement(self) -> None:
        if self.weather.nth.falls_on("statement", self.clock.true):
            self._database_fails(self.weather.nth.how)

    def _committing(self, what: str) -> None:
        if self._fate == "full":
            self._database_fails("full")
        if self._fate == "dies":
            self._dies("within a transaction")

    def _committed(self, what: str) -> None:
        """Every worker that waits polls within a second."""
        for machine in self.machines:
            machine.worker.wake_all(after=self.chance.uniform(0.0, 1.0))
        if self._fate == "unknown":
            self._fate = ""
            self._database_fails("unknown")

    def _database_fails(self, what: str) -> None:
        self.weather.note(f"database: {what}")
        raise database_error(what)

    def _crash_point(self, label: str) -> None:
        if self.record.in_transaction:
            raise RuntimeError(f"the crash point {label} is within a transaction")
        self.met[f"passed {label}"] += 1
        trouble = self.weather.trouble
        self.crew.pause(self.chance.uniform(0.0001, 0.01))
        if self.weather.bad and self.chance.random() < trouble.deaths:
            self.met[f"died at {label}"] += 1
            self._dies("at a crash point")
        if self.weather.bad and self.chance.random() < trouble.stalls:
            self._stalls()

    def _dies(self, where: str) -> None:
        """The process of whoever runs dies, or all of them; each comes back after a while."""
        task = self.crew.running
        body = task.body if task is not None else None
        if not isinstance(body, Machine):
            return
        self.weather.note(f"death: {where}")
        for machine in list(self.machines) if self.weather.trouble.together else [body]:
            self.machines.remove(machine)
            self.crew.kill(machine)
            self.crew.begin(lambda name=machine.name: self._start(name), after=self.chance.uniform(0.5, 30.0))  # type: ignore[misc]
        for machine in self.machines:
            machine.worker.wake_all()
        raise Killed

    def _stalls(self) -> None:
        """Everything of this process stands still: its leases run out, and it does not know."""
        task = self.crew.running
        body = task.body if task is not None else None
        if isinstance(body, Machine):
            self.weather.note("stall")
            body.still_until = self.clock.true + self.chance.uniform(10.0, 60.0)
            for machine in self.machines:
                machine.worker.wake_all()
            self.crew.pause(0.0)

    def refused(self, because: str) -> None:
        self.met[f"said {because}"] += 1

    def live(self, story: Callable[[Story], None] | None = None) -> list[str]:
        """Let one story go on until long after its last trouble; what the judge says of it."""
        story = story or story_of(self.seed)
        if story is by_hand and not self.looks:
            self.looks = self.chance.choice(("report", "repair"))
        with self.going_on():
            self.open_the_house()
            self.crew.begin(lambda: story(Story(self)), after=self.chance.uniform(0.0, 600.0))
            self.crew.run(until=self.weather.trouble.lasts + CALM_AFTERWARDS)
            self.left = self.record.left(self.clock.now().strftime("%Y-%m-%d %H:%M:%S.%f"))
            return Judge(self).judge()

    def digest(self) -> str:
        """What happened, in one line: the same seed gives the same."""
        told = [(m.ts, m.place, m.text, round(m.at, 6)) for m in self.slack.messages.values()]
        whole = repr((self.organization.log, self.organization.calls, told, self.people.deeds))
        return hashlib.sha256(whole.encode()).hexdigest()


def _nothing() -> None:
    return None


class Log:
    """The worker's log: what it calls a bug is one here as well."""

    def __init__(self, run: Simulation) -> None:
        self.run = run

    def exception(self, event: str, **facts: Any) -> None:
        error = sys.exc_info()[1]
        self.run.bugs[f"{facts.get('job')}: {type(error).__name__}: {error}"] += 1

    def warning(self, event: str, **facts: Any) -> None:
        self.run.met[f"worker {event}"] += 1

    info = error = warning


def peak_memory() -> float:
    """The most this process has held, in MB. Not `ru_maxrss`, which begins with what held whoever started it."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))[0]) / 1024


def many(seeds: Iterable[int], *, over: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """Run after run until it is ``over``; what they met, and the problems by seed. Nothing of a run is left behind."""
    reach, problems, latest, runs, started = Reach(), {}, 0.0, 0, time.monotonic()
    with collected_by_hand():
        for runs, seed in enumerate(seeds, 1):
            run = Simulation(seed)
            found = run.live()
            reach.add(run)
            latest = max(latest, run.latest) if not run.worst_clock else latest
            if found:
                problems[seed] = found
            if runs % BETWEEN == 0:
                gc.collect()
            if over():
                break
    seconds, memory = time.monotonic() - started, peak_memory()
    return {"runs": runs, "seconds": seconds, "memory": memory, "latest": latest, "problems": problems,
            "met": reach.met}  # fmt: skip


@contextmanager
def collected_by_hand() -> Iterator[None]:
    """Garbage is looked for between two runs only, and not in what was there before them: half of the time else."""
    furnished()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def tell(seed: int) -> None:
    """One run as a story, for whoever looks for what went wrong in it."""
    run = Simulation(seed)
    found = run.live()
    told: list[tuple[float, str]] = [(deed.at, f"{deed.who}: {deed}") for deed in run.people.deeds]
    told += [(change.at, f"  atlassian: {change}") for change in run.organization.log]
    told += [(at, f"  call: {does} {group} {account}") for at, does, group, account in run.organization.calls]
    told += [(h.at, f"    said: {h.kind} {h.request} to {h.place}") for h in run.slack.heard()]
    told += run.weather.story
    print(f"seed {seed}: {run.weather.trouble.name}, {story_of(seed).__name__}{', with cards' * run.cards}")
    for at, line in sorted(told, key=lambda one: one[0]):
        print(f"{at:12.3f} {line}")
    print(f"digest {run.digest()}")
    print("\n".join(found) or "nothing is wrong with it")


def digest_of(seed: int) -> str:
    run = Simulation(seed)
    run.live()
    return run.digest()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--seed", type=int, help="tell one run in full")
    arguments.add_argument("--digests", type=int, nargs="+", help="what these runs come to, a line each")
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--runs", type=int, default=100)
    arguments.add_argument("--every", type=int, default=1, help="of the seeds from the first on")
    given = arguments.parse_args()
    if given.seed is not None:
        tell(given.seed)
    elif given.digests:
        print("\n".join(digest_of(seed) for seed in given.digests))
    else:
        seeds = range(given.first, given.first + given.runs * given.every, given.every)
        print(json.dumps(many(seeds, over=time_is_up())))
