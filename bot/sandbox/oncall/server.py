"""The stand-in on the wire: both services at one address, and /control to set shifts and trouble."""

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.sandbox.atlassian.faults import Fault
from bot.sandbox.atlassian.server import serve as serve_app
from bot.sandbox.atlassian.wire import Wire
from bot.sandbox.oncall.atlassian import jira_routes, jsm_routes
from bot.sandbox.oncall.pagerduty import pagerduty_routes
from bot.sandbox.oncall.state import LIES, Duty, OnCallState

LISTS = ("pagerduty", "jsm")
SETS = ("schedules", "unused", "lies")
MAPS = ("incidents", "issues")


def create_app() -> Starlette:
    """A fresh stand-in in memory, without anybody on call."""
    state = OnCallState()
    app = Starlette(
        routes=[*pagerduty_routes(state), *jsm_routes(state), *jira_routes(state), *_control_routes(state)],
        middleware=[Middleware(Wire, sandbox=state)],
    )
    app.router.redirect_slashes = False
    return app


def serve(host: str, port: int) -> None:
    """Serve until interrupted, on a loopback address only."""
    serve_app(host, port, create_app())


def _control_routes(state: OnCallState) -> list[Route]:
    async def change(request: Request) -> Response:
        body = await request.json()
        try:
            with state.lock:
                _set(state, body)
        except (ValueError, TypeError, KeyError, AttributeError) as wrong:
            return JSONResponse({"error": str(wrong)}, 400)
        return JSONResponse({})

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            state.faults.clear()
            return JSONResponse({})
        try:
            state.faults.add(Fault.read(await request.json()))
        except ValueError as wrong:
            return JSONResponse({"error": str(wrong)}, 400)
        return JSONResponse({}, 201)

    async def ledger(request: Request) -> Response:
        return JSONResponse({"entries": state.ledger.entries(0, False)})

    async def reset(request: Request) -> Response:
        with state.lock:
            state.reset()
        return JSONResponse({})

    return [
        Route("/control/state", change, methods=["POST"]),
        Route("/control/faults", faults, methods=["POST", "DELETE"]),
        Route("/control/ledger", ledger),
        Route("/control/reset", reset, methods=["POST"]),
    ]


def _set(state: OnCallState, body: dict[str, Any]) -> None:
    """What is named is replaced, what is not named stays."""
    unknown = set(body) - {*LISTS, *SETS, *MAPS}
    strange = set(body.get("lies", ())) - set(LIES)
    if unknown or strange:
        raise ValueError(f"there is no {', '.join(sorted(unknown | strange))}")
    for name in LISTS:
        if name in body:
            setattr(state, name, [Duty.read(duty) for duty in body[name]])
    for name in SETS:
        if name in body:
            setattr(state, name, set(body[name]))
    for name in MAPS:
        if name in body:
            setattr(state, name, dict(body[name]))
