"""Somebody who leaves: every grant ended, every open request cancelled, and the proof of it."""

from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from approvals import jobs
from approvals.models import AccessRequest, Grant
from approvals.remarks import open_requests
from approvals.states import LIVE, Status, after
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Write
from approvals.telling import tell_outcome

ENDS_TAKE = 2.0  # seconds until it is looked again whether what somebody held has ended


class Leaving:
    """The part of an offboarding that is the record's; safe to repeat."""

    def end_everything(self, w: Write, request: AccessRequest, account: str) -> int:
        """Bring every grant's end forward to now and cancel what is open; how many grants are not over yet."""
        because = f"{request.id}: the person leaves"
        for grant in w.session.exec(select(Grant).where(Grant.account == account, col(Grant.status).in_(LIVE))):
            if grant.ends_at is None or grant.ends_at > w.now:
                grant.ends_at, grant.because = w.now, because
                w.audit("grant.end_asked", actor=MACHINE, request=grant.request_id, data={"account": grant.account})
                w.enqueue("end", grant.id or 0, priority=jobs.ENDS)
        w.session.flush()
        for other in w.session.exec(open_requests(account, but=request.id)).all():
            close_because_of(w, request, other, because)
        return _going_on(w.session, account)

    def proof(self, session: Session, request: AccessRequest) -> dict[str, Any]:
        """Which grants ended and which requests were cancelled because of it, with their times."""
        ended = session.exec(
            select(Grant)
            .where(Grant.account == request.subject, col(Grant.ended_at) >= request.moved_at)
            .order_by(col(Grant.id))
        ).all()
        closed = session.exec(
            select(AccessRequest)
            .where(
                col(AccessRequest.because).startswith(f"{request.id}:", autoescape=True),
                col(AccessRequest.status).in_((Status.CANCELLED, Status.REFUSED)),
            )
            .order_by(col(AccessRequest.moved_at))
        ).all()
        return {
            "ended": [
                [grant.entitlement, grant.request_id, _seconds(grant.ended_at), "" if grant.remove else grant.because]
                for grant in ended
            ],
            "cancelled": [[one.id, _seconds(one.moved_at)] for one in closed],
        }


def close_because_of(w: Write, request: AccessRequest, other: AccessRequest, because: str) -> None:
    """Taken back, or where it is approved already refused; one that is being applied ends with its grant."""
    verb = "cancel" if after(Status(other.status), "cancel") else "refuse"
    if after(Status(other.status), verb) is None:
        return
    data = {"because_of": request.id}
    now = w.move(other, verb, actor=MACHINE, data=data, details={"because": because}, because=because)
    if verb == "cancel":
        tell_outcome(w, now, "cancelled", by="", because=because, paused=False)
    else:
        tell_outcome(w, now, "refused", because=because)


def _going_on(session: Session, account: str) -> int:
    going = (*LIVE, GrantStatus.ENDING)
    found = select(func.count()).select_from(Grant).where(Grant.account == account, col(Grant.status).in_(going))
    return int(session.exec(found).one())


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else 0.0
