"""An account for somebody: a SCIM record where a directory is ours, else an invitation, else the Jira site's way."""

from itertools import islice

from approvals.plan import Newcomer, Step, Survey
from approvals.ports import Arrived, Impossible
from bot.atlassian.errors import Conflict, Unreadable
from bot.atlassian.plans.address import domain_of
from bot.atlassian.plans.lookups import GONE, Lookups, named
from bot.atlassian.shapes import OrgUser, ScimUser
from bot.atlassian.transport import same_text

FIRST_PAGE = 100  # users of a directory
LATER = (
    "The account is made at the Jira site, a legacy path; it becomes a managed one when the organization claims its "
    "domain."
)
NOT_OURS = (
    "{domain} is not a verified domain of the organization: the account will be in its groups, and not managed by it."
)


class Newcomers:
    """Plans and makes accounts; what exists is adopted and never made twice."""

    def __init__(self, lookups: Lookups) -> None:
        self.lookups = lookups
        self.organization = lookups.organization

    def plan(self, newcomer: Newcomer, *, by_site: bool = False) -> Survey:
        domain = domain_of(newcomer.mail)
        claimed = domain in self.lookups.domains()
        person = self._existing(newcomer.mail)
        warnings = [] if claimed else [self._not_claimed(domain)]
        if person is not None:
            self.lookups.insist_untouched(person.account_id)
            warnings.append(f"The account {person.account_id} has this address already: it is used as it is.")
        step, holds, more = self._step(newcomer, person, by_site)
        return Survey(
            steps=(step,) if step else (),
            holds=holds,
            subject_name=named(person) if person and person.name else newcomer.name,
            subject_mail=newcomer.mail,
            warnings=(*warnings, *more),
        )

    def _not_claimed(self, domain: str) -> str:
        words = NOT_OURS.format(domain=domain)
        if self.lookups.rules.unmanaged == "refuse":
            raise Impossible(f"{words} The policy gives nothing to such accounts. Verify the domain first.")
        return words

    def _existing(self, mail: str) -> OrgUser | None:
        found = [one for one in self.organization.users_by_email([mail]) if one.email and same_text(one.email, mail)]
        if len(found) > 1:
            raise Impossible(f"Two accounts have the address {mail}; an administrator must mend that first.")
        gone = GONE.get(str(found[0].account_status)) if found else None
        if gone is not None:
            mend = (
                "Reactivate it" if found[0].account_status == "inactive" else "Look at it in Atlassian administration"
            )
            raise Impossible(f"The account with the address {mail} {gone}. {mend} rather than making another one.")
        return found[0] if found else None

    def _step(self, newcomer: Newcomer, person: OrgUser | None, by_site: bool) -> tuple[Step | None, bool, list[str]]:
        ours = [directory for directory in self.lookups.rules.directories if directory.owner == "ours"]
        directory = next((directory for directory in ours if directory.id in self.lookups.scim), None)
        elsewhere = self._fed_from_elsewhere(person)
        if elsewhere:
            return None, True, [elsewhere]
        if directory is not None and not by_site:
            record = self.record(directory.id, newcomer.mail)
            words = (
                f"make a SCIM record for {newcomer.name} in directory {directory.name}, because that directory is ours"
            )
            path = f"/scim/directory/{directory.id}/Users"
            step = _step_for(newcomer, person, "create_user", f"scim:{directory.id}", "SCIM", path, words)
            return step, record is not None, self._default_groups(directory.id)
        if person is not None:
            return None, True, []
        if by_site:
            if self.lookups.site is None:
                raise Impossible(
                    "Gatehouse has no access to a Jira site: an administrator must set ATLASSIAN_SITE_URL."
                )
            words = f"make an account for {newcomer.name} at the Jira site, because that was asked for"
            step = _step_for(
                newcomer, None, "create_site_user", "site", "Jira site (legacy)", "/rest/api/3/user", words
            )
            return step, False, [LATER]
        words = f"invite {newcomer.name} by the Organizations API, because no SCIM directory is ours"
        path = f"/admin/v2/orgs/{self.organization.org_id}/users/invite"
        return _step_for(newcomer, None, "invite", "org", "Organizations", path, words), False, []

    def _fed_from_elsewhere(self, person: OrgUser | None) -> str:
        """Whose account another directory feeds has it already; a second record would make two owners of it."""
        links = self.lookups.links_now(person.account_id) if person is not None else ()
        owners = [self.lookups.rules.directory(link.directory_id) for link in links]
        fed = next((owner for owner in owners if owner.owner != "ours"), None)
        return f"The account is fed by the identity provider of directory {fed.name}, so none is made." if fed else ""

    def _default_groups(self, directory: str) -> list[str]:
        """Atlassian puts everybody of a directory into a group of its own making; which one is read, never assumed."""
        names = self.default_groups(directory)
        return [f"Whoever is in this directory is put into {' and '.join(names)} by Atlassian itself."] if names else []

    def default_groups(self, directory: str) -> list[str]:
        """The groups that everybody of the first page of a directory is in."""
        everywhere: dict[str, str] | None = None
        for user in islice(self.lookups.scim[directory].users(), FIRST_PAGE):
            held = {group.value: group.display or group.value for group in user.groups}
            everywhere = held if everywhere is None else {key: everywhere[key] for key in everywhere if key in held}
        return sorted((everywhere or {}).values())

    def record(self, directory: str, mail: str) -> ScimUser | None:
        """The record of this address in a directory, by its user name."""
        return self.lookups.scim[directory].find_by_user_name(mail)

    def arrived(self, mail: str) -> Arrived | None:
        """The account of this address as the organization shows it, with what it opens."""
        found = self.organization.users_by_email([mail], expand=("productAccess",))
        person = next((one for one in found if one.email and same_text(one.email, mail)), None)
        if person is None:
            return None
        held = {self.lookups.product_on_site(one.id or one.key or "") for one in person.product_access or []}
        return Arrived(person.account_id, named(person), tuple(sorted(held)))

    def perform(self, step: Step) -> str:
        newcomer = Newcomer.model_validate_json(step.value)
        if step.does == "create_user":
            made = self._create(step.owner.removeprefix("scim:"), newcomer)
            self.lookups.forget(step.account)  # what was known of who had no record
            return made
        if step.does == "create_site_user":
            assert self.lookups.site is not None  # the plan has looked
            self.lookups.site.create_user(newcomer.mail, [])
            return "201: made, or there before"
        refused = [part for one in self.organization.invite([newcomer.mail]) for part in one.refused]
        if refused:
            raise Unreadable("Atlassian organization", "invite the person", why=str(refused[0].reason), maybe_done=True)
        return "200: invited"

    def _create(self, directory: str, newcomer: Newcomer) -> str:
        """A record that exists is adopted, when it is the one of this address."""
        try:
            self.lookups.scim[directory].create(
                user_name=newcomer.mail,
                email=newcomer.mail,
                given_name=newcomer.given or None,
                family_name=newcomer.family or None,
                display_name=newcomer.name,
            )
        except Conflict:
            if self.record(directory, newcomer.mail) is None:
                raise
            return "409: there already, adopted"
        return "201: made"

    def is_true(self, step: Step) -> bool:
        newcomer = Newcomer.model_validate_json(step.value)
        if step.does == "create_user":
            return self.record(step.owner.removeprefix("scim:"), newcomer.mail) is not None
        if step.does == "create_site_user" and self.lookups.site is not None:
            found = self.lookups.site.search_users(query=newcomer.mail).users
            return any(user.email_address is None or same_text(user.email_address, newcomer.mail) for user in found)
        found_here = self.organization.users_by_email([newcomer.mail])
        return any(one.email is not None and same_text(one.email, newcomer.mail) for one in found_here)


def _step_for(
    newcomer: Newcomer, person: OrgUser | None, does: str, owner: str, api: str, path: str, words: str
) -> Step:
    """Nobody has an account id before there is an account: then the address stands for it."""
    who = person.account_id if person else newcomer.mail
    fields = {"does": does, "owner": owner, "api": api, "method": "POST", "path": path, "words": words}
    return Step.model_validate({**fields, "account": who, "member": who, "value": newcomer.model_dump_json()})
