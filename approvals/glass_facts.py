"""What is known of an attempt to break glass, gathered from the record and the mirror for `breaking` to decide."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, or_, select

from approvals import audit, authority, people, safety
from approvals.breaking import A_DAY, A_WEEK, DRILL, LONGEST, Attempt, IncidentSeen, Known, Seen, is_named, may_second
from approvals.cases import case_of, everybody_who_may, members_of
from approvals.models import AccessRequest, Binding, Grant, Review
from approvals.policy import BreakGlass, Person, Policy, Source
from approvals.states import LIVE, OPEN
from approvals.states import Grant as GrantStatus
from approvals.states import Review as ReviewStatus
from approvals.store import MACHINE, Write

EVENTS_SHOW_LATE = timedelta(minutes=10)  # Atlassian's audit log; before that a look would find too little
BY_HAND = "by hand:"  # how the source begins of what a shell entered afterwards


def incident_of(request: AccessRequest) -> str:
    """The incident that a request breaks glass for; empty for every other request."""
    return request.value if request.verb == "grant" else ""


def is_by_hand(request: AccessRequest) -> bool:
    """Whether it was given in Atlassian by hand and entered afterwards; Gatehouse never gave it."""
    return request.source.startswith(BY_HAND)


def over_since(db: Session, request: AccessRequest, grant: Grant | None, now: datetime) -> datetime | None:
    """When what a break-glass gave was over, its extension too, or that it gives nothing was decided; None before."""
    if grant is None or grant.status == GrantStatus.VOID:
        return None if request.status in OPEN else request.moved_at
    over = grant.ended_at
    last = grant.promised_at + LONGEST  # beyond that it is held for another reason
    later = select(Grant).where(
        Grant.account == grant.account, Grant.holding == grant.holding, Grant.id != grant.id,
        Grant.status != GrantStatus.VOID, Grant.promised_at >= grant.promised_at, Grant.promised_at <= last,
    )  # fmt: skip
    for one in db.exec(later.order_by(col(Grant.promised_at))):
        if over is not None and one.promised_at <= over:
            over = one.ended_at and min(max(over, one.ended_at), max(over, last))
    return last if over is None and grant.ended_at is not None and now >= last else over


def glass_sources(policy: Policy) -> tuple[Source, ...]:
    """What is looked up to decide about it."""
    glass = policy.break_glass
    named = (*glass.who, *([glass.on_call] if glass.on_call else [])) if glass else ()
    return tuple(source for source in named if source.is_looked_up)


def known(
    db: Session, policy: Policy, attempt: Attempt, now: datetime, *, fresh: bool,
    incident: IncidentSeen = "not asked", trouble: str = "", holds: bool = False, but: str = "",
) -> Known:  # fmt: skip
    """As the mirror has it. Not ``fresh``: what changes by the minute is left for the job to look at."""
    glass, speaker = policy.break_glass, attempt.speaker
    voter = people.voter(db, policy, speaker.team, speaker.user, now)
    found: dict[str, Any] = {
        "uncounted": voter.because if isinstance(voter, people.Stop) else "",
        "frozen": safety.held_back(db, "grant"), "holds": holds, "incident": incident, "trouble": trouble,
        "mine": _broken(db, now - A_WEEK, but, speaker.account), "everybodys": _broken(db, now - A_DAY, but),
        "overdue": is_overdue(db, speaker.account, now),
    }  # fmt: skip
    if glass is None:
        return Known(**found)
    in_group, why = in_the_group(db, glass, speaker, now, fresh=fresh)
    on_call, with_them, unread = _on_call(db, glass, speaker, now, fresh=fresh)
    found["trouble"] = why or unread or trouble
    return Known(**found, in_group=in_group, on_call=on_call, with_them=with_them)


def in_the_group(db: Session, glass: BreakGlass, person: Person, now: datetime, *, fresh: bool) -> tuple[Seen, str]:
    """Whether somebody is one of the break-glass people; before the sources are read anew a no is none yet."""
    trouble = ""
    for source in glass.who:
        members, why = members_of(db, source, now, fresh=fresh) if source.is_looked_up else (frozenset(), "")
        if is_named(source, person, members):
            return Seen.YES, ""
        trouble = trouble or why
    if not fresh and any(source.is_looked_up for source in glass.who):
        return Seen.NOT_ASKED, ""
    return (Seen.UNKNOWN, trouble) if trouble else (Seen.NO, "")


def _on_call(
    db: Session, glass: BreakGlass, person: Person, now: datetime, *, fresh: bool
) -> tuple[Seen, frozenset[str], str]:
    if glass.on_call is None or not fresh:
        return Seen.NOT_ASKED, frozenset(), ""
    members, why = members_of(db, glass.on_call, now, fresh=True)
    if why:
        return Seen.UNKNOWN, frozenset(), why
    return (Seen.YES if person.account in members else Seen.NO), members, ""


def _broken(db: Session, since: datetime, but: str, account: str = "") -> int:
    """How often glass was broken since then; drills are practice and do not count."""
    query = select(func.count()).select_from(Review)
    query = query.where(Review.opened_at > since, Review.request_id != but, col(Review.drill).is_(False))
    return db.exec(query.where(Review.person == account) if account else query).one()


def is_overdue(db: Session, account: str, now: datetime) -> bool:
    """Whether a review of theirs waits for longer than it may, whatever its job has come to."""
    late = or_(Review.status == ReviewStatus.OVERDUE, col(Review.due_at) <= now)
    query = select(Review.request_id).where(Review.person == account, Review.status != ReviewStatus.SETTLED, late)
    return db.exec(query.limit(1)).first() is not None


def second_of(db: Session, policy: Policy, attempt: Attempt, request: AccessRequest, now: datetime) -> str:
    """Who else of them has agreed to this request and still may, from the chain."""
    for entry in audit.find(db, event="glass.seconded", request=request.id):
        data = entry["data"]
        if data.get("version") == request.version and not _why_no_second(db, policy, attempt, data, now, fresh=True):
            return str(entry["actor"])
    return ""


def _why_no_second(
    db: Session, policy: Policy, attempt: Attempt, who: dict[str, Any], now: datetime, *, fresh: bool
) -> str:
    found = people.voter(db, policy, who["team"], who["user"], now)
    if isinstance(found, people.Stop):
        return found.because
    return why_no_second(db, policy, attempt, found, now, fresh=fresh)


def why_no_second(db: Session, policy: Policy, attempt: Attempt, person: Person, now: datetime, *, fresh: bool) -> str:
    """Why somebody's agreement does not count; empty when it does."""
    if policy.break_glass is None:
        return "the policy lets nobody break glass"
    in_group, _ = in_the_group(db, policy.break_glass, person, now, fresh=fresh)
    in_group = Seen.YES if in_group is Seen.NOT_ASKED else in_group  # the job looks again
    verdict = may_second(attempt, person, in_group, overdue=is_overdue(db, person.account, now))
    return "" if verdict else verdict.because


def glass_people(db: Session, policy: Policy, now: datetime) -> frozenset[str]:
    """The accounts that may break glass, as far as the mirror knows them."""
    found: set[str] = set()
    for source in policy.break_glass.who if policy.break_glass else ():
        if source.is_looked_up:
            found |= members_of(db, source, now, fresh=False)[0]
        elif source.kind == "role":
            found |= {person.account for person in policy.roles[source.name]}
        elif source.kind == "user":
            team, _, user = source.name.partition("/")
            bound = db.get(Binding, (team, user))
            found |= {bound.account} if bound else set()
        else:
            found |= {source.person.account} if source.person else {source.name} if source.kind == "account" else set()
    return frozenset(found)


def bypassed(db: Session, policy: Policy, request: AccessRequest, now: datetime) -> frozenset[str]:
    """The approvers who would have been asked."""
    case = case_of(db, policy, request, now)
    return frozenset(everybody_who_may(case)) - {request.subject} if case is not None else frozenset()


def proof_of(db: Session, request: AccessRequest) -> dict[str, Any] | None:
    """The entry by which the rule decided for exactly this, with the facts that decided."""
    for body in audit.find(db, event="request.approved", request=request.id):
        data = body["data"]
        by_the_rule = body["actor"] == "gatehouse" and data.get("verb") == "break_glass"
        same = data.get("plan_hash") == request.plan_hash and data.get("version") == request.version
        if by_the_rule and same and request.plan_hash:
            return data  # type: ignore[no-any-return]
    return None


def who_was_in_it(db: Session, policy: Policy, request: AccessRequest, now: datetime) -> frozenset[str]:
    """Who holds it, was on call with them, or agreed to it: none of them judges it afterwards.

    Where it could not be read who was on call, it is who was when it was given; else any of the break-glass people.
    """
    facts = (proof_of(db, request) or {}).get("facts", {})
    # Several may agree before it is decided, and the facts have only the one who was enough.
    agreed = {str(entry["actor"]) for entry in audit.find(db, event="glass.seconded", request=request.id)}
    perhaps: frozenset[str] = frozenset()
    if facts.get("on_call") == str(Seen.UNKNOWN):
        at_the_deed = audit.find(db, event="glass.on_call", request=request.id)
        read = frozenset(str(one) for entry in at_the_deed for one in entry["data"]["with_them"])
        perhaps = read if at_the_deed else glass_people(db, policy, now)
    in_it = {request.subject, *facts.get("with_them", ()), facts.get("second", ""), *agreed, *perhaps}
    return frozenset(in_it) - {""}


def note_on_call(w: Write, request: AccessRequest, then: str, now: Known) -> None:
    """Who is on call at the deed, where it could not be read when it was decided: they do not judge it either."""
    if then == str(Seen.UNKNOWN) and now.on_call not in (Seen.UNKNOWN, Seen.NOT_ASKED):
        w.audit("glass.on_call", actor=MACHINE, request=request.id, data={"with_them": sorted(now.with_them)})


def attempt_of(db: Session, policy: Policy, request: AccessRequest) -> Attempt:
    """What a request wants; the speaker has the roles that the policy gives now."""
    person = policy.person(request.requester, request.team, request.user)
    return Attempt(person, request.entitlement, request.value, request.reason)


def broken_glass(db: Session, request: AccessRequest) -> AccessRequest | None:
    """The break-glass this goes back to: itself, or the one that it was asked to extend."""
    if incident_of(request):
        return request
    earlier = db.get(AccessRequest, request.extends) if request.extends else None
    return earlier if earlier is not None and incident_of(earlier) else None


def extensions_of(db: Session, request: AccessRequest) -> list[Grant]:
    """What still gives it by the extension of a break-glass; nothing of any other request."""
    if not incident_of(request):
        return []
    later = select(Grant).join(AccessRequest, col(AccessRequest.id) == col(Grant.request_id))
    return list(db.exec(later.where(AccessRequest.extends == request.id, col(Grant.status).in_(LIVE))))


def asks_for_longer(db: Session, request: AccessRequest) -> list[AccessRequest]:
    """What still asks for a longer end of what this gave, and gives nothing yet."""
    later = select(AccessRequest).where(AccessRequest.extends == request.id, col(AccessRequest.status).in_(OPEN))
    return list(db.exec(later))


def may_stop_it(db: Session, policy: Policy, request: AccessRequest, person: Person, now: datetime) -> bool:
    """Whether somebody may end what was taken by break-glass, by being an approver it bypassed or by their role.

    Its extension as well, which others have said yes to.
    """
    broken = broken_glass(db, request) if request.verb == "grant" else None
    if broken is None:
        return False
    return person.account in bypassed(db, policy, broken, now) or bool(authority.may_do("end others", person))


def is_drill(request: AccessRequest) -> bool:
    return incident_of(request) == DRILL


def reachable(db: Session, accounts: Iterable[str]) -> list[Binding]:
    """Where these are reached in Slack, each once."""
    bound = (people.slack_user_of(db, account) for account in sorted(set(accounts)))
    return [one for one in bound if one is not None]
