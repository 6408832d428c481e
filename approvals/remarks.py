"""What the record and the policy know that an approver should read beside the plan; it only informs."""

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from approvals import people
from approvals.models import AccessRequest, Grant
from approvals.policy import Policy
from approvals.states import LIVE, OPEN, Status

LOCKS_OUT = frozenset({"deactivate", "offboard", "suspend"})
LISTED = 20  # of each kind


def remarks(session: Session, policy: Policy, request: AccessRequest) -> list[str]:
    """Sentences for the card, of what this would do to somebody or of how they came to where they are."""
    if request.verb in LOCKS_OUT:
        return [
            *_held(session, request),
            *(_still_open(session, request) if request.verb == "offboard" else ()),
            *_duties(policy, request.subject),
        ]
    return list(_who_locked_out(session, request.subject)) if request.verb == "reactivate" else []


def _held(session: Session, request: AccessRequest) -> Iterator[str]:
    """Grants that end with it, or that go on to their own ends."""
    live = select(Grant).where(Grant.account == request.subject, col(Grant.status).in_(LIVE)).order_by(col(Grant.id))
    fate = "ends with this" if request.verb == "offboard" else "goes on to its own end"
    for grant in session.exec(live.limit(LISTED)):
        until = f"until {said(grant.ends_at)}" if grant.ends_at else "until revoked"
        yield f"Holds `{grant.entitlement}` {until} ({grant.request_id}), which {fate}."


def _still_open(session: Session, request: AccessRequest) -> Iterator[str]:
    for other in session.exec(open_requests(request.subject, but=request.id).limit(LISTED)):
        yield f"{other.id} ({other.verb} {other.entitlement}".rstrip() + ") is still open and is cancelled with this."


def open_requests(account: str, *, but: str) -> SelectOfScalar[AccessRequest]:
    """The other requests about somebody, or of somebody, that are not over."""
    return (
        select(AccessRequest)
        .where(
            (AccessRequest.subject == account) | (AccessRequest.requester == account),
            AccessRequest.id != but,
            col(AccessRequest.status).in_(OPEN),
        )
        .order_by(col(AccessRequest.asked_at))
    )


def _duties(policy: Policy, account: str) -> Iterator[str]:
    """What stands and falls with them in the policy."""
    for role, holders in policy.roles.items():
        if any(person.account == account for person in holders):
            yield f"Has the role {role} in the policy, which should get another person first."
    owned = [one.name for one in policy.entitlements if one.owner is not None and one.owner.account == account]
    if owned:
        yield f"Owns {', '.join(f'`{name}`' for name in owned[:LISTED])} in the policy, which should get another owner."


def _who_locked_out(session: Session, account: str) -> Iterator[str]:
    """By whom, when and why the account was deactivated, as far as the record knows."""
    last = session.exec(
        select(AccessRequest)
        .where(
            AccessRequest.subject == account,
            col(AccessRequest.verb).in_(("deactivate", "offboard")),
            AccessRequest.status == Status.DONE,
        )
        .order_by(col(AccessRequest.moved_at).desc())
        .limit(1)
    ).first()
    if last is None:
        yield "Gatehouse did not deactivate this account; Atlassian's audit log says who did, and when."
        return
    names = people.names(session, {account for account in (last.requester, last.approver) if account})
    approved = f", approved by {names[last.approver]}" if last.approver else ""
    asked = f"asked by {names[last.requester]}{approved}"
    yield f"Deactivated {said(last.moved_at)} by {last.id}, {asked}: {last.reason[:300]}"


def said(moment: datetime) -> str:
    """For text that is made harmless later on, where Slack's own dates would not survive."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
