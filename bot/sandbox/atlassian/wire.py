"""What stands between the socket and the APIs: it writes the ledger and lets faults happen."""

import base64
import json
import threading
from collections.abc import Callable
from typing import Any, Protocol

import anyio
import httpx
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import answer, failure
from bot.sandbox.atlassian.faults import Fault, Faults
from bot.sandbox.atlassian.ledger import Ledger

CHANGED = "sandbox.changed"  # key in the ASGI scope: did this call change any record?
GARBAGE = "<!DOCTYPE html><html><head><title>Just a moment</title></head><body>Checking your browser.</body></html>"


class Controlled(Protocol):
    """What the wire needs of the sandbox."""

    lock: threading.RLock
    ledger: Ledger
    faults: Faults

    def clock(self) -> float: ...


class Wire:
    """ASGI middleware around the vendor's APIs; the control API passes untouched."""

    def __init__(self, app: ASGIApp, sandbox: Controlled) -> None:
        self.app = app
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/control/"):
            await self.app(scope, receive, send)
            return
        body = await _whole_body(receive)
        if body is None:
            return
        path = _path_on_the_wire(scope)
        with self.sandbox.lock:
            fault = self.sandbox.faults.take(scope["method"], path) or Fault()
        real = await self._call(scope, body) if fault.takes_effect else None
        response = _response(fault, real, path)
        self.sandbox.ledger.record(
            self.sandbox.clock(),
            actor="api",
            method=scope["method"],
            path=path,
            credential=credential(scope),
            body=_as_json(body),
            status=response.status_code if response else None,
            applied=scope.get(CHANGED, False),
        )
        if fault.delay:
            await _hold_back(fault.delay, receive)
        if response is None:
            await drop_connection(scope, receive)
        elif fault.truncated:
            await _send_half(response, send)
            await drop_connection(scope, receive)
        else:
            await response(scope, receive, send)

    async def _call(self, scope: Scope, body: bytes) -> Response:
        """The API's own answer, kept back so that a fault may still swallow it."""
        caught: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            caught.append(message)

        await self.app(scope, receive, send)
        response = Response(b"".join(message.get("body", b"") for message in caught[1:]), caught[0]["status"])
        response.raw_headers = list(caught[0]["headers"])
        return response


def credential(scope: Scope) -> str:
    """Which key a call carried, without the key."""
    if basic(scope) == (seed.SITE_EMAIL, seed.SITE_API_TOKEN):
        return "site"
    kinds = {directory.key: f"scim:{directory.name}" for directory in seed.SCIM_DIRECTORIES}
    keys = {seed.ORG_API_KEY: "org", seed.ORG_SCOPED_KEY: "org with scopes"}
    return (kinds | keys).get(bearer(scope), "none")


def bearer(scope: Scope) -> str:
    return _authorization(scope, "bearer")


def basic(scope: Scope) -> tuple[str, str]:
    """E-mail and API token, as the Jira site takes them; two empty texts when there are none."""
    try:
        pair = base64.b64decode(_authorization(scope, "basic"), validate=True).decode()
    except ValueError:
        return "", ""
    email, _, token = pair.partition(":")
    return email, token


def _authorization(scope: Scope, wanted: str) -> str:
    header = next((value for name, value in scope["headers"] if name.lower() == b"authorization"), b"")
    scheme, _, key = str(header, "latin-1").partition(" ")
    return key.strip() if scheme.lower() == wanted else ""


async def drop_connection(scope: Scope, receive: Receive) -> None:
    """Hang up. Needs the connection that ``Hangup`` in server.py leaves in the scope."""
    connection = scope.get("state", {}).get("connection")
    if connection is None:  # in process there is no socket to close, only the caller to tell
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
    connection.close()
    await _gone(receive)  # returning sooner, uvicorn would try to answer and complain


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _hold_back(seconds: float, receive: Receive) -> None:
    """Real seconds, cut short when the caller hangs up first."""
    with anyio.move_on_after(seconds):
        await _gone(receive)


async def _send_half(response: Response, send: Send) -> None:
    """The headers promise the whole body; half of it follows."""
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    half = bytes(response.body)[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})


def _response(fault: Fault, real: Response | None, path: str) -> Response | None:
    if fault.lost:
        return None
    response: Response | None = real
    if fault.garbage:
        response = HTMLResponse(GARBAGE)
    elif fault.status is not None:
        response = _canned(fault.status, fault.body, path)
    if response is not None:
        response.headers.update(fault.headers)
    return response


def _canned(status: int, body: Any, path: str) -> Response:
    if status in (204, 304):
        return Response(status_code=status)
    if body is None:
        return failure(status, path)
    return Response(body, status, media_type="text/plain") if isinstance(body, str) else answer(body, status)


async def _whole_body(receive: Receive) -> bytes | None:
    """The body, or None when the caller hung up before the end of it."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _path_on_the_wire(scope: Scope) -> str:
    path = str(scope.get("raw_path") or scope["path"].encode(), "latin-1")
    query = str(scope["query_string"], "latin-1")
    return f"{path}?{query}" if query else path


def _as_json(body: bytes) -> Any:
    try:
        return parse(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")


def parse(body: bytes) -> Any:
    """JSON and nothing else; ValueError otherwise, however the body is broken."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError as deep:
        raise ValueError("nested too deep") from deep


def _no_constant(name: str) -> Callable[[], None]:
    raise ValueError(f"{name} is not JSON")
