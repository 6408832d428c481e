"""Atlassian as the decisions need it: which API owns what is asked, the steps, the calls, the read-back."""

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

from approvals.plan import GroupSurvey, Newcomer, Step, Survey, read_members
from approvals.policy import Entitlement, Policy
from approvals.ports import Arrived, Impossible
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.errors import BadRequest
from bot.atlassian.limits import GroupLimits
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.plans.address import Address
from bot.atlassian.plans.batches import Batches
from bot.atlassian.plans.facts import Facts
from bot.atlassian.plans.holdings import Holdings
from bot.atlassian.plans.leaving import Leaving
from bot.atlassian.plans.lookups import Lookups, Rules, named
from bot.atlassian.plans.more_roads import RoleRoad, SiteRoad
from bot.atlassian.plans.newcomers import Newcomers
from bot.atlassian.plans.org_admins import OrgAdmins, Turns, WithinThisProcess, is_active
from bot.atlassian.plans.roads import UNDONE, Deed, OrganizationRoad, Planned, Road, ScimRoad
from bot.atlassian.plans.routes import after_leaving
from bot.atlassian.plans.standing import Standing
from bot.atlassian.scim import ScimClient
from bot.atlassian.scim_groups import RESERVED, is_reserved
from bot.atlassian.shapes import OrgGroup, OrgUser
from bot.atlassian.site import SiteClient

MOST_APPROVERS = 1001  # one more than a source of approvers may have


class Reachable(Protocol):
    """The clients; see ``bot.clients``."""

    @property
    def organization(self) -> OrganizationClient: ...
    @property
    def accounts(self) -> AccountsClient: ...
    @property
    def scim(self) -> Mapping[str, ScimClient]: ...
    @property
    def site(self) -> SiteClient | None: ...
    def close(self) -> None: ...


class AtlassianDirectory:
    """See ``approvals.ports.Directory``."""

    def __init__(
        self,
        clients: Reachable,
        policy: Policy,
        *,
        limits: GroupLimits | None = None,
        reserved: tuple[str, ...] = RESERVED,
        turns: Turns | None = None,
    ) -> None:
        self.clients = clients
        self.limits = limits or (GroupLimits(**asdict(policy.sizes)) if policy.sizes else GroupLimits())
        self.reserved = reserved
        rules = Rules.of(policy)
        self.lookups = Lookups(clients.organization, clients.accounts, clients.scim, clients.site, rules)
        self._local, self._site, self._roles = (road(self.lookups) for road in (OrganizationRoad, SiteRoad, RoleRoad))
        self._scim = {id: ScimRoad(self.lookups, id) for id in clients.scim}
        self._batches = Batches(self.lookups, self.limits)
        self._standing, self._address = Standing(self.lookups), Address(self.lookups)
        self._newcomers = Newcomers(self.lookups)
        self._leaving = Leaving(self.lookups, self._standing)
        self._org_admins = OrgAdmins(self.lookups, self._taken_out, turns or WithinThisProcess())
        self.facts = Facts(self.lookups)  # for people to read
        self._holdings = Holdings(self.lookups, self.is_true)
        # The first line that fits decides: a road, or why there is none and where to ask instead.
        self._table: tuple[Callable[[OrgGroup, Entitlement, bool], Road | None], ...] = (
            self._default_groups_are_only_left,
            self._by_a_directory_we_write,
            self._no_road_to_what_others_feed,
            lambda group, entitlement, giving: self._local,
        )
        self._deeds: Mapping[str, Deed] = {
            **dict.fromkeys(("assign_role", "revoke_role"), self._roles),
            **dict.fromkeys(("deactivate", "reactivate", "delete_tokens", "suspend", "restore"), self._standing),
            **dict.fromkeys(("create_user", "invite", "create_site_user"), self._newcomers),
            "set_email": self._address,
            "revoke_org_admin": self._org_admins,
            **dict.fromkeys(("add_members", "remove_members"), self._batches),
        }

    def close(self) -> None:
        self.clients.close()

    def everyone(self) -> Iterable[OrgUser]:
        """Every account of the organization, for the mirror."""
        return self.lookups.everyone()

    def domains(self) -> frozenset[str]:
        """The organization's verified domains, in lower case."""
        return self.lookups.domains()

    def members(self, group: str) -> frozenset[str]:
        """The active accounts in a group, for a source of approvers; more than a thousand are not read to their end.

        Whoever is suspended keeps the group for when they are restored, and answers for nobody until then.
        """
        found = self.lookups.organization.users_of_group(self.lookups.group(group).id)
        read = itertools.islice(found, MOST_APPROVERS)
        return frozenset(one.account_id for one in read if is_active(one))

    # -- plans ----------------------------------------------------------------------------------------------------

    def survey_grant(self, account: str, entitlement: Entitlement) -> Survey:
        """What gives it, what is held now, and what to know before somebody says yes."""
        planned = self._road_without_admins(entitlement, giving=True).plan(account, entitlement)
        warnings = (*planned.warnings, *self._size_warnings(entitlement, planned.holds))
        return _survey(planned, (planned.step,), planned.holds, warnings)

    def survey_held(self, account: str, entitlement: Entitlement) -> Survey:
        """The step that would have given it, for what somebody gave by hand, and whether it is held now."""
        planned = self._road_without_admins(entitlement, giving=False).plan(account, entitlement, giving=False)
        return _survey(planned, (planned.step,), planned.holds, planned.warnings)

    def survey_revoke(self, account: str, entitlement: Entitlement) -> Survey:
        """What takes it, whoever gave it; ``holds`` says that nobody holds it and nothing is to be done."""
        road = self.road_to(entitlement, giving=False)
        planned = road.plan(account, entitlement, giving=False)
        if not planned.holds:
            return _survey(planned, (), True, planned.warnings)
        step = road.removal(planned.step)
        return _survey(planned, (step,), False, (*planned.warnings, *self._what_stays(planned, entitlement)))

    def survey_group(self, entitlement: Entitlement, wanted: Sequence[tuple[str, str]]) -> GroupSurvey | None:
        """What puts many into a group at once; None where no directory of ours owns it."""
        road = self._road_without_admins(entitlement, giving=True)
        return self._batches.plan(road, entitlement, wanted) if isinstance(road, ScimRoad) else None

    @property
    def per_call(self) -> int:
        """See ``approvals.ports.ManyAtOnce``."""
        return self._batches.per_call

    def records_in(self, step: Step) -> frozenset[str]:
        return self._batches.records_in(step)

    def _taken_out(self, account: str, entitlement: Entitlement) -> Step | None:
        """The step that takes an account out of a group, whatever API owns the group."""
        road = self.road_to(entitlement, giving=False)
        planned = road.plan(account, entitlement, giving=False)
        return road.removal(planned.step) if planned.holds else None

    def org_admins(self) -> frozenset[str]:
        return self._org_admins.now()

    def survey_org_admin(self, account: str) -> Survey:
        return self._org_admins.plan(account)

    def survey_deactivate(self, account: str) -> Survey:
        return self._standing.deactivate(account)

    def survey_reactivate(self, account: str, *, keep_tokens: bool = False) -> Survey:
        return self._standing.reactivate(account, keep_tokens=keep_tokens)

    def survey_tokens(self, account: str) -> Survey:
        return self._standing.tokens(account)

    def survey_offboard(self, account: str) -> Survey:
        return self._leaving.plan(account)

    def survey_suspend(self, account: str) -> Survey:
        return self._standing.suspend(account)

    def survey_restore(self, account: str) -> Survey:
        return self._standing.restore(account)

    def survey_email(self, account: str, address: str) -> Survey:
        return self._address.plan(account, address)

    def survey_provision(self, newcomer: Newcomer, *, by_site: bool = False) -> Survey:
        return self._newcomers.plan(newcomer, by_site=by_site)

    def arrived(self, mail: str) -> Arrived | None:
        return self._newcomers.arrived(mail)

    # -- deeds ----------------------------------------------------------------------------------------------------

    def removal(self, step: Step) -> Step:
        return self._roles.removal(step) if step.does == "assign_role" else self._road_of(step).removal(step)

    def perform(self, step: Step) -> str:
        """See ``approvals.ports.Directory``. What was given before an account was protected can still be ended."""
        if step.does not in ("remove_member", "remove_members", "revoke_role"):
            try:
                for account in read_members(step) if step.does == "add_members" else [step.account]:
                    self.lookups.insist_untouched(account)
            except Impossible as protected:
                raise BadRequest("Gatehouse", step.does.replace("_", " "), why=str(protected)) from None
        self._org_admins.insist_on_enough(step)
        return self._deed(step).perform(step)

    def is_true(self, step: Step) -> bool:
        return self._deed(step).is_true(step)

    def who_hold(self, step: Step, members: Collection[str]) -> frozenset[str]:
        """See ``approvals.ports.Registry``."""
        return self._holdings.who_hold(step, members)

    def accounts_with(self, entitlement: Entitlement) -> frozenset[str]:
        """See ``approvals.ports.Holders``."""
        return frozenset(holder.account for holder in self.facts.everybody(entitlement))

    def step_for(self, account: str, entitlement: Entitlement) -> Step:
        """See ``approvals.ports.Holders``."""
        return self.road_to(entitlement, giving=False).plan(account, entitlement, giving=False).step

    def _deed(self, step: Step) -> Deed:
        if step.owner.startswith("scim:") and step.owner.removeprefix("scim:") not in self.clients.scim:
            raise BadRequest("Atlassian user provisioning", "find the key", why=f"{step.owner} is not ours any more")
        return self._deeds.get(step.does) or self._road_of(step)

    # -- the way there --------------------------------------------------------------------------------------------

    def road_to(self, entitlement: Entitlement, *, giving: bool = True) -> Road:
        """How this would be given or taken; ``Impossible`` says why it can't be, as a request would hear."""
        if entitlement.kind == "role":
            return self._roles
        if entitlement.kind == "jira_group":
            return self._site
        group = self.lookups.group(entitlement.group)
        roads = (fits(group, entitlement, giving) for fits in self._table)
        return next(road for road in roads if road is not None)

    def _road_without_admins(self, entitlement: Entitlement, *, giving: bool) -> Road:
        """The same, where it makes nobody an organization admin; other roads than those of groups look themselves."""
        road = self.road_to(entitlement, giving=giving)
        if entitlement.kind == "group":
            self.lookups.insist_on_no_admins(entitlement.group)
        return road

    def _default_groups_are_only_left(self, group: OrgGroup, entitlement: Entitlement, giving: bool) -> Road | None:
        if not is_reserved(group.name, self.reserved):
            return None
        if giving:
            raise Impossible(
                f"{group.name} is a default access group: Atlassian puts people into it by itself when they get the "
                "product. Ask for the product's access, or for a group made for the purpose."
            )
        return self._local  # never by SCIM, whatever feeds it

    def _by_a_directory_we_write(self, group: OrgGroup, entitlement: Entitlement, giving: bool) -> Road | None:
        """A directory of ours; for taking away also one that is fed, where the policy lets us."""
        if not group.synced:
            return None
        roads = (road for road in self._scim.values() if not road.fed or not giving)
        return next((road for road in roads if road.has(group.name)), None)

    def _no_road_to_what_others_feed(self, group: OrgGroup, entitlement: Entitlement, giving: bool) -> None:
        if group.synced:
            raise Impossible(
                f"The group {group.name} is synced from an identity provider. Ask for it there: "
                "what Gatehouse changed, the next sync would undo."
            )

    def _road_of(self, step: Step) -> Road:
        """The road a step was planned by."""
        if step.owner.startswith("scim:"):
            return self._scim[step.owner.removeprefix("scim:")]
        return self._site if step.owner == "site" else self._local

    # -- what to know ---------------------------------------------------------------------------------------------

    def _what_stays(self, planned: Planned, entitlement: Entitlement) -> list[str]:
        """That the identity provider may undo it, and by which other way the person keeps the product."""
        warnings = []
        owner = planned.step.owner.removeprefix("scim:")
        if owner in self._scim and self._scim[owner].fed:
            warnings.append(UNDONE)
        if entitlement.kind == "group":
            group = self.lookups.group(entitlement.group)
            warnings += after_leaving(self.lookups, planned.person, group.id)
        return warnings

    def _size_warnings(self, entitlement: Entitlement, holds: bool) -> list[str]:
        if holds or entitlement.kind != "group":
            return []
        group = self.lookups.group(entitlement.group)
        size = (group.counts or {}).get("users")
        if not isinstance(size, int):
            return []
        found = self.limits.warnings(size + 1)
        full = next((warning for warning in found if warning.refuse), None)
        if full is not None:
            raise Impossible(f"The group {group.name} is full: {full.words} ({full.source}).")
        return [f"The group {group.name} would have {warning.words} ({warning.source})." for warning in found]


def _survey(planned: Planned, steps: tuple[Step, ...], holds: bool, warnings: Iterable[str]) -> Survey:
    return Survey(
        steps=steps,
        holds=holds,
        subject_name=named(planned.person),
        subject_mail=planned.person.email or "",
        warnings=tuple(warnings),
    )
