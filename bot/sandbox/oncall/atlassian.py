"""Atlassian's answers: who is on call by Jira Service Management Operations, and work items of a Jira site."""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.wire import basic
from bot.sandbox.oncall.state import CLOUD_ID, OnCallState

TEAM = {"id": "bc667897-cb21-496f-a46e-7c05ff0419dd", "type": "team"}


def jsm_routes(state: OnCallState) -> list[Route]:
    async def on_calls(request: Request) -> Response:
        if basic(request.scope) != (seed.SITE_EMAIL, seed.SITE_API_TOKEN):
            return JSONResponse({"code": 401, "message": "Unauthorized"}, 401)
        return _on_calls(state, request)

    return [Route(f"/jsm/ops/api/{CLOUD_ID}/v1/schedules/{{id}}/on-calls", on_calls)]


def jira_routes(state: OnCallState) -> list[Route]:
    async def issue(request: Request) -> Response:
        if basic(request.scope) != (seed.SITE_EMAIL, seed.SITE_API_TOKEN):
            return Response("Client must be authenticated to access this resource.", 401, media_type="text/plain")
        return _issue(state, request.path_params["key"])

    return [Route("/rest/api/3/issue/{key}", issue)]


def _on_calls(state: OnCallState, request: Request) -> Response:
    number, query = request.path_params["id"], request.query_params
    try:
        at = datetime.fromisoformat(query["date"]) if "date" in query else datetime.now(UTC)
    except ValueError:
        return JSONResponse({"errors": [{"title": "date is not valid", "code": "INVALID_REQUEST"}]}, 400)
    with state.lock:
        lies = set(state.lies)
        known = {duty.schedule for duty in state.jsm} | state.schedules
        people = [duty.who for duty in state.jsm if duty.schedule == number and duty.covers(at)]
    if number not in known:
        return JSONResponse({"errors": [{"title": "Schedule not found", "code": "NOT_FOUND"}]}, 404)
    if "without_people" in lies:
        return JSONResponse({})
    if query.get("flat") == "true" and not lies & {"ignores_flat", "team_on_call"}:
        return JSONResponse({"onCallUsers": people})
    return JSONResponse({"onCallParticipants": _participants(people, "team_on_call" in lies)})


def _participants(people: list[str], team: bool) -> list[dict[str, Any]]:
    """As in the documentation: the first one by an escalation, the others by themselves."""
    users: list[dict[str, Any]] = [{"id": person, "type": "user"} for person in people]
    inner = [user | {"forwardedFrom": {"id": "c5646941", "type": "user"}} for user in users[:1]]
    escalation = {"id": "7a24e9d7-7a4f-4f86-a1df-21ca9c3112ac", "type": "escalation", "onCallParticipants": inner}
    return [*([TEAM] if team else []), *users[1:], *([escalation] if inner else [])]


def _issue(state: OnCallState, key: str) -> Response:
    with state.lock:
        found = state.issues.get(key.upper())
        lying = "other_incident" in state.lies
    if found is None:
        message = "Issue does not exist or you do not have permission to see it."
        return JSONResponse({"errorMessages": [message], "errors": {}}, 404)
    name = "OTHER-1" if lying else found.get("moved_to") or key.upper()
    status = {"id": "1", "name": "A status", "statusCategory": {"id": 4, "key": found["category"]}}
    return JSONResponse({"id": "10002", "key": name, "fields": {"status": status}})
