"""The floor: what any bot must do at least, and nothing more: check the signature, parse, commit one row."""

import hashlib
import hmac
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from approvals.database import journal_mode


class Floor:
    """A bare WSGI application on the bot's journal mode and synchronous=FULL, its writers in line as the bot's are."""

    def __init__(self, path: str, secret: str) -> None:
        self.path = path
        self.secret = secret.encode()
        self.local = threading.local()
        self.one_writer = threading.Lock()
        connection = self.connection()
        connection.execute("CREATE TABLE IF NOT EXISTS asked (id INTEGER PRIMARY KEY, user TEXT, text TEXT, at REAL)")

    def connection(self) -> sqlite3.Connection:
        if not hasattr(self.local, "connection"):
            connection = sqlite3.connect(self.path, isolation_level=None)
            connection.execute("PRAGMA busy_timeout = 10000")
            connection.execute(f"PRAGMA journal_mode = {journal_mode()}")
            connection.execute("PRAGMA synchronous = FULL")
            self.local.connection = connection
        found: sqlite3.Connection = self.local.connection
        return found

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/readyz":
            start_response("200 OK", [("Content-Length", "0")])
            return []
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        signed = b"v0:" + environ["HTTP_X_SLACK_REQUEST_TIMESTAMP"].encode() + b":" + body
        wanted = "v0=" + hmac.new(self.secret, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, environ["HTTP_X_SLACK_SIGNATURE"]):
            start_response("401 Unauthorized", [("Content-Length", "0")])
            return []
        form = parse_qs(body.decode())
        self.commit(form["user_id"][0], form["text"][0])
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    def commit(self, user: str, text: str) -> None:
        """One durable row."""
        connection = self.connection()
        with self.one_writer:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO asked (user, text, at) VALUES (?, ?, ?)", (user, text, time.time()))
            connection.execute("COMMIT")
