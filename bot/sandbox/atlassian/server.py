"""The Atlassian sandbox: an organization of 200 people that speaks Atlassian's protocols on a loopback port."""

import asyncio
import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from bot.sandbox import seed
from bot.sandbox.atlassian.account_changes import account_change_routes
from bot.sandbox.atlassian.accounts import account_routes
from bot.sandbox.atlassian.answers import flat
from bot.sandbox.atlassian.console import console_routes
from bot.sandbox.atlassian.console_accounts import console_account_routes
from bot.sandbox.atlassian.org import organization_routes
from bot.sandbox.atlassian.scim_groups import scim_group_routes
from bot.sandbox.atlassian.scim_users import scim_user_routes
from bot.sandbox.atlassian.site_groups import site_group_routes
from bot.sandbox.atlassian.site_users import site_user_routes
from bot.sandbox.atlassian.state import Sandbox
from bot.sandbox.atlassian.wire import Wire


def serve(host: str, port: int, app: Starlette | None = None) -> None:
    """Serve until interrupted, on a loopback address only."""
    _insist_loopback(host)
    with contextlib.suppress(KeyboardInterrupt):
        _server(app or create_app(), host, port).run()


@contextlib.contextmanager
def running(app: Starlette | None = None) -> Iterator[str]:
    """The sandbox on a free loopback port for the length of a ``with``; gives its base URL."""
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = _server(app or create_app(), "127.0.0.1", port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


def create_app(company: seed.Company | None = None) -> Starlette:
    """A fresh organization in memory; every app has its own."""
    sandbox = Sandbox(company or seed.company())

    async def nobody_serves(request: Request, reason: Exception) -> Response:
        assert isinstance(reason, HTTPException)
        response = flat(reason.status_code, request.scope["path"], sandbox.now())
        response.headers.update(reason.headers or {})
        return response

    app = Starlette(
        routes=[
            *scim_user_routes(sandbox),
            *scim_group_routes(sandbox),
            *organization_routes(sandbox),
            *account_routes(sandbox),
            *account_change_routes(sandbox),
            *site_user_routes(sandbox),
            *site_group_routes(sandbox),
            *console_routes(sandbox),
            *console_account_routes(sandbox),
        ],
        middleware=[Middleware(Wire, sandbox=sandbox)],
        exception_handlers={HTTPException: nobody_serves},
    )
    app.router.redirect_slashes = False
    return app


class Hangup(H11Protocol):
    """Leaves the connection in the scope, so that a lost answer is really lost: the socket is closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": transport}


def _server(app: Starlette, host: str, port: int) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        host,
        port,
        http=Hangup,
        ws="none",
        lifespan="off",
        log_level="warning",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,  # a delayed answer must not keep the sandbox from stopping
    )
    return uvicorn.Server(config)


def _insist_loopback(host: str) -> None:
    if host == "localhost":
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise SystemExit(f"The sandbox gives its keys to anybody, so it listens on a loopback address only, not on {host}.")
