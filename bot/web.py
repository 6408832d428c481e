"""The WSGI application: Slack's one door, that of incident tools, health, the figures; and the server that runs it."""

import gc
import hmac
import json
import signal
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication
from sqlalchemy.exc import SQLAlchemyError

from approvals.writable import DATABASE, cannot_write, trouble_of
from bot.app import House
from bot.envelope import Refused
from bot.guard import Guard
from bot.incident_door import TOO_LARGE
from bot.memory import stay_small
from bot.side_port import serve_beside
from bot.turn import TURN

log = structlog.get_logger()
Answer = tuple[int, list[tuple[str, str]], bytes]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
EMPTY: list[tuple[str, str]] = []
STOPS_WITHIN = 7.0  # seconds for the steps at hand; the whole process group is gone in ten
DRAINS = 3  # seconds for requests that are being answered
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


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with one worker and many threads; the job threads live and die with it."""

    def __init__(self, build: Callable[[], House], *, host: str, port: int, works: bool) -> None:
        self._build = build
        self._works = works
        self._house: House | None = None
        self._stops_at: float | None = None  # monotonic seconds, once it was told to stop
        self._options = {
            "bind": f"{host}:{port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": 16,
            "graceful_timeout": 9,  # then the worker is killed, whatever it does
            "timeout": 0,  # the worker is not restarted under load; its health is watched from outside
            "keepalive": 5,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "critical",  # what is not well-formed HTTP is refused without a word
            "control_socket_disable": True,
            # what was loaded before the fork is never looked at by the collector, so its pages stay shared
            "pre_fork": lambda server, worker: gc.freeze(),
            "post_worker_init": self._of_worker,
            "worker_exit": lambda server, worker: self.stopped(),
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Web:
        # Built in the worker, after the fork: threads and connections do not survive one.
        self._house = self._build()
        return Web(self._house)

    def _of_worker(self, worker: Any) -> None:
        """In the process that serves: its share of the time to stop, and the jobs are told at the signal itself."""
        worker.cfg.set("graceful_timeout", DRAINS)
        before = signal.getsignal(signal.SIGTERM)

        def told(number: int, frame: Any) -> None:
            self._stops_at = time.monotonic() + STOPS_WITHIN
            if self._works and self._house is not None:
                self._house.worker.halt()
            if callable(before):
                before(number, frame)

        signal.signal(signal.SIGTERM, told)
        signal.siginterrupt(signal.SIGTERM, False)
        self.started()

    def started(self) -> None:
        house = self._house
        if house is None:
            return
        beside = house.settings.metrics_port
        if beside is not None:
            serve_beside(Web(house, aside=True), house.settings.host, beside)
        stay_small()
        log.info("listening", bind=self._options["bind"], works=self._works, database=house.database.journal)
        if self._works:
            if house.database.is_sqlite:
                house.store.take_over()
            house.start()
        if house.socket is not None:
            house.socket.start()

    def stopped(self) -> None:
        house = self._house
        if house is None:
            return
        if house.socket is not None:
            house.socket.stop(patience=min(3.0, self._left()))
        if self._works:
            house.worker.stop(patience=self._left())

    def _left(self) -> float:
        """Seconds, since the signal, for the steps at hand."""
        return STOPS_WITHIN if self._stops_at is None else max(0.0, self._stops_at - time.monotonic())
