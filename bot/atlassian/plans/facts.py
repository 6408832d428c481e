"""What Atlassian tells of an account and of who holds something, for people to read; changes nothing."""

from collections.abc import Iterator

from approvals.facts import AccountFacts, Held, Holder, TokenFacts
from approvals.policy import Entitlement
from approvals.ports import Impossible
from bot.atlassian.errors import AtlassianError
from bot.atlassian.org_roles import ORG_ADMIN
from bot.atlassian.plans.lookups import NOBODY, Lookups, named
from bot.atlassian.plans.products import product
from bot.atlassian.scim_groups import is_reserved
from bot.atlassian.shapes import OrgUser, RoleAssignment

MOST_HOLDERS = 500  # people of one group that are listed
WAYS = {
    "direct": "directly",
    "group_direct": "through a group",
    "inferred": "because of another role",
}


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
        return AccountFacts(
            account=account,
            name=named(person),
            mail=person.email or "",
            status=person.status or person.account_status or "unknown",
            membership=person.membership_status or "unknown",
            managed=None if person.claim_status is None else person.claim_status == "managed",
            owner=self._owner(person),
            groups=tuple(Held(group.name, "by default with the product" if is_reserved(group.name) else
                              "synced from a directory" if group.synced else "directly") for group in groups),
            roles=tuple(self._roles(roles)),
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
        """Who holds it, and whether the list is cut off. ``Impossible`` for a role: Atlassian lists them by person."""
        if entitlement.kind == "role":
            raise Impossible(
                f"{entitlement.name} is a role, and Atlassian does not list who has one; ask about a person: "
                "`/access whois @who`."
            )
        found: list[Holder] = []
        for holder in self._holders(entitlement):
            if len(found) == MOST_HOLDERS:
                return found, True
            found.append(holder)
        return found, False

    def _holders(self, entitlement: Entitlement) -> Iterator[Holder]:
        default = is_reserved(entitlement.group)
        if entitlement.kind == "jira_group":
            site = self.lookups.site
            group = site.find_group(entitlement.group) if site is not None else None
            if site is None or group is None or group.group_id is None:
                raise Impossible(f"The site has no group named {entitlement.group}.")
            for member in site.members(group.group_id):
                yield Holder(member.account_id, member.display_name or member.account_id, member.email_address or "",
                             member.active is not False, default)  # fmt: skip
            return
        for person in self.organization.users_of_group(self.lookups.group(entitlement.group).id):
            active = person.account_status in (None, "active") and person.membership_status != "suspended"
            yield Holder(person.account_id, named(person), person.email or "", active, default)

    def _person(self, account: str) -> OrgUser:
        found = self.organization.users_by_account([account], expand=("platformRoles", "productAccess"))
        person = next((one for one in found if one.account_id == account), None)
        if person is None:
            raise Impossible(NOBODY.format(account=account))
        return person

    def _owner(self, person: OrgUser) -> str:
        """Who owns the account's attributes: a directory of ours, one that is fed, Google, or nobody but itself."""
        links = self.lookups.links(person.account_id)
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

    def _roles(self, roles: list[RoleAssignment]) -> Iterator[Held]:
        for one in roles:
            for route in one.role_assignments:
                how = " and ".join(WAYS.get(method, method) for method in route.role_assignment_methods) or "unknown"
                where = f" on {product(one.resource_id)}" if one.resource_id else ""
                yield Held(f"{route.role}{where}", how)
