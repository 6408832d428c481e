"""What calls about SCIM users and SCIM groups have in common: the directory, paging, the one filter, PatchOp."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field

from bot.atlassian.errors import Conflict, Facts
from bot.atlassian.limits import GroupLimits
from bot.atlassian.shapes import Camel, Lenient, Listed, ScimGroup, ScimUser
from bot.atlassian.transport import Transport
from bot.http import check_id

ROOT = "/scim/directory/{scim_directory}"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PAGE = 100
MAX_PAGES = 10  # a filter finds one; whoever answers more has not filtered
MAX_PAGES_OF_ALL = 50_000  # a directory has at most a million users, and a server may cut pages short

Item = TypeVar("Item", ScimUser, ScimGroup)


class Supported(Camel):
    """One thing the directory can or can't do; None when it does not say."""

    supported: bool | None = None
    max_results: int | None = None  # of ``filter``: what one answer holds at most
    max_operations: int | None = None  # of ``bulk``
    max_payload_size: int | None = None  # of ``bulk``, bytes


Told = Annotated[Supported, BeforeValidator(lambda value: {} if value is None else value)]


class ServiceProviderConfig(Camel):
    """What the directory supports. Atlassian publishes no values."""

    patch: Told = Supported()
    bulk: Told = Supported()
    filter: Told = Supported()
    change_password: Told = Supported()
    sort: Told = Supported()
    etag: Told = Supported()


class _Page(Lenient):
    total: int = Field(alias="totalResults")
    resources: Listed[Any] = Field([], alias="Resources")


class ScimCalls:
    """See ``ScimClient``."""

    def __init__(self, transport: Transport, directory_id: str, limits: GroupLimits | None = None) -> None:
        self._transport = transport
        self._directory = check_id("scim_directory", directory_id)
        self._page = PAGE
        self._asked = False
        self.limits = limits or GroupLimits()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._directory})"

    def close(self) -> None:
        self._transport.close()

    def service_provider_config(self) -> dict[str, Any]:
        """What the directory supports, as it says it; the harmless way to try a key.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-schemas/
        GET /ServiceProviderConfig → an object (patch, bulk, filter.maxResults …). ``NotFound``: no such directory.
        """
        doing = "read what the directory supports"
        answer = self._transport.get(f"{ROOT}/ServiceProviderConfig", doing=doing, ids=self._ids())
        if not isinstance(answer, dict):
            raise self._transport.unreadable(doing, "it is not an object")
        return answer

    def config(self) -> ServiceProviderConfig:
        """The same, typed. From now on no page is asked for that is longer than ``filter.maxResults``."""
        doing = "read what the directory supports"
        config = self._transport.understood(ServiceProviderConfig, self.service_provider_config(), doing=doing)
        most = config.filter.max_results
        self._page = min(PAGE, most) if most is not None and most > 0 else PAGE
        self._asked = True
        return config

    def _all(self, kind: str, model: type[Item], doing: str) -> Iterator[Item]:
        """Every record of a kind, once. Asks first how long a page may be, unless it is known."""
        if not self._asked:
            self.config()
        seen, before = set[str](), 0
        for page, items in self._pages(kind, model, doing, {}, MAX_PAGES_OF_ALL):
            if page.total < before:
                raise self._transport.unreadable(doing, "the list changed while it was read")
            before = page.total
            for item in items:
                if item.id not in seen:
                    seen.add(item.id)
                    yield item
        if len(seen) < before:
            raise self._transport.unreadable(doing, "the list changed while it was read")

    def _find(self, kind: str, attribute: str, value: str, model: type[Item], doing: str) -> Iterator[Item]:
        """What the one filter that Atlassian knows finds, over all pages; the caller compares, it may be ignored."""
        wanted = {"filter": f"{attribute} eq {json.dumps(value, ensure_ascii=False)}"}
        for _, items in self._pages(kind, model, doing, wanted, MAX_PAGES):
            yield from items

    def _pages(
        self, kind: str, model: type[Item], doing: str, wanted: Mapping[str, str], most: int
    ) -> Iterator[tuple[_Page, list[Item]]]:
        """Pages count from 1 and may be shorter than asked for.

        Goes on by what arrived, not by ``itemsPerPage``: they are the same unless the server is wrong, and then
        nothing is skipped.
        """
        start, seen = 1, set[str]()
        for _ in range(most):
            params: dict[str, str | int] = {**wanted, "startIndex": start, "count": self._page}
            answer = self._transport.get(f"{ROOT}/{kind}", doing=doing, ids=self._ids(), params=params)
            page = self._transport.understood(_Page, answer, doing=doing)
            items = [self._transport.understood(model, item, doing=doing) for item in page.resources]
            if items and seen.issuperset(item.id for item in items):
                raise self._transport.unreadable(doing, "the same page came twice")
            if start == 1 and page.total > 0 and not items:  # "no such person" must never be a guess
                raise self._transport.unreadable(doing, "it counts records and shows none")
            yield page, items
            seen.update(item.id for item in items)
            start += len(items)
            if not items or start > page.total:
                return
        raise self._transport.unreadable(doing, "there is no end of pages")

    def _one(self, found: list[Item], doing: str) -> Item | None:
        different = {item.id: item for item in found}
        if len(different) > 1:
            facts = Facts(code="ambiguous", detail=f"{len(different)} records fit")
            raise Conflict(self._transport.name, doing, facts=facts)
        return next(iter(different.values()), None)

    def _same(self, item: Item, wanted: str, doing: str, *, wrote: bool = False) -> Item:
        if item.id.lower() != wanted.lower():
            raise self._transport.unreadable(doing, "it is about another record", wrote=wrote)
        return item

    def _ids(self, **more: str) -> dict[str, str]:
        return {"scim_directory": self._directory, **more}


def patch_op(operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": [dict(operation) for operation in operations]}
