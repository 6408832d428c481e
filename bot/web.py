"""The WSGI application: Slack's one door, that of incident tools, health, the figures."""

import hmac
import json
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from approvals.writable import DATABASE, cannot_write, trouble_of
from bot.app import House
from bot.envelope import Refused
from bot.guard import Guard
from bot.incident_door import TOO_LARGE
from bot.turn import TURN

log = structlog.get_logger()
Answer = tuple[int, list[tuple[str, str]], bytes]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
EMPTY: list[tuple[str, str]] = []
MOST_BODY = 200_000  # bytes read at most; the guard refuses far less


class Web:
    """Routes by path; every path is listed here. ``aside`` is the port beside: no door is open there."""

    def __init__(self, house: House, *, aside: bool = False) -> None:
        self.house = house
        self.aside = aside

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        status, headers, body = self._answer(environ)
        headers = [*headers, ("Content-Length", str(len(body)))]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        match environ.get("PATH_INFO", ""):
            case "/slack/events" if not self.aside:
                return self._slack(environ)
            case "/incidents" if not self.aside:
                return self._incidents(environ)
            case "/healthz":
                return 200, EMPTY, b"ok\n"
            case "/readyz":
                return self._ready()
            case "/metrics" if self.aside or self.house.settings.metrics_port is None:
                return self._metrics(environ)
        return 404, EMPTY, b""

    def _slack(self, environ: dict[str, Any]) -> Answer:
        guard = self.house.guard
        if guard is None:  # Socket Mode, and no secret that could tell Slack from anybody
            return 404, EMPTY, b""
        body = _body(environ)
        if body is None:
            return 413, EMPTY, b""
        started = time.monotonic()
        try:
            with TURN.taken():
                return self._heard(guard, environ, body)
        except DATABASE as error:  # it was looked up whether the payload is new, so the signature is Slack's
            return without_database(error, body)
        finally:
            self.house.metrics.ack.observe(time.monotonic() - started)

    def _heard(self, guard: Guard, environ: dict[str, Any], body: bytes) -> Answer:
        passed = guard.check(environ["REQUEST_METHOD"], _headers(environ), body)
        if isinstance(passed, Refused):
            return passed.status, EMPTY, b""
        if passed.kind == "url_verification":
            return 200, [("Content-Type", "text/plain")], (passed.challenge or "").encode()
        answer = self.house.listeners.answer(passed)
        found = [(name, value) for name, values in answer.headers.items() for value in values]
        kept = [(name, value) for name, value in found if name.lower() == "content-type"]
        return answer.status, kept, (answer.body or "").encode()

    def _incidents(self, environ: dict[str, Any]) -> Answer:
        door = self.house.incidents
        if door is None:  # no secret that could tell the tool from anybody
            return 404, EMPTY, b""
        method, body = environ["REQUEST_METHOD"], _body(environ)
        try:
            with TURN.taken():
                answer = door.answer(method, _headers(environ), body) if body is not None else TOO_LARGE
        except DATABASE as error:  # the tool sends it again
            log.error("not written down", kind=type(error).__name__, why=trouble_of(error).why)
            return 503, EMPTY, b""
        content = b"" if method == "HEAD" else answer.content
        return answer.status, [("Content-Type", "application/json")], content

    def _ready(self) -> Answer:
        """JSON; no name and no text of anybody is in it."""
        ready, report = self.house.health.look()
        body = json.dumps(report, indent=1).encode() + b"\n"
        return (200 if ready else 503), [("Content-Type", "application/json")], body

    def _metrics(self, environ: dict[str, Any]) -> Answer:
        """Open to whoever reaches the port, unless METRICS_TOKEN is set; there are no names in it."""
        token = self.house.settings.metrics_token.get_secret_value()
        given = environ.get("HTTP_AUTHORIZATION", "")
        if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return 401, EMPTY, b""
        return 200, [("Content-Type", "text/plain; version=0.0.4")], self.house.metrics.text(self._refresh)

    def _refresh(self) -> None:
        try:
            self.house.refresh_gauges()
        except SQLAlchemyError as error:  # the counters are wanted most when the database is away
            log.error("the gauges could not be refreshed", kind=type(error).__name__)


def without_database(error: SQLAlchemyError, body: bytes) -> Answer:
    """Whoever typed a command reads why; a click shows Slack's warning, and an event is sent again by Slack."""
    trouble = trouble_of(error)
    log.error("not written down", kind=type(error).__name__, why=trouble.why)
    if not body.startswith(b"{") and b"command=" in body and b"payload=" not in body:
        said = {"response_type": "ephemeral", "text": cannot_write(trouble)}
        return 200, [("Content-Type", "application/json")], json.dumps(said).encode()
    return 503, EMPTY, b""


def _body(environ: dict[str, Any]) -> bytes | None:
    """The raw bytes; None when there are too many."""
    length = environ.get("CONTENT_LENGTH") or "0"
    wanted = int(length) if length.isascii() and length.isdigit() else MOST_BODY
    if wanted > MOST_BODY:
        return None
    body: bytes = environ["wsgi.input"].read(wanted or MOST_BODY) if wanted or _chunked(environ) else b""
    return body


def _chunked(environ: dict[str, Any]) -> bool:
    return "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return headers | {"content-type": environ.get("CONTENT_TYPE", "")}
