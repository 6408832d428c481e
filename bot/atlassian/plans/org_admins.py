"""Organization admins: who they are now, and the one road by which somebody stops being one."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Protocol

from approvals.last_admins import LISTED, REMAIN
from approvals.plan import Step, Survey, read_members
from approvals.policy import Entitlement
from approvals.ports import DirectoryError, Impossible
from bot.atlassian.errors import AtlassianError
from bot.atlassian.org_roles import ORG_ADMIN, gives_org_admin
from bot.atlassian.plans.lookups import Lookups, named
from bot.atlassian.plans.remembered import Remembered
from bot.atlassian.shapes import OrgUser

GROUP = "{} makes its members organization admins, so nobody is taken out of it"
ROLE = "Nobody stops being an organization admin"
TOO_FEW = (
    "{why} while {left} would remain: {remain} must. "
    "Make somebody else an organization admin at admin.atlassian.com, then this goes on by itself."
)
TakenOut = Callable[[str, Entitlement], Step | None]  # the step that takes an account out of a group; None: not in it


class Turn(Protocol):
    """Of one who counts the admins. ``gone``: accounts that are being taken out, whatever Atlassian lists."""

    @property
    def gone(self) -> frozenset[str]: ...

    def goes(self, accounts: Collection[str]) -> None:
        """Before the call: whoever counts from here on counts these as gone."""


class WithinThisProcess:
    """Turns of the threads of one process, for tools that have no record and take out nobody else meanwhile."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._going = Remembered[str, bool](LISTED.total_seconds())

    @contextmanager
    def __call__(self) -> Iterator[Turn]:
        with self._one_at_a_time:
            yield self

    @property
    def gone(self) -> frozenset[str]:
        return frozenset(self._going.known())

    def goes(self, accounts: Collection[str]) -> None:
        for account in accounts:
            self._going.put(account, True)


Turns = Callable[[], AbstractContextManager[Turn]]


class OrgAdmins:
    """Counts the admins, and plans the road. ``taken_out`` knows which API owns a group, ``turns`` whose turn it is."""

    def __init__(self, lookups: Lookups, taken_out: TakenOut, turns: Turns) -> None:
        self.lookups = lookups
        self.organization = lookups.organization
        self._taken_out = taken_out
        self._turns = turns

    def now(self) -> frozenset[str]:
        """The active admins by whatever way, the emergency accounts of the policy not counted."""
        protected = self.lookups.rules.protected or {}
        found = self.organization.users_with_role(ORG_ADMIN, expand=("platformRoles",))
        return frozenset(
            person.account_id for person in found if is_active_admin(person) and person.account_id not in protected
        )

    def plan(self, account: str) -> Survey:
        """The direct role is revoked, and the person taken out of each group that gives it.

        ``Impossible``: the account is protected, or an identity provider feeds such a group.
        """
        person = self.lookups.person_now(account, expand=("platformRoles",))
        if ORG_ADMIN not in (person.platform_roles or []):
            return Survey(steps=(), holds=True, subject_name=named(person), subject_mail=person.email or "")
        steps = [*self._direct(person), *self._by_groups(person)]
        if not steps:
            raise Impossible(f"Atlassian does not tell by which way {named(person)} is an organization admin.")
        return Survey(
            steps=tuple(steps),
            holds=False,
            subject_name=named(person),
            subject_mail=person.email or "",
            warnings=(f"{named(person)} stops being an organization admin; then the account is like any other.",),
        )

    def insist_on_enough(self, step: Step) -> None:
        """Before each call that takes something away, for a group may have been made one of admins since it was given.

        An end that would leave fewer admins than must remain waits, and shouts as every late end does. Where the group
        can't be read the end goes on: access that stays is worse, and the emergency accounts are not touched.
        """
        if not self._takes_from_admins(step):
            return
        going = frozenset(read_members(step) if step.does == "remove_members" else [step.account])
        with self._turns() as turn:
            admins = self.now() - (turn.gone - going)  # an earlier try of the same neither forbids nor excuses this one
            left = admins - going
            if going & admins and len(left) < REMAIN:
                why = GROUP.format(step.target_name) if step.target_name else ROLE
                raise DirectoryError(TOO_FEW.format(why=why, left=len(left), remain=REMAIN), retry=True)
            turn.goes(going)

    def _takes_from_admins(self, step: Step) -> bool:
        if step.does in ("revoke_role", "revoke_org_admin"):
            return step.value == ORG_ADMIN
        try:
            return step.does in ("remove_member", "remove_members") and self.lookups.makes_admins(step.target_name)
        except AtlassianError:
            return False

    def perform(self, step: Step) -> str:
        """Experimental at Atlassian; read back by ``is_true``."""
        self.organization.revoke_org_role(step.account)
        return "204: the organization role was revoked"

    def is_true(self, step: Step) -> bool:
        """It may take 30 seconds to show: https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/"""
        found = self.organization.users_by_account([step.account], expand=("platformRoles",))
        person = next((one for one in found if one.account_id == step.account), None)
        routes = self._routes(step.account) if person and ORG_ADMIN in (person.platform_roles or []) else set()
        return "direct" not in routes

    def _routes(self, account: str) -> set[str]:
        return {
            method
            for one in self.organization.user_roles(account)
            for route in one.role_assignments
            if route.role == ORG_ADMIN
            for method in route.role_assignment_methods
        }

    def _direct(self, person: OrgUser) -> list[Step]:
        if "direct" not in self._routes(person.account_id):
            return []
        return [
            Step(
                does="revoke_org_admin", owner="org", value=ORG_ADMIN, account=person.account_id,
                member=person.account_id, api="Organizations", method="POST",
                path=f"/admin/v1/orgs/{self.organization.org_id}/users/{person.account_id}/role-assignments/revoke",
                words=f"revoke the role of organization admin of {named(person)} by the Organizations API",
            )
        ]  # fmt: skip

    def _by_groups(self, person: OrgUser) -> list[Step]:
        steps = []
        for group in self.organization.groups_of_account(person.account_id):
            if any(gives_org_admin(one) for one in self.organization.group_roles(group.id)):
                step = self._taken_out(person.account_id, as_entitlement(group.name))
                if step is not None:
                    steps.append(step)
        return steps


def is_active_admin(person: OrgUser) -> bool:
    return is_active(person) and ORG_ADMIN in (person.platform_roles or [])


def is_active(person: OrgUser) -> bool:
    """Whether somebody may log in, and has access to the organization."""
    there = person.membership_status not in ("suspended", "no_membership")
    return there and person.account_status in (None, "active")


def as_entitlement(group: str) -> Entitlement:
    """A group that no policy names, for the roads, which take entitlements."""
    nobody, at_once = (), timedelta(0)
    return Entitlement(
        name=group, path="org-admin", who_may_ask=nobody, ask_for_others=nobody, stages=(), escalation=(),
        escalate_after=at_once, remind_after=at_once, lifetime=at_once, tier="high", pause=at_once, channel="",
        listed=False, about="", group=group, removal_only=True,
    )  # fmt: skip
