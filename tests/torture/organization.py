"""Atlassian as the simulated run has it: what is really so, what a read shows of it, and a log of all that changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from approvals.plan import GroupSurvey, Newcomer, Step, Survey, read_members
from approvals.policy import Entitlement
from approvals.ports import Impossible
from tests.support.world import COMPANY, accounts, name_of
from tests.torture.weather import Weather

PER_CALL = 2  # people in a call: of the three who may end together one is left for another
Thing = tuple[str, str]  # "member of eu-jira-admins", account; "active", account
ACCOUNT_CALLS = {"deactivate": ("active", False), "reactivate": ("active", True), "suspend": ("free", False),
                 "restore": ("free", True), "delete_tokens": ("tokens", False)}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """Something that became so. ``at`` is true time, ``shown`` what the bot's clock said."""

    at: float
    shown: float
    by: str  # bot | hand
    what: str
    account: str
    to: bool


class Organization:
    """The port ``Directory`` and its neighbours. A change shows at once or after a while, in the order they came."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.log: list[Change] = []
        self.calls: list[tuple[float, str, str, str]] = []  # at, does, group, account: each that arrived
        self.gone: set[str] = set()  # groups that somebody deleted
        self.moved: set[str] = set()  # groups that somebody gave to another directory
        self._so: dict[Thing, bool] = {}
        self._shows: dict[Thing, list[tuple[float, bool]]] = {}  # from when on which value is read
        for group in COMPANY.groups:
            for account in accounts(*group.members):
                self._so[f"member of {group.name}", account] = True
        self.before = {thing for thing, so in self._so.items() if so}

    # -- what is so -----------------------------------------------------------------------------------------------

    def is_so(self, what: str, account: str) -> bool:
        default = not what.startswith("member of")  # accounts are active, free and have tokens
        return self._so.get((what, account), default)

    def holds(self, account: str, group: str) -> bool:
        return self.is_so(f"member of {group}", account)

    def set(self, what: str, account: str, to: bool, by: str = "hand") -> None:
        """Make something so, for the bot or by somebody's hand."""
        was = self.is_so(what, account)
        if was is to:
            return
        now, thing = self.weather.clock.true, (what, account)
        self._so[thing] = to
        seen = self._shows.setdefault(thing, [(0.0, was)])
        lag = self.weather.chance.uniform(0.0, self.weather.trouble.lag) if self.weather.bad else 0.0
        seen.append((max(seen[-1][0], now + lag), to))
        self.log.append(Change(now, now + self.weather.clock.wrong, by, what, account, to))

    def _reads(self, what: str, account: str) -> bool:
        seen = self._shows.get((what, account))
        if seen is None:
            return self.is_so(what, account)
        now = self.weather.clock.true
        shown = [value for since, value in seen if since <= now][-1]
        if shown is not self.is_so(what, account):
            self.weather.note("atlassian: a read shows what was")
        return shown

    # -- reading --------------------------------------------------------------------------------------------------

    def survey_grant(self, account: str, entitlement: Entitlement) -> Survey:
        return self.weather.reach("atlassian", lambda: self._grant(account, entitlement), writes=False)

    def _grant(self, account: str, entitlement: Entitlement) -> Survey:
        group = entitlement.group
        if group in self.gone:
            raise Impossible(f"There is no group {group}.")
        directory = "d2" if group in self.moved else "d1"
        step = Step(
            does="add_member", owner=f"scim:{directory}", target=f"id-{group}", target_name=group, account=account,
            member=f"scim-{account}", api="SCIM", method="PATCH", path=f"/scim/directory/{directory}/Groups/id-{group}",
            words=f"add them to {group}",
        )  # fmt: skip
        holds = self._reads(f"member of {group}", account)
        return Survey(steps=(step,), holds=holds, subject_name=name_of(account), subject_mail="x@harbour.example")

    def survey_revoke(self, account: str, entitlement: Entitlement) -> Survey:
        given = self.survey_grant(account, entitlement)
        steps = tuple(map(self.removal, given.steps)) if given.holds else ()
        return given.model_copy(update={"steps": steps, "holds": not given.holds})

    def survey_deactivate(self, account: str) -> Survey:
        return self._about(account, "delete_tokens", "deactivate", "delete_tokens")

    def survey_offboard(self, account: str) -> Survey:
        return self.survey_deactivate(account)

    def survey_suspend(self, account: str) -> Survey:
        return self._about(account, "suspend")

    def survey_restore(self, account: str) -> Survey:
        return self._about(account, "restore")

    def survey_reactivate(self, account: str, *, keep_tokens: bool = False) -> Survey:
        return self._about(account, "delete_tokens", "reactivate")

    def survey_tokens(self, account: str) -> Survey:
        return self._about(account, "delete_tokens")

    def _about(self, account: str, *does: str) -> Survey:
        steps = tuple(
            Step(does=one, owner="scim:d1", account=account, member=account, api="SCIM", method="PATCH",  # type: ignore[arg-type]
                 path=f"/{one}/{account}", words=f"{one} {name_of(account)}",
                 optional=one == "delete_tokens" and at + 1 < len(does))
            for at, one in enumerate(does)
        )  # fmt: skip
        survey = Survey(steps=steps, holds=False, subject_name=name_of(account), subject_mail="x@harbour.example")
        return self.weather.reach("atlassian", lambda: survey, writes=False)

    def is_true(self, step: Step) -> bool:
        return self.weather.reach("atlassian", lambda: self._is_true(step), writes=False)

    def _is_true(self, step: Step) -> bool:
        if step.target_name:
            return self._reads(f"member of {step.target_name}", step.account) == (step.does == "add_member")
        what, to = ACCOUNT_CALLS[step.does]
        return self._reads(what, step.account) is to

    def org_admins(self) -> frozenset[str]:
        return frozenset(accounts("omar", "ingrid", "linnea"))

    # -- writing --------------------------------------------------------------------------------------------------

    def removal(self, step: Step) -> Step:
        return step.model_copy(update={"does": "remove_member", "words": f"take them out of {step.target_name}"})

    def perform(self, step: Step) -> str:
        return self.weather.reach("atlassian", lambda: self._perform(step), writes=True)

    def _perform(self, step: Step) -> str:
        if step.does == "remove_members":
            return self._takes_many(step)
        self.calls.append((self.weather.clock.true, step.does, step.target_name, step.account))
        if step.target_name:
            self.set(f"member of {step.target_name}", step.account, step.does == "add_member", "bot")
        else:
            what, to = ACCOUNT_CALLS[step.does]
            self.set(what, step.account, to, "bot")
        return "200"

    def _takes_many(self, step: Step) -> str:
        """One call, which stands in the record of each of them as their own."""
        many = read_members(step)
        self.weather.note("several with one call")
        for account in many:
            self.calls.append((self.weather.clock.true, "remove_member", step.target_name, account))
            self.set(f"member of {step.target_name}", account, False, "bot")
        return "200"

    @property
    def per_call(self) -> int:
        return PER_CALL

    def records_in(self, step: Step) -> frozenset[str]:
        return self.weather.reach("atlassian", lambda: self._members(step.target_name), writes=False)

    def _members(self, group: str) -> frozenset[str]:
        everyone = accounts(*(person.handle for person in COMPANY.people))
        return frozenset(f"scim-{account}" for account in everyone if self._reads(f"member of {group}", account))

    def who_hold(self, step: Step, members: Collection[str]) -> frozenset[str]:
        return frozenset(members) & self.records_in(step)

    # -- what no simulated run asks for ---------------------------------------------------------------------------

    def survey_group(self, entitlement: Entitlement, wanted: Sequence[tuple[str, str]]) -> GroupSurvey | None:
        raise NotImplementedError

    def survey_org_admin(self, account: str) -> Survey:
        raise NotImplementedError

    def survey_email(self, account: str, address: str) -> Survey:
        raise NotImplementedError

    def survey_provision(self, newcomer: Newcomer, *, by_site: bool = False) -> Survey:
        raise NotImplementedError

    def everyone(self) -> Iterable[Any]:
        return ()

    def domains(self) -> frozenset[str]:
        return frozenset()
