"""What somebody typed after `/breakglass`: the entitlement, the incident and the reason, in any order."""

import re
from dataclasses import dataclass

from approvals.policy import Policy
from handlers.parse import reason_cut_off

PASSED_OVER = frozenset({"please", "for", "incident", "access", "to", "i", "need", "/breakglass", "take"})
USAGE = "/breakglass entitlement incident INC-42 because …"


@dataclass(frozen=True)
class GlassWords:
    """What was understood; empty is what was not said. ``strange`` is what could not be placed."""

    entitlement: str = ""
    incident: str = ""
    reason: str = ""
    strange: str = ""


def spelled(policy: Policy, incident: str) -> str:
    """As the policy writes it: what was typed, in capitals where that fits better."""
    glass = policy.break_glass
    fits = glass is not None and re.fullmatch(glass.incident, incident.upper()) is not None
    return incident.upper() if fits else incident


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
