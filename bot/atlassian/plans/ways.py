"""By which ways people come by a role or a product: directly, through a group, or by a default group only."""

from collections.abc import Iterable, Sequence

from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim_groups import is_reserved
from bot.atlassian.shapes import GroupOfUser, OrgGroup, OrgUser, RoleAssignment

DIRECTLY = "directly"
MOST_GROUPS = 100  # whose roles are read for one look; what the rest gives stays "through a group"
OTHER_WAYS = {"inferred": "because of another role", "group_direct": "through a group"}

Named = OrgGroup | GroupOfUser


class Ways:
    """For one look: what a group gives is read once."""

    def __init__(self, organization: OrganizationClient) -> None:
        self.organization = organization
        self._given: dict[str, list[RoleAssignment]] = {}

    def groups_of(self, person: OrgUser) -> Sequence[Named]:
        """The groups that came with the person, else read now."""
        return person.groups if person.groups is not None else self.organization.groups_of_account(person.account_id)

    def to_role(self, held: Iterable[RoleAssignment], groups: Sequence[Named], role: str, resource: str) -> list[str]:
        """How this role on this resource is held, in words; empty when it is not held."""
        methods = [
            method
            for one in held
            if (one.resource_id or "") == resource
            for route in one.role_assignments
            if route.role == role
            for method in route.role_assignment_methods or ["unknown"]
        ]
        ways = [DIRECTLY] if "direct" in methods else []
        if "group_direct" in methods:
            giving = [group for group in groups if self._gives(group, role, resource)]
            ways += [_through(group) for group in giving] or [OTHER_WAYS["group_direct"]]
        ways += [OTHER_WAYS.get(method, method) for method in methods if method not in ("direct", "group_direct")]
        return list(dict.fromkeys(ways))

    def besides(self, held: Iterable[RoleAssignment], groups: Sequence[Named], default: str) -> list[str]:
        """How somebody has the products of a default group apart from that group; empty: by default only."""
        resources = {one.resource_id for one in self.given(default) if one.resource_id}
        direct = any(
            one.resource_id in resources
            and any("direct" in route.role_assignment_methods for route in one.role_assignments)
            for one in held
        )
        others = [
            group
            for group in groups
            if group.id != default and not is_reserved(group.name or "")
            and resources & {one.resource_id for one in self.given(group.id)}
        ]  # fmt: skip
        return [*([DIRECTLY] if direct else []), *map(_through, others)]

    def given(self, group: str) -> list[RoleAssignment]:
        """The roles that a group gives; nothing is known of more groups than one look may read."""
        if group not in self._given:
            if len(self._given) >= MOST_GROUPS:
                return []
            self._given[group] = self.organization.group_roles(group)
        return self._given[group]

    def _gives(self, group: Named, role: str, resource: str) -> bool:
        return any(
            (one.resource_id or "") == resource and (role in one.roles or role == one.default_role)
            for one in self.given(group.id)
        )


def _through(group: Named) -> str:
    return f"through the group {group.name or group.id}"
