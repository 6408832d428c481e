"""What is gone before its time: grants closed without a removal, for somebody has taken away what they gave."""

from collections.abc import Iterable
from typing import Any

from sqlmodel import col, func, select

from approvals import jobs
from approvals.bulk_cases import BULK
from approvals.glass_facts import EVENTS_SHOW_LATE, asks_for_longer, incident_of
from approvals.leaving import close_because_of
from approvals.models import AccessRequest, Call, Grant, StepRow
from approvals.plan import Step
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Write
from approvals.telling import tell_outcome


def close_what_was_taken(w: Write, request: AccessRequest, steps: Iterable[StepRow]) -> None:
    """The steps of a revocation were read back: whatever grant gave that before they were last called is over.

    Left open it would pass for a reason to keep what somebody is given later. One that became active after the call
    may have been given anew, so it is left to its own end; what nobody called for was taken by somebody else, and that
    is found by reconciliation.
    """
    for row in steps:
        called_at = w.session.exec(select(func.max(Call.intended_at)).where(Call.step_id == row.id)).one()
        if called_at is None:
            continue
        step = Step.model_validate_json(row.body)
        of_it = (Grant.account == step.account, Grant.holding == step.holding, Grant.status == GrantStatus.ACTIVE)
        for grant in w.session.exec(select(Grant).where(*of_it, col(Grant.active_at) < called_at)).all():
            close(w, grant, because=taken_by(request.id), data={"taken_by": request.id}, taken_by=request.id)
            given_by = w.request(grant.request_id)
            for other in asks_for_longer(w.session, given_by):
                close_because_of(w, request, other, f"{given_by.id} was {taken_by(request.id)}")


def taken_by(request_id: str) -> str:
    """Why such a grant is over."""
    return f"taken away by {request_id}"


def close(w: Write, grant: Grant, *, because: str, data: dict[str, Any], **facts: Any) -> None:
    """Over without a call of ours; ``data`` stands in the chain, ``facts`` in what is told."""
    now = w.move_grant(grant, "end", actor=MACHINE, because=because, data={"steps": []}, remove=False)
    w.move_grant(now, "confirm_end", actor=MACHINE, because=because, data=data, ended_at=w.now)
    jobs.cancel(w.session, "end", str(grant.id))
    request = w.request(grant.request_id)
    if request.verb != BULK:
        tell_outcome(w, request, "ended", kept="", late=0.0, **facts)
    if incident_of(request):
        w.enqueue("review events", request.id, at=w.now + EVENTS_SHOW_LATE)
