"""Reads of the Organizations API: who and what is there, who owns it, and who holds what."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bot.atlassian.shapes import (
    Camel,
    Domain,
    Lenient,
    Org,
    OrgDirectory,
    OrgGroup,
    OrgUser,
    RoleAssignment,
    ScimLink,
)
from bot.atlassian.transport import Json, Model, Transport, same_text
from bot.http import check_id

ALL = "-"  # as directory id: all directories the key may manage; Atlassian documents it for reads only
PAGE = 100
MAX_PAGES = 20_000
MAX_EMPTY = 20  # pages without an item, one after the other
V1 = "/admin/v1/orgs/{org}"
V2 = "/admin/v2/orgs/{org}/directories/{org_directory}"
LINKS = "/admin/user-provisioning/v1/org/{org}"


class _One(Lenient):
    data: dict[str, Any]


class _Links(Lenient):
    next: str | None = None


class _Page(Lenient):
    data: list[dict[str, Any]]
    links: _Links | None = None


class _ScimLinks(Camel):
    scim_links: list[ScimLink]


class OrganizationClient:
    """Reads with the organization API key. ``directory`` is an Organizations directory id, ``ALL`` unless given.

    Every method may raise ``Unreachable``, ``RateLimited``, ``Unavailable``, ``Unreadable``, ``KeyRefused`` (also for
    a key with scopes that lacks one), ``Forbidden``, ``BadRequest`` and ``NotFound``; nothing here has an effect.
    Contract: https://developer.atlassian.com/cloud/admin/organization/rest/intro/
    """

    def __init__(self, transport: Transport, org_id: str) -> None:
        self._transport = transport
        self._org = check_id("org", org_id)

    def __repr__(self) -> str:
        return f"OrganizationClient({self._org})"

    def close(self) -> None:
        self._transport.close()

    def organizations(self) -> list[Org]:
        """The organizations of the key, which is one: a good first call.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-orgs/#api-v1-orgs-get
        GET /v1/orgs?cursor= → data[], links.next is a URL.
        """
        return list(self._v1("/admin/v1/orgs", Org, "list the organizations"))

    def organization(self) -> Org:
        """https://developer.atlassian.com/cloud/admin/organization/rest/api-group-orgs/#api-v1-orgs-orgid-get

        GET /v1/orgs/{orgId} → {"data": {…}}. ``NotFound`` (ADMIN-404-2): not the organization of this key.
        """
        return self._one(V1, Org, "read the organization")

    def directories(self) -> list[OrgDirectory]:
        """https://developer.atlassian.com/cloud/admin/organization/rest/api-group-directory/#api-v2-orgs-orgid-directories-get

        GET /v2/orgs/{orgId}/directories?limit=&cursor= → data[], links.next is a bare token.
        """
        return list(self._v2_get("/admin/v2/orgs/{org}/directories", OrgDirectory, "list the directories"))

    def domains(self) -> list[Domain]:
        """https://developer.atlassian.com/cloud/admin/organization/rest/api-group-domains/#api-v1-orgs-orgid-domains-get

        GET /v1/orgs/{orgId}/domains?cursor= → data[], links.next is a URL. ``Forbidden`` comes in the gateway's shape.
        """
        return list(self._v1(f"{V1}/domains", Domain, "list the domains"))

    def users_by_email(
        self, emails: Sequence[str], *, directory: str = ALL, expand: Sequence[str] = ()
    ) -> list[OrgUser]:
        """People with one of these addresses; asks 100 at a time.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v2-orgs-orgid-directories-directoryid-users-search-post
        POST …/users/search {"emails", "expand", "limit", "cursor"} → data[], links.next. A person whose address the
        answer hides is kept, one with another address is not.
        """
        found = self._users({"emails": emails}, 100, directory, expand, "find people by e-mail")
        return [user for user in found if user.email is None or any(same_text(user.email, asked) for asked in emails)]

    def users_by_account(
        self, account_ids: Sequence[str], *, directory: str = ALL, expand: Sequence[str] = ()
    ) -> list[OrgUser]:
        """People with one of these account ids; asks 10 at a time. As ``users_by_email``."""
        doing = "find people by account"
        wanted = {"accountIds": [self._transport.checked("account", one, doing=doing) for one in account_ids]}
        found = self._users(wanted, 10, directory, expand, doing)
        return [user for user in found if user.account_id in account_ids]

    def users_of_group(self, group_id: str, *, directory: str = ALL) -> Iterator[OrgUser]:
        """The members of a group, page by page. As ``users_by_email``, by ``groupIds``."""
        doing = "list the group's members"
        wanted = {"groupIds": [self._transport.checked("group", group_id, doing=doing)]}
        return self._users(wanted, 10, directory, (), doing)

    def users(self, *, directory: str = ALL, expand: Sequence[str] = ()) -> Iterator[OrgUser]:
        """Everybody, page by page, for the mirror. As ``users_by_email``, without a filter."""
        return self._search(f"{V2}/users/search", {}, OrgUser, directory, expand, "list all people")

    def user(self, account_id: str, *, directory: str = ALL) -> OrgUser:
        """https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v2-orgs-orgid-directories-directoryid-users-userid-get

        GET …/users/{accountId} → {"data": {… deactivatedOn}}. ``NotFound``: nobody of that id in the directory.
        """
        doing = "read the person"
        user = self._one(f"{V2}/users/{{account}}", OrgUser, doing, org_directory=directory, account=account_id)
        if user.account_id != account_id:
            raise self._transport.unreadable(doing, "it is about somebody else")
        return user

    def user_roles(self, account_id: str, *, directory: str = ALL) -> list[RoleAssignment]:
        """The person's roles and by which route, directly or through a group.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v2-orgs-orgid-directories-directoryid-users-accountid-role-assignments-get
        GET …/users/{accountId}/role-assignments?limit=&cursor= → data[], links.next.
        """
        template, doing = f"{V2}/users/{{account}}/role-assignments", "list the person's roles"
        return list(self._v2_get(template, RoleAssignment, doing, org_directory=directory, account=account_id))

    def groups_by_name(self, names: Sequence[str], *, directory: str = ALL) -> list[OrgGroup]:
        """Groups with one of these names, no others; asks 100 at a time. Expands the counts of members.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-search-post
        POST …/groups/search {"groupNames", "expand", "limit", "cursor"} → data[], links.next. A group made a moment ago
        may be missing for some seconds.
        """
        found = self._groups({"groupNames": names}, 100, directory, "find groups by name")
        return [group for group in found if any(same_text(group.name, name) for name in names)]

    def groups_of_account(self, account_id: str, *, directory: str = ALL) -> list[OrgGroup]:
        """The groups a person is in. As ``groups_by_name``, by ``accountIds``."""
        doing = "list the person's groups"
        wanted = {"accountIds": [self._transport.checked("account", account_id, doing=doing)]}
        return list(self._groups(wanted, 10, directory, doing))

    def groups(self, *, directory: str = ALL) -> Iterator[OrgGroup]:
        """All groups, page by page, for the mirror. As ``groups_by_name``, without a filter."""
        return self._search(f"{V2}/groups/search", {}, OrgGroup, directory, ("counts.users",), "list all groups")

    def group(self, group_id: str, *, directory: str = ALL) -> OrgGroup:
        """https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-groupid-get

        GET …/groups/{groupId} → {"data": {…}}. ``NotFound`` (ADMIN-UAM-404-3).
        """
        doing = "read the group"
        group = self._one(f"{V2}/groups/{{group}}", OrgGroup, doing, org_directory=directory, group=group_id)
        if group.id.lower() != group_id.lower():
            raise self._transport.unreadable(doing, "it is about another group")
        return group

    def group_roles(self, group_id: str, *, directory: str = ALL) -> list[RoleAssignment]:
        """The roles that the group gives its members.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-groupid-role-assignments-get
        GET …/groups/{groupId}/role-assignments?limit=&cursor= → data[], links.next.
        """
        template, doing = f"{V2}/groups/{{group}}/role-assignments", "list the group's roles"
        return list(self._v2_get(template, RoleAssignment, doing, org_directory=directory, group=group_id))

    def scim_links(self, account_id: str) -> list[ScimLink]:
        """The SCIM records behind an account, over all directories; none for a local account.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-admin-apis/
        GET /admin/user-provisioning/v1/org/{orgId}/user/{accountId}/get-scim-links → {"scimLinks": […]}.
        """
        doing = "find the SCIM records of the account"
        template, ids = f"{LINKS}/user/{{account}}/get-scim-links", {"org": self._org, "account": account_id}
        links = self._links(self._transport.get(template, doing=doing, ids=ids), doing)
        if any(link.atlassian_account_id not in (None, account_id) for link in links):
            raise self._transport.unreadable(doing, "it is about somebody else")
        return links

    def scim_links_for_email(self, email: str) -> list[ScimLink]:
        """The SCIM records with this address, also those that no account is linked to yet.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-admin-apis/
        POST …/get-scim-links-for-email {"email"} → {"scimLinks": […]}.
        """
        template, doing = f"{LINKS}/get-scim-links-for-email", "find the SCIM records of the e-mail"
        answer = self._transport.post(template, {"email": email}, doing=doing, ids={"org": self._org}, reads=True)
        return self._links(answer, doing)

    def _links(self, answer: Json, doing: str) -> list[ScimLink]:
        """A shape we do not know is an error: read as "no link" it would make a synced account look local."""
        wrapped = {"scimLinks": answer} if isinstance(answer, list) else answer
        return self._transport.understood(_ScimLinks, wrapped, doing=doing).scim_links

    def _users(
        self, wanted: Mapping[str, Sequence[str]], at_once: int, directory: str, expand: Sequence[str], doing: str
    ) -> Iterator[OrgUser]:
        for body in _portions(wanted, at_once):
            yield from self._search(f"{V2}/users/search", body, OrgUser, directory, expand, doing)

    def _groups(
        self, wanted: Mapping[str, Sequence[str]], at_once: int, directory: str, doing: str
    ) -> Iterator[OrgGroup]:
        for body in _portions(wanted, at_once):
            yield from self._search(f"{V2}/groups/search", body, OrgGroup, directory, ("counts.users",), doing)

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
        ids = {"org": self._org, "org_directory": directory}

        def page(cursor: str | None) -> Json:
            full = body | ({"cursor": cursor} if cursor else {})
            return self._transport.post(template, full, doing=doing, ids=ids, reads=True)

        return self._pages(page, model, doing)

    def _v2_get(self, template: str, model: type[Model], doing: str, **ids: str) -> Iterator[Model]:
        def page(cursor: str | None) -> Json:
            params = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            return self._transport.get(template, doing=doing, ids={"org": self._org, **ids}, params=params)

        return self._pages(page, model, doing)

    def _v1(self, template: str, model: type[Model], doing: str) -> Iterator[Model]:
        def page(cursor: str | None) -> Json:
            params = {"cursor": cursor} if cursor else None
            return self._transport.get(template, doing=doing, ids={"org": self._org}, params=params)

        return self._pages(page, model, doing, url=True)

    def _one(self, template: str, model: type[Model], doing: str, **ids: str) -> Model:
        answer = self._transport.get(template, doing=doing, ids={"org": self._org, **ids})
        wrapped = self._transport.understood(_One, answer, doing=doing)
        return self._transport.understood(model, wrapped.data, doing=doing)

    def _pages(
        self, fetch: Callable[[str | None], Json], model: type[Model], doing: str, *, url: bool = False
    ) -> Iterator[Model]:
        """Every item of every page; ``Unreadable`` when the pages go round in a circle."""
        cursor: str | None = None
        seen: set[str] = set()
        pages: set[int] = set()
        empty = 0
        for _ in range(MAX_PAGES):
            page = self._transport.understood(_Page, fetch(cursor), doing=doing)
            mark = hash(repr(page.data))
            if page.data and mark in pages:
                raise self._transport.unreadable(doing, "the same page came twice")
            pages.add(mark)
            empty = 0 if page.data else empty + 1
            if empty > MAX_EMPTY:
                raise self._transport.unreadable(doing, "page after page is empty")
            for item in page.data:
                yield self._transport.understood(model, item, doing=doing)
            following = page.links.next if page.links else None
            if not following:
                return
            cursor = _cursor(following) if url or "://" in following else following
            if cursor is None or cursor in seen:
                raise self._transport.unreadable(doing, "the way to the next page makes no sense")
            seen.add(cursor)
        raise self._transport.unreadable(doing, "there is no end of pages")


def _portions(wanted: Mapping[str, Sequence[str]], at_once: int) -> Iterator[dict[str, list[str]]]:
    """Search bodies within Atlassian's limits; nothing wanted is no search, for an empty filter finds everybody."""
    for field, values in wanted.items():
        different = list(dict.fromkeys(values))
        for start in range(0, len(different), at_once):
            yield {field: different[start : start + at_once]}


def _cursor(url: str) -> str | None:
    """The ``cursor`` of a v1 link. The link itself is never called: it could name any host and would get the key."""
    try:
        return parse_qs(urlsplit(url).query).get("cursor", [None])[0]
    except ValueError:
        return None
