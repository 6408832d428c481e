"""Many people put into one group of a SCIM directory of ours, or taken out: a call for a hundred of them."""

from collections.abc import Iterable, Sequence

from approvals.plan import GroupSurvey, Step, read_members
from approvals.policy import Entitlement
from approvals.ports import Impossible
from bot.atlassian.errors import BadRequest, NotFound
from bot.atlassian.limits import GroupLimits
from bot.atlassian.plans.lookups import Lookups, may_be_given
from bot.atlassian.plans.roads import ScimRoad
from bot.atlassian.scim import ScimClient
from bot.atlassian.shapes import ScimUser


class Batches:
    """PATCH /Groups/{id} with many members; who is in it is read from the group's own list, not person by person.

    https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
    """

    def __init__(self, lookups: Lookups, limits: GroupLimits) -> None:
        self.lookups = lookups
        self.limits = limits

    @property
    def per_call(self) -> int:
        """How many one call names."""
        return min(self.limits.members_per_call, self.limits.batch_below - 1)

    def plan(self, road: ScimRoad, entitlement: Entitlement, wanted: Sequence[tuple[str, str]]) -> GroupSurvey:
        """The directory is listed once, however many are wanted: a hundred people a call."""
        group_id = self.lookups.scim_group(road.directory, self.lookups.group(entitlement.group).name)
        assert group_id is not None  # ``road_to`` has looked
        members = road.scim.get_group(group_id).member_ids
        records, refused = self._records(road, wanted)
        step = Step(
            does="add_members",
            owner=f"scim:{road.directory}",
            target=group_id,
            target_name=entitlement.group,
            account="",
            member="",
            api="SCIM",
            method="PATCH",
            path=f"/scim/directory/{road.directory}/Groups/{group_id}",
            words="",
        )
        size = len(members | set(records.values()))
        return GroupSurvey(step, records, refused, members, self.per_call, tuple(self._warnings(entitlement, size)))

    def _records(self, road: ScimRoad, wanted: Sequence[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
        """The record of each account: by the account id it carries, else by its address."""
        accounts = {account for account, _ in wanted}
        addresses = {mail.casefold(): account for account, mail in wanted if mail}
        found: dict[str, tuple[str, bool | None]] = {}  # id and active: thousands of whole records would be much
        for user in road.scim.users():
            account = user.atlassian_account_id or _by_address(user, addresses)
            if account in accounts and (account not in found or user.atlassian_account_id):
                found[account] = (user.id, user.active)
        refused: dict[str, str] = {}
        for account in accounts:
            why = self._why_not(found.get(account), account, road.name)
            if why:
                refused[account] = why
        return {account: record for account, (record, _) in found.items() if account not in refused}, refused

    def _why_not(self, record: tuple[str, bool | None] | None, account: str, directory: str) -> str:
        if record is None:
            return f"there is no record of it in directory {directory}, which owns the group"
        if record[1] is False:
            return f"its record in directory {directory} is not active"
        person = self.lookups.known(account)
        try:
            if person is not None:
                may_be_given(person, self.lookups.rules)
        except Impossible as no:
            return str(no)
        return ""

    def _warnings(self, entitlement: Entitlement, size: int) -> Iterable[str]:
        found = self.limits.warnings(size)
        full = next((warning for warning in found if warning.refuse), None)
        if full is not None:
            raise Impossible(f"The group {entitlement.group} would be too large: {full.words} ({full.source}).")
        return [f"The group {entitlement.group} would have {warning.words} ({warning.source})." for warning in found]

    def records_in(self, step: Step) -> frozenset[str]:
        """All members of the step's group, with one call."""
        return self._scim(step).get_group(step.target).member_ids

    def perform(self, step: Step) -> str:
        """One call for all of them; who must go and is gone already makes it one call each."""
        ids = list(read_members(step).values())
        try:
            if step.does == "add_members":
                self._scim(step).add_members(step.target, ids)
            else:
                self._take_out(step, ids)
        except NotFound:
            self.lookups.forget("", step.target_name)
            raise
        return f"200: {step.target_name} was patched for {len(ids)}"

    def _take_out(self, step: Step, ids: list[str]) -> None:
        try:
            self._scim(step).remove_members(step.target, ids)
        except (BadRequest, NotFound) as error:
            if not (error.code == "noTarget" or (isinstance(error, NotFound) and error.by_api)):
                raise
            for one in ids:
                try:
                    self._scim(step).remove_member(step.target, one)
                except NotFound as missing:  # the record is gone, and with it the membership
                    if not missing.by_api:
                        raise

    def is_true(self, step: Step) -> bool:
        """Whether all of them are in it, or all of them out of it."""
        ids, members = set(read_members(step).values()), self.records_in(step)
        return ids <= members if step.does == "add_members" else not ids & members

    def _scim(self, step: Step) -> ScimClient:
        return self.lookups.scim[step.owner.removeprefix("scim:")]


def _by_address(user: ScimUser, addresses: dict[str, str]) -> str:
    """The account that is wanted and has one of the record's addresses; only where the record names no account."""
    written = [user.user_name or "", *(email.value for email in user.emails)]
    return next((addresses[one.casefold()] for one in written if one.casefold() in addresses), "")
