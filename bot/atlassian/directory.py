"""Atlassian as the decisions need it: which API owns what is asked, the steps, the calls, the read-back."""

from collections.abc import Iterable, Mapping

from approvals.plan import Step, Survey
from approvals.policy import Entitlement, ScimDirectory
from approvals.ports import Impossible
from bot.atlassian.errors import BadRequest, NotFound
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.shapes import OrgGroup, OrgUser, ScimGroup

GONE = {"closed": "was deleted", "inactive": "is deactivated"}


class AtlassianDirectory:
    """See ``approvals.ports.Directory``. ``ours`` are the SCIM directories the policy lets us write, with a client."""

    def __init__(
        self, organization: OrganizationClient, ours: Mapping[str, ScimClient], named: Iterable[ScimDirectory]
    ) -> None:
        self.organization = organization
        self.ours = ours
        self.names = {directory.id: directory.name for directory in named}

    def close(self) -> None:
        self.organization.close()
        for scim in self.ours.values():
            scim.close()

    def everyone(self) -> Iterable[OrgUser]:
        """Every account of the organization, for the mirror."""
        return self.organization.users()

    def owner_of(self, group_name: str) -> str:
        """The directory of ours that gives this group; ``Impossible`` says why none does, as a request would hear."""
        return self._owner(self._group(group_name))[0]

    def survey_grant(self, account: str, entitlement: Entitlement) -> Survey:
        """Read the account, who owns the group, and the account's record there; a group is looked up by its name.

        The id in the address of a group's page is not the SCIM id, so it is never taken from there
        (https://community.atlassian.com/, "Atlassian Access APIs and user provisioning").
        """
        person = self._person(account)
        group = self._group(entitlement.group)
        directory, scim_group = self._owner(group)
        scim = self.ours[directory]
        member = self._member(account, directory, person, entitlement)
        record = scim.get(member)
        warnings = []
        if record.active is False:
            warnings.append(f"The record of {_named(person)} in directory {self.names[directory]} is not active.")
        name = self.names[directory]
        step = Step(
            does="add_member",
            owner=f"scim:{directory}",
            group_id=scim_group.id,
            group_name=entitlement.group,
            account=account,
            member=member,
            api="SCIM",
            method="PATCH",
            path=f"/scim/directory/{directory}/Groups/{scim_group.id}",
            words=f"add {_named(person)} to the group {entitlement.group} by SCIM, "
            f"because the group is synced from directory {name}",
        )
        return Survey(
            steps=(step,),
            holds=scim_group.id in record.group_ids,
            subject_name=_named(person),
            subject_mail=person.email or "",
            warnings=tuple(warnings),
        )

    def removal(self, step: Step) -> Step:
        words = step.words.replace("add ", "take ", 1).replace(" to the group ", " out of the group ", 1)
        return step.model_copy(update={"does": "remove_member", "words": words})

    def perform(self, step: Step) -> str:
        scim = self._scim(step)
        if step.does == "add_member":
            scim.add_members(step.group_id, [step.member])
            return f"200: {step.group_name} was patched"
        try:
            scim.remove_member(step.group_id, step.member)
        except NotFound as missing:
            return f"404: {missing.detail or 'already gone'}"
        return f"200: {step.group_name} was patched"

    def is_true(self, step: Step) -> bool:
        """One person's membership is read from the person."""
        try:
            record = self._scim(step).get(step.member)
        except NotFound:
            return step.does == "remove_member"  # who is not there is in no group
        return (step.group_id in record.group_ids) == (step.does == "add_member")

    # -- reading --------------------------------------------------------------------------------------------------

    def _person(self, account: str) -> OrgUser:
        found = [user for user in self.organization.users_by_account([account]) if user.account_id == account]
        if not found:
            raise Impossible(f"The organization has no account {account}. Somebody must invite or provision it first.")
        person = found[0]
        if person.account_status in GONE:
            raise Impossible(
                f"The account of {_named(person)} {GONE[person.account_status]}, so nothing can be given to it."
            )
        return person

    def _group(self, name: str) -> OrgGroup:
        found = [
            group for group in self.organization.groups_by_name([name]) if group.name.casefold() == name.casefold()
        ]
        if not found:
            raise Impossible(
                f"The organization has no group named {name}. "
                "An administrator must create it, or mend its name in the policy."
            )
        return found[0]

    def _owner(self, group: OrgGroup) -> tuple[str, ScimGroup]:
        """The directory of ours that the group is synced from, and its record there."""
        if not group.synced:
            raise Impossible(
                f"The group {group.name} is not synced from a SCIM directory, and Gatehouse writes only to those. "
                "An administrator can change it at admin.atlassian.com."
            )
        for directory, scim in self.ours.items():
            record = scim.find_group_by_name(group.name)
            if record is not None:
                return directory, record
        raise Impossible(
            f"The group {group.name} is synced from an identity provider. Ask for it there: "
            "what Gatehouse changed, the next sync would undo."
        )

    def _member(self, account: str, directory: str, person: OrgUser, entitlement: Entitlement) -> str:
        for link in self.organization.scim_links(account):
            if link.directory_id == directory:
                return link.scim_user_id
        raise Impossible(
            f"{_named(person)} has no record in directory {self.names[directory]}, which owns the group "
            f"{entitlement.group}. Somebody must provision the account there first."
        )

    def _scim(self, step: Step) -> ScimClient:
        directory = step.owner.removeprefix("scim:")
        if directory not in self.ours:
            raise BadRequest(
                "Atlassian user provisioning", "find the key", why=f"directory {directory} is not ours any more"
            )
        return self.ours[directory]


def _named(person: OrgUser) -> str:
    """Some accounts show no name."""
    return person.name or person.account_id
