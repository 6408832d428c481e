"""Letting an account in and locking it out, with its API tokens: deactivate, reactivate, suspend, restore."""

import time
from collections.abc import Callable

from approvals.plan import Does, Step, Survey
from approvals.policy import ScimDirectory
from approvals.ports import DirectoryError, Impossible
from bot.atlassian.org_roles import ORG_ADMIN
from bot.atlassian.plans.directories import Directories, value_of
from bot.atlassian.plans.lookups import Lookups, insist_not_closed, named
from bot.atlassian.plans.roads import UNDONE
from bot.atlassian.plans.routes import ADMIN
from bot.atlassian.shapes import OrgUser, Privileges, ScimLink

TOKENS_FOR = 10.0  # seconds that the tokens may hold up the deactivation
REASONS = {
    "externalDirectory.scim": "the account is fed by a directory that Gatehouse has no key for; change it there",
    "externalDirectory.google": "the account is synced from Google; change it in the Google admin console",
    "blocked.exportControl": "Atlassian has blocked the account under United States export control, and nobody here "
    "can lift that",
    "administrative.notMyself": "nobody changes their own account",
}
NOT_OURS_TO_OPEN = (
    "The account of {name} is not managed by the organization, so only Atlassian can let it in again. Access here that "
    "was suspended comes back with `/access restore`."
)
LIVES_ON = (
    "The account of {name} is not managed by the organization, so it can't be {done}. It can be suspended "
    "(`/access suspend`): that takes its access here, and its Atlassian account lives on."
)


class Standing:
    """Plans of deactivation, reactivation, suspension and restoring, and their steps."""

    def __init__(self, lookups: Lookups, clock: Callable[[], float] = time.monotonic) -> None:
        self.lookups = lookups
        self.accounts = lookups.accounts
        self.organization = lookups.organization
        self.directories = Directories(lookups.organization)
        self._clock = clock

    # -- plans ----------------------------------------------------------------------------------------------------

    def deactivate(self, account: str) -> Survey:
        """Tokens first, then the account, then the tokens that are left or new. Never by DELETE."""
        person = self._person(account)
        if person.claim_status == "unmanaged":
            raise Impossible(LIVES_ON.format(name=named(person), done="deactivated"))
        records = self.lookups.writable(account)
        privileges = self.accounts.privileges(account)
        if not records and not privileges.allowed("lifecycle.enablement"):
            raise Impossible(refusal("deactivated", person, privileges, "lifecycle.enablement"))
        tokens = self.accounts.api_tokens(account)
        warnings = _lost(len(tokens))
        warnings += [UNDONE for _, directory in records if directory.owner == "fed"]
        warnings += self._where_active(person)
        first = self._tokens(person).model_copy(update={"optional": True})
        steps = (first, *self._switch(person, records, "deactivate"), self._tokens(person))
        return survey_of(person, steps, person.account_status == "inactive" and not tokens, warnings)

    def reactivate(self, account: str, *, keep_tokens: bool = False) -> Survey:
        """By ``active: true`` where a directory of ours has the account; what would live again is named and deleted."""
        person = self._person(account)
        if person.claim_status == "unmanaged":
            raise Impossible(NOT_OURS_TO_OPEN.format(name=named(person)))
        privileges = self.accounts.privileges(account)
        if person.status == "for_deletion":
            raise Impossible(
                f"The account of {named(person)} is about to be deleted: cancel the deletion in Atlassian "
                "administration first, which reactivates it."
            )
        records = self.lookups.writable(account)
        blocked = privileges.reason("lifecycle.enablement") == "blocked.exportControl"
        if blocked or (not records and not privileges.allowed("lifecycle.enablement")):
            raise Impossible(refusal("reactivated", person, privileges, "lifecycle.enablement"))
        tokens = self.accounts.api_tokens(account)
        warnings = [UNDONE for _, directory in records if directory.owner == "fed"]
        if tokens:
            ids = ", ".join(token.id for token in tokens)
            it = "It" if len(tokens) == 1 else "They"
            fate = "will work again." if keep_tokens else f"{'is' if len(tokens) == 1 else 'are'} deleted first."
            warnings.append(f"{_tokens(len(tokens))} survived and would work again: {ids}. {it} {fate}")
        before = () if keep_tokens else (self._tokens(person),)
        steps = (*before, *self._switch(person, records, "reactivate"))
        return survey_of(person, steps, person.account_status == "active", warnings)

    def tokens(self, account: str) -> Survey:
        """Only the API tokens; ``holds`` says that there is none."""
        person = self._person(account)
        if person.claim_status == "unmanaged":
            raise Impossible(
                f"The account of {named(person)} is not managed by the organization, so its API tokens can't be "
                "deleted here. It can be suspended (`/access suspend`)."
            )
        tokens = self.accounts.api_tokens(account)
        warnings = _lost(len(tokens))
        return survey_of(person, (self._tokens(person),) if tokens else (), not tokens, warnings)

    def suspend(self, account: str) -> Survey:
        return self._in_each_directory(account, "suspend")

    def restore(self, account: str) -> Survey:
        return self._in_each_directory(account, "restore")

    def _person(self, account: str) -> OrgUser:
        person = self.lookups.person_now(account, expand=("platformRoles", "productAccess"))
        if ORG_ADMIN in (person.platform_roles or []):
            raise Impossible(ADMIN.format(name=named(person)))
        insist_not_closed(person)
        return person

    def _where_active(self, person: OrgUser) -> list[str]:
        """The products somebody is active in, each with its site."""
        held = sorted({self.lookups.product_on_site(one.id or one.key or "") for one in person.product_access or []})
        return [f"Active in {', '.join(held)}."] if held else []

    def _switch(self, person: OrgUser, records: list[tuple[ScimLink, ScimDirectory]], does: Does) -> list[Step]:
        """SCIM where a directory that we may write has the account, in each of them; User management otherwise."""
        if not records:
            verb = "disable" if does == "deactivate" else "enable"
            path = f"/users/{person.account_id}/manage/lifecycle/{verb}"
            words = f"{does} {named(person)} by User management, because no directory feeds the account"
            return [step_about(person, does, "accounts", "User management", "POST", path, words)]
        return [
            step_about(
                person, does, f"scim:{link.directory_id}", "SCIM", "PATCH",
                f"/scim/directory/{link.directory_id}/Users/{link.scim_user_id}",
                f"{does} {named(person)} by SCIM, because the account is synced from directory {directory.name}",
                member=link.scim_user_id,
            )
            for link, directory in records
        ]  # fmt: skip

    def _tokens(self, person: OrgUser) -> Step:
        path = f"/users/{person.account_id}/manage/api-tokens"
        words = f"delete the API tokens of {named(person)}, one by one"
        return step_about(person, "delete_tokens", "accounts", "User management", "DELETE", path, words)

    def _in_each_directory(self, account: str, does: Does) -> Survey:
        """All are suspended before it is waited for one to show: of several the last step alone sees to that."""
        person = self._person(account)
        wanted = "suspended" if does == "suspend" else "active"
        names = self._directories_of(account)
        if not names:
            raise Impossible(f"{named(person)} is in no directory of the organization.")
        self.directories.forget(account)
        stands = self.directories.stands(account, list(names), person.membership_status)
        steps = [self._in_directory(person, does, id, name, value_of(list(names))) for id, name in names.items()]
        if does == "suspend":
            steps[:-1] = [step.model_copy(update={"optional": True}) for step in steps[:-1]]
        so = [stands.get(id) == wanted for id in names]
        unmanaged = person.claim_status == "unmanaged"
        warnings = [f"The Atlassian account of {named(person)} lives on elsewhere."] if unmanaged else []
        return survey_of(person, tuple(steps), all(so), warnings)

    def _directories_of(self, account: str) -> dict[str, str]:
        """Those somebody is in, by id in a steady order, with what they are called."""
        found = {one.directory_id: one.name or one.directory_id for one in self.organization.directories()}
        return {id: found[id] for id in sorted(found) if self.organization.users_by_account([account], directory=id)}

    def _in_directory(self, person: OrgUser, does: Does, id: str, name: str, value: str) -> Step:
        path = f"/admin/v2/orgs/{self.organization.org_id}/directories/{id}/users/{person.account_id}/{does}"
        words = f"{does} {named(person)} in the directory {name} by the Organizations API"
        return step_about(person, does, f"org:{id}", "Organizations", "POST", path, words, value=value)

    # -- deeds ----------------------------------------------------------------------------------------------------

    def perform(self, step: Step) -> str:
        match step.does:
            case "delete_tokens":
                return self._delete_tokens(step)
            case "suspend" | "restore":
                return self.directories.perform(step)
        active = step.does == "reactivate"
        if step.owner != "accounts":
            scim = self.lookups.scim[step.owner.removeprefix("scim:")]
            (scim.activate if active else scim.deactivate)(step.member)
            return "200: the record was patched"
        asked = (self.accounts.enable if active else self.accounts.disable)(step.member)
        if asked.refusal is not None and not self.is_true(step):
            raise asked.refusal
        return "204: accepted" if asked.accepted else "409: so already"

    def is_true(self, step: Step) -> bool:
        match step.does:
            case "delete_tokens":
                return not self.accounts.api_tokens(step.member)
            case "suspend" | "restore":
                return self.directories.is_true(step)
        active = step.does == "reactivate"
        if step.owner != "accounts":
            told = self.lookups.scim[step.owner.removeprefix("scim:")].get(step.member).active
            if told is not None and told != active:  # an answer may leave it out: unknown, not false
                return False
        # A record that lost its account says nothing of it, so the account has the last word.
        return self.accounts.profile(step.account).account_status == ("active" if active else "inactive")

    def _delete_tokens(self, step: Step) -> str:
        """One by one; an optional step gives up after ten seconds, or at the first trouble, for a later one follows."""
        until, deleted = self._clock() + TOKENS_FOR, 0
        try:
            for token in self.accounts.api_tokens(step.member):
                if step.optional and self._clock() > until:
                    break
                deleted += self.accounts.delete_api_token(step.member, token.id)
        except DirectoryError as trouble:
            if not step.optional:
                raise
            return f"{_tokens(deleted)} deleted, then: {trouble}"
        return f"204: {_tokens(deleted)} deleted"


def _tokens(number: int) -> str:
    return "1 API token" if number == 1 else f"{number} API tokens"


def _lost(number: int) -> list[str]:
    are = "is" if number == 1 else "are"
    return (
        [f"{_tokens(number)} {are} deleted; nothing brings {'it' if number == 1 else 'them'} back."] if number else []
    )


def step_about(
    person: OrgUser, does: Does, owner: str, api: str, method: str, path: str, words: str, **more: str
) -> Step:
    """A step about the account itself; ``more`` are ``member`` where SCIM has an id of its own, and ``value``."""
    ids = {"account": person.account_id, "member": person.account_id, **more}
    return Step(does=does, owner=owner, api=api, method=method, path=path, words=words, **ids)


def survey_of(person: OrgUser, steps: tuple[Step, ...], holds: bool, warnings: list[str]) -> Survey:
    return Survey(
        steps=steps,
        holds=holds,
        subject_name=named(person),
        subject_mail=person.email or "",
        warnings=tuple(warnings),
    )


def refusal(done: str, person: OrgUser, privileges: Privileges, privilege: str) -> str:
    key = privileges.reason(privilege) or privileges.external or ""
    why = REASONS.get(key, f"Atlassian does not allow it ({key})" if key else "Atlassian does not allow it")
    return f"The account of {named(person)} can't be {done}: {why}."
