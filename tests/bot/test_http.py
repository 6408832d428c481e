"""The HTTP client keeps to its host, its template, its time and its size, whatever it is given or answered."""

import gzip
import json
import socket
import struct
import threading

import httpx
import pytest

from bot.http import IDS, BadAnswer, HttpClient, NoAnswer, NotReached, UnsafeAddress, fill
from tests.support.hostile_ids import HOSTILE_IDS
from tests.support.wire import Recorder, raw_server, read_request

API = "https://api.atlassian.com"
KEY = {"Authorization": "Bearer top-secret-key"}
SPLIT = 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"half":'


def client(*answers: object, base: str = API, **options: object) -> tuple[HttpClient, Recorder]:
    recorder = Recorder(*(answers or ({},)))
    return HttpClient(base, transport=recorder.transport, **options), recorder


@pytest.mark.parametrize("kind", sorted(IDS))
@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_id_sends_nothing(kind: str, value: str) -> None:
    http, recorder = client()
    with pytest.raises(UnsafeAddress) as refused:
        http.request("GET", f"/users/{{{kind}}}/manage", ids={kind: value}, headers=KEY)
    assert recorder.requests == []
    assert len(str(refused.value)) < 100


def test_the_corpus_of_hostile_ids_is_large() -> None:
    assert len(set(HOSTILE_IDS)) >= 60


@pytest.mark.parametrize("value", [None, 7, b"abc", ["a"]])
def test_an_id_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(UnsafeAddress):
        fill("/x/{account}", {"account": value})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("account", "path"),
    [
        ("712020:e19eff6d-0000", "/users/712020%3Ae19eff6d-0000/manage"),
        ("557058:a|b_c", "/users/557058%3Aa%7Cb_c/manage"),
        ("602bdf457b23f40068547c25", "/users/602bdf457b23f40068547c25/manage"),
    ],
)
def test_real_account_ids_are_percent_encoded(account: str, path: str) -> None:
    http, recorder = client()
    http.request("GET", "/users/{account}/manage", ids={"account": account})
    assert recorder.last.url.raw_path == path.encode()


def test_only_the_place_of_an_organization_directory_takes_a_dash() -> None:
    assert fill("/d/{org_directory}", {"org_directory": "-"}) == "/d/-"
    for kind in set(IDS) - {"org_directory", "account", "token"}:
        with pytest.raises(UnsafeAddress):
            fill(f"/d/{{{kind}}}", {kind: "-"})


@pytest.mark.parametrize("template", ["users", "/a/../b", "/./a", "/a/..", "https://evil.example/x", ""])
def test_a_template_starts_at_the_root_and_climbs_nowhere(template: str) -> None:
    http, recorder = client()
    with pytest.raises(UnsafeAddress):
        http.request("GET", template, headers=KEY)
    assert recorder.requests == []


@pytest.mark.parametrize("template", ["/a b", "/a#b", "/a\\b", "/é", "/a\nb", "/a\x00"])
def test_a_path_that_httpx_would_rewrite_is_not_sent(template: str) -> None:
    http, recorder = client()
    with pytest.raises(UnsafeAddress):
        http.request("GET", template, headers=KEY)
    assert recorder.requests == []


@pytest.mark.parametrize("template", ["/a b", "/a#b", "/é", "/a?b=1 2"])
def test_nor_is_one_that_the_first_look_let_through(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.http.fill", lambda template, ids: template)
    http, recorder = client()
    with pytest.raises(UnsafeAddress):
        http.request("GET", template, headers=KEY)
    assert recorder.requests == []


def test_a_path_outside_the_clients_own_is_not_sent() -> None:
    http, recorder = client(paths=("/scim/directory/",))
    with pytest.raises(UnsafeAddress):
        http.request("GET", "/admin/v1/orgs", headers=KEY)
    http.request("GET", "/scim/directory/x")
    assert recorder.lines() == ["GET /scim/directory/x"]


def test_two_slashes_do_not_name_another_host() -> None:
    http, recorder = client()
    http.request("GET", "//evil.example/x", headers=KEY)
    assert recorder.last.url.host == "api.atlassian.com"
    assert recorder.last.headers["Host"] == "api.atlassian.com"


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:9", "https://a.example/x/"]
)
def test_https_and_this_machine_are_fine(base: str) -> None:
    HttpClient(base, transport=Recorder({}).transport).close()


@pytest.mark.parametrize(
    "base",
    [
        "http://api.atlassian.com", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://10.0.0.1",
        "ftp://x", "https://", "//x", "x", "", "https://u:p@x", "https://x?y", "https://x?y=1", "https://x#y",
        "https://x/%2e%2e", "file:///etc/passwd", "https://[", "http://0.0.0.0", "http://2130706433",
    ],
)  # fmt: skip
def test_any_other_base_address_is_refused(base: str) -> None:
    with pytest.raises(UnsafeAddress):
        HttpClient(base)


def test_a_base_path_stands_before_every_path() -> None:
    http, recorder = client(base="https://proxy.example/atlassian/")
    http.request("GET", "/users/x", params={"q": "a"})
    assert str(recorder.last.url) == "https://proxy.example/atlassian/users/x?q=a"


def test_query_values_can_not_add_parameters() -> None:
    http, recorder = client()
    http.request("GET", "/x", params={"filter": 'a eq "b&c=d#e" +%', "n": 1, "p": ["x y", "z"]})
    assert recorder.lines() == ["GET /x?filter=a%20eq%20%22b%26c%3Dd%23e%22%20%2B%25&n=1&p=x%20y&p=z"]


def test_a_query_value_that_is_no_text_is_refused() -> None:
    http, recorder = client()
    with pytest.raises(UnsafeAddress):
        http.request("GET", "/x", params={"filter": "\ud800"})
    assert recorder.requests == []


def test_a_redirect_is_an_answer_and_the_key_goes_nowhere() -> None:
    for status in (301, 302, 303, 307, 308):
        http, recorder = client(httpx.Response(status, headers={"Location": "https://evil.example/take"}))
        assert http.request("GET", "/x", headers=KEY).status == status
        assert [str(request.url) for request in recorder.requests] == [f"{API}/x"]


def test_headers_belong_to_one_request() -> None:
    http, recorder = client()
    http.request("GET", "/x", headers=KEY)
    http.request("GET", "/y")
    assert recorder.requests[0].headers["Authorization"] == "Bearer top-secret-key"
    assert "Authorization" not in recorder.requests[1].headers


def test_cookies_are_not_kept() -> None:
    http, recorder = client(httpx.Response(200, headers={"Set-Cookie": "a=b; Path=/"}))
    http.request("GET", "/x")
    http.request("GET", "/y")
    assert "Cookie" not in recorder.last.headers


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with raw_server(answering("{}")) as base, HttpClient(base) as http:
        assert http.request("GET", "/x").status == 200


@pytest.mark.parametrize("status", [200, 204])
def test_nothing_is_nothing_whatever_it_is_packed_with(status: int) -> None:
    http, _ = client(httpx.Response(status, content=b"", headers={"Content-Encoding": "gzip"}))
    assert http.request("DELETE", "/a").body == b""


def test_gzip_is_unpacked_and_what_unpacks_to_too_much_is_not() -> None:
    packed = httpx.Response(200, content=gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})
    http, _ = client(packed)
    assert json.loads(http.request("GET", "/x").body) == {"a": 1}
    bomb = gzip.compress(b"0" * 5_000_000)
    http, _ = client(httpx.Response(200, content=bomb, headers={"Content-Encoding": "gzip"}), max_bytes=100_000)
    assert len(bomb) < 100_000
    with pytest.raises(BadAnswer):
        http.request("GET", "/x")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"no gzip"), ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-10]), ("br", b"x"), ("deflate", b"x")],
    ids=["no gzip", "half", "br", "deflate"],
)
def test_an_answer_that_can_not_be_unpacked_is_a_bad_answer(encoding: str, body: bytes) -> None:
    server = raw_server(answering(body, headers=f"Content-Encoding: {encoding}\r\n"))
    with server as base, HttpClient(base) as http, pytest.raises(BadAnswer):
        http.request("GET", "/x")


def test_an_answer_without_end_is_given_up() -> None:
    http, _ = client(httpx.Response(200, content=b"x" * 2000), max_bytes=1000)
    with pytest.raises(BadAnswer, match="broke off or is not readable"):
        http.request("GET", "/x")


def test_of_an_error_the_status_counts_even_when_its_body_breaks_off() -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 1000\r\n\r\nhalf")

    with raw_server(serve) as base, HttpClient(base) as http:
        answer = http.request("POST", "/x", content=b"{}")
    assert (answer.status, answer.headers["Retry-After"], answer.body) == (429, "7", b"half")


def test_nobody_listening_means_not_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with HttpClient(f"http://127.0.0.1:{port}") as http, pytest.raises(NotReached, match="ConnectError"):
        http.request("POST", "/x", content=b"{}", headers=KEY)


def test_a_host_that_does_not_exist_means_not_reached() -> None:
    with HttpClient("https://gatehouse.invalid") as http, pytest.raises(NotReached):
        http.request("GET", "/x", headers=KEY)


def test_a_server_without_tls_never_sees_the_key() -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with raw_server(serve) as base, HttpClient(base.replace("http:", "https:")) as http, pytest.raises(NotReached):
        http.request("GET", "/x", headers=KEY)
    assert seen
    assert b"top-secret-key" not in b"".join(seen)


def test_silence_after_the_request_is_no_answer() -> None:
    release = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        release.wait(10)

    with raw_server(serve) as base, HttpClient(base, read_seconds=0.1) as http:
        with pytest.raises(NoAnswer, match="ReadTimeout"):
            http.request("POST", "/x", content=b"{}")
        release.set()


def test_a_drip_of_bytes_ends_with_the_total_time() -> None:
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not stop.wait(0.02):
            connection.sendall(b"y")

    with raw_server(serve) as base, HttpClient(base, read_seconds=5, total_seconds=0.3) as http:
        with pytest.raises((NoAnswer, BadAnswer)):
            http.request("GET", "/x")
        stop.set()


def test_a_connection_reset_after_the_request_is_no_answer() -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with RST

    with raw_server(serve) as base, HttpClient(base) as http, pytest.raises(NoAnswer):
        http.request("POST", "/x", content=b"{}")


@pytest.mark.parametrize("answer", [b"", b"\x00\x01\x02\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nCont"])
def test_what_is_no_http_is_no_answer(answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    with raw_server(serve) as base, HttpClient(base) as http, pytest.raises(NoAnswer):
        http.request("GET", "/x")


@pytest.mark.parametrize(
    "answer",
    [SPLIT.encode(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", b"HTTP/1.1 200 OK\r\nTransfer-"
     b"Encoding: chunked\r\n\r\nzz\r\n"],
    ids=["length", "chunk", "no chunk"],
)  # fmt: skip
def test_a_good_answer_that_breaks_off_is_a_bad_answer(answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    with raw_server(serve) as base, HttpClient(base) as http, pytest.raises(BadAnswer):
        http.request("GET", "/x")


def test_a_header_that_can_not_be_sent_is_not_repeated_in_the_error() -> None:
    with raw_server(answering("{}")) as base, HttpClient(base) as http, pytest.raises(NotReached) as refused:
        http.request("GET", "/x", headers={"Authorization": "Bearer top-secret\n"})
    assert "top-secret" not in f"{refused.value!r} {refused.value} {refused.value.__cause__}"


def test_one_client_serves_many_threads() -> None:
    with raw_server(answering('{"ok": true}')) as base, HttpClient(base) as http:
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(http.request("GET", "/x").status)) for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 10


def answering(body: str | bytes, headers: str = ""):  # type: ignore[no-untyped-def]
    """A server that gives every request the same good answer."""
    content = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(content)}\r\n{headers}\r\n"

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head.encode() + content)

    return serve
