"""Who of some people holds a thing now: one list of its group, and person by person only where that is less or all."""

from collections.abc import Callable, Collection, Mapping

from approvals.plan import Step
from approvals.ports import DirectoryError, Impossible
from bot.atlassian.errors import NotFound
from bot.atlassian.plans.lookups import Lookups
from bot.atlassian.plans.more_roads import NO_SITE

PAGE = 100  # people of a group that one call lists
GONE = "The group {name} is not there any more, so nobody can say who should be in it. Mend its name in the policy."


class Holdings:
    """``step`` is any step that gives the thing; ``holds`` reads one person by their own record."""

    def __init__(self, lookups: Lookups, holds: Callable[[Step], bool]) -> None:
        self.lookups = lookups
        self.holds = holds

    def who_hold(self, step: Step, members: Collection[str]) -> frozenset[str]:
        """See ``approvals.ports.Registry``."""
        wanted = frozenset(members)
        if not wanted:
            return wanted
        if step.does == "assign_role":  # the search for a role finds who has it anywhere
            return self._one_by_one(step, wanted)
        try:
            kind = step.owner.partition(":")[0]
            return _LISTS[kind](self, step, wanted)
        except NotFound as missing:
            if not missing.by_api:
                raise
            raise DirectoryError(GONE.format(name=step.target_name)) from None

    def _of_scim(self, step: Step, wanted: frozenset[str]) -> frozenset[str]:
        """The whole group with one call, however many are in it."""
        scim = self.lookups.scim.get(step.owner.removeprefix("scim:"))
        if scim is None:
            raise DirectoryError(f"The key of the directory that owns {step.target_name} is not here any more.")
        return wanted & scim.get_group(step.target).member_ids

    def _of_organization(self, step: Step, wanted: frozenset[str]) -> frozenset[str]:
        """Page by page, unless the few that are wanted are fewer than the pages."""
        size = (self.lookups.group(step.target_name).counts or {}).get("users") if len(wanted) > 1 else None
        if len(wanted) == 1 or (isinstance(size, int) and len(wanted) * PAGE < size):
            return self._one_by_one(step, wanted)
        directory = step.owner.removeprefix("org:")
        found = self.lookups.organization.users_of_group(step.target, directory=directory)
        return wanted & frozenset(person.account_id for person in found)

    def _of_site(self, step: Step, wanted: frozenset[str]) -> frozenset[str]:
        """Who is suspended may be left out of the list, so whoever is missing there is asked for."""
        site = self.lookups.site
        if site is None:
            raise Impossible(NO_SITE.format(name=step.target_name))
        listed = wanted & frozenset(member.account_id for member in site.members(step.target))
        return listed | self._one_by_one(step, wanted - listed)

    def _one_by_one(self, step: Step, wanted: frozenset[str]) -> frozenset[str]:
        def of(member: str) -> Step:
            return step.model_copy(update={"account": member, "member": member})

        return frozenset(member for member in wanted if self.holds(of(member)))


_LISTS: Mapping[str, Callable[[Holdings, Step, frozenset[str]], frozenset[str]]] = {
    "scim": Holdings._of_scim, "org": Holdings._of_organization, "site": Holdings._of_site,
}  # fmt: skip
