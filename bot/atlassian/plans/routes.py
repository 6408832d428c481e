"""By which other way a person keeps a product, so that nobody believes it is gone when it isn't."""

from collections.abc import Iterable

from approvals.ports import Impossible
from bot.atlassian.org_roles import gives_org_admin
from bot.atlassian.plans.lookups import Lookups, named
from bot.atlassian.plans.products import product
from bot.atlassian.shapes import OrgUser, RoleAssignment

ADMIN = (
    "{name} is an organization administrator, and nothing of an administrator is changed. There is one road: "
    "`/access revoke @who org-admin`, which two of the role admin approve; then the account is like any other."
)
MOST_GROUPS = 50  # of one person are looked through for another way


def after_leaving(lookups: Lookups, person: OrgUser, group_id: str) -> list[str]:
    """What the person loses or keeps of each product that the group gives."""
    roles = lookups.organization.group_roles(group_id)
    if any(gives_org_admin(one) for one in roles):
        raise Impossible(ADMIN.format(name=named(person)))
    given = [one for one in roles if one.resource_id]
    if not given:
        return []
    direct = _direct(lookups.organization.user_roles(person.account_id))
    others = _other_groups(lookups, person.account_id, group_id)
    return [_sentence(person, str(one.resource_id), direct, others) for one in given]


def _sentence(person: OrgUser, resource: str, direct: frozenset[str], others: dict[str, list[str]]) -> str:
    ways = ["a role given directly"] if resource in direct else []
    ways += [f"the group {name}" for name in others.get(resource, [])]
    if ways:
        return f"{named(person)} keeps {product(resource)} through {' and '.join(ways)}."
    return f"{named(person)} loses {product(resource)}: no other way to it was found."


def _direct(held: Iterable[RoleAssignment]) -> frozenset[str]:
    return frozenset(
        one.resource_id
        for one in held
        if one.resource_id and any("direct" in route.role_assignment_methods for route in one.role_assignments)
    )


def _other_groups(lookups: Lookups, account: str, but: str) -> dict[str, list[str]]:
    """By product, the names of the person's other groups that give it."""
    found: dict[str, list[str]] = {}
    groups = [group for group in lookups.organization.groups_of_account(account) if group.id != but]
    for group in groups[:MOST_GROUPS]:
        for one in lookups.organization.group_roles(group.id):
            if one.resource_id:
                found.setdefault(one.resource_id, []).append(group.name)
    return found
