"""Atlassian as the decisions need it: which API owns what is asked, the steps, the calls, the read-back."""

from collections.abc import Callable, Iterable, Mapping

from approvals.plan import Step, Survey
from approvals.policy import Entitlement, ScimDirectory
from approvals.ports import Impossible
from bot.atlassian.errors import BadRequest
from bot.atlassian.limits import GroupLimits
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.roads import OrganizationRoad, Road, ScimRoad, named
from bot.atlassian.scim import ScimClient
from bot.atlassian.scim_groups import RESERVED, is_reserved
from bot.atlassian.shapes import OrgGroup, OrgUser

GONE = {"closed": "was deleted", "inactive": "is deactivated"}


class AtlassianDirectory:
    """See ``approvals.ports.Directory``. ``ours`` are the SCIM directories the policy lets us write, with a client."""

    def __init__(
        self,
        organization: OrganizationClient,
        ours: Mapping[str, ScimClient],
        directories: Iterable[ScimDirectory],
        *,
        limits: GroupLimits | None = None,
        reserved: tuple[str, ...] = RESERVED,
    ) -> None:
        names = {directory.id: directory.name for directory in directories}
        self.organization = organization
        self.ours = ours
        self.limits = limits or GroupLimits()
        self.reserved = reserved
        self._scim = [ScimRoad(client, id, names[id], organization) for id, client in ours.items()]
        self._local = OrganizationRoad(organization)
        # The first line that fits decides: a road, or why there is none and where to ask instead.
        self._table: tuple[Callable[[OrgGroup], Road | None], ...] = (
            self._no_road_to_default_groups,
            self._by_a_directory_of_ours,
            self._no_road_to_what_others_feed,
            lambda group: self._local,
        )

    def close(self) -> None:
        self.organization.close()
        for scim in self.ours.values():
            scim.close()

    def everyone(self) -> Iterable[OrgUser]:
        """Every account of the organization, for the mirror."""
        return self.organization.users()

    def road_to(self, group_name: str) -> Road:
        """How this group would be given; ``Impossible`` says why it can't be, as a request would hear."""
        return self._road(self._group(group_name))

    def survey_grant(self, account: str, entitlement: Entitlement) -> Survey:
        """Read the account, the group and who owns it, and what is held now."""
        person = self._person(account)
        group = self._group(entitlement.group)
        step, holds, warnings = self._road(group).step(group, person, entitlement)
        return Survey(
            steps=(step,),
            holds=holds,
            subject_name=named(person),
            subject_mail=person.email or "",
            warnings=(*warnings, *self._size_warnings(group, holds)),
        )

    def removal(self, step: Step) -> Step:
        return self._road_of(step).removal(step)

    def perform(self, step: Step) -> str:
        road = self._road_of(step)
        return road.add(step) if step.does == "add_member" else road.remove(step)

    def is_true(self, step: Step) -> bool:
        return self._road_of(step).holds(step) == (step.does == "add_member")

    # -- the way there --------------------------------------------------------------------------------------------

    def _road(self, group: OrgGroup) -> Road:
        return next(road for road in (fits(group) for fits in self._table) if road is not None)

    def _no_road_to_default_groups(self, group: OrgGroup) -> None:
        if is_reserved(group.name, self.reserved):
            raise Impossible(
                f"{group.name} is a default access group: Atlassian puts people into it by itself when they get the "
                "product. Ask for the product's access, or for a group made for the purpose."
            )

    def _by_a_directory_of_ours(self, group: OrgGroup) -> Road | None:
        roads = (road.to(group) for road in self._scim) if group.synced else ()
        return next((road for road in roads if road is not None), None)

    def _no_road_to_what_others_feed(self, group: OrgGroup) -> None:
        if group.synced:
            raise Impossible(
                f"The group {group.name} is synced from an identity provider. Ask for it there: "
                "what Gatehouse changed, the next sync would undo."
            )

    def _road_of(self, step: Step) -> Road:
        """The road a step was planned by; gone when its directory is not ours any more."""
        if step.owner.startswith("org:"):
            return self._local
        for road in self._scim:
            if step.owner == f"scim:{road.directory}":
                return road
        raise BadRequest("Atlassian user provisioning", "find the key", why=f"{step.owner} is not ours any more")

    # -- reading --------------------------------------------------------------------------------------------------

    def _size_warnings(self, group: OrgGroup, holds: bool) -> list[str]:
        size = (group.counts or {}).get("users")
        if holds or not isinstance(size, int):
            return []
        found = self.limits.warnings(size + 1)
        full = next((warning for warning in found if warning.refuse), None)
        if full is not None:
            raise Impossible(f"The group {group.name} is full: {full.words} ({full.source}).")
        return [f"The group {group.name} would have {warning.words} ({warning.source})." for warning in found]

    def _person(self, account: str) -> OrgUser:
        found = [user for user in self.organization.users_by_account([account]) if user.account_id == account]
        if not found:
            raise Impossible(f"The organization has no account {account}. Somebody must invite or provision it first.")
        person = found[0]
        if person.account_status in GONE:
            raise Impossible(
                f"The account of {named(person)} {GONE[person.account_status]}, so nothing can be given to it."
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
