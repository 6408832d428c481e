"""/access status, cancel and mine: looking at requests, and taking one's own back."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from approvals import authority
from approvals.cases import case_of
from approvals.extending import longer
from approvals.models import AccessRequest, Grant
from approvals.policy import Person as Speaker
from approvals.policy import Policy
from approvals.states import HELD, OPEN, Status
from approvals.states import Grant as GrantStatus
from approvals.workflow import Refused
from handlers.administration import safety_status
from handlers.cards import draw, what
from handlers.cards import headline as headline_of
from handlers.desk import FORM_IS_OPEN, Desk, Said
from handlers.lasting import NotToCome, to_come
from handlers.longer import ask_for_longer, may_ask_for_longer
from handlers.moments import Moment
from handlers.text import mention, sentence, when, within
from handlers.view import RequestView, may_see, view_of

SHOWN = 20
QUESTIONS = 50  # open requests looked through while the acknowledgement waits; App Home looks through more
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
            return _what_a_list_gave(session, speaker, said.command.request_id, now)
    drawing = draw(view, buttons=False)
    return {"text": drawing.text, "blocks": drawing.blocks}


def _what_a_list_gave(session: Session, speaker: Speaker, request_id: str, now: datetime) -> str:
    """Of a request they may not see, what they hold by it: a list gave it, and the rest of that is not for them."""
    held = [held_line(one, now) for one in held_by(session, speaker.account) if one.request_id == request_id]
    if not held:
        return NONE_SUCH.format(id=request_id)
    more = f"{request_id} is a list, and this is what is yours of it. `/access end {request_id}` gives it back."
    return within([*held, more], 3900)


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
    length = command.duration.length if command.duration else None
    if not command.request_id:
        return WHICH_ONE
    if length is None and command.until is None:
        return ask_for_longer(desk, said.trigger, speaker, command.request_id, command.reason or "") or FORM_IS_OPEN
    with desk.store.read() as session:
        policy, now = desk.policy(session), desk.store.time_in(session)
        request = session.get(AccessRequest, command.request_id)
        if request is None or not may_ask_for_longer(session, policy, speaker, request, now):
            return NONE_SUCH.format(id=command.request_id)
        if command.until is not None:
            try:
                length = _more(session, speaker, request, command.until, now)
            except NotToCome as never:
                return str(never)
        found = longer(session, policy, request, length or timedelta(0), now)
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


def _more(session: Session, speaker: Speaker, request: AccessRequest, until: Moment, now: datetime) -> timedelta:
    """By how much it is longer when it lasts until then; what has no end, or has ended, is for others to say."""
    ends_by = to_come(session, now, speaker.team, speaker.user, until, like="until Friday 18:00")
    grant = session.exec(select(Grant).where(Grant.request_id == request.id)).first()
    if grant is None or grant.ends_at is None:
        return timedelta(0)
    if ends_by <= grant.ends_at:
        raise NotToCome(f"{request.id} lasts until {when(grant.ends_at)}, which is no earlier. Say a later time.")
    return ends_by - grant.ends_at


def mine(desk: Desk, speaker: Speaker, said: Said) -> str:
    """What waits for one's answer, what one asked for that is not over, and what one holds through Gatehouse."""
    with desk.store.read() as session:
        policy, now = desk.policy(session), desk.store.time_in(session)
        requests, held = asked_by(session, speaker.account), held_by(session, speaker.account)
        views = [view_of(session, policy, request.id, now) for request in requests[:SHOWN]]
        questions = questions_for(session, policy, speaker, now, of=QUESTIONS)
        asked = [view_of(session, policy, request.id, now) for request, _ in questions[:SHOWN]]
    lines = [_waits(view) for view in asked if view is not None]
    for view in filter(None, views):
        icon, words = headline_of(view)
        lines.append(f"{icon} {view.request.id}: {what(view)}: {words}")
    lines += [held_line(grant, now) for grant in held[:SHOWN]]
    more = sum(max(0, len(kind) - SHOWN) for kind in (questions, requests, held))
    if more:
        lines.insert(0, f"The newest {SHOWN} of each; {more} more: `/access status REQ-…` shows any of them.")
    return within(lines, 3900) or "You have asked for nothing that is still open, and hold nothing through Gatehouse."


def _waits(view: RequestView) -> str:
    """A question of somebody else; card and App Home have the buttons."""
    link = f" <{view.thread.link}|Open it>" if view.thread and view.thread.link else ""
    return f":inbox_tray: {view.request.id}: {mention(view.request.user)} waits for your answer to {what(view)}{link}"


def questions_for(
    session: Session, policy: Policy, speaker: Speaker, now: datetime, *, of: int
) -> list[tuple[AccessRequest, str]]:
    """The open requests this person may answer now and why it is them, among the ``of`` that wait longest."""
    others = (AccessRequest.requester != speaker.account, AccessRequest.subject != speaker.account)
    open_ones = select(AccessRequest).where(AccessRequest.status == Status.PENDING, *others)
    found = []
    for request in session.exec(open_ones.order_by(col(AccessRequest.asked_at)).limit(of)).all():
        case = case_of(session, policy, request, now)
        verdict = authority.may_approve(case, speaker.account) if case is not None else None
        if verdict:
            found.append((request, verdict.because))
    return found


def asked_by(session: Session, account: str) -> Sequence[AccessRequest]:
    """What somebody asked for that is not over, the newest first."""
    return session.exec(
        select(AccessRequest)
        .where(AccessRequest.requester == account, col(AccessRequest.status).in_(OPEN))
        .order_by(col(AccessRequest.asked_at).desc())
    ).all()


def held_by(session: Session, account: str) -> Sequence[Grant]:
    """What somebody holds through Gatehouse, what is not yet read to be gone as well, the newest first."""
    return session.exec(
        select(Grant)
        .where(Grant.account == account, col(Grant.status).in_(HELD))
        .order_by(col(Grant.promised_at).desc())
    ).all()


def held_line(grant: Grant, now: datetime) -> str:
    """What, until when, because of which request; what is on its way is said as that."""
    what = f"`{grant.entitlement}`"
    if grant.status == GrantStatus.ENDING or (grant.ends_at is not None and grant.ends_at <= now):
        return f":hourglass: {what} is being taken away ({grant.request_id})"
    until = f"until {when(grant.ends_at)}" if grant.ends_at else "until revoked"
    if grant.status == GrantStatus.PROMISED:
        return f":gear: {what} is being given, {until} ({grant.request_id})"
    return f":key: {what} {until} ({grant.request_id})"
