"""What a request from Slack must look like, checked the same way for signed HTTP and for Socket Mode."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from approvals.source import Source
from bot.shapes import Flaw, Why, insist, insist_bounded, text_at, well_shaped

Sort = Literal["command", "interaction", "event"]
Kind = Literal[
    "command",
    "block_actions",
    "view_submission",
    "view_closed",
    "block_suggestion",
    "message_action",
    "event",
    "url_verification",
]
Status = Literal[200, 400, 401, 405, 413]
Payload = Mapping[str, Any]

# The `type` of a Socket Mode envelope: https://docs.slack.dev/apis/events-api/using-socket-mode/
SOCKET_SORTS: Mapping[str, Sort] = {
    "slash_commands": "command",
    "interactive": "interaction",
    "events_api": "event",
}

TEAM = re.compile(r"T[A-Z0-9]{2,30}")
USER = re.compile(r"[UW][A-Z0-9]{2,30}")
CHANNEL = re.compile(r"[CDG][A-Z0-9]{2,30}")
EVENT_ID = re.compile(r"Ev[A-Za-z0-9]{2,60}")
EVENT_TYPE = re.compile(r"[a-z][a-z0-9_.]{1,79}")
COMMAND = re.compile(r"/[a-z0-9._-]{1,32}")
CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{1,200}")  # it is sent back, so it may not be markup


@dataclass(frozen=True)
class Passed:
    """A request that came from Slack, from a workspace of ours, in a shape every listener can rely on."""

    kind: Kind
    team: str  # empty for url_verification only
    user: str | None  # who acts; None when an event has no actor
    source: Source  # what it is done once under: first what the person did, then how it was delivered
    event_id: str | None
    challenge: str | None
    envelope: dict[str, Any] = field(repr=False)  # people's words stay out of logs and tracebacks


@dataclass(frozen=True)
class Refused:
    """A request that goes no further; ``why`` is one word of a fixed list."""

    status: Status
    why: Why


def admit(
    sort: Sort,
    payload: object,
    delivery: str,
    *,
    teams: frozenset[str],
    enterprise: str | None,
    seen: Callable[[tuple[str, ...]], frozenset[str]],
) -> Passed | Refused:
    """Every check after the signature, and that it is new. ``seen`` tells which keys were acted on before.

    They are looked up only: the rows are written in the transaction of what the request causes, so that a crash in
    between leaves the request acceptable.
    """
    verdict = check_envelope(sort, payload, delivery=delivery, teams=teams, enterprise=enterprise)
    if isinstance(verdict, Refused):
        return verdict
    known = seen(verdict.source.keys)
    if delivery in known:
        return Refused(401, "replay")
    # Slack itself delivers some things twice, each time with a signature of its own: it is thanked, or it would go on.
    return Refused(200, "duplicate") if known else verdict


def refused(flaw: Flaw) -> Refused:
    return Refused(401 if flaw.why == "team" else 400, flaw.why)


def check_envelope(
    sort: Sort, payload: object, *, delivery: str, teams: frozenset[str], enterprise: str | None
) -> Passed | Refused:
    """Every check of the payload itself. ``delivery`` is the key of this one delivery of it."""
    try:
        if not isinstance(payload, dict):
            raise Flaw("shape")
        insist_bounded(payload)
        insist(well_shaped(payload), "shape")
        if sort == "event" and payload.get("type") == "url_verification":
            return _challenge(payload, Source(delivery))
        kind, user, event_id = _READERS[sort](payload)
        team = _our_team(sort, payload, teams, enterprise)
        return Passed(kind, team, user, _source(kind, team, event_id, payload, delivery), event_id, None, payload)
    except Flaw as flaw:
        return refused(flaw)


def _source(kind: Kind, team: str, event_id: str | None, payload: Payload, delivery: str) -> Source:
    """What the person did has one trigger id, what happened one event id, however often it is delivered.

    https://docs.slack.dev/apis/events-api/#events-JSON, https://docs.slack.dev/interactivity/handling-user-interaction
    """
    done = event_id or payload.get("trigger_id")
    return Source(digest(kind, team, str(done)), delivery) if done else Source(delivery)


def digest(*parts: str) -> str:
    """One key of several texts; none of them can be taken for another."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


# --- what each sort must carry ---------------------------------------------------------------------------------------


def _challenge(payload: dict[str, Any], source: Source) -> Passed:
    """https://docs.slack.dev/reference/events/url_verification/"""
    challenge = payload.get("challenge")
    insist(_matches(CHALLENGE, challenge), "shape")
    return Passed("url_verification", "", None, source, None, str(challenge), payload)


def _command(payload: Payload) -> tuple[Kind, str, None]:
    """https://docs.slack.dev/interactivity/implementing-slash-commands/#app_command_handling"""
    insist(_matches(COMMAND, payload.get("command")), "kind")
    insist(isinstance(payload.get("text"), str) and _filled(payload.get("trigger_id")), "shape")
    insist(_matches(CHANNEL, payload.get("channel_id")), "ids")
    return "command", _id(USER, payload.get("user_id")), None


def _interaction(payload: Payload) -> tuple[Kind, str, None]:
    """https://docs.slack.dev/reference/interaction-payloads/"""
    kind = payload.get("type")
    if not isinstance(kind, str) or kind not in _INTERACTIONS:
        raise Flaw("kind")
    known, complete = _INTERACTIONS[kind]
    insist(complete(payload), "shape")
    user, channel = payload.get("user"), payload.get("channel")
    if not isinstance(user, dict) or not isinstance(channel, dict | None):
        raise Flaw("shape")
    if channel is not None:
        _id(CHANNEL, channel.get("id"))
    return known, _id(USER, user.get("id")), None


def _event(payload: Payload) -> tuple[Kind, str | None, str]:
    """https://docs.slack.dev/apis/events-api/#events-JSON"""
    insist(payload.get("type") == "event_callback", "kind")
    event = payload.get("event")
    if not isinstance(event, dict) or not _matches(EVENT_TYPE, event.get("type")):
        raise Flaw("shape")
    if isinstance(event.get("channel"), str):
        _id(CHANNEL, event["channel"])
    user = event.get("user")  # an object here is whom the event is about, not who acts
    return "event", _id(USER, user) if isinstance(user, str) else None, _id(EVENT_ID, payload.get("event_id"))


_READERS: Mapping[Sort, Callable[[Payload], tuple[Kind, str | None, str | None]]] = {
    "command": _command,
    "interaction": _interaction,
    "event": _event,
}


def _pressed(payload: Payload) -> bool:
    actions = payload.get("actions")
    if not isinstance(actions, list) or not actions:
        return False
    named = all(isinstance(action, dict) and _filled(action.get("action_id")) for action in actions)
    return named and _filled(payload.get("trigger_id"))


def _of_view(payload: Payload) -> bool:
    view = payload.get("view")
    if not isinstance(view, dict):
        return False
    return _filled(view.get("id")) and isinstance(view.get("callback_id"), str)


def _submitted(payload: Payload) -> bool:
    if not _of_view(payload):
        return False
    state = payload["view"].get("state")
    values = state.get("values") if isinstance(state, dict) else None
    return isinstance(values, dict) and all(isinstance(block, dict) for block in values.values())


def _typed(payload: Payload) -> bool:
    return _filled(payload.get("action_id")) and isinstance(payload.get("value"), str)


def _on_message(payload: Payload) -> bool:
    needed = _filled(payload.get("callback_id")) and _filled(payload.get("trigger_id"))
    return needed and isinstance(payload.get("message"), dict) and isinstance(payload.get("channel"), dict)


_INTERACTIONS: Mapping[str, tuple[Kind, Callable[[Payload], bool]]] = {
    "block_actions": ("block_actions", _pressed),
    "view_submission": ("view_submission", _submitted),
    "view_closed": ("view_closed", _of_view),
    "block_suggestion": ("block_suggestion", _typed),
    "message_action": ("message_action", _on_message),
}


# --- whose workspace -------------------------------------------------------------------------------------------------


def _our_team(sort: Sort, payload: Payload, teams: frozenset[str], enterprise: str | None) -> str:
    """The workspace, when every workspace named anywhere that Bolt or a listener would read is one of ours."""
    _our_enterprise(payload, enterprise)
    team = text_at(payload, "team", "id") if sort == "interaction" else payload.get("team_id")
    if team is None and sort == "interaction" and enterprise is not None:
        # An app installed for the whole organization gets `team: null`; then the person's own workspace counts.
        team = text_at(payload, "user", "team_id")
    insist(_matches(TEAM, team) and team in teams, "team")
    for path in _MORE_TEAMS:
        other = text_at(payload, *path)
        insist(other is None or other in teams or (enterprise is not None and other == enterprise), "team")
    return str(team)


# Bolt takes the team from several of these before the plain one (extract_team_id), and in a channel shared with
# another company the person who acts belongs to another team: https://docs.slack.dev/apis/slack-connect/
_MORE_TEAMS: tuple[tuple[str | int, ...], ...] = (
    ("team_id",),
    ("team", "id"),
    ("user", "team_id"),
    ("view", "team_id"),
    ("view", "app_installed_team_id"),
    ("authorizations", 0, "team_id"),
    ("event", "team_id"),
    ("event", "team"),
    ("event", "user_team"),
    ("event", "source_team"),
)
_ENTERPRISES: tuple[tuple[str | int, ...], ...] = (
    ("enterprise", "id"),
    ("enterprise_id",),
    ("team", "enterprise_id"),
    ("authorizations", 0, "enterprise_id"),
)


def _our_enterprise(payload: Payload, enterprise: str | None) -> None:
    """Where an organization is configured, a payload that does not name it is refused, like one that names another."""
    if enterprise is None:
        return
    named = {found for path in _ENTERPRISES if (found := text_at(payload, *path)) is not None}
    insist(named == {enterprise}, "team")


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _id(pattern: re.Pattern[str], value: object) -> str:
    insist(_matches(pattern, value), "ids")
    return str(value)


def _filled(value: object) -> bool:
    return isinstance(value, str) and value != ""
