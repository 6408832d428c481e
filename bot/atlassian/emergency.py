"""How the emergency administrators of the policy stand: there, active, admins, and run by nobody else's directory."""

from collections.abc import Sequence
from dataclasses import dataclass

from approvals.policy import Protected
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.errors import Forbidden, NotFound, shown
from bot.atlassian.org_roles import ORG_ADMIN
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.shapes import OrgUser

ON_ITS_OWN = (
    "Take it out of that directory and let it sign in with a password and a second factor of its own: who runs the "
    "directory, or its outage, locks it out"
)


@dataclass(frozen=True)
class Trouble:
    """Something that keeps an emergency administrator from helping, and what to do about it."""

    kind: str
    found: str
    mend: str


@dataclass(frozen=True)
class EmergencyAdmin:
    """One of them, as Atlassian shows the account now."""

    account: str
    name: str  # what it is called, the account id where nothing tells
    troubles: tuple[Trouble, ...]


def look(
    organization: OrganizationClient, accounts: AccountsClient, listed: Sequence[Protected]
) -> list[EmergencyAdmin]:
    """Each of them, in the order of the policy. Raises ``AtlassianError`` when one can't be read: never half a look."""
    if not listed:
        return []
    found = organization.users_by_account([one.account for one in listed], expand=("platformRoles",))
    people = {person.account_id: person for person in found}
    return [_one(organization, accounts, one.account, people.get(one.account)) for one in listed]


def _one(
    organization: OrganizationClient, accounts: AccountsClient, account: str, person: OrgUser | None
) -> EmergencyAdmin:
    if person is None:
        mend = "Invite the account again and make it an organization admin, or name the right one under [[protected]]"
        return EmergencyAdmin(account, account, (Trouble("missing", "the organization has no such account", mend),))
    troubles = [*_standing(person), *_bound(organization, accounts, person)]
    return EmergencyAdmin(account, shown(person.name or "") or account, tuple(troubles))


def _standing(person: OrgUser) -> list[Trouble]:
    """Whether it can sign in, and is an admin when it does."""
    troubles = []
    if person.account_status != "active":
        status = shown(person.account_status or "of unknown status")
        troubles.append(Trouble("inactive", f"the account is {status}", "Reactivate it at admin.atlassian.com"))
    if person.membership_status in ("suspended", "no_membership"):
        mend = "Restore its access to the organization at admin.atlassian.com"
        troubles.append(Trouble("suspended", "it has no access to the organization", mend))
    if ORG_ADMIN not in (person.platform_roles or []):
        mend = "Make it one at admin.atlassian.com, or name another account under [[protected]]"
        troubles.append(Trouble("no admin", "it is no organization administrator", mend))
    return troubles


def _bound(organization: OrganizationClient, accounts: AccountsClient, person: OrgUser) -> list[Trouble]:
    """Whether an identity provider runs it, by whichever of the signs Atlassian shows."""
    links = sorted({link.directory_id for link in organization.scim_links(person.account_id)})
    if links:
        where = ", ".join(shown(id) for id in links)
        return [Trouble("bound", f"the SCIM directory {where} runs it", ON_ITS_OWN)]
    external = _external(accounts, person)
    if external or person.management_source == "synced":
        said = f" ({shown(external)})" if external else ""
        return [Trouble("bound", f"an identity provider runs it{said}", ON_ITS_OWN)]
    return []


def _external(accounts: AccountsClient, person: OrgUser) -> str:
    """Atlassian's word for the directory that runs a managed account; of others nobody tells, and nobody here runs
    them."""
    if person.claim_status == "unmanaged":
        return ""
    try:
        return accounts.privileges(person.account_id).external or ""
    except (Forbidden, NotFound) as not_ours:
        if not_ours.by_api:
            return ""
        raise
