"""People of the organization, read: searched, one by one, counted, and when they were last active."""

from collections.abc import Iterator, Mapping, Sequence

from bot.atlassian.org_calls import ALL, V1, V2, OrgCalls, cursor_of, portions
from bot.atlassian.org_shapes import Count, LastActive, ManagedAccount, UserStats
from bot.atlassian.shapes import Lenient, OrgUser
from bot.atlassian.transport import same_text

LAST_ACTIVE = f"{V1}/directory/users/{{account}}/last-active-dates"
MOST_PAGES_OF_ONE = 100  # of one person's products; nobody has thousands
USER_FILTERS = (
    "accountIds", "directoryIds", "resourceIds", "groupIds", "mfaEnabled", "claimStatus", "status", "accountStatus",
    "membershipStatus", "roleIds", "searchTerm", "emailDomains",
)  # fmt: skip


class _Next(Lenient):
    next: str | None = None


class _Activity(Lenient):
    data: LastActive
    links: _Next | None = None


class OrgUsers(OrgCalls):
    """See ``OrganizationClient``."""

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

    def users_of_group(
        self, group_id: str, *, directory: str = ALL, expand: Sequence[str] = ()
    ) -> Iterator[OrgUser]:  # fmt: skip
        """The members of a group, page by page. As ``users_by_email``, by ``groupIds``."""
        doing = "list the group's members"
        wanted = {"groupIds": [self._transport.checked("group", group_id, doing=doing)]}
        return self._users(wanted, 10, directory, expand, doing)

    def users_with_role(
        self, role_id: str, *, resource: str = "", directory: str = ALL, expand: Sequence[str] = ()
    ) -> Iterator[OrgUser]:
        """People who have a role by whatever way, page by page. As ``users_by_email``, by ``roleIds``.

        With ``resource`` only who has some role on it too: that it is this role says their ``user_roles`` alone.
        """
        doing = "list the people with a role"
        wanted = {"roleIds": [self._transport.checked("role", role_id, doing=doing)]}
        if resource:
            wanted["resourceIds"] = [self._transport.checked("resource", resource, doing=doing)]
        return self._search(f"{V2}/users/search", wanted, OrgUser, directory, expand, doing)

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

    def user_count(self, *, directory: str = ALL, **filters: str | Sequence[str]) -> int:
        """How many people fit all the filters, named as in the query: ``status=["suspended"]``, ``groupIds=[…]``.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v2-orgs-orgid-directories-directoryid-users-count-get
        GET …/users/count?status=a&status=b → {"count"}. Counts managed accounts that are in no directory as well.
        """
        doing, template = "count the people", f"{V2}/users/count"
        return self._plain(template, Count, doing, known(filters, USER_FILTERS), org_directory=directory).count

    def user_stats(self, *, directory: str = ALL) -> UserStats:
        """How many people there are by status of their account and by role.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v2-orgs-orgid-directories-directoryid-users-stats-get
        GET …/users/stats → {"accountStatus": [{"status", "count"}], "roles": [{"roleId", "count"}]}.
        """
        return self._plain(f"{V2}/users/stats", UserStats, "read the figures about people", org_directory=directory)

    def managed_accounts(self) -> Iterator[ManagedAccount]:
        """The accounts on the organization's own domains, page by page; an e-mail may be missing.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v1-orgs-orgid-users-get
        GET /v1/orgs/{orgId}/users?cursor= → data[], links.next is a URL.
        """
        return self._v1(f"{V1}/users", ManagedAccount, "list the managed accounts")

    def last_active(self, account_id: str) -> LastActive:
        """When the person last used each product, up to 24 hours late; no product at all means never.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v1-orgs-orgid-directory-users-accountid-last-active-dates-get
        GET /v1/orgs/{orgId}/directory/users/{accountId}/last-active-dates?cursor= → {"data": {"added_to_org",
        "product_access": […]}, "links"}. ``NotFound`` (ADMIN-404-8); ``BadRequest`` ADMIN-400-4: the organization still
        has the old user management. 200 calls a minute.
        """
        doing = "read when the person was last active"
        found: LastActive | None = None
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(MOST_PAGES_OF_ONE):
            params = {"cursor": cursor} if cursor else {}
            answer = self._transport.get(LAST_ACTIVE, doing=doing, ids=self._ids(account=account_id), params=params)
            page = self._transport.understood(_Activity, answer, doing=doing)
            more = page.data.product_access
            found = page.data if found is None else found.with_more(more)
            if page.links is None or not page.links.next:
                return found
            cursor = cursor_of(page.links.next) if "://" in page.links.next else page.links.next
            if cursor is None or cursor in seen:
                raise self._transport.unreadable(doing, "the way to the next page makes no sense")
            seen.add(cursor)
        raise self._transport.unreadable(doing, "there is no end of pages")

    def _users(
        self, wanted: Mapping[str, Sequence[str]], at_once: int, directory: str, expand: Sequence[str], doing: str
    ) -> Iterator[OrgUser]:
        for body in portions(wanted, at_once):
            yield from self._search(f"{V2}/users/search", body, OrgUser, directory, expand, doing)


def known(filters: Mapping[str, str | Sequence[str]], names: tuple[str, ...]) -> dict[str, str | Sequence[str]]:
    """The filters, when Atlassian knows each: it ignores one that is misspelt, and counts or finds everybody."""
    unknown = sorted(set(filters) - set(names))
    if unknown:
        raise ValueError(f"there is no filter {', '.join(unknown)}")
    return dict(filters)
