"""The control API: how tests and the demo act as people, look over their shoulders, and cause trouble."""

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from bot.sandbox import seed
from bot.sandbox.slack.arguments import Arguments, invalid
from bot.sandbox.slack.atlassian_calls import AtlassianCalls
from bot.sandbox.slack.doubling import Doubling
from bot.sandbox.slack.events import Events, find_group
from bot.sandbox.slack.faults import Calls, Faults
from bot.sandbox.slack.gestures import Gestures, Refused, find_account, find_room
from bot.sandbox.slack.outgoing import Outgoing
from bot.sandbox.slack.people import FOREIGN_TEAM, KINDS, Account, Json
from bot.sandbox.slack.rates import RateLimits
from bot.sandbox.slack.say import Say
from bot.sandbox.slack.sight import messages, seen_by
from bot.sandbox.slack.state import SlackError, Workspace

Verb = Callable[[Arguments, str], Json]
KIND_OF_FLAG = {
    "deleted": "deleted", "is_restricted": "guest", "guest": "guest", "is_ultra_restricted": "single_channel_guest",
    "is_bot": "bot", "is_stranger": "stranger",
}  # fmt: skip
ACCOUNT_TEXTS = ("email", "given", "family", "title", "timezone", "team_id")


class Control:
    """Everything under /control. ``posts`` and ``gets`` are its tables of verbs."""

    def __init__(self, workspace: Workspace, outgoing: Outgoing, limits: RateLimits, atlassian: AtlassianCalls) -> None:
        self.workspace, self.outgoing, self.limits, self.atlassian = workspace, outgoing, limits, atlassian
        self.faults, self.calls = Faults(), Calls()
        gestures, events, doubling = Gestures(workspace, outgoing), Events(workspace, outgoing), Doubling(outgoing)
        self.posts: dict[str, Verb] = {
            "command": gestures.command,
            "click": gestures.click,
            "submit": gestures.submit,
            "attach": gestures.attach,
            "close_view": gestures.close,
            "suggest": gestures.suggest,
            "shortcut": gestures.shortcut,
            "say": Say(workspace, events),
            "event": lambda args, _: events.again(args) if args.has("event_id") else events.happen(args),
            "again": doubling.again,
            "socket": doubling.socket,
            "connect": self._connect,
            "faults": self._add_fault,
            "users": self._change_user,
            "usergroups": self._change_group,
            "channels": self._change_channel,
            "scopes": self._change_scopes,
            "settings": self._change_settings,
            "clock": self._set_clock,
            "expire": self._expire,
            "reset": self._reset,
        }
        self.gets: dict[str, Verb] = {
            "seen": lambda args, _: seen_by(workspace, find_account(workspace, args.required("user"))),
            "channel": self._read_channel,
            "calls": lambda args, _: {"calls": self.calls.after(args.number("after", 0))},
            "last_request": lambda args, _: {"request": outgoing.last},
            "socket": lambda args, _: outgoing.sockets.seen(),
        }
        self.deletes: dict[str, Verb] = {"faults": self._clear_faults}

    def do(self, method: str, verb: str, args: Arguments, base_url: str) -> tuple[int, Json]:
        """Status and body of the answer."""
        table = {"POST": self.posts, "GET": self.gets, "DELETE": self.deletes}[method]
        try:
            if verb not in table:
                raise Refused(404, f"no {method} /control/{verb}; there are {', '.join(table)}")
            return 200, table[verb](args, base_url)
        except Refused as refused:
            return refused.status, {"error": str(refused)}
        except SlackError as refused:
            return 400, {"error": refused.error} | refused.more

    def _connect(self, args: Arguments, _: str) -> Json:
        """Where the bot is, and where the Atlassian sandbox whose calls the page shows."""
        if args.has("atlassian_url"):
            self.atlassian.url = _local_address(args.text("atlassian_url"))
        if args.has("events_url") or not args.has("atlassian_url"):
            url = args.text("events_url") or None
            if url and not url.startswith(("http://", "https://")):
                raise invalid("events_url must start with http:// or https://")
            self.outgoing.events_url = url
        return {"events_url": self.outgoing.events_url, "atlassian_url": self.atlassian.url}

    def _read_channel(self, args: Arguments, _: str) -> Json:
        with self.workspace.lock:
            room = find_room(self.workspace, args.required("channel"))
            return {
                "id": room.id, "name": room.name, "members": list(room.members), "archived": room.archived,
                "messages": messages(self.workspace, room),
            }  # fmt: skip

    def _add_fault(self, args: Arguments, _: str) -> Json:
        self.faults.add(args)
        return {}

    def _clear_faults(self, args: Arguments, _: str) -> Json:
        self.faults.clear()
        return {}

    def _change_user(self, args: Arguments, _: str) -> Json:
        """Make someone a guest, deactivate them, change their mail; ``create`` brings in somebody new."""
        changes = _object(args, "changes")
        with self.workspace.lock:
            name = args.required("user")
            if self.workspace.account(name) is None and args.flag("create"):
                self._newcomer(name)
            account = find_account(self.workspace, name)
            for field, value in changes.items():
                _change_account(self.workspace, account, field, value)
            account.updated = int(self.workspace.now())
            if account.deleted:  # Slack takes a deactivated person out of every channel
                for room in self.workspace.rooms.values():
                    if account.id in room.members and not room.dm_with:
                        room.members.remove(account.id)
                self.workspace.close_modals(account.id)
            return {"user": account.id, "kind": account.kind}

    def _newcomer(self, handle: str) -> None:
        if not handle.isalnum() or not handle.islower():
            raise invalid("a new person's handle is lowercase letters and digits")
        number = len(self.workspace.accounts)
        account = Account(
            f"U0{handle.upper()[:8]}{number:03d}", handle, handle.capitalize(), "", f"{handle}@{seed.DOMAIN}", "",
            "Europe/Berlin", "member",
        )  # fmt: skip
        self.workspace.accounts[account.id] = account

    def _change_group(self, args: Arguments, _: str) -> Json:
        members = args.given.get("members", [])
        if not isinstance(members, list):
            raise invalid("members must be a list of people")
        with self.workspace.lock:
            group = find_group(self.workspace, args.required("group"))
            group.members = [find_account(self.workspace, str(person)).id for person in members]
            return {"group": group.id, "members": group.members}

    def _change_channel(self, args: Arguments, _: str) -> Json:
        """Put the bot or people in or out, archive, share, make private."""
        changes = _object(args, "changes")
        unknown = set(changes) - {"bot", "archived", "shared", "private", "add", "remove"}
        if unknown:
            raise invalid(f"a channel has no {', '.join(sorted(unknown))} to change")
        with self.workspace.lock:
            room = find_room(self.workspace, args.required("id"))
            for name in ("archived", "shared", "private"):
                if name in changes:
                    setattr(room, name, bool(changes[name]))
            joining, leaving = _names(changes, "add"), _names(changes, "remove")
            if "bot" in changes:
                (joining if changes["bot"] else leaving).append(seed.SLACK_BOT_USER)
            gone = {find_account(self.workspace, name).id for name in leaving}
            new = [find_account(self.workspace, name).id for name in joining]
            room.members = [user for user in dict.fromkeys([*room.members, *new]) if user not in gone]
            return {"id": room.id, "members": list(room.members)}

    def _change_scopes(self, args: Arguments, _: str) -> Json:
        """The token's scopes: all of them with ``scopes``, or some more or fewer with ``add`` and ``remove``."""
        with self.workspace.lock:
            now = _names(args.given, "scopes") if args.has("scopes") else list(self.workspace.scopes)
            gone = set(_names(args.given, "remove"))
            self.workspace.scopes = [s for s in dict.fromkeys([*now, *_names(args.given, "add")]) if s not in gone]
            return {"scopes": list(self.workspace.scopes)}

    def _change_settings(self, args: Arguments, _: str) -> Json:
        with self.workspace.lock:
            if args.has("should_escape"):
                self.workspace.should_escape = args.flag("should_escape")
            if args.has("escape_typed"):
                self.workspace.escape_typed = args.flag("escape_typed")
            if args.has("rate_limits"):
                self.limits.on = args.flag("rate_limits")
            return {
                "should_escape": self.workspace.should_escape, "escape_typed": self.workspace.escape_typed,
                "rate_limits": self.limits.on,
            }  # fmt: skip

    def _set_clock(self, args: Arguments, _: str) -> Json:
        """Move the time that is shown; a few decades at most, so that it stays a date."""
        offset = args.number("offset_seconds", 0)
        if abs(offset) > 1_000_000_000:
            raise invalid("offset_seconds is too far from today")
        self.workspace.offset = float(offset)
        return {"now": self.workspace.now()}

    def _expire(self, args: Arguments, _: str) -> Json:
        self.workspace.expire()
        return {}

    def _reset(self, args: Arguments, _: str) -> Json:
        """Everything but the bot's address and the rate limits' switch."""
        self.workspace.reset()
        self.faults.clear()
        self.calls.clear()
        self.limits.reset()
        self.outgoing.forget()
        return {}


def is_loopback(host: str) -> bool:
    """Whether this name or address means this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _local_address(url: str) -> str | None:
    address = urlsplit(url)
    if url and (address.scheme != "http" or not is_loopback(address.hostname or "")):
        raise invalid("atlassian_url must be http:// on this machine")
    return url.rstrip("/") or None


def _change_account(workspace: Workspace, account: Account, field: str, value: object) -> None:
    if field in KIND_OF_FLAG:
        field, value = "kind", KIND_OF_FLAG[field] if value else "member"
    if field == "kind" and value in KINDS:
        account.kind = str(value)
        if account.foreign and account.team_id == seed.SLACK_TEAM:
            account.team_id = FOREIGN_TEAM
    elif field in ACCOUNT_TEXTS and isinstance(value, str):
        setattr(account, field, value)
    elif field == "manager":
        account.manager_id = find_account(workspace, str(value)).id if value else None
    elif field == "is_admin":
        account.is_admin = bool(value)
    else:
        raise invalid(f"a person's {field} cannot be changed to {value!r}")


def _object(args: Arguments, name: str) -> Json:
    value = args.given.get(name, {})
    if not isinstance(value, dict):
        raise invalid(f"{name} must be an object")
    return value


def _names(given: Json, name: str) -> list[str]:
    value = given.get(name, [])
    if not isinstance(value, list):
        raise invalid(f"{name} must be a list")
    return [str(item) for item in value]
