"""What simulated runs have met: moves, refusals, faults, deaths; and how often each must be met to mean anything."""

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from approvals.states import GRANT_MOVES, REQUEST_MOVES, REVIEW_MOVES
from tests.torture.weather import ATLASSIANS, SLACKS

if TYPE_CHECKING:
    from tests.torture.simulation import Simulation

RUNS = 10_000
# Moves that no story makes: what was given by hand, or is found after a loss, is entered by an administrator.
NOT_PLAYED = ("record", "adopt")
REFUSALS = {  # what people are told when something is not done
    "one's own request": r"nobody approves their own request", "not asked": r"is answered by",
    "decided already": r"is already", "another version": r"has a new plan", "counted already": r"counted already",
    "the name": r"name that was typed", "longer": r"That is longer than", "too long": r"may be held for",
    "no such thing": r"There is no entitlement", "frozen": r"stands still since", "deactivated": r"deactivated",
    "not theirs": r"no such request of yours|Only the person who asked", "nothing to end": r"nothing to end",
    "nobody is left": r"Nobody is left to approve", "not for break-glass": r"breaking glass is for",
    "somebody else": r"somebody else must agree", "too late": r"can't be taken back any more",
    "who approved it left": r"who approved it", "who asked left": r"who asked for it", "gone": r"There is no group",
    "changed since": r"no longer what was approved",
    "held already": r"you hold .* already", "a review is overdue": r"is overdue",
}  # fmt: skip
FAULTS = (
    *(f"atlassian: {fault}" for fault in (*ATLASSIANS, "slow", "away", "refused for good", "a read shows what was")),
    *(f"slack: {fault}" for fault in (*SLACKS, "slow", "away")),
    *("database: busy", "database: full", "database: unknown", "stall", "clock: forward", "clock: backward"),
    *("several with one call", "death: at a crash point", "death: within a transaction"),
)


class Reach:
    """Counts of many runs together."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()

    def add(self, run: "Simulation") -> None:
        told = [key.removeprefix("said ") for key in run.met.elements() if key.startswith("said ")]
        told += [heard.text for heard in run.slack.heard() if heard.kind in ("refused", "vote_refused", "failed")]
        for name, pattern in REFUSALS.items():
            self.met[f"refusal {name}"] += sum(bool(re.search(pattern, line)) for line in told)
        for row in run.record.chain()[0]:
            life, _, _ = row[4].partition(".")
            verb = json.loads(row[3])["data"].get("verb")
            if life in ("request", "grant", "review") and verb:
                self.met[f"{life} {verb}"] += 1
        for key, times in run.met.items():
            if not key.startswith("said "):
                self.met[key] += times
        self.met[f"trouble {run.weather.trouble.name}"] += 1


def expected() -> list[str]:
    """All that must be met."""
    moves = [f"request {verb}" for before, verb, *_ in REQUEST_MOVES if before and verb not in NOT_PLAYED]
    moves += [f"grant {verb}" for before, verb, *_ in GRANT_MOVES if before and verb not in NOT_PLAYED]
    moves += [f"review {verb}" for before, verb, *_ in REVIEW_MOVES if before]
    return [*dict.fromkeys(moves), *(f"refusal {name}" for name in REFUSALS), *(f"fault {fault}" for fault in FAULTS)]


# How often each must be met in 10,000 runs; what is named nowhere here twenty times.
MANY = {"request approve": 5000, "request finish": 5000, "grant confirm_end": 5000, "request plan": 5000}
LEAST = 20
RARE = dict.fromkeys(
    ("request resume", "request stop_partly", "grant end_again", "refusal counted already", "refusal the name"), 5
)


def too_rarely(met: Counter[str]) -> dict[str, tuple[int, int]]:
    """What 10,000 runs have met how often, where that is less than they must meet."""
    wanted = {name: (MANY | RARE).get(name, LEAST) for name in expected()}
    return {name: (met[name], times) for name, times in wanted.items() if met[name] < times}


def is_enough(met: Counter[str]) -> bool:
    """Whether a share of them has met what it must: most of all that there is, and what each life is made of."""
    some = [name for name in expected() if met[name]]
    return len(some) > len(expected()) / 2 and all(met[name] for name in MANY)
