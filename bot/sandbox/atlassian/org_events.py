"""The audit log over HTTP: a search, a stream whose last cursor goes on, one event, the actions there are.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-events/
"""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import answer, organization_refusal
from bot.sandbox.atlassian.audit_log import ACTIONS, Event
from bot.sandbox.atlassian.org_protocol import V1, limited, scoped, v1_guard, whole
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import IDS, Sandbox

MOST = 500
TEXTS = ("q", "from", "to", "action", "actor", "ip", "product", "location")


def event_routes(sandbox: Sandbox) -> list[Route]:
    here, readers = f"{V1}/{{org}}", scoped("read:events:admin", v1_guard)
    few = limited("events", 10, readers)
    many = limited("events-stream", 50, readers)  # a key may make 60, its one path 50
    return [
        route(sandbox, f"{here}/events", few, GET=search_events),
        route(sandbox, f"{here}/events/{{event}}", few, GET=get_event),
        route(sandbox, f"{here}/event-actions", few, GET=list_actions),
        route(sandbox, f"{here}/events-stream", many, GET=stream_events),
    ]


def search_events(sandbox: Sandbox, call: Call) -> Response:
    """The newest first. A cursor keeps the question, and what had happened when it was asked."""
    shown = sandbox.audit.shown(sandbox.clock())
    wish, start = _position(sandbox, call, "events", {name: call.query[name] for name in TEXTS if name in call.query})
    wish.setdefault("known", len(shown))
    found = [event for event in shown[: wish["known"]] if _fits(event, wish)][::-1]
    size = _size(sandbox, call, wish, 30)
    following = _token(sandbox, wish, start + size) if start + size < len(found) else None
    return answer(_page(sandbox, call, found[start : start + size], following, size))


def stream_events(sandbox: Sandbox, call: Call) -> Response:
    """In the order of processing. The cursor of the last page gives, later, what has come since."""
    order = call.query.get("sortOrder", "asc")
    if order not in ("asc", "desc"):
        raise _refused("ADMIN-400-19", "sortOrder takes asc or desc")
    asked = {name: call.query[name] for name in ("from", "to") if name in call.query}
    wish, start = _position(sandbox, call, "events-stream", {**asked, "order": order})
    shown = sandbox.audit.shown(sandbox.clock())
    if wish["order"] == "desc":
        wish.setdefault("known", len(shown))
        shown = shown[: wish["known"]][::-1]
    found = [event for event in shown if _fits(event, wish)]
    size = _size(sandbox, call, wish, 200)
    given = found[start : start + size]
    more = start + len(given) < len(found)
    following = None if sandbox.switches.stream_ends and not more else _token(sandbox, wish, start + len(given))
    return answer(_page(sandbox, call, given, following, size, stream=True))


def get_event(sandbox: Sandbox, call: Call) -> Response:
    for event in sandbox.audit.shown(sandbox.clock()):
        if event.id == call.params["event"]:
            return answer({"data": _shown(sandbox, call, event)})
    raise organization_refusal(404, "ADMIN-404-4", "Unknown Resource", "The event was not found")


def list_actions(sandbox: Sandbox, call: Call) -> Response:
    data = [
        {"id": action, "type": "event-actions", "attributes": {"displayName": name, "groupDisplayName": family}}
        for action, (name, family) in ACTIONS.items()
    ]
    return answer({"data": data})


def _position(sandbox: Sandbox, call: Call, kind: str, asked: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """What a first call asks for, or what the cursor says was asked."""
    if "cursor" not in call.query:
        return _checked({"kind": kind, **asked}), 0
    wish, start = sandbox.cursors.get(call.query["cursor"], ({}, 0))
    if wish.get("kind") != kind:
        raise _refused("ADMIN-400-1", "The cursor is not valid")
    return dict(wish), start


def _checked(wish: dict[str, Any]) -> dict[str, Any]:
    for name in ("from", "to"):
        if name in wish and not (wish[name].isascii() and wish[name].isdecimal() and len(wish[name]) < 16):
            raise _refused("ADMIN-400-3", f"{name} takes milliseconds since 1970")
    if int(wish.get("from", 0)) > int(wish.get("to", 10**16)):
        raise _refused("ADMIN-400-3", "from is after to")
    if "location" in wish:
        try:
            json.loads(wish["location"])
        except (ValueError, RecursionError) as wrong:
            raise _refused("ADMIN-400-19", "location takes a JSON list") from wrong
    return wish


def _fits(event: Event, wish: dict[str, Any]) -> bool:
    """Nothing here happens in a product, at an address or in a town, so these filters find nothing."""
    actors = wish["actor"].split(",") if "actor" in wish else []
    text = f"{event.message} {event.action} {json.dumps(event.context)}".casefold()
    return (
        int(wish.get("from", 0)) <= event.at * 1000 <= int(wish.get("to", 10**16))
        and wish.get("action", event.action) == event.action
        and (not actors or event.actor["id"] in actors)
        and wish.get("q", "").casefold() in text
        and not any(wish.get(name) for name in ("ip", "product", "location"))
    )


def _size(sandbox: Sandbox, call: Call, wish: dict[str, Any], default: int) -> int:
    size = whole(call.query["limit"]) if "limit" in call.query else wish.get("limit", default)
    if not 1 <= size <= MOST:
        raise _refused("ADMIN-400-19", f"limit takes 1 to {MOST}")
    wish["limit"] = size
    return min(size, sandbox.switches.event_page_limit)


def _page(
    sandbox: Sandbox, call: Call, events: list[Event], following: str | None, size: int, *, stream: bool = False
) -> dict[str, Any]:
    here = f"{call.base}{call.path}"
    links = {"self": here}
    meta: dict[str, Any] = {"page_size": size}
    if following:
        links["next"], meta["next"] = f"{here}?cursor={following}", following
    return {"data": [_shown(sandbox, call, event, stream) for event in events], "meta": meta, "links": links}


def _shown(sandbox: Sandbox, call: Call, event: Event, stream: bool = False) -> dict[str, Any]:
    sparse = sandbox.switches.sparse_events
    attributes: dict[str, Any] = {
        "time": f"{_moment(event.at)[:23]}Z",
        "action": event.action,
        "actor": event.actor,
        "context": [
            {name: part for name, part in item.items() if not sparse or name != "id"} for item in event.context
        ],
    }
    if event.location:
        attributes["location"] = event.location
    if stream:
        attributes["processedAt"] = f"{_moment(event.processed)}226Z"  # nine digits
    if not sparse:
        home = {"alt": f"https://admin.atlassian.com/o/{seed.ORG_ID}/overview"}
        site = {"id": seed.ORG_ID, "type": "orgs", "attributes": {"name": seed.ORG_NAME}, "links": home}
        attributes["container"] = [site]
    return {
        "id": event.id,
        "type": "events",
        "attributes": attributes,
        "message": {"content": event.message, "format": "simple"},
        "links": {"self": f"{call.base}{V1}/{seed.ORG_ID}/events/{event.id}"},
    }


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}"


def _token(sandbox: Sandbox, wish: dict[str, Any], start: int) -> str:
    token = uuid.uuid5(IDS, f"{start} {json.dumps(wish, sort_keys=True)}").hex
    sandbox.cursors[token] = (wish, start)
    return token


def _refused(code: str, detail: str) -> Exception:
    return organization_refusal(400, code, "Bad Request", detail)
