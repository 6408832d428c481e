"""Groups of the organization: found and counted, created, and their members where no directory feeds them."""

from collections.abc import Iterator, Mapping, Sequence

from bot.atlassian.errors import Conflict, Facts, NotFound, UnclearConflict
from bot.atlassian.org_calls import ALL, V2, V2_WRITE, OrgCalls, portions
from bot.atlassian.org_shapes import Count, GroupStats
from bot.atlassian.org_users import known
from bot.atlassian.shapes import OrgGroup, OrgUser
from bot.atlassian.transport import same_text

ALREADY_MEMBER = "ADMIN-UAM-409-2"
GROUP_FILTERS = (
    "directoryIds", "accountIds", "groupIds", "resourceOwners", "resourceIds", "searchTerm", "roleIds",
)  # fmt: skip


class OrgGroups(OrgCalls):
    """See ``OrganizationClient``."""

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

    def group_count(self, *, directory: str = ALL, **filters: str | Sequence[str]) -> int:
        """How many groups fit all the filters, named as in the query: ``accountIds=[…]``, ``searchTerm="eu"``.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-count-get
        GET …/groups/count?accountIds=a&accountIds=b → {"count"}.
        """
        doing, template = "count the groups", f"{V2}/groups/count"
        return self._plain(template, Count, doing, known(filters, GROUP_FILTERS), org_directory=directory).count

    def group_stats(self, *, directory: str = ALL) -> GroupStats:
        """How many groups there are, how many of them are synced, and of which types.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-stats-get
        GET …/groups/stats → {"totals": {"all", "managed", "synced"}, "types": [{"type", "count"}]}.
        """
        return self._plain(f"{V2}/groups/stats", GroupStats, "read the figures about groups", org_directory=directory)

    def create_group(self, name: str, description: str = "", *, directory: str) -> None:
        """Ask for a new group. Done means accepted: there is no id, and a search finds the group some seconds later.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-post
        POST …/groups {"name", "description"} → 201 without a body. ``Conflict``: the name is taken; ``BadRequest``.
        """
        body = {"name": name} | ({"description": description} if description else {})
        self._write(f"{V2_WRITE}/groups", body, "create the group", directory=directory)

    def add_member(self, group_id: str, account_id: str, *, directory: str) -> bool:
        """Put the person into the group; False when they were in it already.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-groupid-memberships-post
        POST …/groups/{groupId}/memberships {"accountId"} → 204. 409 ADMIN-UAM-409-2: a member already, done.
        ``LicenceLimit`` (ADMIN-UAM-409-3, ADMIN-409-3); ``UnclearConflict``: a 409 that does not say which of the two,
        so read who is in the group. ``NotFound``: the group, or the person is not in this directory (ADMIN-UAM-404-1).
        ``Forbidden`` or ``BadRequest``: the group is synced, or gives organization administration.
        """
        doing = "add the person to the group"
        body = {"accountId": self._transport.checked("account", account_id, doing=doing)}
        try:
            self._write(f"{V2_WRITE}/groups/{{group}}/memberships", body, doing, directory=directory, group=group_id)
        except Conflict as error:
            if error.code == ALREADY_MEMBER:
                return False
            if error.code is None:
                facts = Facts(detail=error.detail, trace=error.trace, raw=error.raw)
                raise UnclearConflict(error.api, doing, status=error.status, facts=facts, maybe_done=True) from error
            raise
        return True

    def remove_member(self, group_id: str, account_id: str, *, directory: str) -> bool:
        """Take the person out of the group; False when they were not in it.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-groupid-memberships-accountid-delete
        DELETE …/groups/{groupId}/memberships/{accountId} → 204. A 404 for "no member" looks like one for "no such
        group" and "no such person", so after it all three are read: ``NotFound`` when group or person is missing,
        ``Unreadable`` (to be tried again) when the person still shows as a member. ``Forbidden``: it is synced.
        """
        doing, template = "take the person out of the group", f"{V2_WRITE}/groups/{{group}}/memberships/{{account}}"
        try:
            self._transport.delete(
                template, doing=doing, ids=self._ids(directory=directory, group=group_id, account=account_id)
            )
        except NotFound:
            self.group(group_id, directory=directory)
            if self._is_member(group_id, account_id, directory):
                raise self._transport.unreadable(doing, "it was not found, yet it is there", wrote=True) from None
            return False
        return True

    def _is_member(self, group_id: str, account_id: str, directory: str) -> bool:
        doing = "read whether the person is in the group"
        template = f"{V2}/users/{{account}}"
        self._one(template, OrgUser, doing, org_directory=directory, account=account_id)
        wanted = {"accountIds": [account_id], "groupIds": [group_id]}
        found = self._search(f"{V2}/users/search", wanted, OrgUser, directory, (), doing)
        return any(user.account_id == account_id for user in found)

    def _groups(
        self, wanted: Mapping[str, Sequence[str]], at_once: int, directory: str, doing: str
    ) -> Iterator[OrgGroup]:
        for body in portions(wanted, at_once):
            yield from self._search(f"{V2}/groups/search", body, OrgGroup, directory, ("counts.users",), doing)
