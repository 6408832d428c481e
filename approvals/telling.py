"""Who hears of an outcome, and in which words a latecomer is told who was first."""

from typing import Any

from sqlmodel import Session

from approvals import people
from approvals.models import AccessRequest
from approvals.store import Write


def tell_outcome(w: Write, request: AccessRequest, kind: str, **facts: Any) -> None:
    """An end of the story: into the thread, to the requester, and to the subject when that is somebody else."""
    w.tell(kind, place="thread", request=request.id, once=f"{kind}:{request.id}", **facts)
    told = {(request.team, request.user)}
    bound = people.slack_user_of(w.session, request.subject)
    if bound is not None:
        told.add((bound.team, bound.user))
    for team, user in sorted(told):
        once = f"{kind}:{request.id}:{user}"
        w.tell(kind, place="person", request=request.id, once=once, team=team, user=user, **facts)


def who_was_first(session: Session, request: AccessRequest) -> str:
    """That it is decided, by whom and when."""
    who = request.closed_by or request.approver
    name = people.names(session, {who})[who] if who else "Gatehouse"
    verb = "approved" if request.approver else str(request.status)
    return f"{request.id} is already {verb}, by {name} at {request.moved_at:%H:%M} UTC."
