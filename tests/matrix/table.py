"""The table written by hand, expanded to every cell. Knows nothing of the bot: words in, allowed or not out."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ROLES = ("nobody", "admin", "security", "auditor", "helpdesk")
TIERS = ("low", "medium", "high")
RELATIONS = (
    "requester", "subject", "both", "manager", "named", "stand-in", "next", "next asked", "answered", "removed",
    "named elsewhere",
    "requester and manager", "subject and named", "guest", "other team", "deleted", "unbound", "ambiguous", "fresh",
    "nobody in particular",
)  # fmt: skip
ABOUT_A_REQUEST = (
    "ask for oneself", "ask for another", "approve", "deny", "edit", "cancel", "cancel in the pause", "end", "see",
    "see a quiet one",
)  # fmt: skip
ABOUT_THE_BOT = (
    "freeze", "unfreeze", "bind", "import people", "apply a policy", "leave safe mode", "reconcile", "drill",
    "read others", "cancel others", "end others", "settle a review",
)  # fmt: skip
ACTIONS = (*ABOUT_A_REQUEST, *ABOUT_THE_BOT)


@dataclass(frozen=True)
class Cell:
    """One question: may somebody of this role, who stands so to the request, do this?"""

    role: str
    action: str
    tier: str
    relation: str


@dataclass(frozen=True)
class Line:
    """One rule of the table; a word of it is ``*`` or alternatives."""

    number: int
    words: tuple[str, str, str, str]
    allows: bool
    why: str

    def fits(self, cell: Cell) -> bool:
        there = (cell.role, cell.action, cell.tier, cell.relation)
        return all(word == "*" or value in word.split("|") for word, value in zip(self.words, there, strict=True))


def lines() -> list[Line]:
    with Path(__file__).with_name("rules.csv").open(encoding="utf-8", newline="") as text:
        return [
            Line(
                number,
                (row["role"], row["action"], row["tier"], row["relation"]),
                row["verdict"] == "allow",
                row["why"],
            )
            for number, row in enumerate(csv.DictReader(text), 2)
        ]


def cells() -> Iterator[Cell]:
    for role, action, tier, relation in product(ROLES, ACTIONS, TIERS, RELATIONS):
        yield Cell(role, action, tier, relation)


def decided(cell: Cell, rules: Sequence[Line]) -> tuple[bool, Line | None]:
    """Refused unless a line allows it, and refused whatever allows it when a line refuses it; and which line it was."""
    fitting = [line for line in rules if line.fits(cell)]
    refusing = next((line for line in fitting if not line.allows), None)
    allowing = next((line for line in fitting if line.allows), None)
    return (False, refusing) if refusing else (allowing is not None, allowing)
