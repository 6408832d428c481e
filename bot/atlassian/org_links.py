"""The SCIM records behind accounts, with the organization key: found, and taken apart from the account."""

from bot.atlassian.org_calls import OrgCalls
from bot.atlassian.shapes import Camel, ScimLink
from bot.atlassian.transport import Json

LINKS = "/admin/user-provisioning/v1/org/{org}"


class _ScimLinks(Camel):
    scim_links: list[ScimLink]


class OrgLinks(OrgCalls):
    """See ``OrganizationClient``."""

    def scim_links(self, account_id: str) -> list[ScimLink]:
        """The SCIM records behind an account, over all directories; none for a local account.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-admin-apis/
        GET /admin/user-provisioning/v1/org/{orgId}/user/{accountId}/get-scim-links → {"scimLinks": […]}.
        """
        doing = "find the SCIM records of the account"
        template, ids = f"{LINKS}/user/{{account}}/get-scim-links", self._ids(account=account_id)
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
        answer = self._transport.post(template, {"email": email}, doing=doing, ids=self._ids(), reads=True)
        return self._links(answer, doing)

    def unlink_scim(self, scim_directory_id: str, scim_user_id: str) -> None:
        """Take a SCIM record apart from its account. Record and account stay, and know nothing of each other.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-admin-apis/
        PATCH …/scimDirectoryId/{scimDirectoryId}/scimUserId/{scimUserId}/unlink → no body. ``NotFound``: no such
        record.
        """
        template = f"{LINKS}/scimDirectoryId/{{scim_directory}}/scimUserId/{{scim_user}}/unlink"
        ids = self._ids(scim_directory=scim_directory_id, scim_user=scim_user_id)
        self._transport.patch(template, None, doing="unlink the SCIM record from its account", ids=ids)

    def _links(self, answer: Json, doing: str) -> list[ScimLink]:
        """A shape we do not know is an error: read as "no link" it would make a synced account look local."""
        wrapped = {"scimLinks": answer} if isinstance(answer, list) else answer
        return self._transport.understood(_ScimLinks, wrapped, doing=doing).scim_links
