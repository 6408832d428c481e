"""PagerDuty's answers, in the shapes of its OpenAPI document: on-calls, schedules, policies, incidents."""

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.sandbox.oncall.state import PAGERDUTY_KEY, Duty, OnCallState

MOST = 100  # a page


def pagerduty_routes(state: OnCallState) -> list[Route]:
    async def oncalls(request: Request) -> Response:
        return _refused(request) or _oncalls(state, request)

    async def schedule(request: Request) -> Response:
        return _refused(request) or _container(state, "schedule", request.path_params["id"])

    async def policy(request: Request) -> Response:
        return _refused(request) or _container(state, "escalation_policy", request.path_params["id"])

    async def incident(request: Request) -> Response:
        return _refused(request) or _incident(state, request.path_params["id"])

    return [
        Route("/oncalls", oncalls),
        Route("/schedules/{id}", schedule),
        Route("/escalation_policies/{id}", policy),
        Route("/incidents/{id}", incident),
    ]


def error(status: int, message: str, code: int = 2000) -> Response:
    return JSONResponse({"error": {"message": message, "code": code}}, status)


def _refused(request: Request) -> Response | None:
    if request.headers.get("authorization") != f"Token token={PAGERDUTY_KEY}":
        return error(401, "Unauthorized", 2006)
    if request.headers.get("accept") != "application/vnd.pagerduty+json;version=2":
        return error(400, "The Accept header names no version", 2001)
    return None


def _oncalls(state: OnCallState, request: Request) -> Response:
    query = request.query_params
    now = datetime.now(UTC)
    try:
        since = datetime.fromisoformat(query.get("since", now.isoformat()))
        until = datetime.fromisoformat(query.get("until", now.isoformat()))
        limit, offset = min(int(query.get("limit", 25)), MOST), int(query.get("offset", 0))
    except ValueError:
        return error(400, "Invalid Input Provided", 2001)
    schedules, policies = query.getlist("schedule_ids[]"), query.getlist("escalation_policy_ids[]")
    with state.lock:
        lies = set(state.lies)
        found = [
            duty
            for duty in state.pagerduty
            if (duty.schedule in schedules or not schedules)
            and (duty.policy in policies or not policies)
            and ("expired_shift" in lies or duty.overlaps(since, until))
        ]
    shown = [_shown(duty, since, lies, "users" in query.getlist("include[]")) for duty in found]
    return JSONResponse(_page(shown, limit, offset, lies))


def _page(shown: list[dict[str, Any]], limit: int, offset: int, lies: set[str]) -> dict[str, Any]:
    if "next_page_loops" in lies:
        return {"oncalls": shown[:limit], "limit": limit, "offset": 0, "more": True, "total": None}
    if "pages_never_end" in lies:
        return {"oncalls": shown[:limit], "limit": limit, "offset": offset, "more": True, "total": None}
    page = {"limit": limit, "offset": offset, "more": offset + limit < len(shown), "total": None}
    return page if "without_people" in lies else {"oncalls": shown[offset : offset + limit], **page}


def _shown(duty: Duty, since: datetime, lies: set[str], with_user: bool) -> dict[str, Any]:
    number = f"U{abs(hash(duty.who)) % 10**9}"
    user = {"id": number, "type": "user_reference", "summary": duty.who.split("@")[0]}
    if with_user and "without_mails" not in lies:
        user |= {"type": "user", "email": duty.who}
    schedule, policy = duty.schedule, duty.policy
    if "wrong_schedule" in lies:
        schedule, policy = "POTHER1", "POTHER2"
    start, end = duty.start, duty.end
    if "expired_shift" in lies:
        start, end = since - timedelta(hours=9), since - timedelta(hours=1)
    return {
        "user": user,
        "schedule": {"id": schedule, "type": "schedule_reference"} if schedule else None,
        "escalation_policy": {"id": policy, "type": "escalation_policy_reference"},
        "escalation_level": duty.level,
        "start": start.isoformat() if start else None,
        "end": end.isoformat() if end else None,
    }


def _container(state: OnCallState, kind: str, number: str) -> Response:
    with state.lock:
        named = {duty.schedule if kind == "schedule" else duty.policy for duty in state.pagerduty} | state.schedules
        used, wrong = number not in state.unused, "wrong_schedule" in state.lies
    if number not in named:
        return error(404, "Not Found", 2100)
    body: dict[str, Any] = {"id": "POTHER1" if wrong else number, "type": kind}
    if kind == "schedule":
        body["escalation_policies"] = [{"id": "PPOLICY", "type": "escalation_policy_reference"}] if used else []
    return JSONResponse({kind: body})


def _incident(state: OnCallState, number: str) -> Response:
    with state.lock:
        known = state.incidents
        key = number if number in known else next((k for k, v in known.items() if str(v.get("number")) == number), None)
        lying, incident = "other_incident" in state.lies, known.get(key or "")
    if key is None or incident is None:
        return error(404, "Not Found", 2100)
    body = {"id": key, "type": "incident", "incident_number": incident.get("number"), "status": incident["status"]}
    return JSONResponse({"incident": body | ({"id": "QOTHER99", "incident_number": 999} if lying else {})})
