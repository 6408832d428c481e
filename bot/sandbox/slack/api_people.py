"""Web API methods about who there is and where they talk: auth, users, usergroups, conversations."""

import base64
import binascii
from typing import TypeVar

from bot.sandbox import seed
from bot.sandbox.slack.arguments import Arguments, invalid
from bot.sandbox.slack.people import Account, Json, group_object, profile_with_fields, user_object
from bot.sandbox.slack.state import Room, SlackError, Workspace

Item = TypeVar("Item")


def require_scope(workspace: Workspace, needed: str) -> None:
    """https://docs.slack.dev/reference/scopes"""
    if needed not in workspace.scopes:
        raise SlackError("missing_scope", needed=needed, provided=",".join(workspace.scopes))


def auth_test(workspace: Workspace, args: Arguments) -> Json:
    return {
        "url": f"https://{seed.SLACK_TEAM_DOMAIN}.slack.com/",
        "team": seed.ORG_NAME,
        "user": workspace.accounts[seed.SLACK_BOT_USER].handle,
        "team_id": seed.SLACK_TEAM,
        "user_id": seed.SLACK_BOT_USER,
        "bot_id": seed.SLACK_BOT_ID,
        "is_enterprise_install": False,
    }


def users_info(workspace: Workspace, args: Arguments) -> Json:
    account = _account(workspace, args.required("user"))
    return {"user": user_object(account, with_email="users:read.email" in workspace.scopes)}


def users_list(workspace: Workspace, args: Arguments) -> Json:
    everyone = [account for account in workspace.accounts.values() if not account.foreign]
    page, cursor = _page(everyone, args, default=len(everyone))
    email = "users:read.email" in workspace.scopes
    members = [user_object(account, with_email=email) for account in page]
    return {"members": members, "cache_ts": int(workspace.now()), "response_metadata": {"next_cursor": cursor}}


def users_lookup_by_email(workspace: Workspace, args: Arguments) -> Json:
    """Unknown, deactivated and hidden people all get the same answer."""
    email = args.required("email").lower()
    for account in workspace.accounts.values():
        if account.email.lower() == email and not account.deleted and not account.foreign:
            return {"user": user_object(account, with_email=True)}
    raise SlackError("users_not_found")


def users_profile_get(workspace: Workspace, args: Arguments) -> Json:
    account = _account(workspace, args.text("user", seed.SLACK_BOT_USER))
    email = "users:read.email" in workspace.scopes
    return {"profile": profile_with_fields(account, with_email=email, labels=args.flag("include_labels"))}


def usergroups_list(workspace: Workspace, args: Arguments) -> Json:
    with_users = args.flag("include_users")
    return {"usergroups": [group_object(group, with_users=with_users) for group in workspace.groups.values()]}


def usergroups_users_list(workspace: Workspace, args: Arguments) -> Json:
    group = workspace.groups.get(args.required("usergroup"))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": [user for user in group.members if not workspace.accounts[user].deleted]}


def conversations_info(workspace: Workspace, args: Arguments) -> Json:
    room = _readable_room(workspace, args.required("channel"))
    found = room_object(room)
    if args.flag("include_num_members"):
        found["num_members"] = len(room.members)
    return {"channel": found}


def conversations_members(workspace: Workspace, args: Arguments) -> Json:
    room = _readable_room(workspace, args.required("channel"))
    page, cursor = _page(room.members, args, default=100)
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


def conversations_history(workspace: Workspace, args: Arguments) -> Json:
    """The newest first, without what stands in threads. https://docs.slack.dev/reference/methods/conversations.history"""
    room = workspace.rooms.get(args.required("channel"))
    if room is None or (room.private and seed.SLACK_BOT_USER not in room.members):
        raise SlackError("channel_not_found")
    require_scope(workspace, "im:history" if room.dm_with else "groups:history" if room.private else "channels:history")
    if seed.SLACK_BOT_USER not in room.members:
        raise SlackError("not_in_channel")
    posts = [p for p in workspace.posts if p.room == room.id and not p.only_for and p.thread in (None, p.ts)]
    page, cursor = _page([post.body for post in reversed(posts)], args, default=100)
    return {"messages": page, "has_more": bool(cursor), "pin_count": 0, "response_metadata": {"next_cursor": cursor}}


def conversations_open(workspace: Workspace, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/conversations.open"""
    users = [name for name in args.text("users").split(",") if name]
    if args.has("channel"):
        room = workspace.rooms.get(args.text("channel"))
        if room is None or not room.dm_with:
            raise SlackError("channel_not_found")
        users = [room.dm_with]
    if not users:
        raise SlackError("users_list_not_supplied")
    if len(users) > 1:
        raise SlackError("missing_scope", needed="mpim:write", provided=",".join(workspace.scopes))
    account = _account(workspace, users[0])
    if account.deleted:
        raise SlackError("user_disabled")
    if account.kind == "bot":
        raise SlackError("cannot_dm_bot")
    room = workspace.dm(account.id)
    if not args.flag("return_im"):
        return {"channel": {"id": room.id}}
    return {"channel": room_object(room)}


def room_object(room: Room) -> Json:
    """https://docs.slack.dev/reference/objects/conversation-object"""
    if room.dm_with:
        return {
            "id": room.id, "created": room.created, "is_archived": False, "is_im": True, "is_org_shared": False,
            "user": room.dm_with, "last_read": "0000000000.000000", "latest": None, "unread_count": 0,
            "unread_count_display": 0, "is_open": True, "priority": 0,
        }  # fmt: skip
    return {
        "id": room.id,
        "name": room.name,
        "name_normalized": room.name,
        "is_channel": not room.private,
        "is_group": room.private,
        "is_im": False,
        "is_mpim": False,
        "is_private": room.private,
        "created": room.created,
        "is_archived": room.archived,
        "is_general": room.name == "general",
        "unlinked": 0,
        "is_shared": room.shared,
        "is_ext_shared": room.shared,
        "is_org_shared": False,
        "is_pending_ext_shared": False,
        "pending_shared": [],
        "context_team_id": seed.SLACK_TEAM,
        "updated": room.created * 1000,
        "creator": room.members[0] if room.members else "USLACKBOT",
        "is_member": seed.SLACK_BOT_USER in room.members,
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
        "previous_names": [],
    }


def _account(workspace: Workspace, user: str) -> Account:
    account = workspace.accounts.get(user)
    if account is None:
        raise SlackError("user_not_found")
    return account


def _readable_room(workspace: Workspace, name: str) -> Room:
    room = workspace.rooms.get(name)
    if room is None or (room.private and seed.SLACK_BOT_USER not in room.members):
        raise SlackError("channel_not_found")
    require_scope(workspace, "im:read" if room.dm_with else "groups:read" if room.private else "channels:read")
    return room


def _page(items: list[Item], args: Arguments, default: int) -> tuple[list[Item], str]:
    """https://docs.slack.dev/apis/web-api/pagination"""
    limit = args.number("limit", 0) or default
    if not 0 < limit <= 1000:
        raise invalid("must be between 1 and 1000: limit")
    start = _offset(args.text("cursor"))
    end = start + limit
    cursor = base64.b64encode(f"next:{end}".encode()).decode() if end < len(items) else ""
    return items[start:end], cursor


def _offset(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
    except (binascii.Error, ValueError):
        raise SlackError("invalid_cursor") from None
