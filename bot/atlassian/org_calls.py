"""What the calls of the Organizations API have in common: the organization, searches, pages that end, licences."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bot.atlassian.errors import Conflict, Facts, LicenceLimit
from bot.atlassian.shapes import Lenient
from bot.atlassian.transport import Json, Model, Transport
from bot.http import Params, check_id

ALL = "-"  # as directory id: all directories the key may manage; Atlassian documents it for reads only
PAGE = 100
MAX_PAGES = 20_000
MAX_EMPTY = 20  # pages without an item, one after the other
V1 = "/admin/v1/orgs/{org}"
V2 = "/admin/v2/orgs/{org}/directories/{org_directory}"
V2_WRITE = "/admin/v2/orgs/{org}/directories/{directory}"  # one real directory: ALL does not fit this place


class _One(Lenient):
    data: dict[str, Any]


class _Links(Lenient):
    next: str | None = None


class _Meta(Lenient):
    next: str | None = None


class Page(Lenient):
    """One page of any list. The events also give their cursor in ``meta``, bare."""

    data: list[dict[str, Any]]
    links: _Links | None = None
    meta: _Meta | None = None

    @property
    def following(self) -> str | None:
        return (self.links.next if self.links else None) or None


class OrgCalls:
    """See ``OrganizationClient``."""

    def __init__(self, transport: Transport, org_id: str) -> None:
        self._transport = transport
        self._org = check_id("org", org_id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._org})"

    @property
    def org_id(self) -> str:
        return self._org

    def close(self) -> None:
        self._transport.close()

    def _ids(self, **more: str) -> dict[str, str]:
        return {"org": self._org, **more}

    def _one(self, template: str, model: type[Model], doing: str, **ids: str) -> Model:
        answer = self._transport.get(template, doing=doing, ids=self._ids(**ids))
        wrapped = self._transport.understood(_One, answer, doing=doing)
        return self._transport.understood(model, wrapped.data, doing=doing)

    def _plain(self, template: str, model: type[Model], doing: str, params: Params | None = None, **ids: str) -> Model:
        """An object that is not wrapped in ``data``."""
        answer = self._transport.get(template, doing=doing, ids=self._ids(**ids), params=params)
        return self._transport.understood(model, answer, doing=doing)

    def _write(self, template: str, body: Mapping[str, Any] | None, doing: str, **ids: str) -> Json:
        return self._transport.post(template, body, doing=doing, ids=self._ids(**ids))

    def _licensed(self, template: str, body: Mapping[str, Any], doing: str, **ids: str) -> Json:
        """A write whose only documented 409 is that no licence is left, with the code for it or without any."""
        try:
            return self._write(template, body, doing, **ids)
        except Conflict as error:
            if isinstance(error, LicenceLimit) or error.code is not None:
                raise
            facts = Facts(detail=error.detail, trace=error.trace, raw=error.raw)
            raise LicenceLimit(error.api, doing, status=error.status, facts=facts) from error

    def _search(
        self,
        template: str,
        wanted: Mapping[str, Any],
        model: type[Model],
        directory: str,
        expand: Sequence[str],
        doing: str,
    ) -> Iterator[Model]:
        """A search by POST. The filters are repeated with each cursor: whether it remembers them is not documented."""
        body = {**wanted, "limit": PAGE} | ({"expand": list(expand)} if expand else {})
        ids = self._ids(org_directory=directory)

        def page(cursor: str | None) -> Json:
            full = body | ({"cursor": cursor} if cursor else {})
            return self._transport.post(template, full, doing=doing, ids=ids, reads=True)

        return self._pages(page, model, doing)

    def _v2_get(self, template: str, model: type[Model], doing: str, **ids: str) -> Iterator[Model]:
        def page(cursor: str | None) -> Json:
            params = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            return self._transport.get(template, doing=doing, ids=self._ids(**ids), params=params)

        return self._pages(page, model, doing)

    def _v1(self, template: str, model: type[Model], doing: str, params: Params | None = None) -> Iterator[Model]:
        def page(cursor: str | None) -> Json:
            full = {**(params or {}), **({"cursor": cursor} if cursor else {})}
            return self._transport.get(template, doing=doing, ids=self._ids(), params=full)

        return self._pages(page, model, doing, url=True)

    def _pages(
        self, fetch: Callable[[str | None], Json], model: type[Model], doing: str, *, url: bool = False
    ) -> Iterator[Model]:
        """Every item of every page; ``Unreadable`` when the pages go round in a circle. ``url``: v1 gives links."""
        cursor: str | None = None
        seen: set[str] = set()
        pages: set[int] = set()
        empty = 0
        for _ in range(MAX_PAGES):
            page = self._transport.understood(Page, fetch(cursor), doing=doing)
            mark = hash(repr(page.data))
            if page.data and mark in pages:
                raise self._transport.unreadable(doing, "the same page came twice")
            pages.add(mark)
            empty = 0 if page.data else empty + 1
            if empty > MAX_EMPTY:
                raise self._transport.unreadable(doing, "page after page is empty")
            for item in page.data:
                yield self._transport.understood(model, item, doing=doing)
            if not page.following:
                return
            cursor = cursor_of(page.following) if url or "://" in page.following else page.following
            if cursor is None or cursor in seen:
                raise self._transport.unreadable(doing, "the way to the next page makes no sense")
            seen.add(cursor)
        raise self._transport.unreadable(doing, "there is no end of pages")


def portions(wanted: Mapping[str, Sequence[str]], at_once: int) -> Iterator[dict[str, list[str]]]:
    """Search bodies within Atlassian's limits; nothing wanted is no search, for an empty filter finds everybody."""
    for field, values in wanted.items():
        different = list(dict.fromkeys(values))
        for start in range(0, len(different), at_once):
            yield {field: different[start : start + at_once]}


def cursor_of(url: str) -> str | None:
    """The ``cursor`` of a v1 link. The link itself is never called: it could name any host and would get the key."""
    try:
        return parse_qs(urlsplit(url).query).get("cursor", [None])[0]
    except ValueError:
        return None
