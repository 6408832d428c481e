"""Another e-mail address for an account: through SCIM when a directory has it, through User management otherwise."""

import re
from typing import Any

from approvals.plan import Step, Survey
from approvals.ports import Impossible
from bot.atlassian.org_roles import ORG_ADMIN
from bot.atlassian.plans.lookups import Lookups, insist_not_closed, named
from bot.atlassian.plans.routes import ADMIN
from bot.atlassian.plans.standing import LIVES_ON, refusal, step_about, survey_of
from bot.atlassian.shapes import OrgUser, ScimUser
from bot.atlassian.transport import same_text

MAIL = re.compile(
    r"[^\s@<>|,;:\"()&]{1,64}@(?P<domain>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?\.[A-Za-z]{2,63})"
)
SESSIONS = "All sessions of the account end: whoever it is must log in again, with the new address."
SOURCE_OF_TRUTH = (
    "The address of {name} is owned by the identity provider of directory {directory}, which is the source of truth "
    "for it. Change it there: what Gatehouse wrote, the next sync would overwrite."
)


class Address:
    """Plans and sets an account's address.

    https://support.atlassian.com/provisioning-users/docs/understand-user-provisioning/: an account that SCIM feeds gets
    its address by SCIM only.
    """

    def __init__(self, lookups: Lookups) -> None:
        self.lookups = lookups

    def plan(self, account: str, address: str) -> Survey:
        person = self.lookups.person_now(account, expand=("platformRoles",))
        if ORG_ADMIN in (person.platform_roles or []):
            raise Impossible(ADMIN.format(name=named(person)))
        insist_not_closed(person)
        if person.claim_status == "unmanaged":
            raise Impossible(LIVES_ON.format(name=named(person), done="given another address"))
        steps = tuple(self._steps(person, address))
        if person.email is not None and same_text(person.email, address):
            return survey_of(person, steps, True, [])
        insist_ours(self.lookups, address)
        self._insist_free(person, address)
        return survey_of(person, steps, False, [SESSIONS])

    def _steps(self, person: OrgUser, address: str) -> list[Step]:
        links = self.lookups.links_now(person.account_id)
        for link in links:
            directory = self.lookups.rules.directory(link.directory_id)
            if directory.owner != "ours" or link.directory_id not in self.lookups.scim:
                raise Impossible(SOURCE_OF_TRUTH.format(name=named(person), directory=directory.name))
        if links:
            return [
                step_about(
                    person, "set_email", f"scim:{link.directory_id}", "SCIM", "PATCH",
                    f"/scim/directory/{link.directory_id}/Users/{link.scim_user_id}",
                    f"set the address of {named(person)} to {address} by SCIM, because the account is synced from "
                    f"directory {self.lookups.rules.directory(link.directory_id).name}",
                    member=link.scim_user_id, value=address,
                )
                for link in links
            ]  # fmt: skip
        privileges = self.lookups.accounts.privileges(person.account_id)
        if not privileges.allowed("email.set"):
            raise Impossible(refusal("given another address", person, privileges, "email.set"))
        words = f"set the address of {named(person)} to {address} by User management, because no directory feeds it"
        path = f"/users/{person.account_id}/manage/email"
        return [step_about(person, "set_email", "accounts", "User management", "PUT", path, words, value=address)]

    def _insist_free(self, person: OrgUser, address: str) -> None:
        others = [one for one in self.lookups.organization.users_by_email([address]) if one.email is not None]
        if any(one.account_id != person.account_id for one in others):
            raise Impossible(f"{address} is the address of another account, so {named(person)} can't have it.")

    def perform(self, step: Step) -> str:
        if step.owner == "accounts":
            self.lookups.accounts.set_email(step.member, step.value)
            return "204: accepted"
        scim = self.lookups.scim[step.owner.removeprefix("scim:")]
        scim.patch(step.member, _changes(scim.get(step.member), step.value), doing="set the e-mail")
        return "200: the record was patched"

    def is_true(self, step: Step) -> bool:
        if step.owner == "accounts":
            told = self.lookups.accounts.profile(step.member).email
            return told is not None and same_text(told, step.value)
        record = self.lookups.scim[step.owner.removeprefix("scim:")].get(step.member)
        return any(same_text(email.value, step.value) for email in record.emails if email.primary)


def _changes(record: ScimUser, address: str) -> list[dict[str, Any]]:
    """The name a record is found by is often the address; then it changes with it."""
    emails = [{"value": address, "type": "work", "primary": True}]
    changes: list[dict[str, Any]] = [{"op": "replace", "path": "emails", "value": emails}]
    old = {email.value.casefold() for email in record.emails}
    if record.user_name is not None and record.user_name.casefold() in old:
        changes.append({"op": "replace", "path": "userName", "value": address})
    return changes


def insist_ours(lookups: Lookups, address: str) -> str:
    """The domain of an address, when it is one of the organization's verified domains."""
    domain = domain_of(address)
    if domain not in lookups.domains():
        raise Impossible(
            f"{domain} is not a verified domain of the organization, so an account with an address there would not be "
            "managed by it. Verify the domain in Atlassian administration, or use another address."
        )
    return domain


def domain_of(address: str) -> str:
    """In lower case; ``Impossible`` when it is no address."""
    found = MAIL.fullmatch(address)
    if found is None:
        raise Impossible(f"“{address[:80]}” is not an e-mail address. Write it like ada@example.com.")
    return found["domain"].casefold()
