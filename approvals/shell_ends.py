"""Ending from a shell, for when Slack is away: it only ever takes away, and the record says who did."""

from sqlmodel import col, select

from approvals import jobs
from approvals.bulk_cases import BULK
from approvals.glass_facts import asks_for_longer, extensions_of, incident_of
from approvals.leaving import close_because_of
from approvals.models import AccessRequest, Grant
from approvals.states import LIVE, Status
from approvals.store import Actor, Write
from approvals.telling import tell_outcome


def end_from_shell(w: Write, actor: Actor, request_id: str, because: str) -> str:
    """All that a request gave ends now; why it can't, where that is so."""
    request = w.session.get(AccessRequest, request_id)
    if request is None:
        return f"There is no request {request_id}."
    why = f"ended early from a shell by {actor.account.removeprefix('shell:')}: {because}"[:500]
    live = select(Grant).where(Grant.request_id == request_id, col(Grant.status).in_(LIVE))
    grants = [*w.session.exec(live), *extensions_of(w.session, request)]
    if not grants and incident_of(request) and request.status in (Status.ASKED, Status.APPROVED):
        now = w.move(request, "refuse", actor=actor, because=why)
        tell_outcome(w, now, "refused", because=f"{why}.")
        return ""
    if not grants:
        return f"{request_id} gives nothing at the moment, so there is nothing to end."
    for other in asks_for_longer(w.session, request):
        close_because_of(w, request, other, f"{request.id} was ended early from a shell")
    for grant in grants:
        grant.ends_at, grant.because = w.now, why
        w.session.add(grant)
        if request.verb != BULK:
            w.enqueue("end", grant.id or 0, priority=jobs.ENDS)
    if request.verb == BULK:
        w.enqueue("bulk end", request_id, priority=jobs.ENDS)
    data = {"accounts": sorted({grant.account for grant in grants})}
    w.audit("grant.end_asked", actor=actor, request=request_id, data=data, details={"because": because})
    return ""
