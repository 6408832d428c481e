"""The Slack app's manifest, made from the menu, and the one table of scopes with the reason for each.

https://docs.slack.dev/reference/app-manifest
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from handlers.routes import COMMANDS, register

EVENTS_PATH = "/slack/events"  # the web side's one door for Slack
EXAMPLE_URL = "https://gatehouse.example.com"
NAME = "Gatehouse"
ABOUT = "Access in Atlassian: ask for it here, the right person answers, and it ends when it should."
AT_LENGTH = (
    "Gatehouse gives, takes and proves access in an Atlassian Cloud organization. Type /access, say what you need, for "
    "how long and why. The person your company's policy names sees what would change and answers with a button. "
    "Gatehouse makes the change, reads it back, says so in the request's thread, and takes the access away in time."
)

Menu = list[tuple[str, Any]]  # what is registered with Bolt: the kind of listener, what it listens to
METHOD_PAGE = "https://docs.slack.dev/reference/methods/"
SCOPE_PAGE = "https://docs.slack.dev/reference/scopes/"


@dataclass(frozen=True)
class Scope:
    """A right the app asks for: why, and the methods and events it opens."""

    name: str
    reason: str
    methods: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    kind: str = "bot"  # bot | app (of the app-level token, Socket Mode only) | optional (not in the manifest)

    @property
    def page(self) -> str:
        return SCOPE_PAGE + self.name.replace(":", ".")


SCOPES = (
    Scope(
        "commands",
        "People type /access and /breakglass, and choose “Request access here” and “Break glass here” on a message.",
    ),
    Scope(
        "chat:write",
        "Cards, threads and direct messages, only where the bot is a member.",
        ("chat.postMessage", "chat.update", "chat.postEphemeral", "chat.delete"),
    ),
    Scope("im:write", "Whoever must answer is asked in a direct message too.", ("conversations.open",)),
    Scope(
        "users:read",
        "Guests, bots, strangers and deactivated people are refused, as Slack says it at this moment.",
        ("users.info", "users.list"),
        ("user_change", "team_join"),
    ),
    Scope(
        "users:read.email",
        "The address in users.info and users.list, by which the subject of a request is found.",
        ("users.lookupByEmail",),
    ),
    Scope(
        "users.profile:read",
        "The field of a profile that names somebody's manager, where the policy reads it there.",
        ("users.profile.get", "team.profile.get"),
    ),
    Scope(
        "usergroups:read",
        "User groups as approvers, where the policy names them (paid plans of Slack).",
        ("usergroups.list", "usergroups.users.list"),
        ("subteam_members_changed",),
    ),
    Scope(
        "channels:read",
        "Before posting in a public channel: is the bot in it, is it archived or shared with another company?",
        ("conversations.info", "conversations.members"),
    ),
    Scope("groups:read", "The same of private channels.", ("conversations.info", "conversations.members")),
    Scope("files:read", "The list of people that an admin hands over for a bulk request.", ("files.info",)),
    Scope(
        "files:write",
        "Results too long for a message, as a file in the request's thread.",
        ("files.getUploadURLExternal", "files.completeUploadExternal"),
    ),
    Scope(
        "app_mentions:read", "Commands do not work in threads; “@gatehouse status” does.", events=("app_mention",)
    ),
    Scope(
        "connections:write",
        "Socket Mode opens its connection with it. It belongs to the app-level token, not to the bot.",
        ("apps.connections.open",),
        kind="app",
    ),
    *(
        Scope(
            f"{kind}:history",
            f"Only to look in {where} whether a message of ours went out before a crash, and for the newest checkpoint "
            "at a start. Left out, one message may come twice, and CHECKPOINT_FILE alone tells of a lost database.",
            ("conversations.history", "conversations.replies"),
            kind="optional",
        )
        for kind, where in (("channels", "public channels"), ("groups", "private channels"), ("im", "direct messages"))
    ),
)  # fmt: skip
# Any token may call these: each page of METHOD_PAGE says "no scopes required".
FREE_METHODS = frozenset(
    ("auth.test", "chat.getPermalink", "blocks.validate", "views.open", "views.push", "views.update", "views.publish")
)
FREE_EVENTS = ("app_home_opened",)

# Words for what the menu registers; `slash_commands` and `shortcuts` refuse to go on without them.
SLASH = {
    "/access": ("Ask for access, see what you hold, follow a request", " | ".join(COMMANDS)),
    "/breakglass": ("Take emergency access now and answer for it afterwards", "entitlement incident INC-42 because …"),
}
SHORTCUTS = {
    "request_access_here": ("Request access here", "Ask for access; card and result come into this thread"),
    "break_glass_here": ("Break glass here", "Take emergency access now; this channel hears of it"),
}


class _Ear:
    """Stands where Bolt's app stands and remembers what is registered."""

    def __init__(self) -> None:
        self.heard: Menu = []

    def __getattr__(self, kind: str) -> Callable[..., Callable[[Any], Any]]:
        def registers(what: Any = None, *_: Any, **__: Any) -> Callable[[Any], Any]:
            self.heard.append((kind, what))
            return lambda listener: listener

        return registers


def menu() -> Menu:
    """Everything the handlers register with Bolt."""
    ear = _Ear()
    register(cast(Any, ear))
    return ear.heard


def bot_scopes() -> list[str]:
    return [scope.name for scope in SCOPES if scope.kind == "bot"]


def bot_events() -> list[str]:
    """The events whose scope is granted, and those that need none."""
    return sorted([*FREE_EVENTS, *(event for scope in SCOPES if scope.kind == "bot" for event in scope.events)])


def slash_commands(heard: Menu, url: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every command of the menu; ``KeyError`` for one that SLASH has no words for."""
    names = dict.fromkeys(what for kind, what in heard if kind == "command")
    return [
        {
            "command": name,
            "description": SLASH[name][0],
            "usage_hint": SLASH[name][1],
            "should_escape": True,  # people and channels arrive as ids, never as names to guess from
            **url,
        }
        for name in names
    ]


def shortcuts(heard: Menu) -> list[dict[str, Any]]:
    """Every shortcut the manifest offers; ``KeyError`` for a registered one that SHORTCUTS has no words for."""
    registered = (what for kind, what in heard if kind in ("shortcut", "message_shortcut", "global_shortcut"))
    return [
        {"name": SHORTCUTS[name][0], "type": "message", "callback_id": name, "description": SHORTCUTS[name][1]}
        for name in dict.fromkeys([*SHORTCUTS, *registered])
    ]


def manifest(*, socket: bool = False, url: str = EXAMPLE_URL) -> dict[str, Any]:
    """The manifest, over HTTP to ``url`` or in Socket Mode, which has no addresses at all."""
    heard, door = menu(), url.rstrip("/") + EVENTS_PATH
    here = {} if socket else {"request_url": door}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {"name": NAME, "description": ABOUT, "long_description": AT_LENGTH},
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,  # read-only, /access could not be typed there
            },
            "bot_user": {"display_name": NAME.lower(), "always_online": False},
            "shortcuts": shortcuts(heard),
            "slash_commands": slash_commands(heard, {} if socket else {"url": door}),
        },
        "oauth_config": {"scopes": {"bot": bot_scopes()}},
        "settings": {
            "event_subscriptions": {**here, "bot_events": bot_events()},
            "interactivity": {
                "is_enabled": True,
                **here,
                **({} if socket else {"message_menu_options_url": door}),
            },
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket,
            "token_rotation_enabled": False,
        },
    }


def is_public_address(url: str) -> bool:
    """What Slack takes as the beginning of a request URL: https, a host, perhaps a path."""
    return re.fullmatch(r"https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", url) is not None


def scope_table() -> str:
    """The scopes as a Markdown table, for docs/setup.md."""
    said = {"bot": "bot token", "app": "app-level token, Socket Mode only", "optional": "optional, not in the manifest"}
    rows = ["| scope | where | why | opens |", "| --- | --- | --- | --- |"]
    for scope in SCOPES:
        opens = [*(f"[{name}]({METHOD_PAGE}{name})" for name in scope.methods), *(f"event {e}" for e in scope.events)]
        rows.append(f"| [{scope.name}]({scope.page}) | {said[scope.kind]} | {scope.reason} | {', '.join(opens)} |")
    return "\n".join(rows) + "\n"


def to_yaml(value: Mapping[str, Any]) -> str:
    """The small part of YAML that a manifest needs, the same every time."""
    return "\n".join(_lines(value)) + "\n"


# Words that need no quotes: they begin with a letter or a slash and are none of those YAML reads as something else.
_PLAIN = re.compile(r"[A-Za-z/_](?:[A-Za-z0-9_./:-]*[A-Za-z0-9_])?")
_TAKEN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def _lines(value: Mapping[str, Any]) -> Iterable[str]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield f"{key}:"
            yield from ("  " + line for line in _lines(inner))
        elif isinstance(inner, list):
            yield f"{key}:"
            for item in inner:
                first, *more = _lines(item) if isinstance(item, Mapping) else [_scalar(item)]
                yield from (f"  - {first}", *(f"    {line}" for line in more))
        else:
            yield f"{key}: {_scalar(inner)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _TAKEN
        return value if plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)  # true, false, a number
