"""How much one person may ask: open questions, questions an hour; and the same question is asked once."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, func
from sqlmodel import col, select

from approvals.database import is_one_of
from approvals.models import AccessRequest
from approvals.policy import Person, Policy, Verdict
from approvals.states import OPEN, Status

if TYPE_CHECKING:
    from approvals.workflow import Ask

LOOKED_AT = 20  # open questions about the same thing, which may differ in their times
_SAME = (
    select(AccessRequest.id, AccessRequest.duration, AccessRequest.ends_by, AccessRequest.starts_at)
    .where(
        AccessRequest.requester == bindparam("requester"),
        AccessRequest.verb == bindparam("verb"),
        AccessRequest.subject == bindparam("subject"),
        func.lower(AccessRequest.entitlement) == bindparam("entitlement"),
        AccessRequest.value == bindparam("value"),
        is_one_of(AccessRequest.status, (Status.ASKED, Status.PENDING)),
    )
    .order_by(col(AccessRequest.asked_at))
    .limit(LOOKED_AT)
)  # fmt: skip
_MINE = AccessRequest.requester == bindparam("requester")
_ASKED_BEFORE = select(
    select(func.count()).where(_MINE, is_one_of(AccessRequest.status, sorted(OPEN))).scalar_subquery().label("open"),
    select(func.count())
    .where(
        _MINE,
        is_one_of(AccessRequest.status, list(Status)),  # each, so that the index is searched down to the time
        AccessRequest.asked_at > bindparam("since"),
    )
    .scalar_subquery()
    .label("lately"),
)


def the_same(db: Connection, speaker: Person, ask: "Ask") -> tuple[str, str, int | None] | None:
    """The id, entitlement and duration of the very same question of this person that still waits for an answer."""
    wanted = {
        "requester": speaker.account,
        "verb": ask.verb,
        "subject": ask.subject,
        "entitlement": ask.entitlement.strip().lower(),
        "value": ask.value,
    }
    seconds = int(ask.duration.total_seconds()) if ask.duration else None
    for id, duration, ends_by, starts_at in db.execute(_SAME, wanted):
        as_long = ends_by == ask.ends_by if ends_by or ask.ends_by else duration == seconds
        if as_long and starts_at == ask.starts_at:
            return id, ask.entitlement, duration
    return None


def too_much(db: Connection, policy: Policy, account: str, now: datetime) -> Verdict:
    """Whether this person has asked enough for now."""
    asking = policy.asking
    asked = db.execute(_ASKED_BEFORE, {"requester": account, "since": now - timedelta(hours=1)}).one()
    if asked.open >= asking.open_at_once:
        because = f"you have {asking.open_at_once} requests open, which is the most; `/access mine` lists them"
        return Verdict(False, because, "asking.open_at_once")
    if asked.lately >= asking.an_hour:
        because = f"you have asked {asking.an_hour} times within an hour, which is the most; wait a little"
        return Verdict(False, because, "asking.an_hour")
    return Verdict(True, "within what one person may ask", "asking")
