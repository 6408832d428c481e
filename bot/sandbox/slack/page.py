"""The local Slack in the browser: its files, what one person's screen shows now, and the calls Atlassian was sent."""

import itertools
import json
import secrets
from functools import lru_cache
from pathlib import Path

from bot.manifest import manifest
from bot.sandbox import seed
from bot.sandbox.slack.arguments import Arguments
from bot.sandbox.slack.atlassian_calls import AtlassianCalls
from bot.sandbox.slack.faults import Calls
from bot.sandbox.slack.gestures import Refused, find_account
from bot.sandbox.slack.limits import VIEW_FIELDS, problems_of_message, problems_of_view
from bot.sandbox.slack.people import Account, Json
from bot.sandbox.slack.sight import seen_by
from bot.sandbox.slack.state import Room, Workspace
from handlers.command import VERBS

STATIC = Path(__file__).with_name("static")
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Nothing from outside, nothing inline, and the browser itself refuses text that is put in as HTML.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
BREACHES = ("invalid_blocks", "invalid_blocks_format", "invalid_arguments", "view_too_large", "msg_too_long")


class Changes:
    """A number that grows with everything that may have changed what somebody sees."""

    def __init__(self) -> None:
        self._start, self._numbers = secrets.token_hex(3), itertools.count(1)
        self.happened()

    def happened(self) -> None:
        self._now = f"{self._start}-{next(self._numbers)}"

    @property
    def version(self) -> str:
        return self._now


class Page:
    """What the page asks for, each under /page."""

    def __init__(self, workspace: Workspace, calls: Calls, atlassian: AtlassianCalls, changes: Changes) -> None:
        self.workspace, self.slack_calls, self.atlassian, self.changes = workspace, calls, atlassian, changes
        self.files = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.suffix in KINDS}
        self.asked = {"people": self.people, "screen": self.screen, "atlassian": atlassian.newest}

    def file(self, name: str) -> tuple[int, bytes, str]:
        """Status, content and type of a file of the page; only those read at the start are there."""
        if name not in self.files:
            return 404, b"there is no such file\n", "text/plain; charset=utf-8"
        return 200, self.files[name], KINDS[Path(name).suffix]

    def answer(self, what: str, args: Arguments) -> tuple[int, Json]:
        if what not in self.asked:
            return 404, {"error": f"no such thing to ask: {what}"}
        try:
            return 200, self.asked[what](args)
        except Refused as refused:
            return refused.status, {"error": str(refused)}

    def people(self, args: Arguments) -> Json:
        """Whom one can act as, the user groups, and what the app offers everybody."""
        features = manifest()["features"]
        with self.workspace.lock:
            people = [_person(account) for account in self.workspace.accounts.values() if account.id != "USLACKBOT"]
            groups = {group.id: group.handle for group in self.workspace.groups.values()}
        return {
            "people": people,
            "groups": groups,
            "bot": seed.SLACK_BOT_USER,
            "workspace": seed.ORG_NAME,
            "domain": f"{seed.SLACK_TEAM_DOMAIN}.slack.com",
            "commands": features["slash_commands"],
            "usages": list(VERBS.values()),
            "shortcuts": features["shortcuts"],
        }

    def screen(self, args: Arguments) -> Json:
        """Everything one person sees, or only the version when nothing happened since *version*."""
        version = self.changes.version  # before looking, so that nothing that happens meanwhile is missed
        if args.text("version") == version:
            return {"version": version}
        with self.workspace.lock:
            account = find_account(self.workspace, args.required("as"))
            seen = seen_by(self.workspace, account)
            rooms = [_room(room, account) for room in self.workspace.rooms.values() if _listed(room, account)]
            dm = None if account.deleted else self.workspace.dm(account.id).id
            waiting = self._waiting()
            digest = hash(tuple(f"{a.id}{a.kind}{a.name}{a.timezone}" for a in self.workspace.accounts.values()))
            now = self.workspace.now()
        contents = {room["id"]: room["messages"] for room in seen.pop("channels")}
        for messages in (*contents.values(), seen["dms"], seen["ephemerals"]):
            _complain(messages)
        for view in (*seen["modals"], *([seen["home"]] if seen["home"] else ())):
            view["complaints"] = _problems_of_view(_as_given(view), view["type"])
        return seen | {
            "version": version, "now": now, "me": _person(account), "people": str(digest), "dm": dm, "waiting": waiting,
            "rooms": [room | {"messages": contents.get(room["id"], [])} for room in rooms],
            "breaches": self._breaches(),
        }  # fmt: skip

    def _waiting(self) -> dict[str, str]:
        """The newest message of the bot in each person's direct messages."""
        owners = {room.id: room.dm_with for room in self.workspace.rooms.values() if room.dm_with}
        mine = (p for p in self.workspace.posts if p.room in owners and p.body["user"] == seed.SLACK_BOT_USER)
        return {str(owners[post.room]): post.ts for post in mine}

    def _breaches(self) -> list[Json]:
        """What the bot tried to show and Slack's limits did not let through."""
        found = []
        for call in self.slack_calls.after(0)[-2000:]:
            answer = call["answer"] if isinstance(call["answer"], dict) else {}
            if answer.get("error") in BREACHES:
                said = answer.get("response_metadata", {}).get("messages") or []
                found.append({"method": call["method"], "error": answer["error"], "messages": said})
        return found[-20:]


def _person(account: Account) -> Json:
    return {
        "id": account.id, "handle": account.handle, "name": account.name, "title": account.title,
        "kind": account.kind, "timezone": account.timezone,
    }  # fmt: skip


def _listed(room: Room, account: Account) -> bool:
    """Whether this person's sidebar knows of the channel: guests and the private ones only if they are in."""
    if room.dm_with or account.deleted:
        return False
    return account.id in room.members or (not room.private and account.kind == "member")


def _room(room: Room, account: Account) -> Json:
    return {
        "id": room.id, "name": room.name, "private": room.private, "shared": room.shared, "archived": room.archived,
        "member": account.id in room.members, "bot": seed.SLACK_BOT_USER in room.members,
        "people": len([user for user in room.members if user != seed.SLACK_BOT_USER]),
    }  # fmt: skip


def _complain(messages: list[Json]) -> None:
    for message in messages:
        message["complaints"] = _problems_of_message(json.dumps(message.get("blocks") or []))
        _complain(message.get("replies", []))


@lru_cache(maxsize=4096)
def _problems_of_message(blocks: str) -> list[str]:
    return problems_of_message(json.loads(blocks))


@lru_cache(maxsize=512)
def _problems_of_view(view: str, kind: str) -> list[str]:
    return problems_of_view(json.loads(view), kind)


def _as_given(view: Json) -> str:
    """The view without what Slack added to it."""
    return json.dumps({name: view[name] for name in VIEW_FIELDS if view.get(name) not in (None, "")})
