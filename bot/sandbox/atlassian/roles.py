"""Roles on products and in the organization: which there are, who starts with which, who holds them by which route."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.sandbox import seed

if TYPE_CHECKING:
    from bot.sandbox.atlassian.state import Records

JIRA = f"ari:cloud:jira-software::site/{seed.SITE_CLOUD_ID}"
CONFLUENCE = f"ari:cloud:confluence::site/{seed.SITE_CLOUD_ID}"
ORGANIZATION = f"ari:cloud:platform::org/{seed.ORG_ID}"
PRODUCTS = {JIRA: "jira-software", CONFLUENCE: "confluence"}
OWNERS = {**PRODUCTS, ORGANIZATION: "platform"}
ORG_ADMIN = "atlassian/org-admin"
USER, ADMIN, GUEST = "atlassian/user", "atlassian/admin", "atlassian/guest"
# The roles that each resource has; ``PLATFORM`` are those that a person's ``platformRoles`` show.
ROLES_OF = {
    JIRA: (USER, ADMIN, "atlassian/contributor", "atlassian/customer", "atlassian/basic", "atlassian/stakeholder"),
    CONFLUENCE: (USER, ADMIN, GUEST),
    ORGANIZATION: (ORG_ADMIN,),
}
PLATFORM = (ORG_ADMIN, "atlassian/site-admin", "atlassian/user-access-admin", "atlassian/ai-access")
ROLES = tuple(
    f"atlassian/{name}"
    for name in (
        *("user", "admin", "guest", "customer", "user-access-admin", "contributor", "basic", "stakeholder"),
        *("org-admin", "site-admin", "ai-access", "viewer"),
    )
)
DIRECT, GROUP_DIRECT, INFERRED = "direct", "group_direct", "inferred"


@dataclass(frozen=True)
class Assignment:
    """A role that an account or a group holds on a resource; ``default`` marks the one new people of a product get."""

    holder: str
    resource: str
    role: str
    default: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.holder, self.resource, self.role)


# By name of the group, what its members get on the first morning.
AT_FIRST = {
    "jira-software-users": ((JIRA, USER, True),),
    "confluence-users": ((CONFLUENCE, USER, True),),
    "site-admins": ((JIRA, ADMIN, False), (CONFLUENCE, ADMIN, False)),
    "org-admins": ((ORGANIZATION, ORG_ADMIN, False),),
    "eu-jira-admins": ((JIRA, ADMIN, False),),
    "eu-confluence-admins": ((CONFLUENCE, ADMIN, False),),
}

Routes = dict[str, dict[str, list[str]]]  # resource → role → by which routes


def of_group(records: "Records", group_id: str) -> list[Assignment]:
    return [given for given in records.assignments.values() if given.holder == group_id]


def held(records: "Records", account_id: str) -> Routes:
    """What a person holds, by every route. Whoever is suspended keeps it for later; whoever was removed has nothing."""
    routes: Routes = {}
    if records.standing.get(account_id) == "no_membership":
        return routes
    for given, route in _given(records, account_id):
        ways = routes.setdefault(given.resource, {}).setdefault(given.role, [])
        if route not in ways:
            ways.append(route)
    if is_org_admin(routes):
        for product in PRODUCTS:
            routes.setdefault(product, {}).setdefault(ADMIN, []).append(INFERRED)
    return routes


def is_org_admin(routes: Routes) -> bool:
    return ORG_ADMIN in routes.get(ORGANIZATION, {})


def uses(routes: Routes) -> list[str]:
    """The products a person can work in; administering all of them by being org-admin opens none."""
    given = ((product, methods) for product in PRODUCTS for methods in routes.get(product, {}).values())
    return list(dict.fromkeys(product for product, methods in given if methods != [INFERRED]))


def _given(records: "Records", account_id: str) -> Iterator[tuple[Assignment, str]]:
    for given in records.assignments.values():
        if given.holder == account_id:
            yield given, DIRECT
    for group in records.groups_of(account_id):
        for given in of_group(records, group.id):
            yield given, GROUP_DIRECT
