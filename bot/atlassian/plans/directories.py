"""Who is suspended in which directory: Atlassian tells it of all together, and of one only beside what it gives."""

from collections.abc import Sequence

from approvals.plan import Step
from bot.atlassian.organization import OrganizationClient


class Directories:
    """Reads how somebody stands in each of their directories.

    https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/: a person's ``membershipStatus`` is
    active as long as they are active in one of them; ``userDirectoryStatus`` is that of one, and comes with a role.
    """

    def __init__(self, organization: OrganizationClient) -> None:
        self.organization = organization
        self._restored: dict[tuple[str, str], bool] = {}  # account and directory, from the answer to the read-back

    def stands(self, account: str, directories: Sequence[str], everywhere: str | None) -> dict[str, str]:
        """By directory active | suspended | no_membership; one that nothing tells of is left out.

        ``everywhere`` is the person's status over all of them.
        """
        if len(directories) == 1:
            return {directories[0]: everywhere or ""}
        told = self._beside_roles(account, directories)
        rest = [one for one in directories if one not in told]
        if everywhere == "suspended":
            return {**told, **dict.fromkeys(rest, "suspended")}
        if everywhere == "active" and len(rest) == 1 and "active" not in told.values():
            return {**told, rest[0]: "active"}
        return told

    def is_true(self, step: Step) -> bool:
        """Whether a step that suspends or restores is so; see ``value_of``.

        The last step that suspends is true once all of them are so: with the call before it nothing may show yet.
        Where nothing tells of one directory, the call that was just answered is the proof that it is restored.
        """
        directory, directories = _of(step)
        answered = self._restored.pop((step.member, directory), False)
        where = directory if len(directories) == 1 else "-"
        found = self.organization.users_by_account([step.member], directory=where)
        stands = self.stands(step.member, directories, found[0].membership_status if found else None)
        if step.does == "restore":
            return stands.get(directory) == "active" or (answered and directory not in stands)
        if directory == directories[-1]:
            return all(stands.get(one) == "suspended" for one in directories)
        return stands.get(directory) == "suspended"

    def perform(self, step: Step) -> str:
        directory, _ = _of(step)
        self.forget(step.member)
        if step.does == "suspend":
            self.organization.suspend(step.member, directory=directory)
        else:
            self.organization.restore(step.member, directory=directory)
            self._restored[step.member, directory] = True
        return "204: accepted"

    def forget(self, account: str) -> None:
        """What was answered before says nothing of what is asked now."""
        for key in [key for key in list(self._restored) if key[0] == account]:
            self._restored.pop(key, None)

    def _beside_roles(self, account: str, directories: Sequence[str]) -> dict[str, str]:
        told: dict[str, set[str]] = {}
        for row in self.organization.user_roles(account):
            if row.directory_id in directories and row.user_directory_status:
                told.setdefault(str(row.directory_id), set()).add(row.user_directory_status)
        return {directory: statuses.pop() for directory, statuses in told.items() if len(statuses) == 1}


def value_of(directories: Sequence[str]) -> str:
    """What such a step has as its value: all directories of the person in the order of the steps, if it isn't one."""
    return " ".join(directories) if len(directories) > 1 else ""


def _of(step: Step) -> tuple[str, list[str]]:
    directory = step.owner.removeprefix("org:")
    return directory, step.value.split() or [directory]
