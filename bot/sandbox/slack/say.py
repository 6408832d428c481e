"""A person writes a plain message: it is in the channel at once, and the bot is told when it is mentioned."""

import re

from bot.sandbox import seed
from bot.sandbox.slack import payloads
from bot.sandbox.slack.arguments import Arguments
from bot.sandbox.slack.events import Events
from bot.sandbox.slack.gestures import Refused, find_account, find_room
from bot.sandbox.slack.people import Account, Json
from bot.sandbox.slack.state import Post, Room, Workspace

LABEL = re.compile(r"<([@#][A-Z0-9]+)\|[^>]*>")  # messages carry mentions without the name slash commands have
LONGEST = 12_000
MENTION = f"<@{seed.SLACK_BOT_USER}>"


class Say:
    """The message box, for everything that is no slash command."""

    def __init__(self, workspace: Workspace, events: Events) -> None:
        self.workspace, self.events = workspace, events

    def __call__(self, args: Arguments, _: str = "") -> Json:
        """Write ``text`` into ``channel``, into a thread with ``thread_ts``; ``@gatehouse`` in it mentions the bot."""
        with self.workspace.lock:
            account, room = (
                find_account(self.workspace, args.required("user")),
                find_room(self.workspace, args.required("channel")),
            )
            text = self._text(account, room, args.required("text"))
            thread = args.text("thread_ts") or None
            if thread and self.workspace.post(room.id, thread) is None:
                raise Refused(404, f"{account.handle} sees no message {thread} in {room.name}")
            post = self.workspace.add_post(room, {"text": text}, thread=thread, author=account.id)
        told = self._told(account, room, post)
        return {"ts": post.ts, "text": text, "told": told}

    def _text(self, account: Account, room: Room, typed: str) -> str:
        if account.deleted:
            raise Refused(403, f"{account.handle} is deactivated and cannot use Slack")
        if account.id not in room.members:
            raise Refused(403, f"{account.handle} is not in {room.name}")
        if room.archived:
            raise Refused(409, f"{room.name} is archived")
        if len(typed) > LONGEST:
            raise Refused(409, f"a message has at most {LONGEST} characters")
        return LABEL.sub(r"<\1>", payloads.typed(self.workspace, typed.strip()))

    def _told(self, account: Account, room: Room, post: Post) -> Json | None:
        """What became of the ``app_mention`` event; None when the bot has nothing to hear."""
        if MENTION not in str(post.body["text"]) or seed.SLACK_BOT_USER not in room.members or room.dm_with:
            return None
        event: Json = {
            "type": "app_mention", "user": account.id, "text": post.body["text"], "ts": post.ts,
            "team": account.team_id, "channel": room.id, "event_ts": post.ts,
        }  # fmt: skip
        return self.events.send(event | ({"thread_ts": post.thread} if post.thread else {}))
