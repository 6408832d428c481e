"""`gatehouse doctor --probe`: put somebody into an empty group and take them out, to learn how the audit log shows it.

It is the only thing the doctor does that writes. What is learned is printed for the configuration of the audit log.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from approvals.correlating import credential_of
from approvals.crash import crash_point
from approvals.plan import Step
from approvals.policy import Policy
from approvals.ports import DirectoryError, Impossible
from bot.atlassian.directory import AtlassianDirectory
from bot.atlassian.org_shapes import Event
from bot.doctor import audit_file
from bot.doctor.audit_file import Table

LOOKS = 20  # at the audit log, one each QUARTER: it may be asked fifty times a minute, and is some minutes late
QUARTER = 15.0  # seconds
BACKWARD = timedelta(seconds=5)  # our clock may be ahead of Atlassian's
VISIBLE = 30  # looks, a second each, until a change shows


class NoProbe(Exception):
    """Why nothing was tried, or what is left to do by hand; a sentence for the operator."""


@dataclass
class Learnt:
    """What the audit log showed of the two writes."""

    actions: dict[str, str] = field(default_factory=dict)  # add_member, remove_member → action id
    actor: dict[str, str] = field(default_factory=dict)
    after: float = 0.0  # seconds until the last of them showed

    def toml(self, before: Table = MappingProxyType({})) -> str:
        """The configuration of the audit log with what stood in it; an action that did not show is not written."""
        return audit_file.after(before, self.actions, self.actor, self.after)


@dataclass
class Probe:
    """One probe. ``sleep`` takes seconds, ``now`` is real time, ``say`` tells the operator what happens."""

    directory: AtlassianDirectory
    policy: Policy
    sleep: Callable[[float], None]
    say: Callable[[str], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    mark: Callable[[Step], None] = lambda step: None  # writes down what will be done, so that it is no alarm

    def plan(self, group: str, account: str) -> Step:
        """The step that will be taken and taken back. ``NoProbe`` when this group or account is not fit for it."""
        if not self.policy.entitlements:
            raise NoProbe("The policy has no entitlement, so there is nothing that a probe could teach about.")
        wanted = replace(self.policy.entitlements[0], name="probe", group=group, kind="group", removal_only=False)
        try:
            found = self.directory.survey_grant(account, wanted)
        except Impossible as no:
            raise NoProbe(str(no)) from no
        (step,) = found.steps
        known = self.directory.lookups.group(group)
        organization = self.directory.lookups.organization
        gives = organization.group_roles(known.id)
        if gives:
            raise NoProbe(f"The group {group} gives {gives[0].resource_id}: take one that opens nothing.")
        members = [person.account_id for person in organization.users_of_group(known.id)]
        if members == [account]:
            self.mark(step)
            self._take_out(step)
            raise NoProbe(f"An earlier probe had left {account} in {group}; it is out now. Run the probe again.")
        if members:
            raise NoProbe(f"The group {group} is not empty ({len(members)} members): take one that is.")
        return step

    def run(self, step: Step) -> Learnt:
        """In, out, and then patience until the audit log shows both. The membership is always taken back."""
        since = self.now() - BACKWARD
        self.say(f"{step.words} …")
        self.mark(step)
        crash_point("probe: before putting in")
        try:
            self.directory.perform(step)
            crash_point("probe: put in")
            self._until(step)
        finally:
            self._take_out(step)
        self.say("… and out again. Now the audit log is asked, for five minutes at most.")
        learnt = self._learn(step, since)
        if learnt.actor:
            learnt.actor["credential"] = credential_of(step)
        return learnt

    def _take_out(self, step: Step) -> None:
        removal = self.directory.removal(step)
        crash_point("probe: before taking out")
        try:
            self.directory.perform(removal)
            crash_point("probe: taken out")
            self._until(removal)
        except DirectoryError as error:
            raise NoProbe(
                f"{step.account} could not be taken out of {step.target_name} again ({error}). Take them out by hand."
            ) from error

    def _until(self, step: Step) -> None:
        for _ in range(VISIBLE):
            if self.directory.is_true(step):
                return
            self.sleep(1.0)
        self.say("It was accepted and does not show yet.")

    def _learn(self, step: Step, since: datetime) -> Learnt:
        group = self.directory.lookups.group(step.target_name)
        about = {step.account, step.member, step.target, group.id}
        seen: dict[str, Event] = {}
        cursor: str | None = None
        for _ in range(LOOKS):
            page = self.directory.lookups.organization.events_stream(cursor=cursor, since=None if cursor else since)
            cursor = page.cursor or cursor
            seen |= {event.id: event for event in page.events if _is_about(event, about, group.id, step.target)}
            if len(seen) >= 2:
                break
            self.sleep(QUARTER)
        return self._of(sorted(seen.values(), key=_time), since)

    def _of(self, events: list[Event], since: datetime) -> Learnt:
        learnt = Learnt()
        for does, event in zip(("add_member", "remove_member"), events, strict=False):
            learnt.actions[does] = event.attributes.action
            actor = event.attributes.actor
            if actor is not None:
                told = {"id": actor.id, "name": actor.name}
                auth = actor.auth
                told |= {"auth_type": auth.auth_type, "token_label": auth.token_label} if auth else {}
                learnt.actor = {name: value for name, value in told.items() if value}
            learnt.after = max(learnt.after, ((event.attributes.processed_at or _time(event)) - since).total_seconds())
        return learnt


def _is_about(event: Event, about: set[str], *groups: str) -> bool:
    """Of the group that was empty, or of the person in it; where the log gives no ids, whatever came meanwhile."""
    named = event.about
    return bool(named & set(groups)) or (len(named & about) >= 2)


def _time(event: Event) -> datetime:
    return event.attributes.time or datetime.min.replace(tzinfo=UTC)
