"""What another policy would have said to the requests of the record: only what would differ."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from approvals import authority, people
from approvals.authority import Case
from approvals.cases import facts_of, yes_of
from approvals.models import AccessRequest
from approvals.policy import Person, Policy, Verdict
from approvals.states import Status

PAGE = 100  # requests a read: with SQLite's rollback journal no read may last long
DONE = frozenset({Status.APPROVED, Status.SCHEDULED, Status.APPLYING, Status.PARTLY, Status.DONE})


def page_of(session: Session, since: datetime, after: str) -> list[AccessRequest]:
    """The next requests by their id, of those asked after a moment."""
    query = select(AccessRequest).where(AccessRequest.asked_at >= since, AccessRequest.id > after)
    return list(session.exec(query.order_by(col(AccessRequest.id)).limit(PAGE)).all())


def differences(session: Session, old: Policy, new: Policy, request: AccessRequest, now: datetime) -> Iterator[str]:
    """In sentences, what the new policy would have said otherwise of this request."""
    before, after = (_case(session, policy, request, now) for policy in (old, new))
    if after is None:
        if before is not None:
            yield "could not be asked: the rule is gone"
        return
    asker = new.person(request.requester, request.team, request.user)
    verdict = _may_ask(after, asker, request)
    known = before is not None and _may_ask(before, _old(old, request), request)
    if known and not verdict:
        yield f"would be refused when asked: {verdict.because}"
        return
    if not known and verdict:
        yield "could be asked now"
    if before is not None:
        yield from _answers(session, before, after)
    if request.status in DONE and after.yes and not after.tally.complete:
        yield f"the approvals it got would not be enough: {after.tally.wanted} more"


def _old(policy: Policy, request: AccessRequest) -> Person:
    return policy.person(request.requester, request.team, request.user)


def _may_ask(case: Case, asker: Person, request: AccessRequest) -> Verdict:
    duration = timedelta(seconds=request.duration) if request.duration is not None else None
    return authority.may_ask(case, asker, duration, request.reason)


def _answers(session: Session, before: Case, after: Case) -> Iterator[str]:
    was, now = (set(replace(case, yes=()).approvers.accounts) for case in (before, after))
    names = people.names(session, was | now)
    if was != now:
        shown = [", ".join(sorted(names[account] for account in accounts)) or "nobody" for accounts in (was, now)]
        yield f"would be answered by {shown[1]}, not by {shown[0]}"
    if before.rule.approvals != after.rule.approvals:
        yield f"would need {after.rule.approvals} approvals, not {before.rule.approvals}"
    if before.rule.tier != after.rule.tier:
        yield f"would be of the {after.rule.tier} tier, not {before.rule.tier}"


def _case(session: Session, policy: Policy, request: AccessRequest, now: datetime) -> Case | None:
    rule = policy.rule(request.verb, request.entitlement)
    if rule is None:
        return None
    facts = facts_of(session, policy, rule, request.subject, now)
    return Case(
        policy, rule, request.verb, request.requester, request.subject, facts, 0, tuple(yes_of(session, request))
    )
