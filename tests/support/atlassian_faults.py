"""Everything that can go wrong between a client and Atlassian, and what each call must make of it.

``python -m tests.support.fault_table`` writes docs/atlassian-faults.md from the same table that the tests run.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx

from bot.atlassian.errors import (
    AtlassianError,
    BadRequest,
    Conflict,
    Forbidden,
    KeyRefused,
    NotFound,
    RateLimited,
    Unavailable,
    UnclearConflict,
    Unreachable,
    Unreadable,
)
from tests.support.atlassian_calls import Call
from tests.support.broken_answers import (
    Answer,
    again,
    barren,
    circle,
    cut,
    fails,
    has_body,
    in_turn,
    is_walked,
    paged,
    refused_by_organization,
    reset,
    says,
    twice,
    two,
)
from tests.support.recording import Exchange, Good

SOON = datetime.now(UTC) + timedelta(hours=2)  # more than the longest wait, so that the answer is always that
PATIENCE = 40  # requests of one call; whoever makes more is in a loop


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and the error it must become. ``doubt``: a write may have had its effect."""

    name: str
    answer: Answer
    error: type[AtlassianError]
    doubt: bool = False
    after: float | None = None
    fits: Callable[[Exchange], bool] = lambda good: True
    lasting: bool = False  # every request meets it, not one
    or_result: bool = False  # the right result will do as well


@dataclass(frozen=True)
class Outcome:
    """What a call made of a fault."""

    error: type[AtlassianError] | None
    again: bool = False
    doubt: bool = False
    after: float | None = None
    same: bool = False  # for results: the one that the call has when nothing goes wrong

    def __str__(self) -> str:
        if self.error is None:
            return "result"
        wait = "" if self.after is None else f" in {self.after:g} s"
        return (
            f"`{self.error.__name__}`"
            + (f", again{wait}" if self.again else "")
            + (", maybe done" if self.doubt else "")
        )


RESET = SOON.strftime("%Y-%m-%dT%H:%M:%SZ")
GATEWAY = {"code": 403, "message": "Forbidden"}
HTML = b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body>Checking your browser.</body></html>"
FAULTS: list[Fault] = [
    Fault("429, Retry-After in seconds", says(429, None, Retry_After="7"), RateLimited, after=7),
    Fault("429, Retry-After a date", says(429, None, Retry_After=format_datetime(SOON, True)), RateLimited, after=3600),
    Fault("429, X-RateLimit-Reset", says(429, {"code": 429}, X_RateLimit_Reset=RESET), RateLimited, after=3600),
    Fault("429 without a header", says(429, {"code": 429, "message": "Too many"}), RateLimited),
    Fault("500", says(500, refused_by_organization(500, "ADMIN-500-1")), Unavailable, doubt=True),
    Fault("502", says(502), Unavailable, doubt=True),
    Fault("503", says(503, None, Retry_After="5"), Unavailable, doubt=True, after=5),
    Fault("504", says(504), Unavailable, doubt=True),
    Fault("connection refused", fails(httpx.ConnectError), Unreachable),
    Fault("connecting takes too long", fails(httpx.ConnectTimeout), Unreachable),
    Fault("answering takes too long", fails(httpx.ReadTimeout), Unreachable, doubt=True),
    Fault("answer lost after the effect", fails(httpx.RemoteProtocolError), Unreachable, doubt=True),
    Fault("reset while sending", fails(httpx.WriteError), Unreachable, doubt=True),
    Fault("reset in the body", reset, Unreadable, doubt=True),
    Fault("200, JSON cut short", cut, Unreadable, doubt=True, fits=has_body),
    Fault("200, HTML", lambda good, nth: httpx.Response(200, html=HTML.decode()), Unreadable, doubt=True),
    Fault("200, another object", says(200, {"unexpected": 1}), Unreadable, doubt=True, fits=has_body),
    Fault("200, JSON of another kind", says(200, [[7]]), Unreadable, doubt=True, fits=has_body),
    Fault("200, a bare text", says(200, "fine"), Unreadable, doubt=True),
    Fault("200 without a body", says(200), Unreadable, doubt=True, fits=has_body),
    Fault("redirect to another host", says(307, None, Location="https://evil.example/"), Unreadable, doubt=True),
    Fault("400", says(400, refused_by_organization(400, "ADMIN-UAM-400-1")), BadRequest),
    Fault("400 noTarget", says(400, {"schemas": [], "status": "400", "scimType": "noTarget"}), BadRequest),
    Fault("401, key expired", says(401, {"code": 401, "message": "Unauthorized"}), KeyRefused, after=60),
    Fault("401, key with scopes", says(401, refused_by_organization(401, "ADMIN-401-2")), KeyRefused, after=60),
    Fault("403, shape of SCIM", says(403, {"error": "Forbidden", "traceId": "5a4db0c5"}), Forbidden),
    Fault("403, shape of the Organizations API", says(403, refused_by_organization(403, "ADMIN-UAM-403-1")), Forbidden),
    Fault("403, shape of User management", says(403, {"key": "forbidden", "context": "not yours"}), Forbidden),
    Fault("403, shape of the gateway", says(403, GATEWAY), Forbidden),
    Fault("404, shape of SCIM", says(404, {"schemas": [], "status": "404", "detail": "not found"}), NotFound),
    Fault("404, a record is missing", says(404, refused_by_organization(404, "ADMIN-UAM-404-1")), NotFound),
    Fault("404 accountNotFound", says(404, {"key": "accountNotFound", "errorKey": "account-not-found"}), NotFound),
    Fault("404 of the gateway", says(404, {"status": 404, "error": "Not Found", "requestId": "e4"}), NotFound),
    Fault("404 without a body", says(404), NotFound),
    Fault("404, HTML", lambda good, nth: httpx.Response(404, html=HTML.decode()), NotFound),
    Fault("404 of a proxy", says(404, {"code": 404, "message": "Not Found"}), NotFound),
    Fault("404 of a proxy, listed", says(404, {"errors": [{"message": "no route"}], "key": None}), NotFound),
    Fault("409 already so", says(409, refused_by_organization(409, "ADMIN-UAM-409-2")), Conflict),
    Fault("409 no licence left", says(409, refused_by_organization(409, "ADMIN-UAM-409-3")), Conflict),
    Fault("409 without a code", says(409), Conflict),
    Fault("a page twice, then the end", paged(twice), Unreadable, fits=is_walked, lasting=True, or_result=True),
    Fault("the same page for ever", paged(again), Unreadable, fits=is_walked, lasting=True, or_result=True),
    Fault("two pages in turn for ever", paged(in_turn), Unreadable, fits=is_walked, lasting=True, or_result=True),
    Fault("empty pages, the same cursor", paged(circle), Unreadable, fits=is_walked, lasting=True, or_result=True),
    Fault("empty pages, always a new cursor", paged(barren), Unreadable, fits=is_walked, lasting=True, or_result=True),
    Fault("empty pages, two cursors in turn", paged(two), Unreadable, fits=is_walked, lasting=True, or_result=True),
]  # fmt: skip


# What a call makes of a fault at one of its requests (from 1), where that is meant to differ from ``FAULTS``.
SPECIAL: dict[tuple[str, str, int], Outcome] = {
    # "Already so" and "no licence left" can't be told apart: it is tried again, and that reads first.
    ("OrganizationClient.add_member", "409 without a code", 1): Outcome(UnclearConflict, again=True, doubt=True),
    # What the directory supports is not told, so pages have the usual length.
    ("ScimClient.users", "200, another object", 1): Outcome(None, same=True),
    ("ScimClient.groups", "200, another object", 1): Outcome(None, same=True),
}


class Endless(AssertionError):
    """The call would never have ended."""


class Faulty(httpx.BaseTransport):
    """Answers as the sandbox did, but the request at ``place`` (or, when it lasts, every one) meets the fault.

    What is read only because of the fault is answered as after the write: it had been made before.
    """

    def __init__(self, good: Good, fault: Fault, place: int) -> None:
        self._good, self._fault, self._place = good, fault, place
        self.count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        place, self.count = self.count, self.count + 1
        if self.count > PATIENCE:
            raise Endless(f"{self.count} requests and no end")
        if place == self._place or (self._fault.lasting and place > self._place):
            return self._fault.answer(self._good.exchanges[self._place], place - self._place + 1)
        usual = self._good.exchanges[min(place, len(self._good.exchanges) - 1)]
        known = (each for each in self._good.repeated if place > self._place and each.answers(request))
        return (usual if usual.answers(request) else next(known, usual)).response()


def outcome(call: Call, good: Good, fault: Fault, place: int) -> Outcome:
    try:
        result = call("https://api.atlassian.com", Faulty(good, fault, place))
    except AtlassianError as error:
        return Outcome(type(error), error.retry, error.maybe_done, error.after)
    return Outcome(None, same=result == good.result)


def places(good: Good, fault: Fault) -> list[int]:
    """Which of a call's requests can meet the fault; the first is enough for a fault that lasts."""
    fitting = [place for place, exchange in enumerate(good.exchanges) if fault.fits(exchange)]
    return fitting[:1] if fault.lasting else fitting


def is_write(exchange: Exchange) -> bool:
    """All that is not GET, but for searches in POST clothing."""
    search = exchange.method == "POST" and exchange.path.endswith(("/search", "-for-email", "/workspaces"))
    return exchange.method != "GET" and not search


def expected(call: Call, good: Good, fault: Fault, place: int) -> Outcome:
    """The error of the fault; in doubt when this request or one before it may have written."""
    if special := SPECIAL.get((call.name, fault.name, place + 1)):
        return special
    before = any(is_write(exchange) for exchange in good.exchanges[:place])
    doubt = before or (fault.doubt and is_write(good.exchanges[place]))
    return Outcome(fault.error, fault.error.again, doubt, fault.after)


def is_right(call: Call, fault: Fault, met: Outcome, wanted: Outcome) -> bool:
    """The wanted error, or a more telling one of its kind that is treated alike."""
    if wanted.error is None:
        return met == wanted
    if met.error is None:
        return fault.name in call.settled or (fault.or_result and met.same)
    return issubclass(met.error, wanted.error) and replace(met, error=wanted.error) == wanted
