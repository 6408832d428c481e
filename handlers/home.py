"""App Home: what waits for one's answer, what one asked for, what one holds; drawn when it is opened."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from approvals import authority, people
from approvals.cases import case_of
from approvals.models import AccessRequest
from approvals.policy import Person as Speaker
from approvals.policy import Policy
from approvals.states import Status
from handlers.asking import open_form, prefilled
from handlers.desk import Desk
from handlers.news import standing
from handlers.people import who_speaks
from handlers.requests import asked_by, held_by, held_line
from handlers.text import esc, within
from handlers.view import view_of

ASK = "home_ask"
LISTED = 8  # of each kind: they share one block of 3000 characters
LOOKED_THROUGH = 200  # open questions, the oldest first


def opened(ack: Any, event: dict[str, Any], body: dict[str, Any], desk: Desk) -> None:
    """Somebody looks: a job draws it, so that no listener waits for Slack."""
    if event.get("tab") == "home":
        with desk.store.write() as w:
            w.enqueue("home", f"{body['team_id']}/{event['user']}")
    ack()


def ask(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The button: the empty form."""
    speaker = who_speaks(desk, body["team"]["id"], body["user"]["id"], source)
    if not isinstance(speaker, people.Stop):
        open_form(desk, body["trigger_id"], prefilled(desk, speaker.account))
    ack()


def draw_home(session: Session, policy: Policy, team: str, user: str, now: datetime) -> dict[str, Any]:
    """The Home of one person; whoever is not heard reads why."""
    speaker = people.speaker(session, policy, team, user)
    if isinstance(speaker, people.Stop):
        return {"type": "home", "blocks": [_section(esc(speaker.because, 2000))]}
    button = {"type": "button", "action_id": ASK, "style": "primary", "text": _plain("Request access")}
    blocks: list[dict[str, Any]] = [{"type": "actions", "block_id": "ask", "elements": [button]}]
    asked = _standing(session, policy, asked_by(session, speaker.account), now)
    for title, lines, nothing in (
        ("Waiting for your answer", _questions(session, policy, speaker, now), "Nobody waits for you."),
        ("What you asked for", asked, "Nothing that is still open."),
        ("What you hold through Gatehouse", _held(session, speaker), "Nothing."),
    ):
        blocks += [{"type": "header", "text": _plain(title)}, _section(within(lines or [nothing], 2900))]
    return {"type": "home", "blocks": blocks}


def _questions(session: Session, policy: Policy, speaker: Speaker, now: datetime) -> list[str]:
    open_ones = session.exec(
        select(AccessRequest)
        .where(AccessRequest.status == Status.PENDING)
        .order_by(col(AccessRequest.asked_at))
        .limit(LOOKED_THROUGH)
    ).all()
    mine = []
    for request in open_ones:
        case = case_of(session, policy, request, now)
        if case is not None and authority.may_approve(case, speaker.account):
            mine.append(request)
    return _standing(session, policy, mine, now)


def _standing(session: Session, policy: Policy, requests: Sequence[AccessRequest], now: datetime) -> list[str]:
    views = [view_of(session, policy, request.id, now) for request in requests[:LISTED]]
    lines = [_with_link(standing(view), view.thread.link if view.thread else "") for view in views if view]
    return [*lines, *_more(len(requests))]


def _with_link(text: str, link: str) -> str:
    return f"{text}\n<{link}|Open it>" if link else text


def _held(session: Session, speaker: Speaker) -> list[str]:
    grants = held_by(session, speaker.account)
    lines = [held_line(grant) for grant in grants[:LISTED]]
    return [*lines, *_more(len(grants))]


def _more(number: int) -> list[str]:
    return [f"… and {number - LISTED} more: `/access mine`"] if number > LISTED else []


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
