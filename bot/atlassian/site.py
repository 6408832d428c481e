"""The Jira site: people and groups the legacy way.

Atlassian keeps the creation of users for compatibility and means to retire it, and what is done here exists for this
site only; the guide says to use it with caution. For groups and people that no directory and no organization call
reaches. Groups are named by id: names can change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field

from bot.atlassian.errors import BadRequest, Conflict, Facts, NotFound
from bot.atlassian.shapes import Camel, Listed
from bot.atlassian.transport import Transport, same_text

API = "/rest/api/3"
PAGE = 50  # what /group/member gives at most
MAX_PAGES = 10_000
SEARCHED = 1000  # /user/search shows no more, whatever fits
PRODUCTS = frozenset({"jira-core", "jira-servicedesk", "jira-product-discovery", "jira-software"})


class SiteGroup(Camel):
    """A group as the site knows it; the id is the organization's id of the same group."""

    group_id: str | None = None
    name: str | None = None


def _items(value: Any) -> Any:
    """``groups`` of a user come wrapped: {"size", "items"}."""
    return value.get("items") if isinstance(value, dict) else value


class SiteUser(Camel):
    """A person as the site shows them; None for what privacy settings hide or the answer leaves out."""

    account_id: str
    account_type: str | None = None
    active: bool | None = None
    display_name: str | None = None
    email_address: str | None = None
    groups: Annotated[Listed[SiteGroup], BeforeValidator(_items)] = Field([])


class _Page(Camel):
    values: Listed[Any] = Field([])
    total: int | None = None
    is_last: bool | None = None


@dataclass(frozen=True)
class HasAccess:
    """The person has access now. Atlassian does not tell whether the call gave it."""

    user: SiteUser
    told: str = "already had access or created"


@dataclass(frozen=True)
class Found:
    """People who fit a search; not ``complete`` when there may be more than the site shows."""

    users: tuple[SiteUser, ...]
    complete: bool


Model = TypeVar("Model", SiteUser, SiteGroup)


class SiteClient:
    """Calls to one Jira site with an administrator's e-mail and API token; see ``site_transport``. The legacy path.

    Every method may raise ``Unreachable``, ``RateLimited``, ``Unavailable``, ``Unreadable``, ``KeyRefused`` and
    ``Forbidden``; what else it may raise, it says. Contract: https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return f"SiteClient({self._transport.name})"

    def close(self) -> None:
        self._transport.close()

    def create_user(self, email: str, products: Sequence[str]) -> HasAccess:
        """Give a person access to products of this site, with a new account if need be. Legacy: to be retired.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-users/#api-rest-api-3-user-post
        POST /user {"emailAddress", "products"} → 201 user, also for somebody who had access before. No products is a
        person without access. ``BadRequest``: exists without access to Jira, no seat left, or not valid; the site
        does not say which. The caller must be an organization admin, else ``Forbidden``.
        """
        doing = "create the user on the site"
        if isinstance(products, str) or not set(products) <= PRODUCTS:
            why = f"nothing was sent, the products are {', '.join(sorted(PRODUCTS))}"
            raise BadRequest(self._transport.name, doing, why=why)
        body = {"emailAddress": email, "products": list(dict.fromkeys(products))}
        answer = self._transport.post(f"{API}/user", body, doing=doing)
        return HasAccess(self._transport.understood(SiteUser, answer, doing=doing, wrote=True))

    def user(self, account_id: str, *, groups: bool = False) -> SiteUser:
        """A person of the site, with the groups when asked for. Legacy path.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-users/#api-rest-api-3-user-get
        GET /user?accountId=&expand=groups → user. ``NotFound``: the site has no such person.
        """
        doing = "read the user of the site"
        params = {"accountId": self._transport.checked("account", account_id, doing=doing)}
        answer = self._transport.get(
            f"{API}/user", doing=doing, params=params | ({"expand": "groups"} if groups else {})
        )
        user = self._transport.understood(SiteUser, answer, doing=doing)
        if user.account_id != account_id:
            raise self._transport.unreadable(doing, "it is about somebody else")
        return user

    def search_users(self, *, query: str | None = None, account_id: str | None = None) -> Found:
        """Active people whose name or e-mail begins like ``query``, or the one with ``account_id``. Legacy path.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-user-search/#api-rest-api-3-user-search-get
        GET /user/search with exactly one of query and accountId → a list, the first 1000 only. Who is inactive is not
        shown, so nobody is proved absent. ``RateLimited``: all searches of the site share one budget. ``BadRequest``.
        """
        doing = "search the users of the site"
        if (query is None) == (account_id is None):
            raise ValueError("a search takes exactly one of query and account_id")
        by = {"query": query} if query is not None else {"accountId": account_id or ""}
        if account_id is not None:
            self._transport.checked("account", account_id, doing=doing)
        found: dict[str, SiteUser] = {}
        seen: set[str] = set()
        start = 0
        while start < SEARCHED:
            size = min(PAGE, SEARCHED - start)
            params: dict[str, str | int] = {**by, "startAt": start, "maxResults": size}
            answer = self._transport.get(f"{API}/user/search", doing=doing, params=params)
            if not isinstance(answer, list):
                raise self._transport.unreadable(doing, "it is not a list")
            users = [self._transport.understood(SiteUser, user, doing=doing) for user in answer]
            if start and users and seen.issuperset(user.account_id for user in users):
                raise self._transport.unreadable(doing, "the same page came twice")
            seen.update(user.account_id for user in users)
            found.update((user.account_id, user) for user in users if account_id in (None, user.account_id))
            if not users or account_id is not None:
                return Found(tuple(found.values()), complete=True)
            start += len(users)  # pages may be shorter than asked for
        return Found(tuple(found.values()), complete=False)

    def find_group(self, name: str) -> SiteGroup | None:
        """The group of exactly this name; upper and lower case don't make two. Legacy path.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-groups/#api-rest-api-3-group-bulk-get
        GET /group/bulk?groupName= → a page; Atlassian calls it experimental. ``Conflict`` (ambiguous): several fit.
        """
        doing = "find the group of the site by name"
        listed = list(self._pages("group/bulk", SiteGroup, {"groupName": name}, doing))
        exact = [group for group in listed if group.name == name]
        fit = exact or [group for group in listed if group.name is not None and same_text(group.name, name)]
        if len({group.group_id for group in fit}) > 1:
            raise Conflict(self._transport.name, doing, facts=Facts(code="ambiguous", detail=f"{len(fit)} groups fit"))
        return fit[0] if fit else None

    def members(self, group_id: str, *, inactive: bool = True) -> Iterator[SiteUser]:
        """The members of a group. Who is suspended in the organization may be left out. Legacy path.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-groups/#api-rest-api-3-group-member-get
        GET /group/member?groupId=&includeInactiveUsers= → pages. ``NotFound``: no such group. ``BadRequest``.
        """
        doing = "list the members of the group"
        wanted = {
            "groupId": self._transport.checked("group", group_id, doing=doing),
            "includeInactiveUsers": "true" if inactive else "false",
        }
        yield from self._pages("group/member", SiteUser, wanted, doing)

    def groups_of(self, account_id: str) -> list[SiteGroup]:
        """The groups a person is in. Legacy path.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-users/#api-rest-api-3-user-groups-get
        GET /user/groups?accountId= → [{"groupId", "name"}]. ``NotFound``: the site has no such person.
        """
        doing = "read the groups of the user"
        params = {"accountId": self._transport.checked("account", account_id, doing=doing)}
        answer = self._transport.get(f"{API}/user/groups", doing=doing, params=params)
        if not isinstance(answer, list):
            raise self._transport.unreadable(doing, "it is not a list")
        return [self._transport.understood(SiteGroup, group, doing=doing) for group in answer]

    def is_member(self, group_id: str, account_id: str) -> bool:
        """Whether the person is in the group, read from the person. As ``groups_of``."""
        self._transport.checked("group", group_id, doing="read the groups of the user")
        held = {group.group_id for group in self.groups_of(account_id)}
        if group_id not in held and None in held:  # the document lets a group come without its id
            raise self._transport.unreadable("read the groups of the user", "a group has no id")
        return group_id in held

    def add_member(self, group_id: str, account_id: str) -> bool:
        """Put a person into a group. False: the person was in it already. Legacy path.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-groups/#api-rest-api-3-group-user-post
        POST /group/user?groupId= {"accountId"} → 201 group. 400 says "already a member" in English only, so the
        membership is read. ``BadRequest``: no seat left, or not valid. ``NotFound``: no such group or person.
        """
        doing = "add the member to the group"
        params = {"groupId": self._transport.checked("group", group_id, doing=doing)}
        body = {"accountId": self._transport.checked("account", account_id, doing=doing)}
        try:
            answer = self._transport.post(f"{API}/group/user", body, doing=doing, params=params)
        except BadRequest as refused:
            if refused.status == 400 and self._seen(group_id, account_id, refused):
                return False
            raise
        group = self._transport.understood(SiteGroup, answer, doing=doing, wrote=True)
        if group.group_id != group_id and (group.group_id is not None or group.name is None):
            raise self._transport.unreadable(doing, "it is not about the group", wrote=True)
        return True

    def remove_member(self, group_id: str, account_id: str) -> bool:
        """Take a person out of a group. False: the person was not in it. Legacy path.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-groups/#api-rest-api-3-group-user-delete
        DELETE /group/user?groupId=&accountId= → 200. On 400 and 404 the membership is read: an absent one is done.
        ``BadRequest``, ``NotFound`` (also when the site does not know the person at all: that proves nothing).
        """
        doing = "remove the member from the group"
        params = {
            "groupId": self._transport.checked("group", group_id, doing=doing),
            "accountId": self._transport.checked("account", account_id, doing=doing),
        }
        try:
            self._transport.delete(f"{API}/group/user", doing=doing, params=params)
        except (BadRequest, NotFound) as refused:
            if refused.status in (400, 404) and not self._seen(group_id, account_id, refused):
                return False
            raise
        return True

    def _seen(self, group_id: str, account_id: str, refused: BadRequest | NotFound) -> bool:
        """The membership, read after a refusal. Of somebody the site does not know nothing is told: still refused."""
        try:
            return self.is_member(group_id, account_id)
        except NotFound:
            raise refused from None

    def _pages(self, path: str, model: type[Model], wanted: dict[str, str], doing: str) -> Iterator[Model]:
        """Pages count from 0 and may be shorter than asked for; the address of the next one is not followed."""
        start, seen = 0, set[str]()
        for _ in range(MAX_PAGES):
            params: dict[str, str | int] = {**wanted, "startAt": start, "maxResults": PAGE}
            answer = self._transport.get(f"{API}/{path}", doing=doing, params=params)
            page = self._transport.understood(_Page, answer, doing=doing)
            if not isinstance(answer, dict) or not isinstance(answer.get("values"), list):
                raise self._transport.unreadable(doing, "it has no list of values")
            items = [self._transport.understood(model, item, doing=doing) for item in page.values]
            if items and seen.issuperset(repr(item) for item in items):
                raise self._transport.unreadable(doing, "the same page came twice")
            seen.update(repr(item) for item in items)
            yield from items
            start += len(page.values)
            if page.is_last or (page.is_last is None and page.total is not None and start >= page.total):
                return
            if not page.values:
                raise self._transport.unreadable(doing, "there should be more and nothing came")
        raise self._transport.unreadable(doing, "there is no end of pages")
