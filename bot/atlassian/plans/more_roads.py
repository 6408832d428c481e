"""The roads beside the groups of directories and of the organization: groups of the Jira site, and roles."""

from approvals.plan import Step
from approvals.policy import Entitlement
from approvals.ports import Impossible
from bot.atlassian.errors import NotFound
from bot.atlassian.org_roles import ORG_ADMIN
from bot.atlassian.plans.lookups import Lookups, may_be_given, named
from bot.atlassian.plans.roads import Planned, taken
from bot.atlassian.shapes import RoleAssignment

LEGACY = "This goes by the Jira site's own API, a legacy path that Atlassian means to retire."
ROLE_OF_ADMINS = (
    "{name} is the role of organization administrator, which no entitlement gives or takes. `/access revoke @who "
    "org-admin` takes it; an organization admin gives it at admin.atlassian.com. Take {name} out of the policy."
)
NO_SITE = (
    "The group {name} is one of the Jira site, and Gatehouse has no access to a site: "
    "an administrator must set ATLASSIAN_SITE_URL, ATLASSIAN_SITE_EMAIL and ATLASSIAN_SITE_API_TOKEN."
)


class SiteRoad:
    """Groups that only the Jira site knows: the legacy path that the guide to Atlassian Access APIs warns about.

    https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-groups/
    """

    def __init__(self, lookups: Lookups) -> None:
        self.lookups = lookups

    def plan(self, account: str, entitlement: Entitlement, *, giving: bool = True) -> Planned:
        site = self.lookups.site
        if site is None:
            raise Impossible(NO_SITE.format(name=entitlement.group))
        person = self.lookups.person_now(account)
        warnings = may_be_given(person, self.lookups.rules) if giving else []
        group = site.find_group(entitlement.group)
        if group is None or group.group_id is None:
            raise Impossible(f"The Jira site has no group named {entitlement.group}. Mend its name in the policy.")
        self.lookups.insist_on_no_admins(entitlement.group)
        step = Step(
            does="add_member",
            owner="site",
            target=group.group_id,
            target_name=entitlement.group,
            account=account,
            member=account,
            api="Jira site (legacy)",
            method="POST",
            path="/rest/api/3/group/user",
            words=f"add {named(person)} to the group {entitlement.group} by the Jira site's API, "
            "because only the site knows the group",
        )
        return Planned(step, self._holds(step), person, (LEGACY, *warnings))

    def removal(self, step: Step) -> Step:
        return step.model_copy(update={"does": "remove_member", "method": "DELETE", "words": taken(step.words)})

    def perform(self, step: Step) -> str:
        site = self.lookups.site
        if site is None:
            raise Impossible(NO_SITE.format(name=step.target_name))
        if step.does == "add_member":
            return "201: added" if site.add_member(step.target, step.member) else "400: a member already"
        return "200: removed" if site.remove_member(step.target, step.member) else "404: no member any more"

    def is_true(self, step: Step) -> bool:
        return self._holds(step) == (step.does == "add_member")

    def _holds(self, step: Step) -> bool:
        """Whom the site does not know is in none of its groups."""
        site = self.lookups.site
        if site is None:
            raise Impossible(NO_SITE.format(name=step.target_name))
        try:
            return site.is_member(step.target, step.member)
        except NotFound as missing:
            if not missing.by_api:
                raise
            return False


class RoleRoad:
    """A role on a product, directly: today's API for roles of people.

    https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/
    """

    def __init__(self, lookups: Lookups) -> None:
        self.lookups = lookups
        self.organization = lookups.organization

    def plan(self, account: str, entitlement: Entitlement, *, giving: bool = True) -> Planned:
        if entitlement.role == ORG_ADMIN:
            raise Impossible(ROLE_OF_ADMINS.format(name=entitlement.name))
        person = self.lookups.person_now(account)
        warnings = may_be_given(person, self.lookups.rules) if giving else []
        held = self.organization.user_roles(account)
        direct, others = ways_to(held, entitlement.resource, entitlement.role)
        if giving and others and not direct:
            warnings.append(f"{named(person)} has {entitlement.role} there already, {' and '.join(others)}.")
        step = Step(
            does="assign_role",
            owner="org",
            target=entitlement.resource,
            target_name=entitlement.name,
            account=account,
            member=account,
            value=entitlement.role,
            api="Organizations",
            method="POST",
            path=f"/admin/v1/orgs/{self.organization.org_id}/users/{account}/roles/assign",
            words=f"give {named(person)} the role {entitlement.role} on {entitlement.resource} by the Organizations "
            "API, because roles on products are the organization's",
        )
        return Planned(step, direct, person, tuple(warnings))

    def removal(self, step: Step) -> Step:
        words = step.words.replace("give ", "take from ", 1)
        changes = {"does": "revoke_role", "path": step.path.removesuffix("/assign") + "/revoke", "words": words}
        return step.model_copy(update=changes)

    def perform(self, step: Step) -> str:
        if step.does == "assign_role":
            self.organization.assign_role(step.member, step.value, step.target)
        else:
            self.organization.revoke_role(step.member, step.value, step.target)
        return "204: accepted"

    def is_true(self, step: Step) -> bool:
        direct, _ = ways_to(self.organization.user_roles(step.member), step.target, step.value)
        return direct == (step.does == "assign_role")


def ways_to(held: list[RoleAssignment], resource: str, role: str) -> tuple[bool, list[str]]:
    """Whether the role is held directly, and the other ways in words."""
    routes = [
        method
        for assignment in held
        if assignment.resource_id == resource
        for route in assignment.role_assignments
        if route.role == role
        for method in route.role_assignment_methods
    ]
    words = {"group_direct": "through a group", "inferred": "because of another role"}
    others = [words.get(method, f"by the way {method}") for method in dict.fromkeys(routes) if method != "direct"]
    return "direct" in routes, others
