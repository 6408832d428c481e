"""What somebody holds already becomes a grant with an end: no call is made, and the ordinary end takes it away."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from approvals import jobs
from approvals.calls import same_holding, steps_of, write_steps
from approvals.models import AccessRequest, Grant
from approvals.plan import Step
from approvals.policy import Policy
from approvals.states import LIVE, Status
from approvals.states import Grant as GrantStatus
from approvals.store import Actor, Write, new_request_id
from approvals.warning import will_warn


@dataclass(frozen=True)
class Found:
    """Somebody who holds something: the step that would give it, until when it is to be held, and why it is adopted.

    ``formerly`` is the request it goes back to, where that is known.
    """

    account: str
    entitlement: str
    step: Step
    ends_at: datetime | None
    reason: str
    formerly: str = ""


def adopt(w: Write, policy: Policy, found: Found, by: Actor, source: str) -> AccessRequest:
    """A request that nobody asked, done from its beginning; its step is in the chain, as an end insists on."""
    rule = policy.entitlement(found.entitlement)
    asked: dict[str, Any] = {
        "verb": "grant", "subject": found.account, "entitlement": found.entitlement, "duration": None,
        "rule_hash": rule.rule_hash if rule else "", "policy_hash": policy.hash,
    }  # fmt: skip
    request = w.add(
        AccessRequest(
            **asked, id=new_request_id(), requester=by.account, team=by.team, user=by.user, ends_by=found.ends_at,
            reason=found.reason, status=Status.ASKED, source=source, asked_at=w.now, lapses_at=w.now, moved_at=w.now,
        )
    )  # fmt: skip
    until = {"ends_by": found.ends_at.isoformat()} if found.ends_at else {}
    data = {**asked, "value": "", **until, "adopts": found.formerly or "unknown"}
    w.audit("request.asked", actor=by, request=request.id, data=data, details={"reason": found.reason})
    steps = write_steps(w, request.id, "apply", [found.step])
    w.audit("steps.added", actor=by, request=request.id, data={"steps": steps})
    grant = _promise(w, request, found, by)
    for row in steps_of(w.session, request.id, "apply"):
        row.status, row.true_at = "true", w.now
    w.move_grant(grant, "confirm", actor=by, active_at=w.now)
    done = w.move(request, "adopt", actor=by, data={"read_back": True}, because="adopted after the record was lost")
    if found.ends_at is not None:
        w.enqueue("end", grant.id or 0, at=found.ends_at, priority=jobs.ENDS)
        will_warn(w, str(grant.id), w.now, found.ends_at if found.ends_at - w.now > timedelta(0) else None)
    return done


def _promise(w: Write, request: AccessRequest, found: Found, by: Actor) -> Grant:
    """Held before only where another grant that lives says so: of this one an admin has said that it was given."""
    others = same_holding(w.session, found.account, found.step.holding, request.id)
    held_before = any(other.held_before for other in others if other.status in LIVE)
    grant = w.add(
        Grant(
            request_id=request.id, account=found.account, entitlement=found.entitlement, holding=found.step.holding,
            status=GrantStatus.PROMISED, held_before=held_before, promised_at=w.now, ends_at=found.ends_at,
        )
    )  # fmt: skip
    ends_at = found.ends_at.isoformat() if found.ends_at else None
    data = {"account": grant.account, "holding": grant.holding, "held_before": held_before, "ends_at": ends_at}
    w.audit("grant.promised", actor=by, request=request.id, data=data)
    return grant
