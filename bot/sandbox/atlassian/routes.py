"""How a path becomes a call on the sandbox: one at a time, and all of it or nothing."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox.atlassian.answers import Refusal
from bot.sandbox.atlassian.effects import write_events
from bot.sandbox.atlassian.state import Sandbox
from bot.sandbox.atlassian.wire import CHANGED, basic, bearer, parse


class Call:
    """One HTTP call: what a handler may know of it."""

    def __init__(self, request: Request, content: bytes) -> None:
        self.params: dict[str, str] = request.path_params
        self.query = request.query_params
        self.method = request.method
        self.key = bearer(request.scope)
        self.login = basic(request.scope)
        self.path: str = request.scope["path"]
        self.base = f"{request.scope['scheme']}://{request.headers.get('host', 'localhost')}"
        self._content = content
        self.headers: dict[str, str] = {}  # for the answer
        self.scope: str | None = None  # that a key with scopes needs for this; None: such a key is never enough

    @property
    def has_body(self) -> bool:
        return bool(self._content)

    def json(self) -> Any:
        """The body; an empty one reads as an empty object. ValueError when it is not JSON."""
        return parse(self._content) if self._content else {}


Handler = Callable[[Sandbox, Call], Response]
Guard = Callable[[Sandbox, Call], None]


def route(sandbox: Sandbox, path: str, guard: Guard, **handlers: Handler) -> Route:
    """A path with a handler for each of its methods; ``guard`` refuses a call before any of them."""

    async def endpoint(request: Request) -> Response:
        call = Call(request, await request.body())
        handler = handlers.get(request.method) or handlers["GET"]  # HEAD
        with sandbox.lock:
            records, before = sandbox.records, sandbox.records.copy()
            try:
                guard(sandbox, call)
                response = handler(sandbox, call)
                response.headers.update(call.headers)
            except Refusal as refusal:
                sandbox.records = before
                response = refusal.answer
            if _swallowed(sandbox, call):
                sandbox.records = before
            if sandbox.records != before:
                if sandbox.records is records:  # a reset puts others in their place: nobody did that
                    write_events(sandbox, before, call.key)
                sandbox.publish()
                request.scope[CHANGED] = True
            return response

    return Route(path, endpoint, methods=list(handlers))


def _swallowed(sandbox: Sandbox, call: Call) -> bool:
    """A write that is to be answered as if it had worked and to change nothing."""
    pieces = sandbox.switches.silent_success
    api_write = call.method not in ("GET", "HEAD") and not call.path.startswith("/control/")
    return api_write and any(piece in call.path for piece in pieces)
