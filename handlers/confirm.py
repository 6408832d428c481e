"""Approve of a higher tier: a form with the whole plan, and for the highest the subject's name typed."""

import json
from typing import Any

from approvals.confirming import SHOWN, is_the_name
from approvals.crash import crash_point
from approvals.models import AccessRequest
from approvals.planning import plan_of
from approvals.policy import Rule
from approvals.workflow import Click
from handlers.cards import how_long, plan_lines, what
from handlers.desk import Desk
from handlers.from_home import redraw
from handlers.text import esc, plain, within
from handlers.view import RequestView, view_of

APPROVE_VIEW = "approve_plan"
NAME = "name"
NOT_THE_NAME = "That is not the name, or the number. Type it as it stands above."
NOT_A_FACTOR = "This guards against the wrong button; it does not prove who you are."


def needs_a_look(request: AccessRequest, rule: Rule) -> bool:
    """Whether a click alone does not approve this."""
    return rule.tier != "low"


def asked_to_confirm(desk: Desk, trigger: str, click: Click) -> bool:
    """Open the form; false when Slack did not, or when there is nothing to confirm."""
    with desk.store.read() as session:
        view = view_of(session, desk.policy(session), click.request_id, desk.store.time_in(session))
    if view is None or view.plan is None:
        return False
    crash_point("approve: before showing the plan")
    opened = desk.open_view(trigger, draw_confirmation(view, click))
    crash_point("approve: plan shown")
    return opened


def draw_confirmation(view: RequestView, click: Click) -> dict[str, Any]:
    """The plan once more, as a whole; of the high tier with a field for the name."""
    assert view.rule is not None
    request = view.request
    asked = f"*{esc(view.name(request.requester))}* asks for {what(view)}"
    blocks: list[dict[str, Any]] = [
        _section(f"{asked} *{how_long(view)}*" if request.verb == "grant" else asked),
        *([] if view.plan is not None and view.plan.rows else [_section(_who(view))]),
        _section(*plan_lines(view)),
    ]
    if view.rule.tier == "high":
        element = {"type": "plain_text_input", "action_id": NAME, "max_length": 300}
        label = _plain(_to_type(view))
        hint = _plain(NOT_A_FACTOR)
        blocks.append({"type": "input", "block_id": NAME, "label": label, "hint": hint, "element": element})
    meant = {"request": click.request_id, "version": click.version, "channel": click.channel}
    return {
        "type": "modal",
        "callback_id": APPROVE_VIEW,
        "external_id": f"approve:{click.source[:40]}",
        "private_metadata": json.dumps(meant),
        "title": _plain("Approve the plan"),
        "submit": _plain("Approve"),
        "close": _plain("Go back"),
        "blocks": blocks,
    }


def _who(view: RequestView) -> str:
    return f"{esc(view.subject_name)} · {esc(view.subject_mail)} · `{view.request.subject}`"


def _to_type(view: RequestView) -> str:
    if view.plan is not None and view.plan.rows:
        return f"Type the number of accounts this is about: {view.plan.to_type}"
    return f"Type the name of the person this is about: {view.subject_name}"


def confirmed(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The form was sent: a wrong name is said at its field, else the vote is written down."""
    view = body["view"]
    meant = json.loads(view["private_metadata"])
    field = view.get("state", {}).get("values", {}).get(NAME)
    typed = (field[NAME].get("value") or "").strip() if field else SHOWN
    if field and not is_the_name(typed, _subject(desk, meant["request"])):
        ack(response_action="errors", errors={NAME: NOT_THE_NAME})
        return
    desk.workflow.vote(
        Click(
            request_id=meant["request"],
            version=int(meant["version"]),
            choice="approve",
            team=body["team"]["id"],
            user=body["user"]["id"],
            channel=meant["channel"],
            source=source,
            typed=typed,
        )
    )
    if not meant["channel"]:  # pressed in App Home
        redraw(desk, body["team"]["id"], body["user"]["id"])
    ack()


def _subject(desk: Desk, request_id: str) -> str:
    with desk.store.read() as session:
        request = session.get(AccessRequest, request_id)
        plan = plan_of(session, request) if request else None
    return plan.to_type if plan else ""


def _section(*lines: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": within(lines)}}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": plain(text, 150)}
