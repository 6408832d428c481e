"""/access status, cancel and mine: looking at requests, and taking one's own back."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from approvals.extending import longer
from approvals.models import AccessRequest, Grant
from approvals.policy import Person as Speaker
from approvals.states import LIVE, OPEN
from approvals.workflow import Refused
from handlers.administration import safety_status
from handlers.cards import draw, what
from handlers.cards import headline as headline_of
from handlers.desk import FORM_IS_OPEN, Desk, Said
from handlers.longer import ask_for_longer
from handlers.text import sentence, when, within
from handlers.view import may_see, view_of

SHOWN = 20
WHICH_ONE = "Which one, and for how much longer? Type `/access extend REQ-… for 2h`; `/access mine` lists yours."
NONE_SUCH = "There is no request {id} that you may see. `/access mine` lists yours."


def status(desk: Desk, speaker: Speaker, said: Said) -> str | dict[str, object]:
    """One request as its card shows it, without buttons; what one may not see does not exist."""
    if not said.command.request_id:
        return safety_status(desk, speaker)
    with desk.store.read() as session:
        policy, now = desk.policy(session), desk.store.time_in(session)
        request = session.get(AccessRequest, said.command.request_id)
        view = view_of(session, policy, said.command.request_id, now)
        if request is None or view is None or not may_see(session, policy, speaker, request, now):
            return NONE_SUCH.format(id=said.command.request_id)
    drawing = draw(view, buttons=False)
    return {"text": drawing.text, "blocks": drawing.blocks}


def cancel(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Take back what was asked and not yet begun."""
    if not said.command.request_id:
        return "Which one? Type `/access cancel REQ-…`; `/access mine` lists yours."
    try:
        request = desk.workflow.cancel(speaker, said.command.request_id, said.source)
    except Refused as refused:
        return sentence(str(refused))
    return f":wastebasket: {request.id} is taken back. Nothing was changed in Atlassian."


def end(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Give back early."""
    if not said.command.request_id:
        return "Which one? Type `/access end REQ-…`; `/access mine` lists what you hold."
    try:
        request = desk.workflow.end(speaker, said.command.request_id, said.source)
    except Refused as refused:
        return sentence(str(refused))
    return f":hourglass: {request.id} is being ended. Its thread says when Atlassian shows it."


def extend(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Hold it longer: the same question to the same people."""
    command = said.command
    if not command.request_id:
        return WHICH_ONE
    if command.duration is None or command.duration.length is None:
        return ask_for_longer(desk, said.trigger, speaker, command.request_id, command.reason or "") or FORM_IS_OPEN
    with desk.store.read() as session:
        policy, now = desk.policy(session), desk.store.time_in(session)
        request = session.get(AccessRequest, command.request_id)
        if request is None or not may_see(session, policy, speaker, request, now):
            return NONE_SUCH.format(id=command.request_id)
        found = longer(session, policy, request, command.duration.length, now)
    if isinstance(found, str):
        return found
    try:
        asked = desk.workflow.ask(speaker, found.ask(command.reason or "", said.source))
    except Refused as refused:
        return sentence(str(refused))
    return (
        f":hourglass_flowing_sand: {asked.id} asks for `{asked.entitlement}` until {when(found.ends_by)}. Whoever must "
        f"answer is asked, and {request.id} goes on meanwhile."
    )


def mine(desk: Desk, speaker: Speaker, said: Said) -> str:
    """What one asked for that is not over, and what one holds through Gatehouse."""
    with desk.store.read() as session:
        policy, now = desk.policy(session), desk.store.time_in(session)
        requests, held = asked_by(session, speaker.account), held_by(session, speaker.account)
        views = [view_of(session, policy, request.id, now) for request in requests[:SHOWN]]
    lines = []
    for view in filter(None, views):
        icon, words = headline_of(view)
        lines.append(f"{icon} {view.request.id}: {what(view)}: {words}")
    lines += [held_line(grant) for grant in held[:SHOWN]]
    more = max(0, len(requests) - SHOWN) + max(0, len(held) - SHOWN)
    if more:
        lines.insert(0, f"The newest {SHOWN} of each; {more} more: `/access status REQ-…` shows any of them.")
    return within(lines, 3900) or "You have asked for nothing that is still open, and hold nothing through Gatehouse."


def asked_by(session: Session, account: str) -> Sequence[AccessRequest]:
    """What somebody asked for that is not over, the newest first."""
    return session.exec(
        select(AccessRequest)
        .where(AccessRequest.requester == account, col(AccessRequest.status).in_(OPEN))
        .order_by(col(AccessRequest.asked_at).desc())
    ).all()


def held_by(session: Session, account: str) -> Sequence[Grant]:
    """What somebody holds through Gatehouse, the newest first."""
    return session.exec(
        select(Grant)
        .where(Grant.account == account, col(Grant.status).in_(LIVE))
        .order_by(col(Grant.promised_at).desc())
    ).all()


def held_line(grant: Grant) -> str:
    until = f"until {when(grant.ends_at)}" if grant.ends_at else "until revoked"
    return f":key: `{grant.entitlement}` {until} ({grant.request_id})"
