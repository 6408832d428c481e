"""The form that asks to hold longer what one holds: opened from a card, from Home, or by a command."""

from datetime import datetime, timedelta

from sqlmodel import Session

from approvals import extending
from approvals.durations import write_duration
from approvals.models import AccessRequest
from approvals.policy import Person as Speaker
from approvals.policy import Policy
from handlers.asking import open_form, prefilled
from handlers.desk import Desk
from handlers.request_form import Filled, Home
from handlers.view import may_see

NONE_SUCH = "There is no such request that you may see. `/access mine` lists yours."
AGAIN = "ask_again"
NOT_OPENED = "Slack did not open the form for it. Type `/access extend {id} for 2h`."


def ask_for_longer(desk: Desk, trigger: str, speaker: Speaker, request_id: str, reason: str = "") -> str:
    """Open the form; what is said when it can't be held longer, or when Slack did not open it."""
    with desk.store.read() as session:
        policy, now = desk.policy(session), desk.store.time_in(session)
        request = session.get(AccessRequest, request_id)
        if request is None or not may_ask_for_longer(session, policy, speaker, request, now):
            return NONE_SUCH
        found = extending.longer(session, policy, request, timedelta(0), now)
        room = extending.room(session, policy, request)
        entitlement = policy.entitlement(request.entitlement)
    if isinstance(found, str):
        return found
    if room == timedelta(0) and entitlement is not None:  # a form that could never be sent
        return extending.no_room(request, entitlement)
    filled = _filled(desk, request, room, reason)
    return "" if open_form(desk, trigger, filled, speaker) else NOT_OPENED.format(id=request_id)


def may_ask_for_longer(
    session: Session, policy: Policy, speaker: Speaker, request: AccessRequest, now: datetime
) -> bool:  # fmt: skip
    """Whoever may see it; who holds something of a list is told as well that it is not extended."""
    return may_see(session, policy, speaker, request, now) or extending.holds_of_a_list(
        session, request, speaker.account
    )


def _filled(desk: Desk, request: AccessRequest, room: timedelta | None, reason: str) -> Filled:
    """For as long as it was asked for, or for what is left of the longest."""
    asked = timedelta(seconds=request.duration) if request.duration else None
    lengths = [length for length in (asked, room) if length]
    blank = prefilled(
        desk, request.subject, request.entitlement, write_duration(min(lengths)) if lengths else "",
        reason or request.reason, verb="extend",
    )  # fmt: skip
    values = vars(blank) | {"request": request.id, "home": Home(request.home_channel, request.home_thread)}
    return Filled(**values)


def ask_again(desk: Desk, trigger: str, speaker: Speaker, request_id: str) -> str:
    """The button under a warning: longer, or, where the longest leaves no room for that, the same anew."""
    with desk.store.read() as session:
        policy, now = desk.policy(session), desk.store.time_in(session)
        request = session.get(AccessRequest, request_id)
        if request is None or request.verb != "grant" or not may_see(session, policy, speaker, request, now):
            return NONE_SUCH
        room = extending.room(session, policy, request)
    said = "" if room == timedelta(0) else ask_for_longer(desk, trigger, speaker, request_id)
    if room != timedelta(0) and not said:
        return ""
    filled = prefilled(desk, request.subject, request.entitlement, reason=request.reason)
    return "" if open_form(desk, trigger, filled, speaker) else said or "Type `/access grant` to ask for it anew."
