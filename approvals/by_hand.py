"""What was given by hand while Gatehouse was down, entered afterwards: with an end and a review, and nothing is given.

The request is born done, so no worker begins it: whatever Atlassian shows, only its end ever changes anything there.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, select

from approvals import audit, jobs, people
from approvals.breaking import DRILL, LONGEST
from approvals.calls import same_holding, write_steps
from approvals.glass_facts import BY_HAND, EVENTS_SHOW_LATE, bypassed, reachable
from approvals.models import AccessRequest, Grant, PlanRow, Review
from approvals.plan import Plan, Survey
from approvals.policy import Policy
from approvals.states import LIVE, Status
from approvals.states import Grant as GrantStatus
from approvals.states import Review as ReviewStatus
from approvals.store import Actor, Write, new_request_id
from approvals.workflow import Refused

JUDGED_WITHIN = timedelta(hours=24)  # from the entering


@dataclass(frozen=True)
class ByHand:
    """Who was given what, for which incident, from when until when; ``was_member``: they held it before."""

    account: str
    entitlement: str
    incident: str
    since: datetime
    until: datetime
    because: str
    was_member: bool

    @property
    def source(self) -> str:
        """By which the same is known again, whatever else is said of it the second time."""
        named = "\n".join((self.account, self.entitlement.casefold(), self.incident, self.since.isoformat()))
        return f"{BY_HAND}{hashlib.sha256(named.encode()).hexdigest()[:40]}"


@dataclass(frozen=True)
class Entered:
    """Under which id it stands, and whether it stood there before."""

    request: str
    before: bool = False


def why_not(session: Session, policy: Policy, said: ByHand, now: datetime) -> str:
    """What is wrong with it, in a sentence; empty when it can be entered."""
    rule = policy.entitlement(said.entitlement)
    if rule is None:
        near = [f"`{name}`" for name in policy.nearest(said.entitlement)]
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        return f"There is no entitlement `{said.entitlement}` in the policy.{hint}"
    protected = policy.untouchable(said.account)
    if protected is not None:
        return f"{_capital(protected.because)}. What it did stands in Atlassian's audit log."
    return _times(said, now) or _words(policy, said) or _held_before(session, said)


def _times(said: ByHand, now: datetime) -> str:
    if said.since > now:
        return f"It can't have begun in the future: --from is {_at(said.since)}, and it is {_at(now)}."
    if said.until <= said.since:
        return f"--until ({_at(said.until)}) must be after --from ({_at(said.since)}): are they the wrong way round?"
    if said.until > now + LONGEST:
        return (
            f"An emergency ends within {LONGEST // timedelta(hours=1)} hours: --until is {_at(said.until)}, and it is "
            f"{_at(now)}. Give a nearer end, and ask for the access in Slack where it is needed for longer."
        )
    return ""


def _words(policy: Policy, said: ByHand) -> str:
    rule, glass = policy.entitlement(said.entitlement), policy.break_glass
    assert rule is not None
    if not said.incident or len(said.incident) > 100 or said.incident == DRILL:
        return "Name the incident it was for: --incident INC-42."
    if glass is not None and not re.fullmatch(glass.incident, said.incident):
        return f"`{said.incident}` is no incident's id: it is written like {glass.incident}."
    reason = policy.reason_verdict(replace(rule, ticket=""), said.because)  # the incident is the ticket
    return "" if reason else f"{_capital(reason.because)} (--because)."


def _held_before(session: Session, said: ByHand) -> str:
    """What the record knows must not be contradicted: it decides what is taken away."""
    if said.was_member:
        return ""
    for grant in _of_the_same(session, said):
        if grant.held_before and grant.promised_at < said.since:
            return (
                f"{grant.request_id} found them in it at {_at(grant.promised_at)} already, before --from: then they "
                "were a member, and --was-member yes leaves it so."
            )
    return ""


def _of_the_same(session: Session, said: ByHand) -> list[Grant]:
    """The live grants of the entitlement to the account."""
    live = select(Grant).where(Grant.account == said.account, Grant.entitlement == said.entitlement)
    return [grant for grant in session.exec(live) if grant.status in LIVE]


def enter(w: Write, policy: Policy, actor: Actor, said: ByHand, survey: Survey) -> Entered:
    """Write it down, once. ``survey`` is what Atlassian shows now. Raises ``Refused`` with what is wrong with it."""
    known = w.session.exec(select(AccessRequest).where(AccessRequest.source == said.source)).first()
    if known is not None:
        return _again(w.session, said, known)
    because = why_not(w.session, policy, said, w.now)
    if because:
        raise Refused(because)
    request = _request(w, policy, actor, said, survey)
    _grant(w, actor, said, request, survey)
    _review(w, actor, said, request)
    _tell(w, policy, actor, said, request, survey)
    return Entered(request.id)


def _again(session: Session, said: ByHand, known: AccessRequest) -> Entered:
    """The same is the same; something else under the same beginning would silently change an end."""
    grant = session.exec(select(Grant).where(Grant.request_id == known.id)).one()
    length = int((said.until - said.since).total_seconds())
    if (length, said.was_member) != (known.duration, grant.held_before):
        raise Refused(
            f"It was entered before, as {known.id}, until {_at(said.since + timedelta(seconds=known.duration or 0))} "
            f"and with --was-member {'yes' if grant.held_before else 'no'}. Nothing was changed. To end it sooner: "
            f"gatehouse end {known.id}."
        )
    return Entered(known.id, before=True)


def _request(w: Write, policy: Policy, actor: Actor, said: ByHand, survey: Survey) -> AccessRequest:
    rule = policy.entitlement(said.entitlement)
    assert rule is not None  # why_not has looked
    duration = int((said.until - said.since).total_seconds())
    plan = Plan.of(verb="grant", subject=said.account, entitlement=rule.name, duration=duration, survey=survey)
    bound = people.slack_user_of(w.session, said.account)
    chained: dict[str, Any] = {
        "verb": "grant", "subject": said.account, "entitlement": rule.name, "duration": duration,
        "rule_hash": rule.rule_hash, "policy_hash": policy.hash,
    }  # fmt: skip
    request = w.add(
        AccessRequest(
            **chained, id=new_request_id(), requester=said.account, team=bound.team if bound else "",
            user=bound.user if bound else "", value=said.incident, reason=said.because, status=Status.ASKED,
            source=said.source, asked_at=w.now, lapses_at=w.now, moved_at=w.now,
        )
    )  # fmt: skip
    body = plan.model_dump_json()
    w.add(PlanRow(request_id=request.id, version=request.version, hash=plan.hash, body=body, made_at=w.now))
    data = chained | {
        "value": audit.digest("", said.incident), "by_hand": True, "since": said.since.isoformat(),
        "until": said.until.isoformat(), "was_member": said.was_member, "shown": survey.holds,
    }  # fmt: skip
    details = {"reason": said.because, "value": said.incident, "plan": body}
    w.audit("request.asked", actor=actor, request=request.id, data=data, details=details)
    steps = write_steps(w, request.id, "apply", plan.steps)
    w.audit("steps.added", actor=actor, request=request.id, data={"steps": steps})
    return w.move(request, "record", actor=actor, data={"plan_hash": plan.hash}, plan_hash=plan.hash,
                  because="given by hand, and entered afterwards")  # fmt: skip


def _grant(w: Write, actor: Actor, said: ByHand, request: AccessRequest, survey: Survey) -> None:
    """Promised, for its end is what is promised; active only where a read shows it and its time is not over."""
    holding = survey.steps[0].holding
    grant = w.add(
        Grant(
            request_id=request.id, account=said.account, entitlement=request.entitlement, holding=holding,
            status=GrantStatus.PROMISED, held_before=said.was_member, promised_at=said.since, ends_at=said.until,
        )
    )  # fmt: skip
    data = {"account": said.account, "holding": holding, "held_before": said.was_member,
            "ends_at": said.until.isoformat(), "by_hand": True}  # fmt: skip
    w.audit("grant.promised", actor=actor, request=request.id, data=data)
    if survey.holds and said.until > w.now:
        grant = w.move_grant(grant, "confirm", actor=actor, active_at=w.now, data={"by_hand": True})
    if not said.was_member:
        _it_was_ours(w, actor, grant)
    w.enqueue("end", grant.id or 0, at=said.until, priority=jobs.ENDS)


def _it_was_ours(w: Write, actor: Actor, grant: Grant) -> None:
    """A request that found them in it meanwhile took what was given by hand for theirs, and would leave it for ever."""
    for other in same_holding(w.session, grant.account, grant.holding, grant.request_id):
        if other.held_before and other.promised_at >= grant.promised_at and other.status in LIVE:
            other.held_before = False
            w.session.add(other)
            data = {"account": other.account, "held_before": False, "because_of": grant.request_id}
            w.audit("grant.corrected", actor=actor, request=other.request_id, data=data)
            w.enqueue("draw", other.request_id, priority=jobs.PEOPLE)


def _review(w: Write, actor: Actor, said: ByHand, request: AccessRequest) -> None:
    due = w.now + JUDGED_WITHIN
    w.add(
        Review(
            request_id=request.id, person=said.account, drill=False, status=ReviewStatus.DUE, opened_at=said.since,
            due_at=due,
        )
    )  # fmt: skip
    data = {"person": said.account, "drill": False, "due_at": due.isoformat()}
    w.audit("review.due", actor=actor, request=request.id, data=data)
    w.enqueue("review", request.id, priority=jobs.PEOPLE)
    w.enqueue("review due", request.id, at=due)
    w.enqueue("review events", request.id, at=max(w.now, said.until + EVENTS_SHOW_LATE))


def _tell(w: Write, policy: Policy, actor: Actor, said: ByHand, request: AccessRequest, survey: Survey) -> None:
    """Everybody who hears of broken glass, and whom it was given to."""
    facts: dict[str, Any] = {
        "id": request.id, "by": actor.account.removeprefix("shell:"), "since": said.since.timestamp(),
        "until": said.until.timestamp(), "over": said.until <= w.now, "shown": survey.holds,
        "was_member": said.was_member,
    }  # fmt: skip
    for place in ("security", "operators"):
        w.tell("by_hand", place=place, request=request.id, once=f"by hand:{request.id}:{place}", **facts)
    for bound in reachable(w.session, {said.account, *bypassed(w.session, policy, request, w.now)}):
        w.tell("by_hand", place="person", request=request.id, once=f"by hand:{request.id}:{bound.user}",
               team=bound.team, user=bound.user, **facts)  # fmt: skip


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
