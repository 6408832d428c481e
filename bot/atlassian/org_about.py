"""What there is in the organization: itself, its directories, domains, policies, and products on sites (workspaces)."""

from collections.abc import Mapping
from typing import Any

from bot.atlassian.org_calls import V1, OrgCalls
from bot.atlassian.org_shapes import OrgPolicy, Workspace
from bot.atlassian.shapes import Domain, Org, OrgDirectory
from bot.atlassian.transport import Json

LARGE_PAGE = 1000  # of workspaces, which are listed in larger pages than anything else


class OrgAbout(OrgCalls):
    """See ``OrganizationClient``."""

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

    def policies(self, kind: str | None = None) -> list[OrgPolicy]:
        """The policies, of one kind (``ip-allowlist``, ``data-residency``, ``data-security``) or all. Read only here.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-policies/#api-v1-orgs-orgid-policies-get
        GET /v1/orgs/{orgId}/policies?type=&cursor= → data[], links.next is a URL. How people log in is not among them.
        """
        found = self._v1(f"{V1}/policies", OrgPolicy, "list the policies", {"type": kind} if kind else None)
        return [policy for policy in found if kind is None or policy.kind == kind]

    def policy(self, policy_id: str) -> OrgPolicy:
        """https://developer.atlassian.com/cloud/admin/organization/rest/api-group-policies/#api-v1-orgs-orgid-policies-policyid-get

        GET /v1/orgs/{orgId}/policies/{policyId} → {"data": {…}}. ``NotFound`` (ADMIN-404-5).
        """
        doing = "read the policy"
        policy = self._one(f"{V1}/policies/{{policy}}", OrgPolicy, doing, policy=policy_id)
        if policy.id.lower() != policy_id.lower():
            raise self._transport.unreadable(doing, "it is about another policy")
        return policy

    def workspaces(self, types: tuple[str, ...] = ()) -> list[Workspace]:
        """Products on sites, all or of these types (``jira``, ``confluence`` …); an id is what role calls take.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-workspaces/#api-v2-orgs-orgid-workspaces-post
        POST /v2/orgs/{orgId}/workspaces {"limit", "query"} → data[], links.next is a bare token. A body with a cursor
        may hold nothing else. No 429 is documented.
        """
        doing = "list the workspaces"
        query = {"query": {"field": {"name": "attributes.type", "values": list(types)}}} if types else {}
        first: Mapping[str, Any] = {"limit": LARGE_PAGE, **query}

        def page(cursor: str | None) -> Json:
            body = {"cursor": cursor} if cursor else first
            template = "/admin/v2/orgs/{org}/workspaces"
            return self._transport.post(template, body, doing=doing, ids=self._ids(), reads=True)

        return list(self._pages(page, Workspace, doing))
