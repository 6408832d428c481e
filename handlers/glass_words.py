"""What somebody typed after `/breakglass`: the entitlement, the incident and the reason, in any order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from approvals import breaking
from approvals.policy import Policy
from handlers.command import BREAKGLASS
from handlers.parse import reason_cut_off

PASSED_OVER = frozenset({"please", "for", "incident", "access", "to", "i", "need", "/breakglass", "take"})
USAGE = BREAKGLASS
LOOKED_AT, LONGEST_ID = 1000, 40  # characters of a text, and of an incident's id in it


@dataclass(frozen=True)
class GlassWords:
    """What was understood; empty is what was not said. ``strange`` is what could not be placed."""

    entitlement: str = ""
    incident: str = ""
    reason: str = ""
    strange: str = ""


def spelled(policy: Policy, incident: str) -> str:
    """As the policy writes it, where it has break-glass at all."""
    return breaking.spelled(policy.break_glass, incident) if policy.break_glass is not None else incident


def incident_in(policy: Policy, *texts: str) -> str:
    """The first incident that one of these names, as it stands there or else in capitals; empty when none does.

    It is only filled in, and may be typed over. Without a digit it would be a word as often as an id.
    """
    if policy.break_glass is None:
        return ""
    written = re.compile(policy.break_glass.incident)
    pieces = [piece for text in texts for piece in _pieces(text[:LOOKED_AT])]
    as_it_stands = (piece for piece in pieces if written.fullmatch(piece))
    in_capitals = (piece.upper() for piece in pieces if written.fullmatch(piece.upper()))
    return next(as_it_stands, "") or next(in_capitals, "")


def _pieces(text: str) -> Iterator[str]:
    """Whatever begins and ends between two words and has a digit, the shorter of the same beginning first."""
    for start in range(len(text)):
        if start and text[start - 1].isalnum():
            continue
        digit = False
        for end in range(start + 1, min(len(text), start + LONGEST_ID) + 1):
            digit = digit or text[end - 1].isdigit()
            if digit and (end == len(text) or not text[end].isalnum()):
                yield text[start:end]


def read_glass(text: str, policy: Policy) -> GlassWords:
    """Pure, and total: any text at all gives something that a form or a sentence can be made of."""
    pieces, reason = reason_cut_off(text[:3000])
    glass = policy.break_glass
    entitlement = incident = strange = ""
    after_incident = False
    for piece in pieces:
        word = piece.text.strip()
        if piece.sort == "quoted" and reason is None and policy.entitlement(word) is None:
            reason = word
            continue
        said = word.casefold().strip(",;:.")
        if said in PASSED_OVER:
            after_incident = said == "incident"
            continue
        found = policy.entitlement(word)
        spelt = spelled(policy, word)
        is_incident = glass is not None and re.fullmatch(glass.incident, spelt) is not None
        if found is not None and not entitlement:
            entitlement = found.name
        elif not incident and (is_incident or after_incident):
            incident = spelt
        else:
            strange = strange or word
        after_incident = False
    return GlassWords(entitlement, incident[:100], (reason or "").strip(), strange[:100])
