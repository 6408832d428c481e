"""Change before approving: an approver gives less than was asked, and the question is planned and asked anew."""

import json
from datetime import timedelta
from typing import Any

from approvals.crash import crash_point
from approvals.models import AccessRequest
from approvals.policy import Entitlement, Rule, write_duration
from approvals.workflow import Click
from handlers.desk import Desk
from handlers.lasting import NotToCome, term_of
from handlers.request_form import Unreadable, option, read_length
from handlers.text import plain
from handlers.view import RequestView, view_of

CHANGE_VIEW = "change_request"
LENGTH, WHAT = "length", "instead"


def can_be_less(request: AccessRequest, rule: Rule) -> bool:
    """Whether there is anything an approver could make less."""
    return request.verb == "grant" and isinstance(rule, Entitlement)


def asked_for_less(desk: Desk, trigger: str, click: Click) -> bool:
    """Open the form; false when Slack did not."""
    with desk.store.read() as session:
        view = view_of(session, desk.policy(session), click.request_id, desk.store.time_in(session))
    if view is None or view.rule is None or not can_be_less(view.request, view.rule):
        return False
    crash_point("change: before asking")
    opened = desk.open_view(trigger, draw_change(view, click))
    crash_point("change: asked")
    return opened


def draw_change(view: RequestView, click: Click) -> dict[str, Any]:
    """The length, and what may be given in its place where the policy names something."""
    assert isinstance(view.rule, Entitlement)
    request = view.request
    length = write_duration(timedelta(seconds=request.duration) if request.duration is not None else None)
    blocks: list[dict[str, Any]] = [
        {
            "type": "input",
            "block_id": LENGTH,
            "label": _plain("For how long? Not longer than was asked"),
            "element": {"type": "plain_text_input", "action_id": LENGTH, "initial_value": length, "max_length": 60},
        }
    ]
    if request.ends_by is not None:
        hint = "It was asked until a moment, and is over then at the latest, whatever is written here."
        blocks[0]["hint"] = _plain(hint)
    if view.rule.instead:
        names = [request.entitlement, *view.rule.instead]
        select = {
            "type": "static_select",
            "action_id": WHAT,
            "initial_option": option(request.entitlement, request.entitlement),
            "options": [option(name, name) for name in names[:100]],
        }
        blocks.append({"type": "input", "block_id": WHAT, "label": _plain("What?"), "element": select})
    meant = {"request": click.request_id, "version": click.version, "channel": click.channel,
             "entitlement": request.entitlement}  # fmt: skip
    return {
        "type": "modal",
        "callback_id": CHANGE_VIEW,
        "external_id": f"change:{click.source[:40]}",
        "private_metadata": json.dumps(meant),
        "title": _plain("Give less"),
        "submit": _plain("Change"),
        "close": _plain("Go back"),
        "blocks": blocks,
    }


def changed(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The form was sent: what can't be read is said at its field, else the change is written down like a vote."""
    view = body["view"]
    meant, values = json.loads(view["private_metadata"]), view["state"]["values"]
    try:
        said = read_length(values[LENGTH][LENGTH].get("value") or "")
        term = term_of(desk, body["team"]["id"], body["user"]["id"], said)
    except (Unreadable, NotToCome) as wrong:
        ack(response_action="errors", errors={LENGTH: str(wrong)})
        return
    chosen = values.get(WHAT, {}).get(WHAT, {}).get("selected_option")
    wanted = {
        "duration": int(term.length.total_seconds()) if term.length is not None else None,
        "entitlement": chosen["value"] if chosen else meant["entitlement"],
        **({"ends_by": term.ends_by.isoformat()} if term.ends_by is not None else {}),
    }
    desk.workflow.vote(
        Click(
            request_id=meant["request"],
            version=int(meant["version"]),
            choice="edit",
            team=body["team"]["id"],
            user=body["user"]["id"],
            channel=meant["channel"],
            source=source,
            changed=json.dumps(wanted, sort_keys=True),
        )
    )
    ack()


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": plain(text, 150)}
