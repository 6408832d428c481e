"""Approve, Change and Deny: a click is written down as a vote; what it needs beside the click is asked first."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from approvals import authority, people
from approvals.cases import case_of, rule_of
from approvals.crash import crash_point
from approvals.models import AccessRequest
from approvals.policy import Person, Rule
from approvals.states import Status
from approvals.store import AlreadyThere
from approvals.workflow import Click
from handlers.change import asked_for_less, can_be_less
from handlers.confirm import asked_to_confirm, needs_a_look
from handlers.desk import Desk
from handlers.from_home import is_home, redraw, redraw_after

Wanted = Callable[[AccessRequest, Rule], bool]  # whether something is asked before a click counts
DENY_VIEW = "deny_reason"
NOT_OPENED = "Slack did not open the plan of {id}. Please press Approve again, or answer on its card."


def approve(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The click on Approve: of a higher tier the plan is shown first; from App Home always, as none stands there."""
    click = _click(body, body["actions"][0].get("value", ""), "approve", source)
    wanted = always if is_home(body) else needs_a_look
    if not _first(desk, click, wanted, lambda: asked_to_confirm(desk, body["trigger_id"], click)):
        if is_home(body) and _could_count(desk, click, wanted):
            _say_it_did_not_open(desk, click)  # an approval of a plan that was never shown is none
        else:
            desk.workflow.vote(click)
        redraw_after(desk, body)
    ack()


def change(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The click on Change: what it is to be instead is asked in a form."""
    click = _click(body, body["actions"][0].get("value", ""), "edit", source)
    if not _first(desk, click, can_be_less, lambda: asked_for_less(desk, body["trigger_id"], click)):
        desk.workflow.vote(click)  # its sender hears why it changes nothing
    ack()


def deny(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The click on Deny: ask for the reason, unless the mirror can already tell that this vote won't count."""
    click = _click(body, body["actions"][0].get("value", ""), "deny", source)
    if not _first(desk, click, always, lambda: _asked_why(desk, body["trigger_id"], click)):
        desk.workflow.vote(click)  # judged like any other; its sender hears why it does not count
        redraw_after(desk, body)
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
    if not asked["channel"]:  # pressed in App Home
        redraw(desk, body["team"]["id"], user["id"])
    ack()


def _say_it_did_not_open(desk: Desk, click: Click) -> None:
    with desk.store.read() as session:
        speaker = people.speaker(session, desk.policy(session), click.team, click.user)
    if not isinstance(speaker, people.Stop):
        desk.workflow.answer(speaker, "", NOT_OPENED.format(id=click.request_id), click.source)


def always(request: AccessRequest, rule: Rule) -> bool:
    """Whatever is asked for, and under whatever rule."""
    return True


def _first(desk: Desk, click: Click, wanted: Wanted, ask: Callable[[], bool]) -> bool:
    """Ask something before the vote, where it is wanted and the mirror can't already tell that it won't count.

    The click is used up then: sent again, it would find its trigger used and count as a vote without its answer.
    """
    if not _could_count(desk, click, wanted) or not ask():
        return False
    with desk.store.write() as w, suppress(AlreadyThere):
        w.first_time(click.source)
    return True


def _asked_why(desk: Desk, trigger: str, click: Click) -> bool:
    crash_point("deny: before asking why")
    opened = desk.open_view(trigger, reason_form(click))
    crash_point("deny: asked why")
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


def _could_count(desk: Desk, click: Click, wanted: Wanted) -> bool:
    """Whether the mirror lets it count, and something is wanted first; most clicks need nothing but the rule's word."""
    with desk.store.read() as session:
        policy = desk.policy(session)
        request = session.get(AccessRequest, click.request_id)
        if request is None or (request.version, request.status) != (click.version, Status.PENDING):
            return False
        rule = rule_of(session, policy, request)
        if rule is None or not wanted(request, rule):
            return False
        case = case_of(session, policy, request, desk.store.time_in(session))
        speaker = people.speaker(session, policy, click.team, click.user)
    return case is not None and isinstance(speaker, Person) and bool(authority.may_deny(case, speaker.account))
