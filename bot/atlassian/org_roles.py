"""Roles on products and in the organization: what people and groups hold, and giving or taking one role."""

from bot.atlassian.org_calls import ALL, V1, V2, V2_WRITE, OrgCalls
from bot.atlassian.shapes import RoleAssignment

ORG_ADMIN = "atlassian/org-admin"


def gives_org_admin(given: RoleAssignment) -> bool:
    """Whether what a group gives on one resource makes its members organization admins."""
    return ORG_ADMIN in given.roles or given.default_role == ORG_ADMIN


class OrgRoles(OrgCalls):
    """See ``OrganizationClient``.

    Whether a repeated assign or revoke is an error is not documented: read what is held first. The resource is the
    ``id`` of a workspace. ``LicenceLimit``: the product has no licence left.
    """

    def user_roles(self, account_id: str, *, directory: str = ALL) -> list[RoleAssignment]:
        """The person's roles and by which route, directly or through a group.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v2-orgs-orgid-directories-directoryid-users-accountid-role-assignments-get
        GET …/users/{accountId}/role-assignments?limit=&cursor= → data[], links.next.
        """
        template, doing = f"{V2}/users/{{account}}/role-assignments", "list the person's roles"
        return list(self._v2_get(template, RoleAssignment, doing, org_directory=directory, account=account_id))

    def group_roles(self, group_id: str, *, directory: str = ALL) -> list[RoleAssignment]:
        """The roles that the group gives its members.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-groupid-role-assignments-get
        GET …/groups/{groupId}/role-assignments?limit=&cursor= → data[], links.next.
        """
        template, doing = f"{V2}/groups/{{group}}/role-assignments", "list the group's roles"
        return list(self._v2_get(template, RoleAssignment, doing, org_directory=directory, group=group_id))

    def assign_role(self, account_id: str, role_id: str, resource_id: str) -> None:
        """Give the person a role on a product, directly.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v1-orgs-orgid-users-userid-roles-assign-post
        POST /v1/orgs/{orgId}/users/{userId}/roles/assign {"role", "resource"} → 204. ``BadRequest`` ADMIN-UAM-400-3: no
        role of this resource; ``NotFound`` ADMIN-UAM-404-3, also for a person; ``LicenceLimit``.
        """
        self._user_role("assign", account_id, role_id, resource_id, "give the role to the person")

    def revoke_role(self, account_id: str, role_id: str, resource_id: str) -> None:
        """Take a direct role from the person; one that a group gives stays.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v1-orgs-orgid-users-userid-roles-revoke-post
        POST /v1/orgs/{orgId}/users/{userId}/roles/revoke {"role", "resource"} → 204. As ``assign_role``.
        """
        self._user_role("revoke", account_id, role_id, resource_id, "take the role from the person")

    def assign_org_role(self, account_id: str, role_id: str = ORG_ADMIN) -> None:
        """Make the person an organization administrator; it may take 30 seconds to show. Experimental at Atlassian.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v1-orgs-orgid-users-userid-role-assignments-assign-post
        POST /v1/orgs/{orgId}/users/{userId}/role-assignments/assign {"role"} → 204. ``BadRequest``, ``NotFound``.
        """
        self._org_role("assign", account_id, role_id, "give the organization role")

    def revoke_org_role(self, account_id: str, role_id: str = ORG_ADMIN) -> None:
        """The person is no organization administrator any more; as ``assign_org_role``.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v1-orgs-orgid-users-userid-role-assignments-revoke-post
        POST /v1/orgs/{orgId}/users/{userId}/role-assignments/revoke {"role"} → 204.
        """
        self._org_role("revoke", account_id, role_id, "take the organization role")

    def assign_group_role(self, group_id: str, role_id: str, resource_id: str, *, directory: str) -> None:
        """Give the members of the group a role on a product. In the body the names are not those of a user.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-groupid-role-assignments-assign-post
        POST …/groups/{groupId}/role-assignments/assign {"resourceId", "roleId"} → 200. ``BadRequest``, ``NotFound``,
        ``LicenceLimit``.
        """
        self._group_role("assign", group_id, role_id, resource_id, directory, "give the role to the group")

    def revoke_group_role(self, group_id: str, role_id: str, resource_id: str, *, directory: str) -> None:
        """Take a role from the group, and so from its members who hold it by no other route.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/#api-v2-orgs-orgid-directories-directoryid-groups-groupid-role-assignments-revoke-post
        POST …/groups/{groupId}/role-assignments/revoke {"resourceId", "roleId"} → 204. ``BadRequest``, ``NotFound``.
        """
        self._group_role("revoke", group_id, role_id, resource_id, directory, "take the role from the group")

    def _user_role(self, verb: str, account_id: str, role_id: str, resource_id: str, doing: str) -> None:
        body = {"role": self._role(role_id, doing), "resource": self._resource(resource_id, doing)}
        write = self._licensed if verb == "assign" else self._write  # what is taken needs no licence
        write(f"{V1}/users/{{account}}/roles/{verb}", body, doing, account=account_id)

    def _org_role(self, verb: str, account_id: str, role_id: str, doing: str) -> None:
        body = {"role": self._role(role_id, doing)}
        self._write(f"{V1}/users/{{account}}/role-assignments/{verb}", body, doing, account=account_id)

    def _group_role(self, verb: str, group_id: str, role_id: str, resource_id: str, directory: str, doing: str) -> None:
        body = {"resourceId": self._resource(resource_id, doing), "roleId": self._role(role_id, doing)}
        template = f"{V2_WRITE}/groups/{{group}}/role-assignments/{verb}"
        write = self._licensed if verb == "assign" else self._write
        write(template, body, doing, directory=directory, group=group_id)

    def _role(self, role_id: str, doing: str) -> str:
        return self._transport.checked("role", role_id, doing=doing)

    def _resource(self, resource_id: str, doing: str) -> str:
        return self._transport.checked("resource", resource_id, doing=doing)
