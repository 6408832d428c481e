"""The payloads Slack sends to an app: slash commands, interactions and events, field by field."""

import copy
import re
import secrets
import time

from bot.sandbox import seed
from bot.sandbox.slack.forms import ANSWER_KEYS
from bot.sandbox.slack.people import Account, Json
from bot.sandbox.slack.state import Post, Room, View, Workspace

VERIFICATION_TOKEN = "sandbox-verification-token"  # deprecated by Slack, still in every payload
ACTION_FIELDS = {"text", "value", "style", "url", "confirm", "placeholder", "min_query_length"}
MENTIONED = re.compile(r"(?<![^\s(])(@|#)([\w.\-]+[\w])|(?<![^\s(])(https?://\S+)")


def command(
    workspace: Workspace, account: Account, room: Room, name: str, text: str, *, response_url: str, trigger: str,
) -> dict[str, str]:  # fmt: skip
    """https://docs.slack.dev/interactivity/implementing-slash-commands; there is no team of the user in it"""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": seed.SLACK_TEAM,
        "team_domain": seed.SLACK_TEAM_DOMAIN,
        "channel_id": room.id,
        "channel_name": shown_name(room),
        "user_id": account.id,
        "user_name": account.handle,
        "command": name,
        "text": typed(workspace, text),
        "api_app_id": seed.SLACK_APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger,
    }


def typed(workspace: Workspace, text: str) -> str:
    """What a person typed after a command, escaped as the app's manifest asks."""
    parts, end = [], 0
    for found in MENTIONED.finditer(text) if workspace.should_escape else ():
        link = _link(workspace, found)
        if link:
            parts += [_escaped(workspace, text[end : found.start()]), link]
            end = found.end()
    return "".join([*parts, _escaped(workspace, text[end:])])


def shown_name(room: Room) -> str:
    """Slack does not tell an app the names of private places."""
    return "directmessage" if room.dm_with else "privategroup" if room.private else room.name


def block_actions(account: Account, action: Json, *, trigger: str) -> Json:
    """The part every click has; :func:`on_message` or :func:`on_view` adds where it happened.

    https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
    """
    return _interaction("block_actions", account) | {"trigger_id": trigger, "actions": [action]}


def on_message(workspace: Workspace, room: Room, post: Post, state: Json, response_url: str) -> Json:
    ephemeral = post.only_for is not None
    where: Json = {
        "container": {
            "type": "message", "message_ts": post.ts, "channel_id": room.id, "is_ephemeral": ephemeral,
        } | ({"thread_ts": post.thread} if post.thread else {}),
        "channel": {"id": room.id, "name": shown_name(room)},
        "state": {"values": state},
        "response_url": response_url,
    }  # fmt: skip
    if not ephemeral:  # Slack keeps no ephemeral message it could send back
        where["message"] = copy.deepcopy(post.body)
    return where


def on_view(view: View, state: Json) -> Json:
    return {"container": {"type": "view", "view_id": view.id}, "view": view_object(view, state)}


def action(element: Json, block_id: str, chosen: Json) -> Json:
    """One entry of ``actions``."""
    kept = {name: part for name, part in element.items() if name in ACTION_FIELDS or name.startswith("initial_")}
    return kept | {
        "type": element["type"], "action_id": element["action_id"], "block_id": block_id,
        "action_ts": f"{time.time():.6f}",
    } | {key: part for key, part in chosen.items() if key != "type"}  # fmt: skip


def view_submission(account: Account, view: View, state: Json, *, trigger: str) -> Json:
    """https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload"""
    return _interaction("view_submission", account) | {"trigger_id": trigger, "view": view_object(view, state)}


def view_closed(account: Account, view: View, *, cleared: bool) -> Json:
    return _interaction("view_closed", account) | {"view": view_object(view, {}), "is_cleared": cleared}


def block_suggestion(account: Account, element: Json, block_id: str, typed_so_far: str, where: Json) -> Json:
    """https://docs.slack.dev/reference/interaction-payloads/block_suggestion-payload"""
    asked = {"action_id": element["action_id"], "block_id": block_id, "value": typed_so_far}
    there = {key: part for key, part in where.items() if key not in ("state", "response_url")}
    return _interaction("block_suggestion", account) | asked | there


def message_action(
    account: Account, room: Room, post: Post, callback_id: str, *, response_url: str, trigger: str
) -> Json:
    """https://docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload"""
    payload = _interaction("message_action", account)
    del payload["api_app_id"]  # as Slack's own samples have it
    return payload | {
        "user": {"id": account.id, "team_id": account.team_id, "name": account.handle},
        "callback_id": callback_id,
        "trigger_id": trigger,
        "message_ts": post.ts,
        "response_url": response_url,
        "message": copy.deepcopy(post.body),
        "channel": {"id": room.id, "name": shown_name(room)},
        "action_ts": f"{time.time():.6f}",
    }


def event_callback(workspace: Workspace, event: Json) -> Json:
    """https://docs.slack.dev/apis/events-api"""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": seed.SLACK_TEAM,
        "api_app_id": seed.SLACK_APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}",
        "event_time": int(workspace.now()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": seed.SLACK_TEAM,
                "user_id": seed.SLACK_BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": f"4-{secrets.token_urlsafe(60)}",
    }


def view_object(view: View, state: Json) -> Json:
    """The view as it is now, with what the person has put in it."""
    return copy.deepcopy(view.body) | {"state": {"values": state}}


def chosen_in(element: Json, answer: Json) -> Json:
    """The part of an answer an action repeats."""
    key = ANSWER_KEYS.get(str(element["type"]))
    return {key: answer.get(key)} if key else {}


def _interaction(kind: str, account: Account) -> Json:
    return {
        "type": kind,
        "user": {
            "id": account.id, "username": account.handle, "name": account.handle, "team_id": account.team_id,
        },
        "api_app_id": seed.SLACK_APP_ID,
        "token": VERIFICATION_TOKEN,
        "team": {"id": seed.SLACK_TEAM, "domain": seed.SLACK_TEAM_DOMAIN},
        "enterprise": None,
        "is_enterprise_install": False,
    }  # fmt: skip


def _link(workspace: Workspace, found: re.Match[str]) -> str | None:
    sign, name, address = found.groups()
    if address:
        return f"<{_escaped(workspace, address)}>"
    if sign == "@":
        if name in ("here", "channel", "everyone"):
            return f"<!{name}>"
        account = next((a for a in workspace.accounts.values() if a.handle == name), None)
        return f"<@{account.id}|{account.handle}>" if account else None
    room = next((r for r in workspace.rooms.values() if r.name == name and not r.dm_with), None)
    return f"<#{room.id}|{room.name}>" if room else None


def _escaped(workspace: Workspace, text: str) -> str:
    """https://docs.slack.dev/messaging/formatting-message-text#escaping"""
    if not workspace.escape_typed:
        return text
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
