"""The workspace in memory: its channels, messages, views and triggers, behind one lock."""

import copy
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox import seed
from bot.sandbox.slack.people import Account, Json, UserGroup, accounts, user_groups

TRIGGER_SECONDS = 3  # https://docs.slack.dev/interactivity/handling-user-interaction
RESPONSE_URL_SECONDS, RESPONSE_URL_USES = 30 * 60, 5  # the same page
STACK = 3  # https://docs.slack.dev/surfaces/modals: a root view and two pushed ones
DEFAULT_SCOPES = (
    "commands", "chat:write", "im:write", "users:read", "users:read.email", "users.profile:read", "usergroups:read",
    "channels:read", "groups:read", "files:read", "files:write", "app_mentions:read",
)  # fmt: skip


class SlackError(Exception):
    """An answer ``{"ok": false, "error": …}``, raised where the trouble is found."""

    def __init__(self, error: str, **more: object) -> None:
        super().__init__(error)
        self.error, self.more = error, more


@dataclass
class Room:
    """A channel, or the direct messages between one person and the bot (``dm_with``)."""

    id: str
    name: str
    private: bool
    members: list[str]  # Slack ids, with the bot's when it is in
    shared: bool = False
    archived: bool = False
    dm_with: str | None = None
    created: int = 1_760_000_000


@dataclass
class Post:
    """A message as Slack keeps it; ``only_for`` is the one person who sees an ephemeral one."""

    room: str
    body: Json
    only_for: str | None = None

    @property
    def ts(self) -> str:
        return str(self.body["ts"])

    @property
    def thread(self) -> str | None:
        thread = self.body.get("thread_ts")
        return str(thread) if thread else None


@dataclass
class View:
    """A modal or Home tab of one person; ``errors`` and ``trouble`` are what Slack shows on it."""

    body: Json
    owner: str
    errors: dict[str, str] = field(default_factory=dict)
    trouble: str | None = None
    offered: dict[str, list[Json]] = field(default_factory=dict)  # options an external select was given, by action_id

    @property
    def id(self) -> str:
        return str(self.body["id"])


@dataclass
class Trigger:
    """The right to open a view for a person: once, within three seconds."""

    user: str
    born: float
    view: str | None = None  # the modal it came from
    used: bool = False


@dataclass
class ResponseUrl:
    """The right to answer one interaction: five times, within half an hour."""

    user: str
    room: str
    born: float
    message: str | None = None  # ts of the message clicked
    thread: str | None = None
    uses: int = 0


class Workspace:
    """Everything the sandbox knows. Hold ``lock`` while reading or changing more than one thing."""

    def __init__(self, company: seed.Company) -> None:
        self.company = company
        self.base_url = ""  # as whoever calls has it; files are behind addresses of it
        self.lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Back to the first morning: nobody has written anything."""
        with self.lock:
            self.accounts: dict[str, Account] = accounts(self.company)
            self.groups: dict[str, UserGroup] = user_groups(self.company)
            self.rooms: dict[str, Room] = {c.id: self._room(c) for c in self.company.channels}
            self.posts: list[Post] = []
            self.views: dict[str, View] = {}
            self.stacks: dict[str, list[str]] = {}  # open modals of a person, the root first
            self.homes: dict[str, str] = {}  # Home tab of a person
            self.notices: dict[str, list[Json]] = {}  # what Slack itself told a person
            self.triggers: dict[str, Trigger] = {}
            self.response_urls: dict[str, ResponseUrl] = {}
            self.files: dict[str, Any] = {}  # of ``bot.sandbox.slack.files``
            self.scopes: list[str] = list(DEFAULT_SCOPES)
            self.should_escape = True  # https://docs.slack.dev/interactivity/implementing-slash-commands
            self.escape_typed = True
            self.offset = 0.0
            self._used_ts: set[int] = set()

    def _room(self, channel: seed.Channel) -> Room:
        members = [self.company.person(handle).slack_id for handle in channel.members]
        if channel.bot:
            members.append(seed.SLACK_BOT_USER)
        return Room(channel.id, channel.name, channel.private, members, channel.shared)

    # time

    def now(self) -> float:
        """The time the workspace shows; signatures and expiry do not follow it."""
        return time.time() + self.offset

    def new_ts(self) -> str:
        """A message timestamp no other message has."""
        with self.lock:
            moment = int(self.now() * 1_000_000)
            while moment in self._used_ts:
                moment += 1
            self._used_ts.add(moment)
            return f"{moment // 1_000_000}.{moment % 1_000_000:06d}"

    # people and rooms

    def account(self, name: str) -> Account | None:
        """By Slack id or by handle."""
        name = name.removeprefix("@")
        found = self.accounts.get(name)
        return found or next((a for a in self.accounts.values() if a.handle == name), None)

    def room(self, name: str) -> Room | None:
        """By id, by ``#name``, or ``dm:handle``."""
        if name.startswith("dm:"):
            account = self.account(name[3:])
            return self.dm(account.id) if account else None
        found = self.rooms.get(name)
        bare = name.removeprefix("#")
        return found or next((r for r in self.rooms.values() if r.name == bare and not r.dm_with), None)

    def dm(self, user: str) -> Room:
        """The direct messages of this person and the bot, opened if need be."""
        with self.lock:
            room_id = f"D{user[1:]}"
            if room_id not in self.rooms:
                members = [user, seed.SLACK_BOT_USER]
                self.rooms[room_id] = Room(room_id, "directmessage", True, members, dm_with=user)
            return self.rooms[room_id]

    # messages

    def add_post(
        self, room: Room, content: Json, *, thread: str | None = None, only_for: str | None = None,
        author: str = seed.SLACK_BOT_USER,
    ) -> Post:  # fmt: skip
        """Write a message into a channel; *content* is its text, blocks and metadata."""
        with self.lock:
            body: Json = {"type": "message", "user": author, "ts": self.new_ts(), "team": seed.SLACK_TEAM}
            if author == seed.SLACK_BOT_USER:
                body |= {"bot_id": seed.SLACK_BOT_ID, "app_id": seed.SLACK_APP_ID}
            body |= content
            if thread:
                root = self.post(room.id, thread)
                body["thread_ts"] = (root.thread or root.ts) if root else thread
                if root and not only_for:
                    self._count_reply(root if not root.thread else self.post(room.id, root.thread), body)
            post = Post(room.id, body, only_for)
            self.posts.append(post)
            return post

    def _count_reply(self, root: Post | None, reply: Json) -> None:
        if root is None:
            return
        reply["parent_user_id"] = root.body["user"]
        replies = [p for p in self.posts if p.thread == root.ts and p.ts != root.ts and not p.only_for]
        authors = list(dict.fromkeys([p.body["user"] for p in replies] + [reply["user"]]))
        root.body |= {
            "thread_ts": root.ts, "reply_count": len(replies) + 1, "reply_users_count": len(authors),
            "latest_reply": reply["ts"], "reply_users": authors, "is_locked": False, "subscribed": False,
        }  # fmt: skip

    def post(self, room: str, ts: str, *, viewer: str | None = None) -> Post | None:
        """The message at this place; an ephemeral one only for the person it was shown to."""
        with self.lock:
            for post in self.posts:
                if post.room == room and post.ts == ts and post.only_for in (None, viewer):
                    return post
        return None

    def posts_seen_by(self, user: str) -> Iterator[Post]:
        """What this person can scroll to: the channels they are in, and what was shown only to them."""
        mine = {room.id for room in self.rooms.values() if user in room.members}
        return (p for p in self.posts if p.room in mine and p.only_for in (None, user))

    def notice(self, user: str, room: str | None, text: str) -> None:
        """Something Slack itself tells a person, such as a command that timed out."""
        with self.lock:
            self.notices.setdefault(user, []).append({"ts": self.new_ts(), "channel": room, "text": text})

    # triggers and response addresses

    def new_trigger(self, user: str, view: str | None = None) -> str:
        with self.lock:
            name = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
            self.triggers[name] = Trigger(user, time.monotonic(), view)
            return name

    def take_trigger(self, name: str) -> Trigger:
        """Use a trigger up, or say as Slack does why it is no good."""
        with self.lock:
            trigger = self.triggers.get(name)
            if trigger is None:
                raise SlackError("invalid_trigger_id")
            if trigger.used:
                raise SlackError("exchanged_trigger_id")
            if time.monotonic() - trigger.born > TRIGGER_SECONDS:
                raise SlackError("expired_trigger_id")
            trigger.used = True
            return trigger

    def new_response_url(self, kind: str, user: str, room: str, post: Post | None = None) -> str:
        """The path of a fresh response_url; *kind* is ``commands`` or ``actions``, as on hooks.slack.com."""
        with self.lock:
            path = f"/{kind}/{seed.SLACK_TEAM}/{secrets.randbelow(10**13)}/{secrets.token_urlsafe(18)}"
            message, thread = (post.ts, post.thread) if post else (None, None)
            self.response_urls[path] = ResponseUrl(user, room, time.monotonic(), message, thread)
            return path

    def expire(self) -> None:
        """Make every trigger and response_url too old, without waiting."""
        with self.lock:
            held: list[Trigger | ResponseUrl] = [*self.triggers.values(), *self.response_urls.values()]
            for each in held:
                each.born -= RESPONSE_URL_SECONDS + TRIGGER_SECONDS

    # views

    def new_view(self, owner: str, given: Json) -> View:
        """A view with everything Slack adds to what the app gave."""
        with self.lock:
            view_id = f"V{secrets.token_hex(5).upper()}"
            body = shown_view(given) | {
                "id": view_id, "team_id": seed.SLACK_TEAM, "state": {"values": {}}, "hash": self.new_hash(),
                "root_view_id": view_id, "previous_view_id": None, "app_id": seed.SLACK_APP_ID,
                "app_installed_team_id": seed.SLACK_TEAM, "bot_id": seed.SLACK_BOT_ID,
            }  # fmt: skip
            view = View(body, owner)
            self.views[view_id] = view
            return view

    def new_hash(self) -> str:
        return f"{int(self.now())}.{secrets.token_urlsafe(6)}"

    def open_modal(self, user: str, given: Json) -> View:
        """Show a modal in place of whatever modal was open."""
        with self.lock:
            self.close_modals(user)
            view = self.new_view(user, given)
            self.stacks[user] = [view.id]
            return view

    def push_modal(self, user: str, given: Json) -> View:
        with self.lock:
            stack = self.stacks.get(user) or []
            if not stack:
                raise SlackError("not_found")
            if len(stack) >= STACK:
                raise SlackError("push_limit_reached")
            view = self.new_view(user, given)
            view.body |= {"root_view_id": stack[0], "previous_view_id": stack[-1]}
            stack.append(view.id)
            return view

    def redraw(self, view: View, given: Json) -> None:
        """Put new content in a view that is open: same id, new hash."""
        with self.lock:
            view.body |= shown_view(given) | {"hash": self.new_hash(), "state": {"values": {}}}
            view.errors, view.trouble = {}, None

    def close_modal(self, view: View) -> None:
        """Close a modal and everything on top of it."""
        with self.lock:
            stack = self.stacks.get(view.owner) or []
            if view.id in stack:
                keep = stack.index(view.id)
                for gone in stack[keep:]:
                    del self.views[gone]
                self.stacks[view.owner] = stack[:keep]

    def close_modals(self, user: str) -> None:
        with self.lock:
            for gone in self.stacks.pop(user, []):
                self.views.pop(gone, None)


def shown_view(given: Json) -> Json:
    """What the app gave, in the form every view object has. https://docs.slack.dev/reference/views"""
    given = copy.deepcopy(given)
    return {
        "type": given["type"],
        "title": _with_emoji(given.get("title")) or {"type": "plain_text", "text": "View Title", "emoji": True},
        "submit": _with_emoji(given.get("submit")),
        "close": _with_emoji(given.get("close")),
        "blocks": shown_blocks(given["blocks"]),
        "private_metadata": given.get("private_metadata") or "",
        "callback_id": given.get("callback_id") or "",
        "external_id": given.get("external_id") or "",
        "clear_on_close": bool(given.get("clear_on_close", False)),
        "notify_on_close": bool(given.get("notify_on_close", False)),
    }


def shown_blocks(blocks: object) -> list[Json]:
    """A copy of blocks that passed the checks, with the ids and defaults Slack fills in."""
    kept = copy.deepcopy(blocks) if isinstance(blocks, list) else []
    for block in kept:
        block.setdefault("block_id", secrets.token_urlsafe(4)[:5])
        _fill_in(block)
        for element in elements_of(block):
            if element.get("type") not in ("image", "plain_text", "mrkdwn"):
                element.setdefault("action_id", secrets.token_urlsafe(4)[:5])
        if block.get("type") == "input":
            block.setdefault("optional", False)
            block.setdefault("dispatch_action", False)
    return kept


def elements_of(block: Json) -> list[Json]:
    """What a person can use, or look at, inside one block."""
    inner = [block.get("accessory"), block.get("element")]
    if block.get("type") in ("actions", "context"):
        inner += block.get("elements") or []
    return [element for element in inner if isinstance(element, dict)]


def _fill_in(node: object) -> None:
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _fill_in(inner)
    if isinstance(node, dict) and isinstance(node.get("text"), str):
        if node.get("type") == "plain_text":
            node.setdefault("emoji", True)
        elif node.get("type") == "mrkdwn":
            node.setdefault("verbatim", False)


def _with_emoji(text: object) -> Json | None:
    if not isinstance(text, dict):
        return None
    return {"emoji": True} | text
