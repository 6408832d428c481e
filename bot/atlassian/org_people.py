"""People of the organization, changed: invited, suspended, restored, removed from a directory."""

from collections.abc import Sequence
from typing import Any

from bot.atlassian.org_calls import V2_WRITE, OrgCalls
from bot.atlassian.org_shapes import Invitation
from bot.atlassian.shapes import Lenient
from bot.atlassian.transport import same_text

MOST_INVITED = 25


class _Invited(Lenient):
    data: list[Invitation]


class OrgPeople(OrgCalls):
    """See ``OrganizationClient``."""

    def invite(
        self,
        emails: Sequence[str],
        *,
        roles: Sequence[tuple[str, str]] = (),
        group_ids: Sequence[str] = (),
        text: str | None = None,
    ) -> list[Invitation]:
        """Invite up to 25 people with these roles (each with its resource) and groups; one result a person, read each.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v2-orgs-orgid-users-invite-post
        POST /v2/orgs/{orgId}/users/invite {"emails", "permissionRules": [{"resource", "role"}], "additionalGroups",
        "sendNotification", "notificationText"} → 200, or 206 when a part failed: data[]{id, email, results[]}.
        Only ``text`` makes Atlassian write to them. ``LicenceLimit``; ``BadRequest`` 402: no paid subscription.
        """
        doing = "invite the people"
        different = list(dict.fromkeys(emails))
        if not 1 <= len(different) <= MOST_INVITED:
            raise ValueError(f"between 1 and {MOST_INVITED} people can be invited with one call")
        checked = self._transport.checked
        rules = [
            {"resource": checked("resource", resource, doing=doing), "role": checked("role", role, doing=doing)}
            for role, resource in roles
        ]
        groups = [checked("group", group_id, doing=doing) for group_id in group_ids]
        body: dict[str, Any] = {"emails": different, "sendNotification": text is not None}
        body |= {"permissionRules": rules} if rules else {}
        body |= {"additionalGroups": groups} if groups else {}
        body |= {"notificationText": text} if text is not None else {}
        answer = self._licensed("/admin/v2/orgs/{org}/users/invite", body, doing)
        invited = self._transport.understood(_Invited, answer, doing=doing, wrote=True).data
        told = [one.email for one in invited if one.email]
        if any(not any(same_text(email, one) for one in told) for email in different):
            raise self._transport.unreadable(doing, "it does not say what became of each", wrote=True)
        return invited

    def suspend(self, account_id: str, *, directory: str) -> None:
        """Take all the person's access in this directory until it is restored. The Atlassian account lives on.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v2-orgs-orgid-directories-directoryid-users-accountid-suspend-post
        POST …/users/{accountId}/suspend → 204. ``BadRequest``: an organization administrator, and perhaps who is
        suspended already: read the status first. ``NotFound``: not in this directory.
        """
        self._person("suspend", account_id, directory, "suspend the person")

    def restore(self, account_id: str, *, directory: str) -> None:
        """Give a suspended person their roles and groups back; they are paid for again.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v2-orgs-orgid-directories-directoryid-users-accountid-restore-post
        POST …/users/{accountId}/restore → 204. As ``suspend``.
        """
        self._person("restore", account_id, directory, "restore the person")

    def remove_from_directory_for_good(self, account_id: str, *, directory: str) -> None:
        """Roles and groups are lost and nothing brings them back; the person must be invited anew.

        To take access away, take a group, a role, or suspend.
        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/#api-v2-orgs-orgid-directories-directoryid-users-accountid-delete
        DELETE …/users/{accountId} → 204. ``NotFound``: not in this directory.
        """
        ids = self._ids(directory=directory, account=account_id)
        self._transport.delete(f"{V2_WRITE}/users/{{account}}", doing="remove the person from the directory", ids=ids)

    def _person(self, verb: str, account_id: str, directory: str, doing: str) -> None:
        self._write(f"{V2_WRITE}/users/{{account}}/{verb}", None, doing, directory=directory, account=account_id)
