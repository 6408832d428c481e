"""What comes over the wire when something goes wrong: refusals, broken bodies, and pages that have no end."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.recording import Exchange

Answer = Callable[[Exchange, int], httpx.Response]  # the good exchange; how often this call met the fault, from 1


class Breaking(httpx.SyncByteStream):
    """Half a body, then the connection is reset."""

    def __init__(self, body: bytes) -> None:
        self._half = body[: len(body) // 2]

    def __iter__(self) -> Iterator[bytes]:
        yield self._half
        raise httpx.ReadError("[Errno 104] Connection reset by peer")


def says(status: int, body: Any = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = b"" if body is None else json.dumps(body).encode()
    return lambda good, nth: httpx.Response(status, headers=named, content=content)


def fails(error: type[httpx.TransportError]) -> Answer:
    def answer(good: Exchange, nth: int) -> httpx.Response:
        raise error("no luck")

    return answer


def refused_by_organization(status: int, code: str | None) -> Any:
    error = {"id": "65e99414", "status": str(status), "title": "Refused", "detail": None}
    return {"errors": [error | ({"code": code} if code else {})]}


def cut(good: Exchange, nth: int) -> httpx.Response:
    return httpx.Response(good.status, content=good.body[: len(good.body) // 2])


def reset(good: Exchange, nth: int) -> httpx.Response:
    headers = {"Content-Length": str(max(len(good.body), 99))}
    return httpx.Response(good.status, headers=headers, stream=Breaking(good.body))


def has_body(good: Exchange) -> bool:
    return bool(good.body)


# They answer with ``data`` and are not walked: the caller asks for the next page of events, invitations have one.
ONE_PAGE = ("/events", "/events-stream", "/users/invite")


def is_walked(good: Exchange) -> bool:
    return is_page(good) and not good.path.endswith(ONE_PAGE)


def is_page(good: Exchange) -> bool:
    data = good.answered()
    if isinstance(data, dict):
        return isinstance(data.get("data"), list) or any(name in data for name in ("Resources", "values"))
    return isinstance(data, list) and "maxResults=" in good.target


def paged(change: Callable[[Any, int], None]) -> Answer:
    """The good page, changed to say that another one follows; a bare list says so by being as long as was asked for."""

    def answer(good: Exchange, nth: int) -> httpx.Response:
        data = good.answered()
        if isinstance(data, list):
            asked = int(parse_qs(urlsplit(good.target).query)["maxResults"][0])
            return httpx.Response(200, json=(data * asked)[:asked])
        change(data, nth)
        return httpx.Response(200, json=data)

    return answer


def _more(data: Any, cursor: str) -> None:
    """Another page follows, in whichever way this API says so."""
    if "data" in data:
        data["links"] = {**(data.get("links") or {}), "next": f"https://api.atlassian.com/x?cursor={cursor}"}
    data.update({"totalResults": 5000} if "Resources" in data else {})
    data.update({"isLast": False, "total": 5000} if "values" in data else {})


def _items(data: Any) -> str:
    return next(name for name in ("data", "Resources", "values") if name in data)


def again(data: Any, nth: int) -> None:
    _more(data, f"c{nth}")


def twice(data: Any, nth: int) -> None:
    """The page, the same page, the end."""
    if nth == 1:
        _more(data, "c1")
    elif "data" in data:
        data.pop("links", None)


def in_turn(data: Any, nth: int) -> None:
    """The page, a part of it, the page, a part of it …, each time with a new cursor."""
    if nth % 2 == 0:
        data[_items(data)] = data[_items(data)][:-1]
    _more(data, f"c{nth}")


def circle(data: Any, nth: int) -> None:
    data[_items(data)] = []
    _more(data, "round")


def barren(data: Any, nth: int) -> None:
    data[_items(data)] = []
    _more(data, f"c{nth}")


def two(data: Any, nth: int) -> None:
    data[_items(data)] = []
    _more(data, f"c{nth % 2}")
