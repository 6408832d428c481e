"""The Web API as the bot meets it: tokens, scopes, rate limits, and one table of methods."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

from bot.sandbox import seed
from bot.sandbox.slack import api_chat as chat
from bot.sandbox.slack import api_people as people
from bot.sandbox.slack import api_views as views
from bot.sandbox.slack import files
from bot.sandbox.slack.arguments import Arguments
from bot.sandbox.slack.people import Json
from bot.sandbox.slack.rates import RateLimits
from bot.sandbox.slack.state import SlackError, Workspace

TIER_2, TIER_3, TIER_4, SPECIAL = 20, 50, 100, 600  # calls a minute


@dataclass(frozen=True)
class Method:
    """One method: what it does, how often it may be called, and a scope it needs."""

    run: Callable[[Workspace, Arguments], Json]
    per_minute: int
    scope: str | None = None
    form_only: bool = False  # JSON bodies are not read: https://docs.slack.dev/apis/web-api/#methods_supporting_json


@dataclass(frozen=True)
class Answer:
    """What goes back to the caller."""

    body: Json
    status: int = 200
    headers: dict[str, str] | None = None


METHODS = {
    "auth.test": Method(people.auth_test, SPECIAL),
    "users.info": Method(people.users_info, TIER_4, "users:read"),
    "users.list": Method(people.users_list, TIER_2, "users:read"),
    "users.lookupByEmail": Method(people.users_lookup_by_email, TIER_3, "users:read.email", form_only=True),
    "users.profile.get": Method(people.users_profile_get, TIER_4, "users.profile:read"),
    "usergroups.list": Method(people.usergroups_list, TIER_2, "usergroups:read"),
    "usergroups.users.list": Method(people.usergroups_users_list, TIER_2, "usergroups:read"),
    "conversations.info": Method(people.conversations_info, TIER_3),
    "conversations.members": Method(people.conversations_members, TIER_4),
    "conversations.history": Method(people.conversations_history, TIER_3),
    "conversations.open": Method(people.conversations_open, TIER_3, "im:write"),
    "chat.postMessage": Method(chat.post_message, SPECIAL, "chat:write"),
    "chat.update": Method(chat.update, TIER_3, "chat:write"),
    "chat.postEphemeral": Method(chat.post_ephemeral, TIER_4, "chat:write"),
    "chat.getPermalink": Method(chat.get_permalink, SPECIAL),
    "files.info": Method(files.files_info, TIER_4, "files:read", form_only=True),
    "files.getUploadURLExternal": Method(files.get_upload_url, TIER_4, "files:write", form_only=True),
    "files.completeUploadExternal": Method(files.complete_upload, TIER_4, "files:write", form_only=True),
    "views.open": Method(views.open_view, TIER_4),
    "views.push": Method(views.push_view, TIER_4),
    "views.update": Method(views.update_view, TIER_4),
    "views.publish": Method(views.publish_view, TIER_4),
}


def call(workspace: Workspace, limits: RateLimits, method: str, token: str, given: Json, *, is_json: bool) -> Answer:
    """Answer one call as Slack would."""
    headers = {"X-OAuth-Scopes": ",".join(workspace.scopes)}
    known = METHODS.get(method)
    try:
        if known is None:
            raise SlackError("unknown_method", req_method=method)
        _check_token(token)
        args = Arguments({} if known.form_only and is_json else given)
        channel = args.text("channel") if method == "chat.postMessage" else ""
        wait = limits.retry_after(method, known.per_minute, channel)
        if wait:
            return Answer({"ok": False, "error": "ratelimited"}, 429, headers | {"Retry-After": str(wait)})
        if known.scope:
            headers["X-Accepted-OAuth-Scopes"] = known.scope
            people.require_scope(workspace, known.scope)
        with workspace.lock:  # a copy, since the workspace may change before the answer is written
            return Answer(copy.deepcopy({"ok": True} | known.run(workspace, args)), headers=headers)
    except SlackError as refused:
        return Answer({"ok": False, "error": refused.error} | refused.more, headers=headers)


def _check_token(token: str) -> None:
    if not token:
        raise SlackError("not_authed")
    if token == seed.SLACK_APP_TOKEN:  # good for apps.connections.open only
        raise SlackError("not_allowed_token_type")
    if token != seed.SLACK_BOT_TOKEN:
        raise SlackError("invalid_auth")
