"""Approve and Deny: a click is written down as a vote; Deny asks for a reason first."""

import json
from contextlib import suppress
from typing import Any

from approvals import authority, people
from approvals.cases import case_of
from approvals.crash import crash_point
from approvals.models import AccessRequest
from approvals.store import AlreadyThere
from approvals.workflow import Click
from handlers.desk import Desk

DENY_VIEW = "deny_reason"


def approve(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The click on Approve."""
    desk.workflow.vote(_click(body, body["actions"][0].get("value", ""), "approve", source))
    ack()


def deny(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The click on Deny: ask for the reason, unless the mirror can already tell that this vote won't count."""
    click = _click(body, body["actions"][0].get("value", ""), "deny", source)
    if not _could_count(desk, click) or not _asked_why(desk, body["trigger_id"], click):
        desk.workflow.vote(click)  # judged like any other; its sender hears why it does not count
    ack()


def denied(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The reason was given."""
    view = body["view"]
    reason = (view["state"]["values"]["reason"]["text"]["value"] or "").strip()
    if not reason:
        ack(response_action="errors", errors={"reason": "Please say why, so that the person who asked can act on it."})
        return
    asked = json.loads(view["private_metadata"])
    user = body["user"]
    desk.workflow.vote(
        Click(
            request_id=asked["request"],
            version=int(asked["version"]),
            choice="deny",
            team=body["team"]["id"],
            user=user["id"],
            channel=asked["channel"],
            source=source,
            reason=reason,
        )
    )
    ack()


def _asked_why(desk: Desk, trigger: str, click: Click) -> bool:
    crash_point("deny: before asking why")
    opened = desk.open_view(trigger, reason_form(click))
    crash_point("deny: asked why")
    if opened:  # the click is used up: sent again, it would find its trigger used and count as a vote without a reason
        with desk.store.write() as w, suppress(AlreadyThere):
            w.first_time(click.source)
    return opened


def reason_form(click: Click) -> dict[str, object]:
    """The modal that asks why."""
    return {
        "type": "modal",
        "callback_id": DENY_VIEW,
        "external_id": f"deny:{click.source[:40]}",
        "private_metadata": json.dumps(
            {"request": click.request_id, "version": click.version, "channel": click.channel}
        ),
        "title": {"type": "plain_text", "text": "Deny the request"},
        "submit": {"type": "plain_text", "text": "Deny"},
        "close": {"type": "plain_text", "text": "Go back"},
        "blocks": [
            {
                "type": "input",
                "block_id": "reason",
                "label": {"type": "plain_text", "text": "Why?"},
                "hint": {"type": "plain_text", "text": "The person who asked reads this, and so does the record."},
                "element": {"type": "plain_text_input", "action_id": "text", "multiline": True, "max_length": 1000},
            }
        ],
    }


def _click(body: dict[str, Any], value: str, choice: str, source: str) -> Click:
    request_id, _, version = value.partition(":")
    return Click(
        request_id=request_id,
        version=int(version) if version.isdigit() else 0,
        choice=choice,
        team=body["team"]["id"],
        user=body["user"]["id"],
        channel=body["container"].get("channel_id", ""),
        source=source,
    )


def _could_count(desk: Desk, click: Click) -> bool:
    with desk.store.read() as session:
        policy = desk.policy(session)
        request = session.get(AccessRequest, click.request_id)
        speaker = people.speaker(session, policy, click.team, click.user)
        if request is None or isinstance(speaker, people.Stop) or request.version != click.version:
            return False
        case = case_of(session, policy, request, desk.store.time_in(session))
        return case is not None and bool(authority.may_deny(case, speaker.account))
