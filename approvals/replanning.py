"""A question that is asked anew: its rule changed, or an approver wants less; a new version of the plan is made."""

import json
from datetime import datetime, timedelta
from typing import Any

from approvals import authority
from approvals.audit import digest
from approvals.authority import Case
from approvals.durations import is_over_at_the_moment, say_duration
from approvals.models import AccessRequest
from approvals.policy import Entitlement, Rule
from approvals.policy_book import PolicyBook
from approvals.store import MACHINE, Actor, Write
from approvals.telling import tell_outcome


class Replanning:
    """Moves a pending request back to asked, with the next version."""

    def __init__(self, policies: PolicyBook) -> None:
        self.policies = policies

    def because_of_the_rule(self, w: Write, request: AccessRequest, rule: Rule | None, actor: Actor) -> str:
        """The policy decides otherwise than when it was asked; a sentence for whoever answered."""
        named = f"`{request.entitlement or request.verb}`"
        if rule is None:
            again = w.move(request, "edit", actor=actor, version=request.version + 1, plan_hash=None)
            because = f"{named} is no longer in the policy."
            tell_outcome(w, w.move(again, "refuse", actor=MACHINE, because=because), "refused", because=because)
            return f"{named} is no longer in the policy, so {request.id} is refused."
        self._again(w, request, rule, actor)
        return f"The rule for {named} changed since {request.id} was asked, so it is planned anew."

    def because_of_an_edit(self, w: Write, request: AccessRequest, case: Case, changed: str, actor: Actor) -> str:
        """Shorter, or something less; empty when it is planned anew, else why it can't be.

        A moment stays the end, whether it was asked for or an approver typed it: the length alone would begin anew.
        """
        if not changed:
            return "The form that asks what it is to be instead could not be shown. Press the button again."
        wanted = json.loads(changed)
        seconds, entitlement = wanted["duration"], wanted["entitlement"]
        typed = datetime.fromisoformat(wanted["ends_by"]) if wanted.get("ends_by") else None
        because = _no_less(request, case.rule, seconds, entitlement, typed)
        if because:
            return because
        rule = case.policy.rule(request.verb, entitlement)
        assert rule is not None  # `instead` names entitlements of the same policy
        duration = timedelta(seconds=seconds) if seconds is not None else None
        verdict = authority.duration_verdict(rule, duration)
        if not verdict:
            return verdict.because
        ends_by = min(filter(None, (request.ends_by, typed)), default=None)
        was = _said("was", request.entitlement, request.duration, request.ends_by, w.now)  # before the row is read anew
        now = _said("now", entitlement, seconds, ends_by, w.now)
        extends = request.extends if entitlement == request.entitlement else ""  # something else is nothing longer
        less = {"entitlement": entitlement, "duration": seconds, "ends_by": ends_by, "extends": extends}
        self._again(w, request, rule, actor, **less)
        w.tell("edited", place="thread", request=request.id, once=f"edited:{request.id}:{request.version}",
               by=actor.account, **was, **now)  # fmt: skip
        return ""

    def _again(self, w: Write, request: AccessRequest, rule: Rule, actor: Actor, **changes: Any) -> None:
        policy = self.policies.current(w.session)
        ends_by = changes.get("ends_by", request.ends_by)
        now = {
            "entitlement": changes.get("entitlement", request.entitlement),
            "duration": changes.get("duration", request.duration),
            "verb": request.verb,
            "subject": request.subject,
            "value": digest("", request.value) if request.value else "",
            "ends_by": ends_by.isoformat() if ends_by else None,
            "extends": changes.get("extends", request.extends),
        }  # what the worker holds the row against before it acts
        w.move(
            request,
            "edit",
            actor=actor,
            data={"asked": now},
            version=request.version + 1,
            plan_hash=None,
            level=0,
            reminders=0,
            rule_hash=rule.rule_hash,
            policy_hash=policy.hash,
            **changes,
        )
        w.enqueue("plan", request.id)


def _no_less(
    request: AccessRequest, rule: Rule, seconds: int | None, entitlement: str, typed: datetime | None
) -> str:  # fmt: skip
    """An approver may give less than was asked, never more or something else."""
    if request.verb != "grant" or not isinstance(rule, Entitlement):
        return "Only what is to be given can be made less."
    longer = seconds is None if request.duration is not None else False
    if longer or (seconds is not None and request.duration is not None and seconds > request.duration):
        return f"That is longer than the {_length(request.duration)} that were asked for."
    if typed is not None and request.ends_by is not None and typed > request.ends_by:
        return "That ends later than was asked for."
    if entitlement != request.entitlement and entitlement not in rule.instead:
        return f"`{entitlement}` is not among what may be given instead of `{request.entitlement}`."
    as_long = typed == request.ends_by if typed is not None else seconds == request.duration
    if entitlement == request.entitlement and as_long:
        return "That is what was asked for, so nothing was changed."
    return ""


def _said(
    fact: str, entitlement: str, seconds: int | None, ends_by: datetime | None, now: datetime
) -> dict[str, Any]:  # fmt: skip
    """What is to be given and for how long, as facts of the news; a moment is written when they are told."""
    if ends_by is not None and is_over_at_the_moment(ends_by, now, seconds):
        return {fact: entitlement, f"{fact}_until": ends_by.timestamp()}
    words = f"{entitlement} {_length(seconds)}" if seconds is None else f"{entitlement} for {_length(seconds)}"
    latest = {f"{fact}_latest": ends_by.timestamp()} if ends_by is not None else {}
    return {fact: words, **latest}


def _length(seconds: int | None) -> str:
    return say_duration(timedelta(seconds=seconds) if seconds is not None else None)
