"""How much of the large counts this run does: a share of each, drawn with a seed that is printed; `make torture`: all.

GATEHOUSE_SHARE   1 for everything; 0.1 unless set
GATEHOUSE_MINUTES of what is drawn again and again each test begins no more after so many; 0, unless set: no end
GATEHOUSE_SEED    what the drawing starts from; printed at the end of each run, so that a run can be repeated
"""

import os
import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

# The first process to come here chooses; those it starts (pytest-xdist's workers) are given the same.
SHARE = float(os.environ.setdefault("GATEHOUSE_SHARE", "0.1"))
SEED = int(os.environ.setdefault("GATEHOUSE_SEED", str(random.randrange(1_000_000))))

MINUTES = float(os.environ.get("GATEHOUSE_MINUTES") or 0)

Item = TypeVar("Item")


def part_of(count: int) -> int:
    """How many of ``count`` this run does; at least one."""
    return max(1, round(count * SHARE))


def all_or(count: int, least: float) -> int:
    """All of ``count`` when everything is done, else this part of it, however small the share of the rest is."""
    return count if SHARE == 1 else round(count * least)


def some_of(items: Sequence[Item], always: Sequence[Item] = ()) -> list[Item]:
    """This run's part of ``items`` in their order, with those that no run leaves out."""
    rest = [item for item in items if item not in always]
    drawn = random.Random(SEED).sample(rest, min(len(rest), part_of(len(rest))))
    return [item for item in items if item in always or item in drawn]


def time_is_up(minutes: float = MINUTES, clock: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """Asked before each further repetition: whether the minutes since now are over. Never, where none are set."""
    begun = clock()
    return lambda: minutes > 0 and clock() - begun >= minutes * 60
