"""The one place that makes HTTP calls: one pinned host, checked addresses, no redirects, bounded time and size."""

import ipaddress
import re
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import httpx

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
TOTAL_SECONDS = 30.0
MAX_BYTES = 10 * 1024 * 1024

Params = Mapping[str, str | int | Sequence[str]]

# What may stand in each place of a template. ``org_directory`` may be "-", which Atlassian reads as "all of them".
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_ARI = r"ari:cloud:[a-z0-9-]{1,64}:[A-Za-z0-9-]{0,64}:[a-z-]{1,64}/[A-Za-z0-9/_-]{1,128}"
IDS: Mapping[str, re.Pattern[str]] = {
    "account": re.compile(r"[a-zA-Z0-9_|:-]{1,128}"),
    "org": _ID,
    "org_directory": re.compile(r"[A-Za-z0-9-]{1,64}"),
    "directory": _ID,
    "group": _ID,
    "policy": _ID,
    "event": re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}"),
    "role": re.compile(r"atlassian/[a-z0-9-]{1,64}"),  # new ones appear, so no list
    # An ARI, or the bare id that some calls take instead. Both this and a role stand in bodies only.
    "resource": re.compile(rf"{_ARI}|{_ID.pattern}"),
    "scim_directory": _ID,
    "scim_user": _ID,
    "scim_group": _ID,
    "token": re.compile(r"[A-Za-z0-9_-]{1,128}"),
    "schedule": _ID,
    "issue": re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}-[0-9]{1,12}"),
    "id": _ID,
}
_PLACE = re.compile(r"\{(\w+)\}")
_PATH = re.compile(r"/[A-Za-z0-9_.:~%/-]*")
_HOST = re.compile(rb"[A-Za-z0-9.-]{1,253}|\[?[0-9a-f:]+\]?")


class UnsafeAddress(ValueError):
    """The address may not be called; nothing was sent. The text never repeats the value that was refused."""


class HttpFailure(Exception):
    """No usable answer came. The text never holds an address, a header or a body."""


class NotReached(HttpFailure):
    """No connection was made, so the call can't have had an effect."""


class NoAnswer(HttpFailure):
    """The call was on its way and no whole answer arrived: it may have had its effect."""


class BadAnswer(HttpFailure):
    """A good status came with a body that can't be read: the call very likely had its effect."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; the body of an error may be cut short, its status is what counts."""

    status: int
    headers: httpx.Headers
    body: bytes


def check_id(kind: str, value: str) -> str:
    """``value``, when it is a possible id of this kind; ``UnsafeAddress`` when not."""
    if not isinstance(value, str) or IDS[kind].fullmatch(value) is None:
        raise UnsafeAddress(f"this is no possible {kind.replace('_', ' ')} id")
    return value


def fill(template: str, ids: Mapping[str, str]) -> str:
    """The path of ``template`` with each ``{kind}`` replaced by its id, checked and percent-encoded."""
    path = _PLACE.sub(lambda place: quote(check_id(place[1], ids[place[1]]), safe=""), template)
    if _PATH.fullmatch(path) is None or any(part in (".", "..") for part in path.split("/")):
        raise UnsafeAddress("a path starts with / and has plain segments")
    return path


class HttpClient:
    """Calls to one host. ``paths`` are the beginnings a path may have; ``transport`` replaces the network in tests."""

    def __init__(
        self,
        base_url: str,
        *,
        paths: tuple[str, ...] = ("/",),
        transport: httpx.BaseTransport | None = None,
        read_seconds: float = READ_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.base = _base(base_url)
        self._prefix = self.base.path.rstrip("/")
        self._paths = paths
        self._max_bytes = max_bytes
        self._total = total_seconds
        self._client = httpx.Client(
            transport=transport or httpx.HTTPTransport(trust_env=False),
            timeout=httpx.Timeout(read_seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            follow_redirects=False,  # a redirect would carry the key to wherever it points
            trust_env=False,  # no proxies and no .netrc from the environment
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none is kept: a call owes nothing to another
            headers={"User-Agent": "gatehouse"},
        )

    def __repr__(self) -> str:
        return f"HttpClient({self.base.host})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def request(
        self,
        method: str,
        template: str,
        *,
        ids: Mapping[str, str] | None = None,
        params: Params | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one call; any HTTP status is an ``Answer``.

        Raises ``UnsafeAddress`` before anything is sent, else ``NotReached``, ``NoAnswer`` or ``BadAnswer``.
        """
        path = fill(template, ids or {})
        if not path.startswith(self._paths):
            raise UnsafeAddress("this client may not call that path")
        return self.call(method, path + _query(params or {}), content=content, headers=headers)

    def call(
        self, method: str, target: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The same for a path and a query that stand as they are to be sent, as of an address that somebody gave."""
        request = self._checked(method, self._prefix + target, content)
        request.headers.update({"Accept-Encoding": "gzip", **(headers or {})})  # only now: the address is known good
        until = time.monotonic() + self._total
        try:
            response = self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise NotReached(f"no connection ({type(error).__name__})") from error
        except httpx.LocalProtocolError:  # its text may repeat a header
            raise NotReached("the call could not be written") from None
        except httpx.TransportError as error:
            raise NoAnswer(f"no answer ({type(error).__name__})") from error
        try:
            return self._answer(response, until)
        finally:
            response.close()

    def _checked(self, method: str, target: str, content: bytes | None) -> httpx.Request:
        """The request without headers, after looking at the address that httpx made of it."""
        try:
            request = self._client.build_request(method, self.base.copy_with(raw_path=target.encode()), content=content)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise UnsafeAddress("this is no possible address") from error
        url, base = request.url, self.base
        if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port) or url.userinfo or url.fragment:
            raise UnsafeAddress("the address points to another host")
        if url.raw_path != target.encode():
            raise UnsafeAddress("the path is not the one that was built")
        return request

    def _answer(self, response: httpx.Response, until: float) -> Answer:
        """The whole answer. Of an error the status is enough, so what is wrong with its body does not matter."""
        body = bytearray()
        assert isinstance(response.stream, httpx.SyncByteStream)
        try:
            for chunk in response.stream:  # the raw bytes: what unpacks them here is bounded, httpx is not
                body += chunk
                if len(body) > self._max_bytes:
                    raise BadAnswer("the answer is too large")
                if time.monotonic() > until:  # httpx bounds each read; a slow drip of bytes passes every one
                    raise BadAnswer("the answer took too long")
            whole = _unpacked(bytes(body), response.headers.get("Content-Encoding", ""), self._max_bytes)
        except (BadAnswer, httpx.TransportError) as error:
            if response.is_success:
                raise BadAnswer("the answer broke off or is not readable") from error
            whole = bytes(body[: self._max_bytes])
        return Answer(response.status_code, response.headers, whole)


def _base(base_url: str) -> httpx.URL:
    """The pinned address: https, or http to this machine only; nothing but scheme, host, port and path."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise UnsafeAddress("the base address is not a URL") from None
    if (
        _HOST.fullmatch(url.raw_host) is None
        or url.scheme not in ("https", "http")
        or (url.scheme == "http" and not _loopback(url.host))
    ):
        raise UnsafeAddress("the base address must be https (http only to this machine)")
    if url.userinfo or url.query or url.fragment or "?" in base_url or "%" in url.raw_path.decode():
        raise UnsafeAddress("the base address may have a host, a port and a path, nothing else")
    return url


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _query(params: Params) -> str:
    pairs = {name: str(value) if isinstance(value, int) else value for name, value in params.items()}
    if not pairs:
        return ""
    try:
        return "?" + urlencode(pairs, doseq=True, quote_via=quote, safe="")
    except UnicodeEncodeError:
        raise UnsafeAddress("a query value is not text") from None


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its gzip, never more than ``limit`` bytes: a small answer may unpack to gigabytes."""
    if encoding.lower() in ("", "identity") or not body:  # a 204 of a gateway may name an encoding of nothing
        return body
    if encoding.lower() != "gzip":
        raise BadAnswer("the answer has an encoding that was not asked for")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(body, limit)
    except zlib.error as error:
        raise BadAnswer("the answer is not gzip") from error
    if not unpacker.eof:
        raise BadAnswer("the answer is too large or broke off")
    return plain
