"""A question with all that is known about it, gathered from the record and the mirror for `authority` to decide."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam
from sqlmodel import Session, col, select

from approvals import audit, authority, people
from approvals.authority import Candidate, Case, Facts, Yes
from approvals.bulk_cases import BULK, list_rule, with_two_admins
from approvals.bulk_rows import UNREADABLE, managers_of
from approvals.database import plain
from approvals.models import AccessRequest, BulkRow, PlanRow, SourceMember, SourceState
from approvals.plan import Plan
from approvals.policy import Person, Policy, PolicyPerson, Rule, Source

MANAGER = Source("manager")
FRESH = timedelta(seconds=60)  # a decision never rests on anything older
SETTLED = timedelta(minutes=10)  # somebody put into a Slack group a moment ago can't answer yet
_STATE = select(SourceState.read_at, SourceState.trouble).where(SourceState.source == bindparam("source"))
_MEMBERS = select(SourceMember.account, SourceMember.since).where(SourceMember.source == bindparam("source"))


def facts_of(
    db: Session | Connection, policy: Policy, rule: Rule, subject: str, now: datetime, *, fresh: bool = False
) -> Facts:
    """What the mirror knows now. ``fresh``: a source that was read more than a minute ago gives nobody."""
    members: dict[Source, frozenset[str]] = {}
    unknown: dict[Source, str] = {}
    for source in rule.looked_up:
        members[source], unknown[source] = members_of(db, source, now, fresh=fresh)
    if "slack_profile" in policy.manager_sources and not people.profile_was_read(db, subject):
        unknown[MANAGER] = "their Slack profile is not read yet, or can't be read"
    manager = people.manager_of(db, policy, subject, now)
    counts_from = people.manager_counts_from(db, policy, subject, now) if manager is None else None
    if counts_from is not None:
        unknown[MANAGER] = f"another one was imported, who counts from {counts_from:%Y-%m-%d %H:%M} UTC on"
    return Facts(
        manager=manager,
        members=members,
        unknown={source: why for source, why in unknown.items() if why},
        delegations=people.standing_in(db, policy, now),
        elsewhere=people.bound_elsewhere(db, _named(policy, rule)),
    )


def _named(policy: Policy, rule: Rule) -> Iterator[PolicyPerson]:
    """Whom the policy names by Slack user and account: in a role, as the owner, or where it says who answers."""
    for members in policy.roles.values():
        yield from members
    yield from filter(None, (rule.owner, *(source.person for source in rule.approver_sources)))


def case_of(
    db: Session, policy: Policy, request: AccessRequest, now: datetime, *, fresh: bool = False, level: int | None = None
) -> Case | None:
    """The case of a request that stands in the record; None when the policy has no rule for it any more."""
    rule = rule_of(db, policy, request)
    if rule is None:
        return None
    case = Case(
        policy=policy,
        rule=rule,
        verb=request.verb,
        requester=request.requester,
        subject=request.subject,
        facts=facts_of(db, policy, rule, request.subject, now, fresh=fresh),
        level=request.level if level is None else level,
        yes=tuple(yes_of(db, request)),
    )
    return of_a_list(db, case, request, now, fresh=fresh) if request.verb == BULK else case


def rule_of(db: Session | Connection, policy: Policy, request: AccessRequest) -> Rule | None:
    """The rule in force for a request; of a list with what the rules of its rows add; None when there is none."""
    rule = policy.rule(request.verb, request.entitlement)
    if rule is None or request.verb != BULK:
        return rule
    readable = ~col(BulkRow.because).startswith(UNREADABLE)
    named = select(BulkRow.verb, BulkRow.entitlement).where(BulkRow.request_id == request.id, readable).distinct()
    rules = (policy.rule(verb, what) for verb, what in plain(db).execute(named))
    return list_rule(rule, filter(None, rules))


def of_a_list(db: Session, case: Case, request: AccessRequest, now: datetime, *, fresh: bool = False) -> Case:
    """The same with its rows: one case for all that are answered by the same rule and, where it asks, manager."""
    kept = select(BulkRow.verb, BulkRow.entitlement, BulkRow.account).where(
        BulkRow.request_id == request.id, BulkRow.state != "refused"
    )
    rows = plain(db).execute(kept).all()
    subjects = frozenset(row.account for row in rows)
    bosses = managers_of(db, case.policy, set(subjects), now)
    found: dict[tuple[str, str, str], Case] = {}
    facts: dict[str, Facts] = {}
    for verb, what, account in rows:
        rule = case.policy.rule(verb, what)
        if rule is None:
            continue
        boss = bosses.get(account, "") if MANAGER in rule.approver_sources else ""
        key = (rule.path, rule.name, boss)
        if key not in found:
            if rule.path not in facts:
                facts[rule.path] = facts_of(db, case.policy, rule, account, now, fresh=fresh)
            known = replace(facts[rule.path], manager=boss or None)
            found[key] = Case(case.policy, rule, verb, case.requester, account, known)
    whole = replace(case, rows=tuple(found.values()), subjects=subjects)
    return with_two_admins(whole) if _two_admins(db, case.policy, request) else whole


def _two_admins(db: Session, policy: Policy, request: AccessRequest) -> bool:
    """Whether the plan says that more is destroyed than one may alone."""
    if not policy.ceilings.two_admins_above:
        return False
    row = db.get(PlanRow, (request.id, request.version))
    return row is not None and Plan.model_validate_json(row.body).two_admins


def can_ask(
    db: Session | Connection, policy: Policy, rules: Iterable[Rule], speaker: Person, subject: str, now: datetime,
    verb: str = "grant",
) -> list[Rule]:  # fmt: skip
    """Which of these somebody may ask for, for themselves or for ``subject``."""
    manager = people.manager_of(db, policy, subject, now)
    found = []
    for rule in rules:
        facts = facts_of(db, policy, rule, subject, now) if rule.looked_up else Facts(manager)
        if authority.may_request(Case(policy, rule, verb, speaker.account, subject, facts), speaker):
            found.append(rule)
    return found


def yes_of(session: Session, request: AccessRequest) -> list[Yes]:
    """The approvals of the present plan, from the chain: a row of the votes proves nothing."""
    if request.plan_hash is None:
        return []
    entries = audit.find(session, event="vote.counted", request=request.id)
    return [Yes(body["actor"], body["data"]["seat"]) for body in entries if _is_for(body["data"], request)]


def _is_for(data: dict[str, object], request: AccessRequest) -> bool:
    same = data.get("version") == request.version and data.get("plan_hash") == request.plan_hash
    return same and data.get("choice") == "approve"


def level_of(entries: Iterable[dict[str, Any]]) -> int:
    """How far the question was escalated, by what the chain has of its openings and escalations."""
    levels = [body["data"].get("level", 0) for body in entries]
    return max((level for level in levels if isinstance(level, int)), default=0)


def who_may_answer(db: Session | Connection, case: Case) -> list[Candidate]:
    """Those who may answer in the stage that is open and can be asked, each once."""
    found = people.who_can_be_asked(db, case.approvers)
    answered = {one.account for one in case.yes}
    used = case.tally.used
    return [one for one in found if one.account not in answered and one.seat not in used]


def everybody_who_may(case: Case) -> Iterable[str]:
    """The accounts of all stages."""
    return {candidate.account for stage in range(len(case.rule.stages)) for candidate in case.approvers_of(stage)}


def reachable(db: Session | Connection, case: Case, levels: int) -> frozenset[str]:
    """Who of all stages and levels is bound and a full member."""
    named = [
        candidate
        for level in range(levels + 1)
        for stage in range(len(case.rule.stages))
        for candidate in replace(case, level=level).approvers_of(stage)
    ]
    return frozenset(candidate.account for candidate in people.who_can_be_asked(db, named))


def members_of(db: Session | Connection, source: Source, now: datetime, *, fresh: bool) -> tuple[frozenset[str], str]:
    """The accounts behind a source that is looked up, and why they can't be read where that is so."""
    state = plain(db).execute(_STATE, {"source": source.key}).first()
    if state is None or state.read_at is None:
        return frozenset(), (state.trouble if state else "") or "it was not read yet"
    if fresh and now - state.read_at > FRESH:
        return frozenset(), state.trouble or f"it was last read at {state.read_at:%H:%M} UTC"
    rows = plain(db).execute(_MEMBERS, {"source": source.key}).all()
    since = now - SETTLED if source.kind == "usergroup" else now + FRESH
    return frozenset(row.account for row in rows if row.since <= since), state.trouble


def first_level(db: Session | Connection, case: Case) -> int | None:
    """The level at which the question starts, by whom can really be asked; None when nobody is left at any."""
    if not case.rule.escalation and case.approvers.may_grow:
        return 0
    return authority.starting_level(case, reachable(db, case, len(case.rule.escalation)))
