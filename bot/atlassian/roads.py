"""The roads by which a membership is changed, one for each API that owns groups."""

from dataclasses import dataclass, replace
from typing import Protocol

from approvals.plan import Step
from approvals.policy import Entitlement
from approvals.ports import Impossible
from bot.atlassian.errors import NotFound
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.shapes import OrgGroup, OrgUser, ScimGroup, ScimUser


class Road(Protocol):
    """One API's way to put somebody into a group, to take them out, and to see whether they are in it."""

    def step(self, group: OrgGroup, person: OrgUser, entitlement: Entitlement) -> tuple[Step, bool, list[str]]:
        """The step that gives, whether it is held already, and warnings. ``Impossible`` says why there is none."""
        ...

    def removal(self, step: Step) -> Step: ...

    def add(self, step: Step) -> str:
        """Atlassian's answer in short."""
        ...

    def remove(self, step: Step) -> str: ...

    def holds(self, step: Step) -> bool:
        """One person's membership is read from the person."""
        ...


@dataclass(frozen=True)
class ScimRoad:
    """Groups that a SCIM directory of ours feeds: PATCH /Groups/{id}, with the key of that directory.

    https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
    """

    scim: ScimClient
    directory: str
    name: str
    organization: OrganizationClient
    there: ScimGroup | None = None  # the group it leads to

    def to(self, group: OrgGroup) -> "ScimRoad | None":
        """The road to this group, when the directory has it; it is found by its name.

        The id in the address of a group's page is not the SCIM id, so it is never taken from there
        (https://community.atlassian.com/, "Atlassian Access APIs and user provisioning").
        """
        there = self.scim.find_group_by_name(group.name)
        return replace(self, there=there) if there else None

    def step(self, group: OrgGroup, person: OrgUser, entitlement: Entitlement) -> tuple[Step, bool, list[str]]:
        there = self.there
        assert there is not None  # ``to`` has looked
        record = self._record(person, entitlement)
        warnings = []
        if record.active is False:
            warnings.append(f"The record of {named(person)} in directory {self.name} is not active.")
        step = Step(
            does="add_member",
            owner=f"scim:{self.directory}",
            group_id=there.id,
            group_name=entitlement.group,
            account=person.account_id,
            member=record.id,
            api="SCIM",
            method="PATCH",
            path=f"/scim/directory/{self.directory}/Groups/{there.id}",
            words=f"add {named(person)} to the group {entitlement.group} by SCIM, "
            f"because the group is synced from directory {self.name}",
        )
        return step, there.id in record.group_ids, warnings

    def _record(self, person: OrgUser, entitlement: Entitlement) -> ScimUser:
        for link in self.organization.scim_links(person.account_id):
            if link.directory_id == self.directory:
                return self.scim.get(link.scim_user_id)
        raise Impossible(
            f"{named(person)} has no record in directory {self.name}, which owns the group "
            f"{entitlement.group}. Somebody must provision the account there first."
        )

    def removal(self, step: Step) -> Step:
        return step.model_copy(update={"does": "remove_member", "words": taken(step.words)})

    def add(self, step: Step) -> str:
        self.scim.add_members(step.group_id, [step.member])
        return f"200: {step.group_name} was patched"

    def remove(self, step: Step) -> str:
        try:
            self.scim.remove_member(step.group_id, step.member)
        except NotFound as missing:
            return f"404: {missing.detail or 'already gone'}"
        return f"200: {step.group_name} was patched"

    def holds(self, step: Step) -> bool:
        try:
            return step.group_id in self.scim.get(step.member).group_ids
        except NotFound as missing:
            if not missing.by_api:
                raise
            return False  # who is not there is in no group


class OrganizationRoad:
    """Groups that no directory feeds: memberships of the Organizations API, with the organization's key.

    https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/
    """

    def __init__(self, organization: OrganizationClient) -> None:
        self.organization = organization

    def step(self, group: OrgGroup, person: OrgUser, entitlement: Entitlement) -> tuple[Step, bool, list[str]]:
        directory = group.directory_id
        if directory is None:
            raise Impossible(f"Atlassian does not tell which directory the group {group.name} is in.")
        step = Step(
            does="add_member",
            owner=f"org:{directory}",
            group_id=group.id,
            group_name=entitlement.group,
            account=person.account_id,
            member=person.account_id,
            api="Organizations",
            method="POST",
            path=self._path(directory, group.id),
            words=f"add {named(person)} to the group {entitlement.group} by the Organizations API, "
            "because no directory feeds the group",
        )
        return step, self.holds(step), self._warnings(person)

    def _warnings(self, person: OrgUser) -> list[str]:
        if person.claim_status != "unmanaged":
            return []
        return [f"The account of {named(person)} is not managed by the organization: what it may do here can be taken, "
                "the account itself lives on."]  # fmt: skip

    def _path(self, directory: str, group: str) -> str:
        return f"/admin/v2/orgs/{self.organization.org_id}/directories/{directory}/groups/{group}/memberships"

    def removal(self, step: Step) -> Step:
        changes = {"does": "remove_member", "method": "DELETE", "path": f"{step.path}/{step.member}"}
        return step.model_copy(update={**changes, "words": taken(step.words)})

    def add(self, step: Step) -> str:
        added = self.organization.add_member(step.group_id, step.member, directory=_directory(step))
        return "204: accepted" if added else "409: a member already"

    def remove(self, step: Step) -> str:
        removed = self.organization.remove_member(step.group_id, step.member, directory=_directory(step))
        return "204: accepted" if removed else "404: no member any more"

    def holds(self, step: Step) -> bool:
        found = self.organization.groups_of_account(step.member, directory=_directory(step))
        return any(group.id == step.group_id for group in found)


def _directory(step: Step) -> str:
    return step.owner.removeprefix("org:")


def taken(words: str) -> str:
    """The sentence of a step that gives, turned round."""
    return words.replace("add ", "take ", 1).replace(" to the group ", " out of the group ", 1)


def named(person: OrgUser) -> str:
    """Some accounts show no name."""
    return person.name or person.account_id
