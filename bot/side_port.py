"""A port of its own for health and figures, which the side that Slack reaches does not show; workers have one too."""

import socket
import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

PATIENCE = 5  # seconds for whoever asks to send its request


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _OnIPv6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Whoever scrapes is not worth a line, and a path may hold anything."""


def serve_beside(app: Callable[..., Any], host: str, port: int) -> None:
    """Answer there from a thread that ends with the process. Raises ``OSError`` when the port can't be had."""
    server = make_server(host, port, app, server_class=_OnIPv6 if ":" in host else _Server, handler_class=_Handler)
    threading.Thread(target=server.serve_forever, name="side port", daemon=True).start()
