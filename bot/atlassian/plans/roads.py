"""The roads by which a membership or a role is given and taken, one for each API that owns such things."""

from dataclasses import dataclass
from typing import Protocol

from approvals.plan import Step
from approvals.policy import Entitlement
from approvals.ports import Impossible
from bot.atlassian.errors import NotFound
from bot.atlassian.plans.lookups import Lookups, may_be_given, named
from bot.atlassian.shapes import OrgGroup, OrgUser, ScimUser

UNDONE = "Your identity provider may undo this: take it away there as well."


@dataclass(frozen=True)
class Planned:
    """The step that gives something, whether it is held already, and what to know of it."""

    step: Step
    holds: bool
    person: OrgUser
    warnings: tuple[str, ...] = ()


class Deed(Protocol):
    """Does what steps say, and sees whether it is so."""

    def perform(self, step: Step) -> str:
        """Make the one call; safe to repeat. Returns Atlassian's answer in short."""
        ...

    def is_true(self, step: Step) -> bool:
        """Read whether what the step wants is so."""
        ...


class Road(Deed, Protocol):
    """One API's way to give and to take."""

    def plan(self, account: str, entitlement: Entitlement, *, giving: bool = True) -> Planned:
        """The step that gives, also when it is to be turned round. ``Impossible`` says why there is none."""
        ...

    def removal(self, step: Step) -> Step: ...


class ScimRoad:
    """Groups that a SCIM directory feeds which we may write: PATCH /Groups/{id}, with the key of that directory.

    https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
    """

    def __init__(self, lookups: Lookups, directory: str) -> None:
        self.lookups = lookups
        self.directory = directory
        self.scim = lookups.scim[directory]
        self.name = lookups.rules.directory(directory).name
        self.fed = lookups.rules.directory(directory).owner == "fed"

    def has(self, group: str) -> bool:
        return self.lookups.scim_group(self.directory, group) is not None

    def plan(self, account: str, entitlement: Entitlement, *, giving: bool = True) -> Planned:
        person = self.lookups.person(account)
        group_id = self.lookups.scim_group(self.directory, self.lookups.group(entitlement.group).name)
        assert group_id is not None  # ``has`` was asked
        record = self._record(person, entitlement)
        if record.active is False or person.account_status != "active":
            person = self.lookups.person_now(account)
        warnings = may_be_given(person, self.lookups.rules) if giving else []
        if giving and record.active is False:
            warnings.append(f"The record of {named(person)} in directory {self.name} is not active.")
        step = Step(
            does="add_member",
            owner=f"scim:{self.directory}",
            target=group_id,
            target_name=entitlement.group,
            account=account,
            member=record.id,
            api="SCIM",
            method="PATCH",
            path=f"/scim/directory/{self.directory}/Groups/{group_id}",
            words=f"add {named(person)} to the group {entitlement.group} by SCIM, "
            f"because the group is synced from directory {self.name}",
        )
        return Planned(step, group_id in record.group_ids, person, tuple(warnings))

    def _record(self, person: OrgUser, entitlement: Entitlement) -> ScimUser:
        """The record, read now; a link that was remembered and leads nowhere is looked up again."""
        for _ in range(2):
            link = self.lookups.link(person.account_id, self.directory)
            if link is None:
                break
            try:
                return self.scim.get(link.scim_user_id)
            except NotFound as missing:
                if not missing.by_api:  # a gateway's says nothing about the record
                    raise
                self.lookups.forget(person.account_id)
        raise Impossible(
            f"{named(person)} has no record in directory {self.name}, which owns the group "
            f"{entitlement.group}. Somebody must provision the account there first."
        )

    def removal(self, step: Step) -> Step:
        return step.model_copy(update={"does": "remove_member", "words": taken(step.words)})

    def perform(self, step: Step) -> str:
        try:
            if step.does == "add_member":
                self.scim.add_members(step.target, [step.member])
            else:
                self.scim.remove_member(step.target, step.member)
        except NotFound as missing:
            self.lookups.forget(step.account, step.target_name)
            if step.does == "add_member" or not missing.by_api:
                raise
            return f"404: {missing.detail or 'already gone'}"
        return f"200: {step.target_name} was patched"

    def is_true(self, step: Step) -> bool:
        """One person's membership is read from the person; who is not there is in no group."""
        try:
            holds = step.target in self.scim.get(step.member).group_ids
        except NotFound as missing:
            if not missing.by_api:
                raise
            holds = False
        return holds == (step.does == "add_member")


class OrganizationRoad:
    """Groups that no directory feeds: memberships of the Organizations API, with the organization's key.

    https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/
    """

    def __init__(self, lookups: Lookups) -> None:
        self.lookups = lookups
        self.organization = lookups.organization

    def plan(self, account: str, entitlement: Entitlement, *, giving: bool = True) -> Planned:
        group = self.lookups.group(entitlement.group)
        person = self.lookups.person_now(account, expand=("groups",))
        warnings = may_be_given(person, self.lookups.rules) if giving else []
        if group.directory_id is None:
            raise Impossible(f"Atlassian does not tell which directory the group {group.name} is in.")
        step = Step(
            does="add_member",
            owner=f"org:{group.directory_id}",
            target=group.id,
            target_name=entitlement.group,
            account=account,
            member=account,
            api="Organizations",
            method="POST",
            path=f"{self._directory(group.directory_id)}/groups/{group.id}/memberships",
            words=f"add {named(person)} to the group {entitlement.group} by the Organizations API, "
            "because no directory feeds the group",
        )
        return Planned(step, self._holds(person, group, step), person, tuple(warnings))

    def _directory(self, directory: str) -> str:
        return f"/admin/v2/orgs/{self.organization.org_id}/directories/{directory}"

    def _holds(self, person: OrgUser, group: OrgGroup, step: Step) -> bool:
        """As the person's own entry says; where it does not, the person's groups are asked for."""
        if person.groups is not None:
            return any(held.id == group.id for held in person.groups)
        return self.is_true(step)

    def removal(self, step: Step) -> Step:
        changes = {"does": "remove_member", "method": "DELETE", "path": f"{step.path}/{step.member}"}
        return step.model_copy(update={**changes, "words": taken(step.words)})

    def perform(self, step: Step) -> str:
        directory = step.owner.removeprefix("org:")
        if step.does == "add_member":
            added = self.organization.add_member(step.target, step.member, directory=directory)
            return "204: accepted" if added else "409: a member already"
        removed = self.organization.remove_member(step.target, step.member, directory=directory)
        return "204: accepted" if removed else "404: no member any more"

    def is_true(self, step: Step) -> bool:
        found = self.organization.groups_of_account(step.member, directory=step.owner.removeprefix("org:"))
        return any(group.id == step.target for group in found) == (step.does == "add_member")


def taken(words: str) -> str:
    """The sentence of a step that gives, turned round."""
    return words.replace("add ", "take ", 1).replace(" to the group ", " out of the group ", 1)
