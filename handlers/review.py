"""The review after break-glass: its card in the security channel, and the form in which somebody says what it was."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from approvals import people
from approvals.crash import crash_point
from approvals.glass_facts import is_by_hand
from approvals.models import Call, Review, ReviewRead, StepRow
from approvals.plan import Step
from approvals.policy import Person as Speaker
from approvals.policy import Policy, say_duration
from approvals.states import Grant as GrantStatus
from approvals.states import Review as ReviewStatus
from approvals.workflow import Refused
from handlers.breakglass import END, button
from handlers.cards import Drawing
from handlers.clicks import clicker
from handlers.desk import Desk
from handlers.people import who_speaks
from handlers.text import esc, plain, sentence, when, within
from handlers.view import RequestView, view_of

SETTLE, SETTLE_VIEW = "review_settle", "review_verdict"
VERDICT, REASON = "verdict", "reason"
WORDS = {
    "legitimate": "It was right: the incident needed it",
    "drill": "It was a drill",
    "misuse": "Misuse: propose to suspend the account",
}
CALLS_SHOWN = 20
HEADLINES = {
    ReviewStatus.DUE: (":mag:", "Somebody must say whether this was right"),
    ReviewStatus.OVERDUE: (":alarm_clock:", "Overdue: nobody has said whether this was right"),
    ReviewStatus.SETTLED: (":ballot_box_with_check:", "Settled"),
}


@dataclass(frozen=True)
class ReviewView:
    """A review with the request it is about and every call the bot made for it."""

    review: Review
    request: RequestView
    calls: Sequence[Call]
    by: str = ""  # the name of who settled it
    read: ReviewRead | None = None  # how far Atlassian's audit log was read
    words: Mapping[int, str] = field(default_factory=dict)  # of each call's step, by its number


def review_view(session: Session, policy: Policy, request_id: str, now: datetime) -> ReviewView | None:
    """Gather it; None when there is no such review."""
    review = session.get(Review, request_id)
    view = view_of(session, policy, request_id, now)
    if review is None or view is None:
        return None
    calls = select(Call).join(StepRow, col(StepRow.id) == col(Call.step_id)).where(StepRow.request_id == request_id)
    made = session.exec(calls.order_by(col(Call.id))).all()
    steps = session.exec(select(StepRow.id, StepRow.body).where(StepRow.request_id == request_id)).all()
    words = {id: Step.model_validate_json(body).words for id, body in steps if id is not None}
    by = people.names(session, {review.by})[review.by] if review.by else ""
    return ReviewView(review, view, made, by, session.get(ReviewRead, request_id), words)


def draw_review(shown: ReviewView) -> Drawing:
    """The card, as the record has it."""
    review, view = shown.review, shown.request
    icon, words = HEADLINES[ReviewStatus(review.status)]
    name, request = esc(view.name(review.person)), view.request
    kind = "practised break-glass" if review.drill else f"broke glass for *{esc(request.value)}*"
    kind = f"was given it by hand for *{esc(request.value)}*" if is_by_hand(request) else kind
    lines = [f"{icon} *{words}*", f"*{name}* {kind}: `{request.entitlement}`, {_held(view)}"]
    lines += [f"Because: {esc(request.reason, 1000)}"] if request.reason else []
    theirs = _section("*What Atlassian's audit log shows of them*", *_events(shown.read))
    blocks = [_section(*lines), _section("*What the bot did*", *_calls(shown)), theirs]
    if review.status == ReviewStatus.SETTLED:
        at = when(review.settled_at) if review.settled_at else ""
        blocks.append(_section(f"*{esc(shown.by)}*: {WORDS[review.verdict]}. {at}", esc(review.reason, 1500)))
    else:
        elements = button(SETTLE, "Settle…", request.id, "primary")["elements"]
        live = view.grant is not None and view.grant.status in (GrantStatus.PROMISED, GrantStatus.ACTIVE)
        elements += button(END, "End it now", request.id, "danger")["elements"] if live else []
        blocks.append({"type": "actions", "block_id": "review", "elements": elements})
    foot = f"{request.id} · taken {when(review.opened_at)} · to be settled until {when(review.due_at)}"
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": foot}]})
    return Drawing(text=f"{icon} {words}: {request.id}", blocks=blocks)


def _held(view: RequestView) -> str:
    """For how long, as the record has it now."""
    grant = view.grant
    if grant is None or grant.status == GrantStatus.VOID:
        return "and nothing was given."
    if grant.ended_at is None:
        until = f"until {when(grant.ends_at)}" if grant.ends_at else ""
        return f"held since {when(grant.promised_at)} {until}."
    length = grant.ended_at - grant.promised_at
    minutes = max(timedelta(minutes=1), timedelta(minutes=length // timedelta(minutes=1)))
    return f"held for {say_duration(minutes)}, from {when(grant.promised_at)} to {when(grant.ended_at)}."


def _calls(shown: ReviewView) -> list[str]:
    """What each was for comes first: giving and taking are one and the same call with another body."""
    lines = [
        f"• {when(call.intended_at)} {esc(shown.words.get(call.step_id, ''), 300)} `{esc(call.method, 10)} "
        f"{esc(call.path, 300)}` {esc(call.answer or 'no answer yet', 120)}"
        for call in shown.calls[:CALLS_SHOWN]
    ]
    left = len(shown.calls) - CALLS_SHOWN
    return [*lines, *([f"… and {left} more"] if left > 0 else [])] or ["Nothing yet."]


def _events(read: ReviewRead | None) -> list[str]:
    """How many events of theirs there were in the time, or why nobody knows yet."""
    if read is None or (read.found is None and not read.trouble):
        lines = ["It is read when it is over, and the events go into this thread as a file."]
    elif read.found is None:
        lines = []
    elif read.found == 0:
        lines = [f"No event of theirs in the window, as of {_as_of(read)}."]
    else:
        events = "1 event" if read.found == 1 else f"{read.found:,} events"
        lines = [f"{events} of theirs in the window: see the file in this thread. As of {_as_of(read)}."]
    if read is not None and read.trouble:
        newer = "Newer events are" if lines else "Their events are"
        lines.append(f":hourglass: {newer} not read yet ({esc(read.trouble, 600)}). It is tried again.")
    return lines


def _as_of(read: ReviewRead) -> str:
    return when(read.read_at) if read.read_at else "now"


# -- settling it ------------------------------------------------------------------------------------------------------


def settle(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The button: the form, unless it can be told already that they may not."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        id = str(body["actions"][0].get("value", ""))[:60]
        because = desk.reviews.why_not(speaker, id)
        if not because and not _opened(desk, id, source, body["trigger_id"]):
            because = "Slack did not open the form. Press Settle again."
        if not because:
            desk.reviews.opened(id)
        if because:
            channel = body["container"].get("channel_id", "")
            desk.workflow.answer(speaker, channel, esc(sentence(because), 2000), f"settle {source}")
    ack()


def _opened(desk: Desk, id: str, source: str, trigger: str) -> bool:
    with desk.store.read() as session:
        review = session.get_one(Review, id)
    crash_point("review form: before opening")
    opened = desk.open_view(trigger, draw_verdict(review, source))
    crash_point("review form: opened")
    return opened


def draw_verdict(review: Review, source: str) -> dict[str, object]:
    """What was it, and why; of a drill the answer is filled in."""
    options = [{"text": _plain(words), "value": name} for name, words in WORDS.items()]
    chosen: dict[str, Any] = {"type": "radio_buttons", "action_id": VERDICT, "options": options}
    if review.drill:
        chosen["initial_option"] = options[1]
    why = {"type": "plain_text_input", "action_id": REASON, "multiline": True, "max_length": 1000}
    return {
        "type": "modal",
        "callback_id": SETTLE_VIEW,
        "external_id": f"review:{source[:40]}",
        "private_metadata": json.dumps({"request": review.request_id}),
        "title": _plain("What was it?"),
        "submit": _plain("Settle"),
        "close": _plain("Go back"),
        "blocks": [
            {"type": "input", "block_id": VERDICT, "label": _plain("What was it?"), "element": chosen},
            {"type": "input", "block_id": REASON, "label": _plain("Why do you say so?"), "element": why,
             "hint": _plain("Who broke the glass reads this, and so does the record.")},
        ],
    }  # fmt: skip


def settled(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The form was sent."""
    speaker = who_speaks(desk, body["team"]["id"], body["user"]["id"], source)
    if not isinstance(speaker, Speaker):
        ack(response_action="errors", errors={REASON: plain(speaker.because, 150)})
        return
    values = body["view"]["state"]["values"]
    chosen = (values.get(VERDICT, {}).get(VERDICT, {}).get("selected_option") or {}).get("value", "")
    reason = (values.get(REASON, {}).get(REASON, {}).get("value") or "").strip()
    request = json.loads(body["view"]["private_metadata"])["request"]
    try:
        desk.reviews.settle(speaker, request, chosen, reason, source)
    except Refused as refused:
        ack(response_action="errors", errors={REASON: plain(sentence(str(refused)), 150)})
        return
    ack()


def _section(*lines: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": within(lines)}}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": plain(text, 75)}
