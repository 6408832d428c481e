"""What each person can see: the messages of their channels, what was shown only to them, open modals, Home."""

import copy

from bot.sandbox.slack.api_chat import permalink
from bot.sandbox.slack.people import Account, Json
from bot.sandbox.slack.state import Post, Room, View, Workspace


def seen_by(workspace: Workspace, account: Account) -> Json:
    """Everything on this person's screen if they looked everywhere."""
    with workspace.lock:
        mine = [room for room in workspace.rooms.values() if account.id in room.members and not account.deleted]
        visible = [] if account.deleted else list(workspace.posts_seen_by(account.id))
        stack = [workspace.views[name] for name in workspace.stacks.get(account.id, [])]
        home = workspace.views.get(workspace.homes.get(account.id, ""))
        return {
            "user": {"id": account.id, "handle": account.handle, "name": account.name},
            "channels": [_room(workspace, room) for room in mine if not room.dm_with],
            "dms": next((messages(workspace, room) for room in mine if room.dm_with), []),
            "ephemerals": [shown(workspace, post) for post in visible if post.only_for],
            "modals": [_view(view) for view in stack],
            "home": _view(home) if home else None,
            "notices": copy.deepcopy(workspace.notices.get(account.id, [])),
        }


def messages(workspace: Workspace, room: Room) -> list[Json]:
    """The messages of a channel, each with its replies; ephemeral ones are not in it."""
    with workspace.lock:
        posts = [post for post in workspace.posts if post.room == room.id and not post.only_for]
        roots = [post for post in posts if post.thread in (None, post.ts)]
        return [
            shown(workspace, root) | {"replies": [shown(workspace, p) for p in posts if p.thread == root.ts != p.ts]}
            for root in roots
        ]


def shown(workspace: Workspace, post: Post) -> Json:
    """A message with the place it is at."""
    return copy.deepcopy(post.body) | {
        "channel": post.room,
        "channel_name": workspace.rooms[post.room].name,
        "thread": post.thread,
        "ephemeral": post.only_for is not None,
        "permalink": permalink(post),
    }


def _room(workspace: Workspace, room: Room) -> Json:
    return {"id": room.id, "name": room.name, "archived": room.archived, "messages": messages(workspace, room)}


def _view(view: View) -> Json:
    return copy.deepcopy(view.body) | {"errors": dict(view.errors), "trouble": view.trouble}
