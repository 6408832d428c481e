"""What goes wrong in a simulated run, and how often: drawn by the seed, over by the time the judge looks."""

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.exc import OperationalError

from approvals.ports import DirectoryError, OutsideError
from bot.slack_out import SlackError
from tests.torture.clock import Clock
from tests.torture.crew import Crew

HOUR = 3600.0
Result = TypeVar("Result")


@dataclass(frozen=True)
class Trouble:
    """How bad a run is. Shares are of calls, of transactions and of pauses; times are in seconds."""

    name: str
    atlassian: float = 0.0  # of the calls to it that fail
    slack: float = 0.0
    lost: float = 0.3  # of those that fail: the effect has happened, and no answer came
    refused: float = 0.0  # of Atlassian's writes that are refused for good
    lag: float = 0.0  # until a change shows, at most
    slow: float = 0.0  # of the calls that take longer than a lease
    deaths: float = 0.0  # of the crash points at which the process dies
    within: float = 0.0  # of the transactions in which it dies before the commit
    together: bool = False  # when one process dies, all do
    database: float = 0.0  # of the transactions that fail
    stalls: float = 0.0  # of the crash points at which the process stands still
    jumps: int = 0  # of the bot's clock
    away: tuple[str, float] = ("", 0.0)  # who can't be reached, for how long
    processes: tuple[int, ...] = (1, 1, 2, 3)
    lasts: float = 5 * HOUR  # after that nothing goes wrong any more

    @property
    def calm(self) -> bool:
        return self.name == "calm"


TROUBLES = (
    Trouble("calm"),
    Trouble("atlassian fails", atlassian=0.2),
    Trouble("answers are lost", atlassian=0.15, slack=0.1, lost=0.9),
    Trouble("atlassian is late", lag=30.0, slow=0.04, atlassian=0.05),
    Trouble("atlassian refuses", refused=0.25, atlassian=0.1, lag=5.0),
    Trouble("slack fails", slack=0.3),
    Trouble("deaths", deaths=0.03, within=0.01, atlassian=0.03),
    Trouble("power cuts", deaths=0.02, within=0.01, together=True, processes=(2, 3)),
    Trouble("database fails", database=0.05),
    Trouble("stalls", stalls=0.02, atlassian=0.05, processes=(2, 3)),
    Trouble("clock jumps", jumps=6, processes=(1, 2, 3)),
    Trouble("slack is away", away=("slack", HOUR), slack=0.05, deaths=0.005),
    Trouble("atlassian is away", away=("atlassian", 2 * HOUR), atlassian=0.1, lag=10.0),
    Trouble("everything", atlassian=0.1, slack=0.1, refused=0.02, lag=10.0, slow=0.01, deaths=0.01, within=0.005,
            database=0.01, stalls=0.005, jumps=2),
)  # fmt: skip
A_DAY_WITHOUT_SLACK = Trouble("slack is away for a day", away=("slack", 24 * HOUR), deaths=0.001, lasts=26 * HOUR)
RARELY = 20  # of so many hours without Slack one is a day


def trouble_of(seed: int) -> Trouble:
    """Each in turn, so that a share of the runs meets all of them."""
    turn, number = divmod(seed, len(TROUBLES))
    trouble = TROUBLES[number]
    return A_DAY_WITHOUT_SLACK if trouble.away[0] == "slack" and turn % RARELY == 0 else trouble


ATLASSIANS = ("no connection", "HTTP 503", "HTTP 429", "no answer", "lost answer", "HTTP 504 and done")
SLACKS = ("no connection", "HTTP 500", "ratelimited", "lost answer")


class Weather:
    """Decides of each call, transaction and crash point whether something happens there, and counts it."""

    def __init__(self, trouble: Trouble, clock: Clock, crew: Crew, chance: random.Random) -> None:
        self.trouble = trouble
        self.clock = clock
        self.crew = crew
        self.chance = chance
        self.met: Counter[str] = Counter()
        self.story: list[tuple[float, str]] = []  # what went wrong when
        self.nth = Nth("nothing")
        start = chance.uniform(0, 2 * HOUR)
        self._away = (trouble.away[0], start, start + trouble.away[1])

    @property
    def bad(self) -> bool:
        """Whether anything may go wrong now."""
        return self.clock.true < self.trouble.lasts

    def note(self, what: str) -> None:
        self.met[f"fault {what}"] += 1
        self.story.append((self.clock.true, f"      {what}"))

    def reach(self, side: str, deed: Callable[[], Result], *, writes: bool) -> Result:
        """Call somebody outside; what goes wrong is raised as the real client raises it."""
        self.crew.pause(self.chance.uniform(0.02, 0.4))
        if self.bad and self.chance.random() < self.trouble.slow:
            self.note(f"{side}: slow")
            self.crew.pause(self.chance.uniform(10.0, 40.0))
        name, since, until = self._away
        if side == name and since <= self.clock.true < until:
            self.note(f"{side}: away")
            self.crew.pause(self.chance.uniform(1.0, 10.0))
            raise _failure(side, "no connection", self.chance)
        if side == "atlassian" and writes and self.bad and self.chance.random() < self.trouble.refused:
            self.note("atlassian: refused for good")
            raise DirectoryError("it is not allowed [HTTP 403]")
        fault = self.nth.how if self.nth.falls_on(side, self.clock.true) else self._fault(side, writes)
        if not fault:
            result = deed()
            self.crew.pause(self.chance.uniform(0.0, 0.1))
            return result
        self.note(f"{side}: {fault}")
        if fault in ("lost answer", "HTTP 504 and done"):
            deed()
        if fault in ("no answer", "lost answer"):
            self.crew.pause(self.chance.uniform(5.0, 30.0))
        raise _failure(side, fault, self.chance)

    def _fault(self, side: str, writes: bool) -> str:
        share = self.trouble.atlassian if side == "atlassian" else self.trouble.slack
        if not self.bad or self.chance.random() >= share:
            return ""
        faults = ATLASSIANS if side == "atlassian" else SLACKS
        if not writes:
            return self.chance.choice(faults[:3])
        done = [fault for fault in faults if fault in ("lost answer", "HTTP 504 and done")]
        return self.chance.choice(done if self.chance.random() < self.trouble.lost else faults)

    def transaction(self) -> str:
        """How the one that begins now goes wrong: "busy", "full", "unknown", "dies", or not at all."""
        if not self.bad:
            return ""
        if self.chance.random() < self.trouble.within:
            return "dies"
        if self.chance.random() < self.trouble.database:
            return self.chance.choice(("busy", "full", "unknown"))
        return ""


def _failure(side: str, fault: str, chance: random.Random) -> OutsideError:
    after = chance.uniform(1.0, 60.0) if fault in ("HTTP 429", "ratelimited") else None
    if side == "slack":
        code = fault if fault == "ratelimited" else "internal_error"
        return SlackError(code, retry=True, after=after, maybe_done=fault == "lost answer")
    maybe = fault in ("no answer", "lost answer", "HTTP 503", "HTTP 504 and done")
    return DirectoryError(f"Atlassian: {fault}", retry=True, after=after, maybe_done=maybe)


@dataclass
class Nth:
    """One operation that fails: the ``number``-th of its ``side``, and all that follow for ``lasts`` seconds.

    ``how`` is a fault of that side. With ``number`` 0 nothing fails, and they are only counted.
    """

    side: str  # atlassian | slack | statement | commit
    number: int = 0
    how: str = ""
    lasts: float = 0.0
    count: int = 0
    until: float = -1.0

    def falls_on(self, side: str, now: float) -> bool:
        if side != self.side:
            return False
        self.count += 1
        if self.count == self.number:
            self.until = now + self.lasts
            return True
        return now < self.until


SAYS = {"busy": "database is locked", "full": "database or disk is full", "unknown": "the connection was lost"}


def database_error(what: str) -> OperationalError:
    return OperationalError("a statement", {}, sqlite3.OperationalError(SAYS[what]))
