"""Three servers that speak SCIM and share no code: the sandbox, scim2-server, one that answers like Atlassian.

Each has a directory at the same kind of address and takes one key.
"""

import contextlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from scim2_server.memory import InMemoryStorage
from scim2_server.testserver.application import BearerTokenApplication
from scim2_server.utils import load_default_provider

from bot.sandbox import seed
from bot.sandbox.atlassian.server import running

DIRECTORY, KEY = seed.OURS.id, seed.OURS.key
PREFIX = f"/scim/directory/{DIRECTORY}"
# The order that Atlassian was seen to send, its own extension first: schemas[0] does not say what a record is.
SCHEMAS = [
    "urn:scim:schemas:extension:atlassian-external:1.0",
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
]
Json = dict[str, Any]


class Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def _serving(server: WSGIServer | ThreadingHTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def scim2_server() -> Iterator[str]:
    """The reference server of the SCIM community, behind an address like Atlassian's."""
    inner = BearerTokenApplication(InMemoryStorage(), load_default_provider(), bearer_tokens=[KEY])

    def mounted(environ: Json, start: Callable[..., Any]) -> Any:
        environ["SCRIPT_NAME"] = PREFIX
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(PREFIX)
        return inner(environ, start)

    with _serving(make_server("127.0.0.1", 0, mounted, Threading, Quiet)) as base:
        yield base


class Alike(BaseHTTPRequestHandler):
    """Users and groups in the words of the captured answers; knows what our client needs and no more."""

    users: dict[str, Json]
    groups: dict[str, Json]

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_GET

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            return self._say(401, {"error": "Unauthorized", "traceId": "5a4db0c5e7f1"})
        target = urlsplit(self.path)
        kind, _, number = target.path.removeprefix(f"{PREFIX}/").partition("/")
        if kind == "ServiceProviderConfig":
            return self._say(200, {"patch": {"supported": True}, "filter": {"supported": True, "maxResults": 100}})
        held = self.users if kind == "Users" else self.groups
        if self.command == "POST":
            return self._make(kind, held, body)
        if not number:
            return self._list(kind, held, parse_qs(target.query))
        if number not in held:
            return self._refuse(404, f"Resource [{kind}]: {number} not found")
        if self.command == "PATCH":
            return self._patch(kind, held[number], body["Operations"])
        return self._say(200, self._shown(kind, held[number]))

    def _make(self, kind: str, held: dict[str, Json], body: Json) -> None:
        name = "userName" if kind == "Users" else "displayName"
        if any(each[name].lower() == body[name].lower() for each in held.values()):
            return self._refuse(409, f"{body[name]} already exists", "uniqueness")
        record = {**body, "id": str(uuid.uuid4())}
        held[record["id"]] = record
        return self._say(201, self._shown(kind, record))

    def _list(self, kind: str, held: dict[str, Json], query: dict[str, list[str]]) -> None:
        match = re.fullmatch(r'(\w+) eq (".*")', query["filter"][0])
        if match is None or match[1] not in ("userName", "externalId", "displayName"):
            return self._refuse(400, "not a filter that is known", "invalidFilter")
        wanted = json.loads(match[2])
        fitting = [
            self._shown(kind, each) for each in held.values() if each.get(match[1], "").lower() == wanted.lower()
        ]
        page = {"totalResults": len(fitting), "startIndex": 1, "itemsPerPage": len(fitting), "Resources": fitting}
        return self._say(200, {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], **page})

    def _patch(self, kind: str, record: Json, operations: list[Json]) -> None:
        for operation in operations:
            one = re.fullmatch(r'members\[value eq "([^"]+)"\]', operation["path"])
            members: list[str] = record.setdefault("members", [])
            if one:
                record["members"] = [member for member in members if member != one[1]]
            elif operation["path"] == "members":
                new = [member["value"] for member in operation["value"]]
                if not set(new) <= set(self.users):
                    return self._refuse(404, "Resource [USER] not found")
                record["members"] = list(dict.fromkeys([*members, *new]))
            else:
                record[operation["path"]] = operation["value"]
        return self._say(200, self._shown(kind, record))

    def _shown(self, kind: str, record: Json) -> Json:
        kept = {name: value for name, value in record.items() if name not in ("schemas", "members")}
        if kind == "Groups":
            members = [{"type": "User", "value": member} for member in record.get("members", [])]
            return {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], **kept, "members": members}
        groups = [each for each in self.groups.values() if record["id"] in each.get("members", [])]
        return {
            "schemas": SCHEMAS, **kept, "groups": [{"value": each["id"]} for each in groups],
            SCHEMAS[0]: {"atlassianAccountId": "602bdf457b23f40068547c25"},
        }  # fmt: skip

    def _refuse(self, status: int, detail: str, kind: str | None = None) -> None:
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": detail}
        self._say(status, body | ({"scimType": kind} if kind else {}))

    def _say(self, status: int, body: Json) -> None:
        sent = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/scim+json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def alike() -> Iterator[str]:
    fresh = type("Fresh", (Alike,), {"users": {}, "groups": {}})
    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), fresh)) as base:
        yield base


SERVERS: dict[str, Callable[[], contextlib.AbstractContextManager[str]]] = {
    "the sandbox": running,
    "scim2-server": scim2_server,
    "one that answers like Atlassian": alike,
}
# scim2-server keeps ``groups`` of a user empty: RFC 7643 leaves filling it to whoever stores the records.
SHOWS_GROUPS = {"the sandbox", "one that answers like Atlassian"}
