"""Who may break glass, decided in one pure place: every check fails closed, and says why.

Nothing in here reads a clock, a network or a database: what is known of the world comes as ``Known``. It is asked when
somebody types the command, before the rule decides, and once more before the deed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal

from approvals.authority import may_do
from approvals.policy import BreakGlass, Entitlement, Person, Policy, PolicyPerson, Source, Verdict, listed

DRILL = "DRILL"  # stands where an incident's id stands
LONGEST = timedelta(hours=4)  # with its one extension, whatever the policy says
A_WEEK, MINE = timedelta(days=7), 2  # so often may one person; after that a second one must agree
A_DAY, EVERYBODYS = timedelta(hours=24), 5  # and so often all together


class Seen(StrEnum):
    """What looking somewhere has shown."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"  # it could not be read
    NOT_ASKED = "not asked"  # the policy does not want it, or it is looked at later


IncidentSeen = Literal["open", "closed", "missing", "unknown", "not asked"]


@dataclass(frozen=True)
class Attempt:
    """What somebody wants to take. It is always for themselves."""

    speaker: Person
    entitlement: str
    incident: str
    reason: str

    @property
    def is_drill(self) -> bool:
        return self.incident == DRILL


@dataclass(frozen=True)
class Known:
    """What is known of the world, as fresh as the moment needs it."""

    uncounted: str = ""  # why the speaker's binding does not count for what decides
    in_group: Seen = Seen.NO
    on_call: Seen = Seen.NOT_ASKED
    with_them: frozenset[str] = frozenset()  # who is on call now, the speaker too
    incident: IncidentSeen = "not asked"
    holds: bool = False
    mine: int = 0  # times this person broke glass within a week
    everybodys: int = 0  # times anybody did within a day
    overdue: bool = False  # a review of theirs
    frozen: str = ""
    trouble: str = ""  # of what could not be read
    second: str = ""  # account of another of the group who has agreed


class Kind(StrEnum):
    """What comes of it."""

    YES = "yes"
    SECOND = "second"  # another of the break-glass people must agree first
    NO = "no"


@dataclass(frozen=True)
class Answer:
    """What comes of it, and because of what; ``needs`` says why a second person is asked."""

    kind: Kind
    because: str
    rule: str
    needs: tuple[str, ...] = ()


def decide(policy: Policy, attempt: Attempt, known: Known) -> Answer:
    """Whether the glass may be broken. What forbids is looked at first and always wins."""
    glass = policy.break_glass
    if glass is None:
        return _no("the policy lets nobody break glass: it has no table [break_glass]", "break_glass")
    refusal = _never(policy, glass, attempt, known) or _not_now(policy, glass, attempt, known)
    if refusal is not None:
        return refusal
    if attempt.is_drill:
        return Answer(Kind.YES, "a drill, by one of the roles that may", "break_glass.drill")
    needs = tuple(_needs(known))
    if needs and not known.second:
        return Answer(Kind.SECOND, f"another of the break-glass people must agree: {'; '.join(needs)}", "break_glass",
                      needs)  # fmt: skip
    return Answer(Kind.YES, "the break-glass rule of the policy", "break_glass", needs)


def facts_that_decided(policy: Policy, attempt: Attempt, known: Known, answer: Answer) -> dict[str, Any]:
    """For the record: ids and figures only."""
    return {
        "drill": attempt.is_drill,
        "in_group": str(known.in_group),
        "on_call": str(known.on_call),
        "with_them": sorted(known.with_them),
        "incident": known.incident,
        "mine": known.mine,
        "everybodys": known.everybodys,
        "second": known.second,
        "needs": len(answer.needs),
        "decided_by": answer.rule,
    }


def spelled(glass: BreakGlass, incident: str) -> str:
    """An incident's id as the policy writes it: as it was typed, in capitals where that fits better."""
    return incident.upper() if re.fullmatch(glass.incident, incident.upper()) else incident


def longest_of(glass: BreakGlass, entitlement: Entitlement) -> timedelta:
    """For how long it is given: what the policy says for emergencies, never more than for the thing itself."""
    return min(filter(None, (glass.longest, entitlement.longest, LONGEST)))


def _never(policy: Policy, glass: BreakGlass, attempt: Attempt, known: Known) -> Answer | None:
    """What no second person helps against: whose it is, what it is, and how it is said."""
    if known.uncounted:
        return _no(known.uncounted, "binding")
    what = _what(policy, glass, attempt)
    if what is not None:
        return what
    protected = policy.untouchable(attempt.speaker.account)
    if protected is not None:
        return _no(protected.because, protected.rule)
    if known.frozen:
        return _no(known.frozen, "freeze")
    entitlement = policy.entitlement(attempt.entitlement)
    assert entitlement is not None  # _what has looked
    reason = policy.reason_verdict(replace(entitlement, ticket=""), attempt.reason)  # the incident is the ticket
    if not reason:
        return _no(reason.because, reason.rule)
    if not attempt.is_drill and not re.fullmatch(glass.incident, attempt.incident):
        return _no(f"name the incident; it is written like {glass.incident}", "break_glass.incident")
    return None


def _what(policy: Policy, glass: BreakGlass, attempt: Attempt) -> Answer | None:
    """Whether it is one of the things that may be taken so, and only added to what somebody has."""
    entitlement = policy.entitlement(attempt.entitlement)
    if attempt.is_drill:
        may = may_do("drill", attempt.speaker)
        if not may:
            return _no(may.because, may.rule)
        if not glass.drill or entitlement is None or entitlement.name != glass.drill:
            return _no("the policy names no group to practise with: it has no break_glass.drill", "break_glass.drill")
        return None
    if entitlement is None or not entitlement.break_glass:
        may_be = listed([f"`{one.name}`" for one in policy.entitlements if one.break_glass])
        return _no(f"`{attempt.entitlement}` is not taken by break-glass; {may_be} may be", "entitlements")
    if entitlement.removal_only:
        return _no(f"{entitlement.name} is only taken away", f"{entitlement.path}.removal_only")
    return None


def _not_now(policy: Policy, glass: BreakGlass, attempt: Attempt, known: Known) -> Answer | None:
    """What may be otherwise in a while."""
    if known.holds:
        return _no(f"you hold {attempt.entitlement} already, so there is nothing to take", "break_glass")
    if attempt.is_drill:
        return None
    if known.in_group is Seen.UNKNOWN:  # nobody can stand in for the answer who belongs to the group
        return _no(f"who may break glass can't be read now: {known.trouble}", "break_glass.who")
    if known.in_group is Seen.NO:
        return _no(f"breaking glass is for {listed([one.said for one in glass.who])}", "break_glass.who")
    if known.overdue:
        return _no("a review of your last break-glass is overdue; have it settled first", "break_glass.review")
    if known.on_call is Seen.NO:
        return _no(f"only who is on call may, and you are not now ({_on_call(glass)})", "break_glass.on_call")
    if known.incident in ("closed", "missing"):
        there = "is closed" if known.incident == "closed" else "does not exist, or is not shown to Gatehouse"
        return _no(f"{attempt.incident} {there}", "break_glass.incident")
    unread = known.on_call is Seen.UNKNOWN or known.incident == "unknown"
    if unread and not glass.second_person:
        what = _on_call(glass) if known.on_call is Seen.UNKNOWN else attempt.incident
        return _no(f"{what} can't be read now: {known.trouble}", "break_glass.second_person")
    return None


def _needs(known: Known) -> Iterable[str]:
    if known.on_call is Seen.UNKNOWN:
        yield "who is on call can't be read"
    if known.incident == "unknown":
        yield "the incident can't be read"
    if known.mine >= MINE:
        yield f"this person broke glass {known.mine} times within 7 days"
    if known.everybodys >= EVERYBODYS:
        yield f"glass was broken {known.everybodys} times within 24 hours"


def _on_call(glass: BreakGlass) -> str:
    return glass.on_call.said if glass.on_call else "on call"


def _no(because: str, rule: str) -> Answer:
    return Answer(Kind.NO, because, rule)


# -- who belongs to whom ----------------------------------------------------------------------------------------------


def is_named(source: Source, person: Person, members: frozenset[str]) -> bool:
    """Whether a source of the policy names somebody; ``members`` are those of one that is looked up."""
    match source.kind:
        case "role":
            return source.name in person.roles
        case "account":
            return person.account == source.name
        case "user":
            return f"{person.team}/{person.user}" == source.name
        case "person":
            return PolicyPerson(person.team, person.user, person.account) == source.person
    return source.is_looked_up and person.account in members


def may_second(attempt: Attempt, second: Person, in_group: Seen, *, overdue: bool) -> Verdict:
    """Whether somebody else of the break-glass people may agree to it."""
    if second.account == attempt.speaker.account:
        return Verdict(False, "somebody else must agree to this", "separation of duties")
    if in_group is not Seen.YES:
        return Verdict(False, "this is for the break-glass people", "break_glass.who")
    if overdue:
        return Verdict(False, "a review of your last break-glass is overdue; have it settled first", "break_glass")
    return Verdict(True, "another of the break-glass people", "break_glass.second_person")


def may_settle(person: Person, subject: str, bypassed: Iterable[str], with_them: Iterable[str]) -> Verdict:
    """Who judges afterwards: security or an approver who was bypassed; nobody who was in it."""
    if person.account == subject:
        return Verdict(False, "nobody judges what they did themselves", "separation of duties")
    if person.account in set(with_them):
        return Verdict(False, "who was on call with them, or agreed to it, does not judge it", "separation of duties")
    if may_do("settle a review", person):
        return Verdict(True, "the role security", "roles")
    if person.account in set(bypassed):
        return Verdict(True, "one of the approvers it bypassed", "review")
    return Verdict(False, "that is for the role security and the approvers it bypassed", "review")


def may_stop(person: Person, subject: str, bypassed: Iterable[str]) -> bool:
    """Who ends it with one click: whoever holds it, an approver it bypassed, security and admins."""
    mine = person.account == subject
    return mine or person.account in set(bypassed) or bool(may_do("end others", person))
