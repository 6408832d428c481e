"""Who hears of an outcome, and in which words a latecomer is told who was first."""

from typing import Any

from sqlmodel import Session

from approvals import people
from approvals.authority import Case
from approvals.models import AccessRequest
from approvals.states import QUIET, Status
from approvals.store import Write

YES = frozenset({Status.APPROVED, Status.SCHEDULED, Status.APPLYING, Status.PARTLY, Status.DONE})


def tell_outcome(
    w: Write, request: AccessRequest, kind: str, again: int = 0, *, in_thread: bool = True, **facts: Any
) -> None:  # fmt: skip
    """An end of the story: into the thread, to the requester, and to the subject when that is somebody else.

    ``again`` counts the times that the same may happen to one request. Not ``in_thread``: somebody tells its channel of
    many at once. What was given by break-glass is never among those.
    """
    nth = f":{again}" if again else ""
    if in_thread or request.value:
        w.tell(kind, place="thread", request=request.id, once=f"{kind}:{request.id}{nth}", **facts)
    if request.verb == "grant" and request.value:  # taken by break-glass: security hears all of it
        w.tell(kind, place="security", request=request.id, once=f"{kind}:{request.id}:security{nth}", **facts)
        w.enqueue("review", request.id)
    told = {(request.team, request.user)} if request.user else set()
    bound = people.slack_user_of(w.session, request.subject)
    if bound is not None and request.verb not in QUIET:
        told.add((bound.team, bound.user))
    for team, user in sorted(told):
        once = f"{kind}:{request.id}:{user}{nth}"
        w.tell(kind, place="person", request=request.id, once=once, team=team, user=user, **facts)


def tell_everybody_who_may(w: Write, request: AccessRequest, case: Case, kind: str, **facts: Any) -> None:
    """Into the thread, to the requester, and to everyone who may answer, in any stage."""
    w.tell(kind, place="thread", request=request.id, once=f"{kind}:{request.id}:{request.version}", **facts)
    told = {(request.team, request.user)}
    asked = [candidate for stage in range(len(case.rule.stages)) for candidate in case.approvers_of(stage)]
    for candidate in people.who_can_be_asked(w.session, asked):
        bound = people.slack_user_of(w.session, candidate.account)
        if bound is not None:
            told.add((bound.team, bound.user))
    for team, user in sorted(told):
        once = f"{kind}:{request.id}:{request.version}:{user}"
        w.tell(kind, place="person", request=request.id, once=once, team=team, user=user, **facts)


def alarm(w: Write, request: AccessRequest, why: str) -> None:
    """The database says what the record does not: security and those who run the bot must look."""
    for place in ("operators", "security"):
        once = f"alarm:{request.id}:{place}:{why}"
        w.tell("alarm", place=place, request=request.id, once=once, why=why, status=request.status)


def who_was_first(session: Session, request: AccessRequest) -> str:
    """That it is decided, by whom and when: to a click on a card of yesterday."""
    who, verb = request.closed_by, str(request.status)
    if who is None and Status(request.status) in YES:
        who, verb = request.approver, "approved"
    name = people.names(session, {who})[who] if who else "Gatehouse"
    at = f"{request.moved_at:%H:%M} UTC"
    return f"{request.id} is already {verb}, by {name} at {at}."
