"""The people, groups and records that plans rest on, read so that what decides is fresh and the rest is remembered."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from approvals.policy import Policy, ScimDirectory
from approvals.ports import Impossible
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.errors import AtlassianError
from bot.atlassian.org_roles import gives_org_admin
from bot.atlassian.org_shapes import Workspace
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.plans.products import product
from bot.atlassian.plans.remembered import Remembered
from bot.atlassian.scim import ScimClient
from bot.atlassian.shapes import OrgGroup, OrgUser, ScimLink
from bot.atlassian.site import SiteClient
from bot.atlassian.transport import same_text, text_key

GONE = {"closed": "was deleted", "inactive": "is deactivated"}
OWNER_FRESH = 60.0  # seconds that the owner of a group is believed
LINKS_FRESH = 600.0  # which record belongs to an account, for what is read at it next; where a group is in a directory
KNOWN = 1800.0  # a name, an address, whether an account is managed: the mirror reads everybody more often
MAKES_ADMINS = (
    "The group {name} makes its members organization administrators, which no entitlement gives or takes. "
    "`/access revoke @who org-admin` takes it; an organization admin gives it at admin.atlassian.com. Take the role of "
    "organization admin from the group there, or name another group in the policy."
)
NOBODY = "The organization has no account {account}. Somebody must invite or provision it first."


@dataclass(frozen=True)
class Rules:
    """What the policy says of accounts and directories, for plans."""

    directories: tuple[ScimDirectory, ...] = ()
    protected: Mapping[str, str] | None = None  # account → why
    unmanaged: str = "warn"  # or "refuse"

    @classmethod
    def of(cls, policy: Policy) -> "Rules":
        protected = {listed.account: listed.why for listed in policy.protected}
        return cls(policy.directories, protected, policy.unmanaged)

    def directory(self, id: str) -> ScimDirectory:
        """One that the policy does not name is fed by an identity provider."""
        named = (directory for directory in self.directories if directory.id.casefold() == id.casefold())
        return next(named, ScimDirectory(id, id, "fed", None))


class Lookups:
    """Reads for plans. ``scim`` are the directories there is a key for."""

    def __init__(
        self,
        organization: OrganizationClient,
        accounts: AccountsClient,
        scim: Mapping[str, ScimClient],
        site: SiteClient | None,
        rules: Rules,
    ) -> None:
        self.organization = organization
        self.accounts = accounts
        self.scim = scim
        self.site = site
        self.rules = rules
        self._people = Remembered[str, OrgUser](KNOWN, most=200_000)
        self._groups = Remembered[str, OrgGroup](OWNER_FRESH)
        self._links = Remembered[str, tuple[ScimLink, ...]](LINKS_FRESH)
        self._admin_groups = Remembered[str, bool](OWNER_FRESH)
        self._hosts = Remembered[str, dict[str, str]](KNOWN)
        self._scim_groups = Remembered[tuple[str, str], str](LINKS_FRESH)

    def everyone(self) -> Iterator[OrgUser]:
        """Every account of the organization; who is seen is known from then on."""
        for person in self.organization.users():
            self._people.put(person.account_id, _without_the_rest(person))
            yield person

    def person(self, account: str) -> OrgUser:
        """Somebody known, or read now; ``Impossible`` when there is nobody, or nobody that may be touched."""
        self.insist_untouched(account)
        return self._people.get(account) or self.person_now(account)

    def known(self, account: str) -> OrgUser | None:
        """Somebody as the mirror's last round saw them; nobody is asked."""
        return self._people.get(account)

    def person_now(self, account: str, expand: tuple[str, ...] = ()) -> OrgUser:
        """The same, read now."""
        self.insist_untouched(account)
        found = self.organization.users_by_account([account], expand=expand)
        person = next((user for user in found if user.account_id == account), None)
        if person is None:
            self._people.forget(account)
            raise Impossible(NOBODY.format(account=account))
        return self._people.put(account, person)

    def insist_untouched(self, account: str) -> None:
        why = (self.rules.protected or {}).get(account)
        if why is not None:
            raise Impossible(f"The account {account} is protected ({why}), so nothing of it is changed.")

    def group(self, name: str) -> OrgGroup:
        """The group of this name, its owner at most a minute old; never by an id from the address of a page.

        The id in the address of a group's page is not the SCIM id, and names are what the policy has
        (https://community.atlassian.com/, "Atlassian Access APIs and user provisioning").
        """
        known = self._groups.get(text_key(name))
        if known is not None:
            return known
        found = self._groups_named(name)
        if not found:
            raise Impossible(
                f"The organization has no group named {name}. "
                "An administrator must create it, or mend its name in the policy."
            )
        if len({group.id for group in found}) > 1:
            raise Impossible(
                f"The organization has {len(found)} groups named {name}, so nobody can say which one is meant. "
                "An administrator must give all but one another name, or name another group in the policy."
            )
        return self._groups.put(text_key(name), found[0])

    def makes_admins(self, name: str) -> bool:
        """Whether a group makes its members organization admins, as it was at most a minute ago.

        A group that only the Jira site knows has no roles in the organization.
        """
        known = self._admin_groups.get(text_key(name))
        if known is not None:
            return known
        group = self._groups.get(text_key(name))
        found = [group] if group is not None else self._groups_named(name)
        roles = (one for each in found for one in self.organization.group_roles(each.id))
        return self._admin_groups.put(text_key(name), any(gives_org_admin(one) for one in roles))

    def insist_on_no_admins(self, name: str) -> None:
        """No rule of an entitlement gives or takes organization administration; ``Impossible`` where a group would."""
        if self.makes_admins(name):
            raise Impossible(MAKES_ADMINS.format(name=name))

    def _groups_named(self, name: str) -> list[OrgGroup]:
        """To the letter where there are such, else but for capitals."""
        alike = [group for group in self.organization.groups_by_name([name]) if same_text(group.name, name)]
        return [group for group in alike if group.name == name] or alike

    def scim_group(self, directory: str, name: str) -> str | None:
        """The SCIM id of a group in a directory there is a key for."""
        known = self._scim_groups.get((directory, text_key(name)))
        if known is not None:
            return known
        there = self.scim[directory].find_group_by_name(name)
        return self._scim_groups.put((directory, text_key(name)), there.id) if there else None

    def link(self, account: str, directory: str) -> ScimLink | None:
        """The SCIM record behind an account in a directory: one that is remembered, or read now.

        That there is none is never remembered: somebody may make one at any moment.
        """
        known = _in(directory, self._links.get(account) or ())
        return known or _in(directory, self.links_now(account))

    def links_now(self, account: str) -> tuple[ScimLink, ...]:
        """The SCIM records behind an account, one for each directory it is in, as they are now."""
        found = tuple(self.organization.scim_links(account))
        if not found:
            self._links.forget(account)
            return found
        return self._links.put(account, found)

    def product_on_site(self, resource: str) -> str:
        """A product's workspace for people: "jira-software on harbour.atlassian.net"."""
        hosts = self._hosts.get("all")
        if hosts is None:
            hosts = self._hosts.put("all", {one.id: one.attributes.host_url or "" for one in self._workspaces()})
        host = urlsplit(hosts.get(resource, "")).hostname
        return f"{product(resource)} on {host}" if host else product(resource)

    def _workspaces(self) -> list[Workspace]:
        try:
            return self.organization.workspaces()
        except AtlassianError:
            return []  # it only informs

    def forget(self, account: str, group: str = "") -> None:
        """Something remembered turned out to be wrong."""
        self._people.forget(account)
        self._links.forget(account)
        self._groups.forget(text_key(group))
        for directory in self.scim:
            self._scim_groups.forget((directory, text_key(group)))

    def domains(self) -> frozenset[str]:
        """The organization's verified domains, in lower case."""
        return frozenset(domain.name.casefold() for domain in self.organization.domains() if domain.verified)

    def writable(self, account: str) -> list[tuple[ScimLink, ScimDirectory]]:
        """The records behind an account, when we may change each; ``Impossible`` when one is fed."""
        found = [(link, self.rules.directory(link.directory_id)) for link in self.links_now(account)]
        for link, directory in found:
            if link.directory_id not in self.scim or not (directory.owner == "ours" or directory.take_away):
                raise Impossible(
                    f"The account is fed by the identity provider of directory {directory.name}. Change it there: "
                    "what Gatehouse changed, the next sync would undo."
                )
        return found


def _in(directory: str, links: Iterable[ScimLink]) -> ScimLink | None:
    return next((link for link in links if link.directory_id == directory), None)


# One set for everybody: it takes as much room as all that is remembered of one person.
_READ_BY_PLANS = {"account_id", "account_status", "claim_status", "name", "email"}


def _without_the_rest(person: OrgUser) -> OrgUser:
    """Everybody is remembered, so only what plans read of them is: all that Atlassian tells is twice as much."""
    return OrgUser.model_construct(_READ_BY_PLANS, **{name: getattr(person, name) for name in _READ_BY_PLANS})


def may_be_given(person: OrgUser, rules: Rules) -> list[str]:
    """Warnings for who gives something to this account; ``Impossible`` when it is gone, or not to be given anything."""
    if person.account_status in GONE:
        raise Impossible(
            f"The account of {named(person)} {GONE[person.account_status]}, so nothing can be given to it."
        )
    if person.claim_status != "unmanaged":
        return []
    whose = f"The account of {named(person)} is not managed by the organization"
    if rules.unmanaged == "refuse":
        raise Impossible(f"{whose}: its domain is not claimed, and the policy gives nothing to such accounts.")
    return [f"{whose}: what it may do here can be taken, the account itself lives on."]


def insist_not_closed(person: OrgUser) -> None:
    """An account that was deleted is nobody's any more; what it held is gone with it."""
    if person.account_status == "closed":
        raise Impossible(f"The account of {named(person)} was deleted for good, so nothing of it can be changed.")


def named(person: OrgUser) -> str:
    """Some accounts show no name."""
    return person.name or person.account_id
