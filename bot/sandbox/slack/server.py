"""The Slack sandbox: one Slack workspace on this machine, for tests and the demo, with no Slack behind it."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from bot.sandbox import seed
from bot.sandbox.slack.api_chat import answer_interaction
from bot.sandbox.slack.arguments import Arguments, read_arguments, read_json
from bot.sandbox.slack.atlassian_calls import AtlassianCalls
from bot.sandbox.slack.control_api import Control, is_loopback
from bot.sandbox.slack.files import give_bytes, take_bytes
from bot.sandbox.slack.outgoing import Outgoing
from bot.sandbox.slack.page import HEADERS, Changes, Page
from bot.sandbox.slack.people import Json
from bot.sandbox.slack.rates import RateLimits
from bot.sandbox.slack.state import SlackError, Workspace
from bot.sandbox.slack.web_api import Answer, call


def create_app(
    company: seed.Company | None = None,
    *,
    events_url: str | None,
    signing_secret: str = seed.SLACK_SIGNING_SECRET,
    rate_limits: bool = True,
    atlassian_url: str | None = None,
) -> Starlette:
    """The workspace as an ASGI app; the bot's address may also be given later, at /control/connect."""
    workspace, limits = Workspace(company or seed.company()), RateLimits(rate_limits)
    outgoing = Outgoing(events_url, signing_secret)
    atlassian, changes = AtlassianCalls(atlassian_url), Changes()
    control = Control(workspace, outgoing, limits, atlassian)
    doors = Doors(workspace, limits, control, changes)
    front = FrontDoor(Page(workspace, control.calls, atlassian, changes))
    app = DroppableApp(
        routes=[
            Route("/", front.file, methods=["GET"]),
            Route("/static/{name}", front.file, methods=["GET"]),
            Route("/page/{what}", front.ask, methods=["GET"]),
            Route("/api/{method}", doors.web_api, methods=["GET", "POST"]),
            Route("/commands/{address:path}", doors.response_url, methods=["POST"]),
            Route("/actions/{address:path}", doors.response_url, methods=["POST"]),
            Route("/upload/v1/{ticket}", doors.upload, methods=["POST"]),
            Route("/files-pri/{place:path}", doors.download, methods=["GET"]),
            WebSocketRoute("/link/", outgoing.sockets.endpoint),
            Route("/control/{verb}", doors.control_api, methods=["GET", "POST", "DELETE"]),
            Route("/control/channel/{channel:path}", doors.control_api, methods=["GET"]),
        ]
    )
    app.state.outgoing, app.state.atlassian = outgoing, atlassian
    return app


def serve(host: str, port: int, events_url: str | None, atlassian_url: str | None = None) -> None:
    """Run the sandbox until stopped; at its root is the page, with Atlassian's calls when told where they are."""
    _insist_on_loopback(host)
    app = create_app(events_url=events_url, atlassian_url=atlassian_url)
    uvicorn.Server(_quiet(app, host, port)).run()


@contextlib.contextmanager
def running(
    *, events_url: str | None = None, host: str = "127.0.0.1", port: int = 0, rate_limits: bool = True,
    atlassian_url: str | None = None,
) -> Iterator[str]:  # fmt: skip
    """The sandbox in the background, on a free port unless one is given; gives its address."""
    _insist_on_loopback(host)
    app = create_app(events_url=events_url, rate_limits=rate_limits, atlassian_url=atlassian_url)
    with socket.create_server((host, port)) as listening:
        port = listening.getsockname()[1]
        server = uvicorn.Server(_quiet(app, host, port))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while thread.is_alive() and not server.started:
            time.sleep(0.01)
        try:
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
            app.state.outgoing.close()
            app.state.atlassian.close()


class DroppableApp(Starlette):
    """Starlette that lets an answer cut the connection, as a network does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # ASGI has no word for it: uvicorn's own send is bound to the cycle that holds the transport
        scope["transport"] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


class Dropped(Response):
    """No answer at all: the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope.get("transport")
        if transport is None:
            raise RuntimeError("connections can only be dropped under uvicorn")
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            await asyncio.sleep(0)


class Doors:
    """The three ways in: the Web API, response addresses, and the control API."""

    def __init__(self, workspace: Workspace, limits: RateLimits, control: Control, changes: Changes) -> None:
        self.workspace, self.limits, self.control, self.changes = workspace, limits, control, changes
        # people wait for the bot while the bot calls the Web API: each side has threads of its own
        self._for_bot, self._for_people = anyio.CapacityLimiter(100), anyio.CapacityLimiter(200)

    async def web_api(self, request: Request) -> Response:
        self.workspace.base_url = f"{request.url.scheme}://{request.url.netloc}"
        work = partial(self._call, request, await request.body())
        return await self._noticed(work, self._for_bot)

    async def response_url(self, request: Request) -> Response:
        work = partial(self._answer, request, await request.body())
        return await self._noticed(work, self._for_bot)

    async def upload(self, request: Request) -> Response:
        """The address that ``files.getUploadURLExternal`` gave."""
        fault = self.control.faults.take("upload")
        if fault and fault.status:
            return PlainTextResponse("", fault.status)
        status, said = take_bytes(self.workspace, request.path_params["ticket"], await request.body())
        return PlainTextResponse(said, status)

    async def download(self, request: Request) -> Response:
        """A file's bytes; who may not have them gets the page to sign in, as a browser would."""
        fault = self.control.faults.take("download")
        if fault and fault.status:
            return PlainTextResponse("", fault.status)
        token = request.headers.get("authorization", "").partition(" ")[2].strip()
        data = give_bytes(self.workspace, request.url.path, token)
        if data is None:
            return Response("<!DOCTYPE html><html>Sign in</html>", 200, media_type="text/html")
        return Response(data, media_type="application/octet-stream")

    async def control_api(self, request: Request) -> Response:
        self.workspace.base_url = f"{request.url.scheme}://{request.url.netloc}"
        work = partial(self._control, request, await request.body())
        if request.method == "GET":
            return await anyio.to_thread.run_sync(work, limiter=self._for_people)
        return await self._noticed(work, self._for_people)

    async def _noticed(self, work: Callable[[], Response], limiter: anyio.CapacityLimiter) -> Response:
        """Do something after which a screen may look different."""
        try:
            return await anyio.to_thread.run_sync(work, limiter=limiter)
        finally:
            self.changes.happened()

    def _call(self, request: Request, body: bytes) -> Response:
        method = request.path_params["method"]
        fault = self.control.faults.take(method, request.url.query.encode() + body)
        if fault and fault.delay:
            time.sleep(fault.delay)
        given: Json = {}
        if fault and (fault.error or fault.status):
            with contextlib.suppress(SlackError):
                given = _arguments(request, body)
            said: Json = {"ok": False, "error": fault.error or "internal_error"}
            answer = Answer(said, fault.status or 200, fault.headers)
        else:
            answer, given = self._real_answer(method, request, body)
        lost = bool(fault and fault.lost)
        told = {name: value for name, value in given.items() if name != "token"}
        self.control.calls.add(method, told, answer.body, answer.status, lost)
        if lost:
            return Dropped()
        headers = (answer.headers or {}) | (fault.headers if fault else {})
        return JSONResponse(answer.body, answer.status, headers)

    def _real_answer(self, method: str, request: Request, body: bytes) -> tuple[Answer, Json]:
        try:
            given = _arguments(request, body)
        except SlackError as refused:
            return Answer({"ok": False, "error": refused.error} | refused.more), {}
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else str(given.get("token") or "")
        if method == "apps.connections.open":
            try:
                opened = self.control.outgoing.sockets.connections_open(token, request.url.netloc)
            except SlackError as refused:
                return Answer({"ok": False, "error": refused.error} | refused.more), {}
            return Answer({"ok": True} | opened), {}
        is_json = request.headers.get("content-type", "").startswith("application/json")
        return call(self.workspace, self.limits, method, token, given, is_json=is_json), given

    def _answer(self, request: Request, body: bytes) -> Response:
        fault = self.control.faults.take("response_url")
        if fault and fault.delay:
            time.sleep(fault.delay)
        if fault and (fault.error or fault.status):
            return JSONResponse({"ok": False, "error": fault.error}, fault.status or 404, fault.headers)
        try:
            answer_interaction(self.workspace, request.url.path, Arguments(_arguments(request, body)))
        except SlackError as refused:
            gone = refused.error in ("no_such_url", "expired_url", "used_url")
            return JSONResponse({"ok": False, "error": refused.error} | refused.more, 404 if gone else 400)
        return Dropped() if fault and fault.lost else PlainTextResponse("ok")

    def _control(self, request: Request, body: bytes) -> Response:
        if _from_elsewhere(request):
            return JSONResponse({"error": "the control API is for this machine only"}, 403)
        try:
            given = dict(request.query_params) | _object(body) | dict(request.path_params)
        except ValueError as unreadable:
            return JSONResponse({"error": f"the body must be a JSON object: {unreadable}"}, 400)
        verb = request.path_params.get("verb", "channel")  # /control/channel/{channel} has no verb of its own
        base_url = f"{request.url.scheme}://{request.url.netloc}"
        status, answer = self.control.do(request.method, verb, Arguments(given), base_url)
        return JSONResponse(answer, status)


class FrontDoor:
    """The page that shows all this to a browser on this machine."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def file(self, request: Request) -> Response:
        if _from_elsewhere(request):
            return PlainTextResponse("This page is for this machine only.\n", 403)
        status, content, kind = self.page.file(request.path_params.get("name", "index.html"))
        return Response(content, status, HEADERS | {"Content-Type": kind})

    def ask(self, request: Request) -> Response:
        if _from_elsewhere(request):
            return JSONResponse({"error": "this page is for this machine only"}, 403)
        try:
            status, answer = self.page.answer(request.path_params["what"], Arguments(dict(request.query_params)))
        except SlackError as refused:
            status, answer = 400, {"error": refused.error} | refused.more
        return JSONResponse(answer, status, {"Cache-Control": "no-store"})


def _from_elsewhere(request: Request) -> bool:
    """A page of another site reaches in neither directly nor through a name of its own that points here."""
    here = request.client is not None and is_loopback(request.client.host)
    origin = request.headers.get("origin")
    own = origin is None or origin == f"{request.url.scheme}://{request.url.netloc}"
    return not (here and own and is_loopback(request.url.hostname or ""))


def _arguments(request: Request, body: bytes) -> Json:
    return read_arguments(request.headers.get("content-type", ""), request.url.query, body)


def _object(body: bytes) -> Json:
    sent = read_json(body) if body.strip() else {}
    if not isinstance(sent, dict):
        raise ValueError("it is not an object")
    return sent


def _insist_on_loopback(host: str) -> None:
    if not is_loopback(host):
        raise ValueError(
            "The Slack sandbox lets anyone act as anyone, so it only listens on this machine: "
            f"use 127.0.0.1, not {host!r}."
        )


def _quiet(app: Starlette, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app, host=host, port=port, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1,
        ws="websockets-sansio", ws_ping_interval=10,
    )  # fmt: skip
