"""The transport turns every answer of Atlassian, and every lack of one, into data or one error that says what to do."""

import base64
import json
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from approvals.ports import DirectoryError
from bot.atlassian.errors import (
    AtlassianError,
    BadRequest,
    Conflict,
    Facts,
    Forbidden,
    KeyRefused,
    NotFound,
    RateLimited,
    Unavailable,
    Unreachable,
    Unreadable,
    facts_of,
    seconds_to_wait,
)
from bot.atlassian.shapes import Org
from bot.atlassian.transport import (
    Basic,
    Bearer,
    Transport,
    organization_transport,
    scim_transport,
    site_transport,
)
from tests.support.wire import Recorder, raw_server, read_request

API = "https://api.atlassian.com"
SECRET = "ATCTT3xFfGF0/x+y=7A5B"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def build(*answers: Any, **options: Any) -> tuple[Transport, Recorder]:
    recorder = Recorder(*answers)
    options = {"now": lambda: NOW, **options}
    return Transport("Atlassian X", API, Bearer(SecretStr(SECRET)), http=recorder.transport, **options), recorder


def failing(
    status: int, body: object = None, headers: dict[str, str] | None = None, write: bool = False
) -> AtlassianError:
    """The error that an answer becomes."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    transport, _ = build(httpx.Response(status, content=content, headers=headers))
    with pytest.raises(AtlassianError) as raised:
        transport.post("/x", {}, doing="do it", reads=not write)
    return raised.value


def test_a_call_carries_its_key_its_body_and_nothing_else() -> None:
    transport, recorder = build({"ok": True})
    assert transport.post("/x/{account}", {"a": "é"}, doing="do it", ids={"account": "1:2"}, params={"q": "a b"}) == {
        "ok": True
    }
    request = recorder.last
    assert recorder.lines() == ["POST /x/1%3A2?q=a%20b"]
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Content-Type"] == request.headers["Accept"] == "application/json"
    assert json.loads(request.content) == {"a": "é"}


def test_each_verb_is_sent_as_it_is() -> None:
    transport, recorder = build({})
    transport.get("/a", doing="read")
    transport.post("/a", None, doing="write")
    transport.patch("/a", {"b": 1}, doing="write")
    transport.put("/a", {"c": 1}, doing="set")
    transport.delete("/a", doing="delete", params={"accountId": "x"})
    assert recorder.lines() == ["GET /a", "POST /a", "PATCH /a", "PUT /a", "DELETE /a?accountId=x"]
    assert recorder.bodies() == [None, None, {"b": 1}, {"c": 1}, None]


def test_scim_has_its_own_media_type_and_its_own_paths() -> None:
    recorder = Recorder({})
    transport = scim_transport(API, SecretStr(SECRET), http=recorder.transport)
    transport.post("/scim/directory/d/Users", {}, doing="create")
    assert recorder.last.headers["Content-Type"] == "application/scim+json"
    with pytest.raises(BadRequest, match="nothing was sent"):
        transport.get("/admin/v1/orgs", doing="stray")
    with pytest.raises(BadRequest, match="nothing was sent"):
        organization_transport(API, SecretStr(SECRET), http=recorder.transport).get("/scim/directory/d", doing="stray")
    assert len(recorder.requests) == 1


def test_a_site_takes_basic_credentials() -> None:
    recorder = Recorder([])
    transport = site_transport(
        "https://acme.atlassian.net", "bot@acme.example", SecretStr(SECRET), http=recorder.transport
    )
    assert transport.get("/rest/api/3/users/search", doing="list people") == []
    scheme, _, pair = recorder.last.headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair).decode()) == ("Basic", f"bot@acme.example:{SECRET}")


@pytest.mark.parametrize("key", ["", " ", "abc\n", "a b", "\r\nX: y", "kéy", "a\x00b"])
def test_a_key_that_no_header_can_hold_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ValueError, match="the key for X is empty or has characters") as refused:
        Transport("X", API, Bearer(SecretStr(key)))
    assert not key.strip() or key.strip() not in str(refused.value).replace("a space, a line end", "")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_write_may_answer_nothing(status: int) -> None:
    transport, _ = build(httpx.Response(status))
    assert transport.post("/x", {}, doing="do it") is None


@pytest.mark.parametrize(
    "body", [b"<html>Just a moment</html>", b"{", b'{"a":', b"\xff\xfe\xfd", b'"text"', b"7", b"true", b"[" * 100_000]
)
def test_a_good_status_with_garbage_is_unreadable_and_a_write_may_be_done(body: bytes) -> None:
    for reads in (True, False):
        transport, _ = build(httpx.Response(200, content=body))
        with pytest.raises(Unreadable) as raised:
            transport.post("/x", {}, doing="do it", reads=reads)
        assert (raised.value.retry, raised.value.maybe_done) == (True, not reads)
        assert "moment" not in str(raised.value)


SHAPES: list[tuple[int, Any, dict[str, Any]]] = [
    (
        409,
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "409", "scimType": "uniqueness",
         "detail": "Resource exists"},
        {"code": "uniqueness", "detail": "Resource exists"},
    ),
    (404, {"schemas": [], "status": "404"}, {"code": None, "detail": None}),
    (401, {"error": "Unauthorized", "traceId": "5a4db0c5"}, {"detail": "Unauthorized", "trace": "5a4db0c5"}),
    (
        403,
        {"key": "forbidden.action", "context": {"allowed": False, "reason": {"key": "externalDirectory.scim"}}},
        {"code": "forbidden.action", "reason": "externalDirectory.scim"},
    ),
    (
        403,
        {"key": "forbidden.fieldMutation", "context": {"name": {"allowed": False, "reason": {"key": "myselfOnly"}}}},
        {"code": "forbidden.fieldMutation", "reason": "myselfOnly"},
    ),
    (403, {"key": "forbidden", "context": "not yours"}, {"code": "forbidden", "detail": "not yours", "reason": None}),
    (
        404,
        {"key": "accountNotFound", "errorKey": "account-not-found", "errorDetail": "Error: User account not found"},
        {"code": "accountNotFound", "detail": "Error: User account not found"},
    ),
    (
        409,
        {"key": "conflict.lifecycleErrors", "context": {"message": "owns a site", "errorCodes": [{"code": "x"}]}},
        {"code": "conflict.lifecycleErrors", "detail": "owns a site"},
    ),
    (
        404,
        {"errors": [{"id": "65e99414", "code": "ADMIN-UAM-404-1", "status": "404", "title": "Unknown Resource",
                     "detail": "One or more user not found in the directory"}]},
        {"code": "ADMIN-UAM-404-1", "trace": "65e99414", "detail": "One or more user not found in the directory"},
    ),
    (
        409,
        {"errors": [{"id": "1", "code": "ADMIN-UAM-409-3", "status": 409, "title": "Licence", "detail": None}]},
        {"code": "ADMIN-UAM-409-3", "detail": "Licence"},
    ),
    (401, {"code": 401, "message": "Unauthorized"}, {"code": None, "detail": "Unauthorized"}),
    (
        404,
        {"timestamp": "2026-08-31T15:42:56.847+00:00", "path": "/api/admin/v2/orgs/x", "status": 404,
         "error": "Not Found", "requestId": "e4cdc7ba", "message": "TCS validation failed"},
        {"code": None, "trace": "e4cdc7ba", "detail": "TCS validation failed"},
    ),
    (400, {"errorMessages": ["A is needed", "B too"], "errors": {}}, {"detail": "A is needed; B too"}),
    (400, {"errorMessages": [], "errors": {"name": "is taken"}, "status": 400}, {"detail": "name: is taken"}),
    (
        400,
        {"message": "The referenced users do not exist", "localizedMessage": "x", "responseStatus": "BAD_REQUEST",
         "scimErrorType": "INVALID_VALUE", "stackTrace": [{"className": "com.x"}], "cause": None},
        {"code": "INVALID_VALUE", "detail": "The referenced users do not exist"},
    ),
    (500, None, {"code": None, "detail": None}),
    (503, b"upstream connect error", {"detail": "upstream connect error"}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "told"), SHAPES, ids=range(len(SHAPES)))
def test_every_shape_of_error_body_is_read(status: int, body: Any, told: dict[str, Any]) -> None:
    error = failing(status, body)
    assert {name: getattr(error, name) for name in told} == told
    assert error.status == status
    assert "stackTrace" not in str(error)
    assert "com.x" not in str(error)


@pytest.mark.parametrize(
    "body",
    [
        [], {}, None, b"[1,2]", b"null", {"errors": []}, {"errors": [1, "x", None]}, {"errors": "x"}, {"context": []},
        {"detail": {"a": 1}}, {"key": 7}, {"context": {"reason": "x"}}, {"errors": [{"detail": ["a"]}]}, b"\xff" * 50,
        {"errorMessages": [1, None]}, {"errorMessages": "x"}, b"[" * 100_000, b"1" * 100_000, {"detail": "\ud800"},
        {"scimType": "x" * 5000, "detail": "y" * 50_000},
    ],
    ids=range(20),
)  # fmt: skip
def test_no_error_body_breaks_the_reader(body: Any) -> None:
    error = failing(400, body)
    assert isinstance(error, BadRequest)
    assert len(str(error)) < 1500
    assert len(error.raw) <= 300
    str(error).encode()


KINDS: list[tuple[int, type[AtlassianError], bool, bool]] = [
    (400, BadRequest, False, False), (401, KeyRefused, True, False), (402, BadRequest, False, False),
    (403, Forbidden, False, False), (404, NotFound, False, False), (405, BadRequest, False, False),
    (408, Unavailable, True, True), (409, Conflict, False, False), (410, BadRequest, False, False),
    (415, BadRequest, False, False), (422, BadRequest, False, False), (429, RateLimited, True, False),
    (500, Unavailable, True, True), (501, Unavailable, True, True), (502, Unavailable, True, True),
    (503, Unavailable, True, True), (504, Unavailable, True, True), (302, Unreadable, True, True),
]  # fmt: skip


@pytest.mark.parametrize(("status", "kind", "retry", "maybe_done"), KINDS)
def test_the_status_says_whether_to_try_again_and_whether_a_write_may_be_done(
    status: int, kind: type[AtlassianError], retry: bool, maybe_done: bool
) -> None:
    wrote, read = failing(status, write=True), failing(status)
    assert type(wrote) is type(read) is kind
    assert isinstance(wrote, DirectoryError)
    assert (wrote.retry, wrote.maybe_done) == (retry, maybe_done)
    assert (read.retry, read.maybe_done) == (retry, False)


def test_a_refused_key_says_what_it_may_be_and_is_tried_again_in_a_minute() -> None:
    error = failing(401, {"error": "Unauthorized", "traceId": "t1"})
    assert error.after == 60
    assert str(error) == (
        "Atlassian X: could not do it: the API key was refused: it may be expired or revoked, "
        "or be a key with scopes that lacks the one needed: Unauthorized [HTTP 401, trace t1]"
    )


def test_a_message_names_what_was_tried_and_why_not() -> None:
    body = {"key": "forbidden.action", "context": {"allowed": False, "reason": {"key": "externalDirectory.scim"}}}
    assert str(failing(403, body)) == (
        "Atlassian X: could not do it: it is not allowed (externalDirectory.scim) [HTTP 403, forbidden.action]"
    )


WAITS: list[tuple[dict[str, str], float | None]] = [
    ({"Retry-After": "12"}, 12), ({"Retry-After": "0"}, 0), ({"Retry-After": "1.5"}, 1.5), ({"Retry-After": " 7 "}, 7),
    ({"Retry-After": "86400"}, 3600), ({"Retry-After": "999999999"}, 3600), ({"Retry-After": "9" * 400}, None),
    ({"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30), ({"Retry-After": "Mon, 23 Nov 2026 11:00:00 GMT"}, None),
    ({"Retry-After": "-5"}, None), ({"Retry-After": "soon"}, None), ({"Retry-After": "1e9"}, None),
    ({"Retry-After": "nan"}, None), ({"Retry-After": "inf"}, None), ({"Retry-After": "\u0661"}, None),
    ({"X-RateLimit-Reset": "2026-11-23T12:00:45Z"}, 45),
    ({"X-RateLimit-Reset": "2026-11-23T12:00:45.123456789Z"}, 45.123456),
    ({"X-RateLimit-Reset": "2026-11-23T12:00:45"}, 45), ({"X-RateLimit-Reset": "2026-11-23T13:00:20+01:00"}, 20),
    ({"X-RateLimit-Reset": "2027-11-23T12:00:00Z"}, 3600), ({"X-RateLimit-Reset": "2026-11-23T11:59:00Z"}, None),
    ({"X-RateLimit-Reset": "60"}, None), ({"X-RateLimit-Reset": "tomorrow"}, None), ({"X-RateLimit-Reset": ""}, None),
    ({"Retry-After": "3", "X-RateLimit-Reset": "2026-11-23T12:00:45Z"}, 3),
    ({"Retry-After": "soon", "X-RateLimit-Reset": "2026-11-23T12:00:45Z"}, 45),
    ({"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0"}, None), ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "after"), WAITS, ids=range(len(WAITS)))
def test_every_way_to_ask_for_patience_is_understood_and_nonsense_is_not(
    headers: dict[str, str], after: float | None
) -> None:
    assert seconds_to_wait(httpx.Headers(headers, encoding="utf-8"), NOW) == after


def test_a_429_and_a_503_carry_the_wait() -> None:
    assert failing(429, headers={"X-RateLimit-Reset": "2026-11-23T12:00:09Z"}).after == 9
    assert failing(503, headers={"Retry-After": "5"}).after == 5
    assert failing(429).after is None


def test_no_html_reaches_a_message() -> None:
    for body in (b"<html><body><h1>502</h1></body></html>", {"detail": "<script>alert(1)</script> sorry <b"}):
        error = failing(502, body)
        assert not set("<>") & set(str(error))


def test_control_and_invisible_characters_do_not_reach_a_message() -> None:
    error = failing(400, {"detail": "a\nb\r\n\x1b[31mc\u202ed\u200be\x00"})
    assert error.detail == "a b [31mc d e"


@pytest.mark.parametrize(
    "echo",
    [
        lambda sent: json.dumps({"detail": f"bad token {sent}"}).encode(),
        lambda sent: json.dumps({"error": sent, "traceId": sent}).encode(),
        lambda sent: json.dumps({"errors": [{"code": sent, "id": sent, "title": sent}]}).encode(),
        lambda sent: json.dumps({"key": sent, "context": {"reason": {"key": sent}}}).encode(),
        lambda sent: json.dumps({"detail": sent}).replace("=", "\\u003d").replace("/", "\\/").encode(),
        lambda sent: f"you sent {sent}".encode(),
        lambda sent: f"<html>{sent}</html>".encode(),
        lambda sent: ("x" * 290 + sent).encode(),
        lambda sent: json.dumps({"detail": "x" * 290 + sent}).encode(),
    ],
    ids=range(9),
)
@pytest.mark.parametrize("credential", [Bearer(SecretStr(SECRET)), Basic("bot@x.example", SecretStr(SECRET))])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 429, 500])
def test_a_secret_that_is_sent_back_is_in_no_error(
    echo: Callable[[str], bytes], credential: Bearer | Basic, status: int
) -> None:
    blob = credential.header().partition(" ")[2]
    for sent in (SECRET, blob):
        recorder = Recorder(httpx.Response(status, content=echo(sent)))
        transport = Transport("X", API, credential, http=recorder.transport)
        with pytest.raises(AtlassianError) as raised:
            transport.understood(Org, transport.get("/x", doing="do it"), doing="do it")
        shown = f"{raised.value} {raised.value!r} {vars(raised.value)} {transport!r} {credential!r} {transport._http!r}"
        assert SECRET[:12] not in shown
        assert blob[:12] not in shown


def test_no_client_shows_its_secret() -> None:
    transport, _ = build({})
    for thing in (transport, Bearer(SecretStr(SECRET)), Basic("a@b.example", SecretStr(SECRET))):
        assert SECRET not in f"{thing!r} {thing!s}"


def test_a_redirect_is_not_followed_with_the_key() -> None:
    transport, recorder = build(httpx.Response(307, headers={"Location": "https://evil.example/"}))
    with pytest.raises(Unreadable, match="HTTP 307"):
        transport.get("/x", doing="read")
    assert [request.url.host for request in recorder.requests] == ["api.atlassian.com"]


def test_nothing_is_repeated() -> None:
    for status in (401, 408, 429, 500, 502, 503, 504):
        transport, recorder = build(httpx.Response(status, headers={"Retry-After": "0"}))
        with pytest.raises(AtlassianError):
            transport.get("/x", doing="read")
        assert len(recorder.requests) == 1


def test_every_call_is_counted_by_its_template() -> None:
    counted: list[tuple[str, str, int | None]] = []
    transport, _ = build({}, on_call=lambda *facts: counted.append(facts[:3]))
    transport.get("/users/{account}/manage", doing="read", ids={"account": "712020:secret-person"})
    assert counted == [("GET", "/users/{account}/manage", 200)]


def local(serve: Callable[[socket.socket], None], write: bool) -> AtlassianError:
    """The error of a call to a server that behaves like ``serve``."""
    with raw_server(serve) as base:
        transport = Transport("X", base, Bearer(SecretStr(SECRET)))
        with pytest.raises(AtlassianError) as raised:
            transport.post("/x", {}, doing="do it", reads=not write)
        transport.close()
    return raised.value


@pytest.mark.parametrize("write", [True, False])
def test_a_lost_answer_leaves_a_write_in_doubt_and_a_read_not(write: bool) -> None:
    error = local(lambda connection: read_request(connection) and None, write)
    assert isinstance(error, Unreachable)
    assert (error.retry, error.maybe_done) == (True, write)
    assert ("it may have happened" in str(error)) is write


def test_half_an_answer_leaves_a_write_in_doubt() -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"a"')

    error = local(serve, write=True)
    assert isinstance(error, Unreadable)
    assert (error.retry, error.maybe_done) == (True, True)


def test_without_a_connection_nothing_can_have_happened() -> None:
    counted: list[int | None] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        base = f"http://127.0.0.1:{taken.getsockname()[1]}"
    transport = Transport("X", base, Bearer(SecretStr(SECRET)), on_call=lambda *facts: counted.append(facts[2]))
    with pytest.raises(Unreachable) as raised:
        transport.post("/x", {}, doing="do it")
    assert (raised.value.retry, raised.value.maybe_done) == (True, False)
    assert counted == [None]
    transport.close()


def test_a_timeout_leaves_a_write_in_doubt() -> None:
    release = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        release.wait(10)

    with raw_server(serve) as base:
        transport = Transport("X", base, Bearer(SecretStr(SECRET)), read_seconds=0.1)
        with pytest.raises(Unreachable) as raised:
            transport.patch("/x", {}, doing="do it")
        release.set()
        transport.close()
    assert (raised.value.retry, raised.value.maybe_done) == (True, True)


def test_an_answer_of_another_shape_names_the_fields_and_not_what_stood_in_them() -> None:
    transport, _ = build({})
    with pytest.raises(Unreadable) as raised:
        transport.understood(Org, {"id": {"private": "thing"}}, doing="read it")
    assert str(raised.value) == "Atlassian X: could not read it: the answer makes no sense: unexpected: id"
    assert raised.value.__cause__ is None


def test_facts_without_a_body_are_empty() -> None:
    assert facts_of(b"") == Facts()
