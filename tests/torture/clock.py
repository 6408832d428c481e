"""Simulated time and simulated chance: what the product asks the machine for, it is given from one seed."""

import inspect
import random
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

BEGINNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday


ASKED = ("datetime.now(", "time.monotonic(", "time.clock_gettime(", "secrets.", "random.")


class Clock:
    """``true`` is how many seconds have really gone by; ``wrong`` is by how many the bot's own clock is off."""

    def __init__(self) -> None:
        self.true = 0.0
        self.wrong = 0.0

    def now(self) -> datetime:
        """What the bot's clock shows."""
        return BEGINNING + timedelta(seconds=self.true + self.wrong)

    def monotonic(self) -> float:
        return self.true


@contextmanager
def simulated(clock: Clock, chance: random.Random) -> Iterator[None]:
    """From here on the product's clock and its random numbers are these, wherever a module of it asks for them."""

    class Simulated(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return clock.now().astimezone(tz)

    class Time:
        monotonic = staticmethod(clock.monotonic)

        @staticmethod
        def clock_gettime(which: int) -> float:
            return clock.monotonic()  # nobody's machine sleeps

        def __getattr__(self, name: str) -> Any:
            return getattr(time, name)

    drawn = SimpleNamespace(
        token_hex=lambda size: chance.randbytes(size).hex(), choice=chance.choice, random=chance.random
    )
    instead: dict[str, tuple[object, object]] = {
        "datetime.now(": (datetime, Simulated),
        "time.monotonic(": (time, Time()),
        "time.clock_gettime(": (time, Time()),
        "secrets.": (secrets, drawn),
        "random.": (random, drawn),
    }
    with ExitStack() as stack:
        for module, words in _who_asks():
            name = words.partition(".")[0]
            real, simulated_one = instead[words]
            if getattr(module, name, None) is real:
                stack.enter_context(patch.object(module, name, simulated_one))
        yield


@cache
def _who_asks() -> list[tuple[ModuleType, str]]:
    """The modules that look at a clock or draw something, by their source: one that is new is found as well."""
    ours = [module for name, module in sorted(sys.modules.items()) if name.startswith("approvals.")]
    found = []
    for module in [*ours, sys.modules["bot.worker"]]:
        source = inspect.getsource(module)
        found += [(module, words) for words in ASKED if words in source]
    return found
