"""Keeps what went over the wire, as plain facts: the request as it left and the answer as it came."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from bot.atlassian.errors import AtlassianError
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from tests.support.atlassian_calls import NETWORK, Call


@dataclass(frozen=True)
class Exchange:
    """One request with its answer."""

    method: str
    target: str  # path and query as they went over the wire
    sent: bytes
    asked_type: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def line(self) -> str:
        return f"{self.method} {self.target}"

    def asked(self) -> Any:
        return json.loads(self.sent) if self.sent else None

    def answered(self) -> Any:
        return json.loads(self.body) if self.body else None

    def answers(self, request: httpx.Request) -> bool:
        """Whether this is the very request that was answered here."""
        return (self.method, self.target, self.sent) == (
            request.method,
            request.url.raw_path.decode(),
            request.read(),
        )

    def response(self) -> httpx.Response:
        return httpx.Response(self.status, headers=self.headers, content=self.body)


class Tape(httpx.BaseTransport):
    """The network, with a memory."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent = request.read()
        answer = NETWORK.handle_request(request)
        body = answer.read()
        kept = Exchange(
            request.method,
            request.url.raw_path.decode(),
            sent,
            request.headers.get("Content-Type", ""),
            answer.status_code,
            dict(answer.headers),
            body,
        )
        self.exchanges.append(kept)
        return kept.response()


@dataclass(frozen=True)
class Good:
    """How a call goes when nothing goes wrong."""

    exchanges: tuple[Exchange, ...]
    result: Any
    repeated: tuple[Exchange, ...] = ()  # the same write once more: what the client reads when it is refused


class Organization:
    """A running sandbox that every call finds as it was seeded."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.control = AtlassianControl(base)
        self.clean = False

    def good(self, call: Call) -> Good:
        self.prepare(call)
        tape = Tape()
        result = call(self.base, tape)
        repeated = tuple(self.tried(call)) if call.writes else ()
        return Good(tuple(tape.exchanges), result, repeated)

    def goods(self, calls: list[Call]) -> dict[str, Good]:
        """How each call goes when nothing goes wrong; names every one that does not."""
        done: dict[str, Good] = {}
        failed: list[str] = []
        for call in calls:
            try:
                done[call.name] = self.good(call)
            except (AtlassianError, TypeError, ValueError) as error:
                failed.append(f"{call.name}: {type(error).__name__}: {error}")
        assert not failed, "the sandbox did not do: " + "; ".join(failed)
        return done

    def tried(self, call: Call, *, key: str | None = None, **other: Any) -> list[Exchange]:
        """What goes over the wire when the call may fail."""
        tape = Tape()
        with contextlib.suppress(AtlassianError):
            call(self.base, tape, key=key, **other)
        return tape.exchanges

    def prepare(self, call: Call) -> None:
        """The seed, and what must come first; reads leave the organization as it was and need no new one."""
        if not self.clean or call.firsts:
            self.control.reset()
        for first in call.firsts:
            first(self.base)
        self.clean = not call.writes and not call.firsts


@contextlib.contextmanager
def organization(app: Callable[[], Any] | None = None) -> Iterator[Organization]:
    with running(app() if app else None) as base:
        there = Organization(base)
        yield there
        there.control.close()
