"""App Home: what waits for one's answer, what one holds, what one asked for, and what those who run it must see.

A Home has 100 blocks at most (https://docs.slack.dev/reference/block-kit/blocks), so of each kind the first few are
shown with their buttons and the rest is counted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from approvals import people
from approvals.bulk_cases import BULK
from approvals.glass_facts import is_by_hand
from approvals.models import AccessRequest, Grant
from approvals.policy import Person as Speaker
from approvals.policy import Policy
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from handlers.asking import NOT_OPENED, blank, open_form
from handlers.cards import how_long, what
from handlers.clicks import clicker, say_unless_open
from handlers.desk import FORM_IS_OPEN, Desk
from handlers.from_home import redraw
from handlers.home_watch import is_watched_by, watch_lines
from handlers.news import standing
from handlers.requests import asked_by, held_by, held_line, questions_for
from handlers.text import LONGEST, esc, mention, when, within
from handlers.view import RequestView, view_of

ASK = "home_ask"
LISTED = 8  # of each kind, with at most two blocks each
LOOKED_THROUGH = 200  # open questions, the oldest first
TAKEN_BACK = (Status.ASKED, Status.PENDING, Status.SCHEDULED)

Block = dict[str, Any]


def opened(ack: Any, event: dict[str, Any], body: dict[str, Any], desk: Desk) -> None:
    """Somebody looks: a job draws it, so that no listener waits for Slack."""
    if event.get("tab") == "home":
        redraw(desk, body["team_id"], event["user"])
    ack()


def ask(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The button: the empty form."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        opened = open_form(desk, body["trigger_id"], blank(desk, speaker), speaker)
        say_unless_open(desk, speaker, body, FORM_IS_OPEN if opened else NOT_OPENED, source)
    ack()


def draw_home(session: Session, policy: Policy, team: str, user: str, now: datetime) -> dict[str, Any]:
    """The Home of one person; whoever is not heard reads why."""
    speaker = people.speaker(session, policy, team, user)
    if isinstance(speaker, people.Stop):
        return {"type": "home", "blocks": [_section(esc(speaker.because, 2000))]}
    ask = {"type": "button", "action_id": ASK, "style": "primary", "text": _plain("Request access")}
    blocks: list[Block] = [{"type": "actions", "block_id": "ask", "elements": [ask]}]
    blocks += _kind("Waiting for your answer", _questions(session, policy, speaker, now), "Nobody waits for you.")
    blocks += _kind("What you hold through Gatehouse", _held(session, speaker, now), "Nothing.")
    blocks += _kind("What you asked for", _asked(session, policy, speaker, now), "Nothing that is still open.")
    if is_watched_by(speaker):
        blocks += _kind("What you look after", [_section(text) for text in watch_lines(session, now)], "")
    return {"type": "home", "blocks": blocks}


def _kind(title: str, rows: list[Block], nothing: str) -> list[Block]:
    return [{"type": "header", "text": _plain(title)}, *(rows or [_section(nothing)])]


# -- the questions ----------------------------------------------------------------------------------------------------


def _questions(session: Session, policy: Policy, speaker: Speaker, now: datetime) -> list[Block]:
    mine = questions_for(session, policy, speaker, now, of=LOOKED_THROUGH)
    blocks: list[Block] = []
    for request, because in mine[:LISTED]:
        view = view_of(session, policy, request.id, now)
        if view is not None:
            blocks += [_section(_question(view, because)), _answers(view)]
    return [*blocks, *_more(len(mine), "they are in your direct messages with Gatehouse")]


def _question(view: RequestView, because: str) -> str:
    """Who asks for what and why, and why it is you who is asked."""
    request = view.request
    length = f" *{how_long(view)}*" if request.verb == "grant" else ""
    lines = [f"{mention(request.user)} asks for {what(view)}{length}"]
    if request.reason:
        lines.append(f"Because: {esc(request.reason, 600)}")
    lines.append(f"{request.id} · you are asked as {esc(because)} · until {when(request.lapses_at)}")
    return within([*lines, *_link(view)])


def _answers(view: RequestView) -> Block:
    """Both open a form first: what a click approves was never shown in the Home."""
    value = f"{view.request.id}:{view.request.version}"
    return _row(f"answer {view.request.id}", _button("approve", "Approve…", value, style="primary"),
                _button("deny", "Deny…", value, style="danger"))  # fmt: skip


# -- what is held and what was asked for ------------------------------------------------------------------------------


def _held(session: Session, speaker: Speaker, now: datetime) -> list[Block]:
    grants = held_by(session, speaker.account)
    blocks: list[Block] = []
    for grant in grants[:LISTED]:
        blocks.append(_section(held_line(grant, now)))
        buttons = _of_grant(session, grant, now)
        blocks += [_row(f"held {grant.request_id} {grant.id}", *buttons)] if buttons else []
    return [*blocks, *_more(len(grants))]


def _of_grant(session: Session, grant: Grant, now: datetime) -> list[Block]:
    """As on the card: what is active and was not there before can be held longer, and given back.

    Of a list only this grant is given back, and what a list gave, or somebody by hand, is not held longer.
    """
    over = grant.ends_at is not None and grant.ends_at <= now
    request = session.get(AccessRequest, grant.request_id)
    if grant.status != GrantStatus.ACTIVE or grant.held_before or over or request is None:
        return []
    value, of_a_list = f"{request.id}:{request.version}", request.verb == BULK
    lasts = grant.ends_at is None or of_a_list or is_by_hand(request)
    longer = [] if lasts else [_button("extend", "Extend…", value)]
    return [*longer, _button("end", "Give back", f"{value}:{grant.id}" if of_a_list else value)]


def _asked(session: Session, policy: Policy, speaker: Speaker, now: datetime) -> list[Block]:
    requests = asked_by(session, speaker.account)
    views = [view_of(session, policy, request.id, now) for request in requests[:LISTED]]
    return [*(_asked_row(view) for view in views if view is not None), *_more(len(requests))]


def _asked_row(view: RequestView) -> Block:
    request = view.request
    link = _link(view)  # kept whatever has no room: many may be able to answer, each with a line of their own
    lines = within(standing(view).split("\n"), LONGEST - sum(len(line) + 1 for line in link))
    row = _section("\n".join([lines, *link]))
    if request.status in TAKEN_BACK:
        row |= {"accessory": _button("cancel", "Cancel", f"{request.id}:{request.version}")}
    return row


# -- the pieces -------------------------------------------------------------------------------------------------------


def _link(view: RequestView) -> Sequence[str]:
    return [f"<{view.thread.link}|Open it>"] if view.thread and view.thread.link else []


def _more(number: int, where: str = "`/access mine`") -> list[Block]:
    return [_section(f"… and {number - LISTED} more: {where}")] if number > LISTED else []


def _button(action: str, text: str, value: str, *, style: str = "") -> Block:
    """A button carries an opaque id and the version that was shown, nothing else."""
    button: Block = {"type": "button", "action_id": action, "text": _plain(text), "value": value}
    return button | ({"style": style} if style else {})


def _row(name: str, *elements: Block) -> Block:
    return {"type": "actions", "block_id": name, "elements": list(elements)}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
