"""What is told of a list that is over: one summary, and to each what it gave them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlmodel import col, select

from approvals import audit, people
from approvals.bulk_planning import HELD
from approvals.bulk_rows import Kept, counts, rows_of
from approvals.models import AccessRequest, Grant
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Write


def tell_what_became_of_it(w: Write, request: AccessRequest) -> None:
    """One summary, whatever the number of rows; the file with each of them follows as a job."""
    found = counts(w.connection, request.id)
    number = len(audit.find(w.session, event="bulk.retried", request=request.id))
    facts: dict[str, Any] = {"counts": found, "because": request.because, "status": str(request.status)}
    once = f"bulk_done:{request.id}:{number}"
    w.tell("bulk_done", place="thread", request=request.id, once=once, **facts)
    w.tell(
        "bulk_done", place="person", request=request.id, once=f"{once}:{request.user}", team=request.team,
        user=request.user, **facts,
    )  # fmt: skip
    w.enqueue("bulk progress", request.id)
    w.enqueue("bulk result", request.id)
    if request.status in (Status.DONE, Status.PARTLY):
        _tell_those_it_gave_to(w, request)


def _tell_those_it_gave_to(w: Write, request: AccessRequest) -> None:
    """A list of gifts alone is no secret once it is done; of one that also takes away nobody hears from the list."""
    rows = rows_of(w.connection, request.id)
    if any(row.verb != "grant" for row in rows if row.state != "refused"):
        return
    number = len(audit.find(w.session, event="bulk.retried", request=request.id))
    for account, lines in _given_to_each(w, request, rows).items():
        bound = people.slack_user_of(w.session, account)
        if bound is not None and account != request.requester:
            w.tell(
                "bulk_given", place="person", once=f"bulk_given:{request.id}:{number}:{bound.user}", team=bound.team,
                user=bound.user, by=request.user, given=lines,
            )  # fmt: skip


def _given_to_each(w: Write, request: AccessRequest, rows: Sequence[Kept]) -> dict[str, list[list[Any]]]:
    """By account, what the list gives now and when each of it is over; not what was held already."""
    given = {(row.account, row.entitlement) for row in rows if row.state == "done" and row.because != HELD}
    active = (Grant.request_id == request.id, col(Grant.status) == GrantStatus.ACTIVE)
    found: dict[str, list[list[Any]]] = defaultdict(list)
    for grant in w.session.exec(select(Grant).where(*active).order_by(col(Grant.id))):
        if (grant.account, grant.entitlement) in given:
            found[grant.account].append([grant.entitlement, grant.ends_at.timestamp() if grant.ends_at else None])
    return found
