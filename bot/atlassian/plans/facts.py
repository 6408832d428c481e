"""What Atlassian tells of an account and of who holds something, for people to read; changes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from approvals.facts import AccountFacts, Held, Holder, TokenFacts
from approvals.policy import Entitlement
from approvals.ports import Impossible
from bot.atlassian.errors import AtlassianError
from bot.atlassian.org_roles import ORG_ADMIN
from bot.atlassian.plans.lookups import NOBODY, Lookups, named
from bot.atlassian.plans.products import product
from bot.atlassian.plans.ways import DIRECTLY, Named, Ways
from bot.atlassian.scim_groups import is_reserved
from bot.atlassian.shapes import OrgGroup, OrgUser, RoleAssignment

MOST_HOLDERS = 500  # people of one group that are listed
MOST_LOOKED_INTO = 100  # whose own roles are read for it, a call each


class Facts:
    """Reads what is asked now; nothing of it is remembered."""

    def __init__(self, lookups: Lookups) -> None:
        self.lookups = lookups
        self.organization = lookups.organization

    def about(self, account: str) -> AccountFacts:
        """The state of an account, the protected ones too. ``Impossible`` when there is nobody."""
        person = self._person(account)
        groups = self.organization.groups_of_account(account)
        roles = self.organization.user_roles(account)
        ways = Ways(self.organization)
        return AccountFacts(
            account=account,
            name=named(person),
            mail=person.email or "",
            status=person.status or person.account_status or "unknown",
            membership=person.membership_status or "unknown",
            managed=None if person.claim_status is None else person.claim_status == "managed",
            owner=self._owner(person),
            groups=tuple(Held(group.name, _how_in(ways, roles, groups, group)) for group in groups),
            roles=tuple(_roles(ways, roles, groups)),
            products=tuple(sorted({product(one.id or one.key or "") for one in person.product_access or []})),
            tokens=self._count_of_tokens(person),
            last_active=max((one.last_active_timestamp for one in person.product_access or []
                             if one.last_active_timestamp is not None), default=None),
            protected=(self.lookups.rules.protected or {}).get(account, ""),
            org_admin=ORG_ADMIN in (person.platform_roles or []),
        )  # fmt: skip

    def tokens(self, account: str) -> list[TokenFacts]:
        """The API tokens of a managed account; ``Impossible`` where the organization may not see them."""
        person = self._person(account)
        if person.claim_status == "unmanaged":
            raise Impossible(f"The account of {named(person)} is not managed here, so its API tokens are not shown.")
        return [
            TokenFacts(token.id, token.label or "", token.created_at, token.last_access, token.expiry)
            for token in self.lookups.accounts.api_tokens(account)
        ]

    def holders(self, entitlement: Entitlement) -> tuple[list[Holder], bool]:
        """Who holds it, and whether the list is cut off; of a role and of a default group also by which way."""
        most = MOST_HOLDERS if entitlement.kind != "role" else MOST_LOOKED_INTO
        found: list[Holder] = []
        for holder in self._holders(entitlement):
            if len(found) == most:
                return found, True
            found.append(holder)
        return found, False

    def everybody(self, entitlement: Entitlement) -> Iterator[Holder]:
        """All who hold it, however many there are."""
        return self._holders(entitlement)

    def _holders(self, entitlement: Entitlement) -> Iterator[Holder]:
        ways = Ways(self.organization)
        if entitlement.kind == "role":
            return self._holders_of_role(ways, entitlement)
        default = is_reserved(entitlement.group)
        if entitlement.kind == "jira_group":
            return self._members_at_the_site(ways, entitlement.group, default=default)
        group = self.lookups.group(entitlement.group).id
        if not default:
            return (_holder(person) for person in self.organization.users_of_group(group))
        return self._by_default(ways, group)

    def _holders_of_role(self, ways: Ways, entitlement: Entitlement) -> Iterator[Holder]:
        """Those who have the role somewhere are found by a search; that it is on this resource says each person's own
        list."""
        role, resource = entitlement.role, entitlement.resource
        people = self.organization.users_with_role(role, resource=resource, expand=("groups",))
        for person in people:
            held = self.organization.user_roles(person.account_id)
            how = ways.to_role(held, ways.groups_of(person), role, resource)
            if how:
                yield replace(_holder(person), how=" and ".join(how))

    def _by_default(self, ways: Ways, group: str) -> Iterator[Holder]:
        """Members of a default group: Atlassian put them there with the product; some have it by another way too."""
        for number, person in enumerate(self.organization.users_of_group(group, expand=("groups",))):
            yield self._looked_into(ways, _holder(person), group, ways.groups_of(person), number)

    def _looked_into(self, ways: Ways, holder: Holder, group: str, groups: Sequence[Named], number: int) -> Holder:
        if number >= MOST_LOOKED_INTO:
            return replace(holder, how="by default with the product; other ways were not looked for")
        others = ways.besides(self.organization.user_roles(holder.account), groups, group)
        return replace(holder, how=" and ".join(others), by_default_only=not others)

    def _members_at_the_site(self, ways: Ways, name: str, *, default: bool) -> Iterator[Holder]:
        site = self.lookups.site
        group = site.find_group(name) if site is not None else None
        if site is None or group is None or group.group_id is None:
            raise Impossible(f"The site has no group named {name}.")
        for number, member in enumerate(site.members(group.group_id)):
            holder = Holder(member.account_id, member.display_name or member.account_id, member.email_address or "",
                            member.active is not False)  # fmt: skip
            if default:
                groups = self.organization.groups_of_account(member.account_id)
                holder = self._looked_into(ways, holder, group.group_id, groups, number)
            yield holder

    def _person(self, account: str) -> OrgUser:
        found = self.organization.users_by_account([account], expand=("platformRoles", "productAccess"))
        person = next((one for one in found if one.account_id == account), None)
        if person is None:
            raise Impossible(NOBODY.format(account=account))
        return person

    def _owner(self, person: OrgUser) -> str:
        """Who owns the account's attributes: a directory of ours, one that is fed, Google, or nobody but itself."""
        links = self.lookups.links_now(person.account_id)
        for link in links:
            directory = self.lookups.rules.directory(link.directory_id)
            ours = directory.owner == "ours"
            return f"the SCIM directory {directory.name}, {'which Gatehouse writes' if ours else 'fed from elsewhere'}"
        if person.claim_status == "unmanaged":
            return "the person: the account is not managed by the organization"
        try:
            external = self.lookups.accounts.privileges(person.account_id).external
        except AtlassianError:
            return "unknown: Atlassian did not tell"
        if external == "externalDirectory.google":
            return "Google, which syncs the account"
        return "the organization, by User management"

    def _count_of_tokens(self, person: OrgUser) -> int | None:
        if person.claim_status == "unmanaged":
            return None
        try:
            return len(self.lookups.accounts.api_tokens(person.account_id))
        except AtlassianError:
            return None


def _holder(person: OrgUser) -> Holder:
    active = person.account_status in (None, "active") and person.membership_status != "suspended"
    return Holder(person.account_id, named(person), person.email or "", active)


def _how_in(ways: Ways, roles: list[RoleAssignment], groups: list[OrgGroup], group: OrgGroup) -> str:
    """How somebody came into a group; of a default group whether anything else gives them its product."""
    if not is_reserved(group.name):
        return "synced from a directory" if group.synced else DIRECTLY
    others = ways.besides(roles, groups, group.id)
    if others:
        return f"by default with the product, which they have {' and '.join(others)} too"
    return "by default with the product only"


def _roles(ways: Ways, roles: list[RoleAssignment], groups: list[OrgGroup]) -> Iterator[Held]:
    for one in roles:
        for route in one.role_assignments:
            resource = one.resource_id or ""
            how = ways.to_role([one], groups, route.role, resource)
            yield Held(f"{route.role}{f' on {product(resource)}' if resource else ''}", " and ".join(how))
