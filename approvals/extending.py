"""Longer: a new question to the same rule; counted from when it was first held, the longest stays the longest."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from approvals.breaking import LONGEST
from approvals.bulk_cases import BULK
from approvals.durations import say_duration, write_duration
from approvals.glass_facts import broken_glass, is_by_hand
from approvals.models import AccessRequest, Grant
from approvals.policy import Entitlement, Policy
from approvals.states import LIVE, OPEN, Status
from approvals.workflow import Ask


@dataclass(frozen=True)
class Longer:
    """What an extension asks for: the same, until a later moment."""

    request: AccessRequest
    ends_by: datetime
    duration: timedelta  # from now on

    def ask(self, reason: str, source: str) -> Ask:
        request = self.request
        return Ask(
            "grant", request.subject, request.entitlement, self.duration, reason or request.reason, source,
            home_channel=request.home_channel, home_thread=request.home_thread, ends_by=self.ends_by,
            extends=request.id,
        )  # fmt: skip


def longer(session: Session, policy: Policy, request: AccessRequest, by: timedelta, now: datetime) -> Longer | str:
    """The question, or why there is none."""
    if request.verb == BULK:
        return f"{request.id} is a list, and what a list gave is not extended. Ask for it anew with `/access grant`."
    grant = session.exec(select(Grant).where(Grant.request_id == request.id)).first()
    if request.verb != "grant" or grant is None or grant.status not in LIVE:
        return f"{request.id} gives nothing at the moment, so there is nothing to extend. Ask for it anew."
    if is_by_hand(request):
        return f"{request.id} was given by hand, so it is not extended. Ask for it anew."
    if grant.ends_at is None:
        return f"{request.id} has no end: it is held until revoked."
    entitlement = policy.entitlement(request.entitlement)
    if entitlement is None:
        return f"`{request.entitlement}` is no longer in the policy."
    ends_by = grant.ends_at + by
    held = ends_by - held_since(session, grant)
    broken = broken_glass(session, request)
    if broken is not None and (broken.id != request.id or _extended(session, request)):
        return f"What was taken by break-glass ({broken.id}) is extended once. Ask for `{entitlement.name}` anew."
    if broken is not None and held > LONGEST:
        return f"What was taken by break-glass is held for {say_duration(LONGEST)} at most. Ask for it anew."
    if entitlement.longest is not None and held > entitlement.longest:
        left = entitlement.longest - (held - by)
        if left < timedelta(minutes=1):
            return no_room(request, entitlement)
        return (
            f"`{entitlement.name}` may be held for {say_duration(entitlement.longest)} at a stretch, so {request.id} "
            f"can be extended by {write_duration(_whole_minutes(left))} more at most."
        )
    return Longer(request, ends_by, _whole_minutes(ends_by - now + timedelta(seconds=59)))


def no_room(request: AccessRequest, entitlement: Entitlement) -> str:
    """That not even a minute is left of the longest."""
    return (
        f"`{entitlement.name}` may be held for {say_duration(entitlement.longest)} at a stretch, and with {request.id} "
        "it is. It can't be held longer without a break: ask for it anew when it is over."
    )


def holds_of_a_list(session: Session, request: AccessRequest, account: str) -> bool:
    """Whether a list gave somebody what they hold: then they know of it, though they may not look at the list."""
    theirs = select(Grant.id).where(Grant.request_id == request.id, Grant.account == account)
    return request.verb == BULK and session.exec(theirs.where(col(Grant.status).in_(LIVE))).first() is not None


def _extended(session: Session, request: AccessRequest) -> bool:
    """Whether it was asked to be longer already, and that was not turned down."""
    later = select(AccessRequest.id).where(
        AccessRequest.extends == request.id, col(AccessRequest.status).in_([*OPEN, Status.DONE])
    )
    return session.exec(later.limit(1)).first() is not None


def room(session: Session, policy: Policy, request: AccessRequest) -> timedelta | None:
    """For how much longer it may be held at most; None where nothing limits it or nothing is held."""
    grant = session.exec(select(Grant).where(Grant.request_id == request.id)).first()
    entitlement = policy.entitlement(request.entitlement)
    if grant is None or grant.ends_at is None or entitlement is None or entitlement.longest is None:
        return None
    return _whole_minutes(max(timedelta(0), entitlement.longest - (grant.ends_at - held_since(session, grant))))


def held_since(session: Session, grant: Grant) -> datetime:
    """When the account began to hold it without a break, by this grant and those before it."""
    since = grant.promised_at
    earlier = session.exec(
        select(Grant)
        .where(Grant.account == grant.account, Grant.holding == grant.holding, Grant.promised_at < since)
        .order_by(col(Grant.promised_at).desc())
    )
    for one in earlier:
        over = one.ended_at or one.ends_at
        if one.active_at is not None and (over is None or over >= since):
            since = one.promised_at
    return since


def _whole_minutes(length: timedelta) -> timedelta:
    return timedelta(minutes=length // timedelta(minutes=1))
