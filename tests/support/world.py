"""The decisions without Slack and Atlassian: a directory and people kept in memory, and the seeded company."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, select

from approvals import people
from approvals.counting import Counting
from approvals.glass import Glass, GlassDesk, Wanted
from approvals.jobs import RECURRING, Claim
from approvals.models import AccessRequest, AuditEntry, Grant, Job, News, PolicyVersion, SlackUser, SourceState
from approvals.offers import Offers
from approvals.plan import GroupSurvey, Newcomer, Step, Survey, read_members
from approvals.planning import Planning
from approvals.policy import Entitlement, Policy, Source
from approvals.policy import Person as Speaker
from approvals.policy_book import PolicyBook, adopt_first
from approvals.ports import Arrived, Impossible, IncidentError, IncidentState
from approvals.provisioning import Effects, Provisioning
from approvals.reconciliation import Reconciliation
from approvals.reviews import Reviews
from approvals.safe_mode import SafeDesk
from approvals.store import Actor, Store
from approvals.strays import Strays
from approvals.waiting import Waiting
from approvals.warning import Warning
from approvals.welcoming import Welcoming
from approvals.workflow import Ask, Asked, Click, Workflow
from bot.people_import import apply, read_csv
from bot.sandbox import seed
from bot.sandbox.demo_policy import demo_policy
from bot.worker import Worker
from tests.support.mornings import begin_like_before, keep
from tests.support.policies import roomy

COMPANY = seed.company()


@dataclass
class MemoryDirectory:
    """Atlassian as a set of memberships that remembers each call; trouble is put in front of the next calls."""

    members: dict[str, set[str]] = field(default_factory=dict)  # group -> accounts
    calls: list[tuple[str, str, str]] = field(default_factory=list)  # does, group, account
    reads: int = 0
    listed: list[str] = field(default_factory=list)  # groups whose list was read
    shown: dict[str, set[str]] = field(default_factory=dict)  # group -> accounts its list shows, where that is wrong
    trouble: list[Exception] = field(default_factory=list)  # raised by the next performs, before the effect
    lost_answers: list[Exception] = field(default_factory=list)  # raised by the next performs, after the effect
    unreadable: list[Exception] = field(default_factory=list)  # raised by the next reads
    impossible: dict[str, str] = field(default_factory=dict)  # group -> why
    owner: str = "scim:d1"
    account_owner: str = "scim:d1"
    admins: set[str] = field(default_factory=set)  # organization admins
    active: dict[str, bool] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    refuses: dict[str, Exception] = field(default_factory=dict)  # does -> raised by each perform of it
    at_site: tuple[str, ...] = ()  # groups that only the site knows
    shows_newcomers: bool = True
    without_record: set[str] = field(default_factory=set)  # accounts that no directory of ours has
    untouched: set[str] = field(default_factory=set)  # accounts that nothing may be changed of
    per_call: int = 100
    more_tokens: bool = False  # one more step is found when it is begun
    on_perform: Callable[[Step], None] = lambda step: None

    def survey_grant(self, account: str, entitlement: Entitlement) -> Survey:
        self._read()
        if entitlement.group in self.impossible:
            raise Impossible(self.impossible[entitlement.group])
        step = Step(
            does="add_member", owner=self.owner, target=f"id-{entitlement.group}", target_name=entitlement.group,
            account=account, member=f"scim-{account}", api="SCIM", method="PATCH",
            path=f"/scim/directory/d1/Groups/id-{entitlement.group}", words=f"add them to {entitlement.group}",
        )  # fmt: skip
        return Survey(
            steps=(step,), holds=account in self.held(entitlement.group),
            subject_name=name_of(account), subject_mail=f"{name_of(account)}@example",
        )  # fmt: skip

    def survey_revoke(self, account: str, entitlement: Entitlement) -> Survey:
        given = self.survey_grant(account, entitlement)
        steps = tuple(map(self.removal, given.steps)) if given.holds else ()
        return given.model_copy(update={"steps": steps, "holds": not given.holds})

    def org_admins(self) -> frozenset[str]:
        return frozenset(self.admins)

    def survey_org_admin(self, account: str) -> Survey:
        return self._about(account, "revoke_org_admin", owner="org")

    def survey_deactivate(self, account: str) -> Survey:
        does = ["delete_tokens", *["revoke_org_admin"] * self.more_tokens, "deactivate", "delete_tokens"]
        return self._about(account, *does)

    def survey_reactivate(self, account: str, *, keep_tokens: bool = False) -> Survey:
        return self._about(account, *(() if keep_tokens else ("delete_tokens",)), "reactivate")

    def survey_tokens(self, account: str) -> Survey:
        return self._about(account, "delete_tokens")

    def survey_offboard(self, account: str) -> Survey:
        """With the groups of the site that the account is in, however often it is asked."""
        out = self.survey_deactivate(account)
        return out.model_copy(update={"steps": (*out.steps, *self._out_of_the_site(account))})

    def _out_of_the_site(self, account: str) -> list[Step]:
        held = [name for name in self.at_site if account in self.held(name)]
        return [
            Step(does="remove_member", owner="site", target=f"id-{name}", target_name=name, account=account,
                 member=account, api="Jira site (legacy)", method="DELETE", path="/group/user",
                 words=f"take them out of {name}")
            for name in held
        ]  # fmt: skip

    def arrived(self, mail: str) -> Arrived | None:
        self._read()
        return Arrived(f"712020:{mail}", mail, ("jira-software",)) if self.shows_newcomers else None

    def survey_suspend(self, account: str) -> Survey:
        return self._about(account, "suspend")

    def survey_restore(self, account: str) -> Survey:
        return self._about(account, "restore")

    def survey_email(self, account: str, address: str) -> Survey:
        return self._about(account, "set_email")

    def survey_provision(self, newcomer: Newcomer, *, by_site: bool = False) -> Survey:
        return self._about(newcomer.mail, "create_user")

    def survey_group(self, entitlement: Entitlement, wanted: Sequence[tuple[str, str]]) -> GroupSurvey | None:
        self._read()
        if entitlement.group in self.impossible:
            raise Impossible(self.impossible[entitlement.group])
        if not self.owner.startswith("scim:"):
            return None
        step = Step(
            does="add_members", owner=self.owner, target=f"id-{entitlement.group}", target_name=entitlement.group,
            account="", member="", api="SCIM", method="PATCH", path=f"/Groups/id-{entitlement.group}", words="",
        )  # fmt: skip
        records = {one: f"scim-{one}" for one, _ in wanted if one not in self.without_record}
        return GroupSurvey(step, records, {}, self.records_in(step), self.per_call)

    def records_in(self, step: Step) -> frozenset[str]:
        self._read()
        return frozenset(f"scim-{one}" for one in self.held(step.target_name))

    def who_hold(self, step: Step, members: Collection[str]) -> frozenset[str]:
        self._read()
        self.listed.append(step.target_name)
        return frozenset(members) & {
            f"scim-{one}" for one in self.shown.get(step.target_name, self.held(step.target_name))
        }

    def accounts_with(self, entitlement: Entitlement) -> frozenset[str]:
        self._read()
        if entitlement.group in self.impossible:
            raise Impossible(self.impossible[entitlement.group])
        return frozenset(self.shown.get(entitlement.group, self.held(entitlement.group)))

    def step_for(self, account: str, entitlement: Entitlement) -> Step:
        if account in self.untouched:
            raise Impossible(f"The account {account} is protected, so nothing of it is changed.")
        return self.survey_grant(account, entitlement).steps[0]

    def _about(self, account: str, *does: str, owner: str = "") -> Survey:
        self._read()
        steps = tuple(
            Step(does=one, owner=owner or self.account_owner, account=account, member=account, api="SCIM",
                 method="PATCH", path=f"/{one}/{account}", words=f"{one} {name_of(account)}")  # type: ignore[arg-type]
            for one in does
        )  # fmt: skip
        return Survey(steps=steps, holds=False, subject_name=name_of(account), subject_mail="x@example")

    def removal(self, step: Step) -> Step:
        return step.model_copy(update={"does": "remove_member", "words": f"take them out of {step.target_name}"})

    def perform(self, step: Step) -> str:
        self.calls.append((step.does, step.target_name, step.account))
        self.on_perform(step)
        if self.trouble:
            raise self.trouble.pop(0)
        if step.does in self.refuses:
            raise self.refuses[step.does]
        if not step.target_name:
            return self._account_call(step)
        if step.does in ("add_members", "remove_members"):
            many = read_members(step).keys()
            (
                self.held(step.target_name).update
                if step.does == "add_members"
                else self.held(step.target_name).difference_update
            )(many)
            if self.lost_answers:
                raise self.lost_answers.pop(0)
            return "200"
        (self.held(step.target_name).add if step.does == "add_member" else self.held(step.target_name).discard)(
            step.account
        )
        if self.lost_answers:
            raise self.lost_answers.pop(0)
        return "200"

    def _account_call(self, step: Step) -> str:
        match step.does:
            case "revoke_org_admin":
                self.admins.discard(step.account)
            case "deactivate" | "suspend":
                self.active[step.account] = False
            case "reactivate" | "restore":
                self.active[step.account] = True
            case "delete_tokens":
                self.tokens[step.account] = 0
        return "200"

    def is_true(self, step: Step) -> bool:
        self._read()
        if not step.target_name:
            match step.does:
                case "revoke_org_admin":
                    return step.account not in self.admins
                case "deactivate" | "suspend":
                    return not self.active.get(step.account, True)
                case "reactivate" | "restore":
                    return self.active.get(step.account, False)
            return (step.does, "", step.account) in self.calls[-1:]
        return (step.account in self.held(step.target_name)) == (step.does == "add_member")

    def held(self, group: str) -> set[str]:
        return self.members.setdefault(group, set())

    def _read(self) -> None:
        self.reads += 1
        if self.unreadable:
            raise self.unreadable.pop(0)


@dataclass
class MemoryPeople:
    """Slack's users, always reachable unless ``trouble`` waits; counts how often somebody was looked at."""

    refreshed: list[str] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)
    store: Store | None = None

    def refresh_sources(self, policy: Policy, sources: Iterable[Source], subject: str) -> None:
        """They are as a test has written them; read just now."""
        assert self.store is not None
        sources = list(sources)
        if not sources:
            return
        with self.store.write() as w:
            for source in sources:
                for state in w.session.exec(select(SourceState).where(SourceState.source == source.key)):
                    state.tried_at = w.now
                    if not state.trouble:
                        state.read_at = w.now

    def refresh(self, team: str, user: str) -> None:
        self.refreshed.append(user)
        if self.trouble:
            raise self.trouble.pop(0)


@dataclass
class MemoryIncidents:
    """Incidents, open unless a test says otherwise; trouble is raised by each reading."""

    states: dict[str, IncidentState] = field(default_factory=dict)
    trouble: IncidentError | None = None
    asked: list[str] = field(default_factory=list)

    def state(self, incident: str) -> IncidentState:
        self.asked.append(incident)
        if self.trouble:
            raise self.trouble
        return self.states.get(incident, "open")


class World:
    """The decisions, wired to memory, with the seeded company imported and a policy in force."""

    def __init__(
        self, store: Store, policy: str | None = None, effects: Effects = Effects.ON, *, after: World | None = None
    ) -> None:
        self.store = store
        groups = {group.name: accounts(*group.members) for group in COMPANY.groups}
        self.directory = after.directory if after else MemoryDirectory(groups)
        self.people = MemoryPeople(store=store)
        self.policies = PolicyBook()
        self.workflow = Workflow(store, self.policies)
        self.counting = Counting(store, self.policies, self.people)
        self.planning = Planning(store, self.directory, self.policies, self.people)
        self.provisioning = Provisioning(store, self.directory, self.people, self.policies, effects)
        self.incidents = after.incidents if after else MemoryIncidents()
        self.glass_desk = GlassDesk(store, self.policies)
        self.glass = Glass(store, self.policies, self.directory, self.people, self.incidents)
        self.reviews = Reviews(store, self.policies, self.workflow)
        self.others_put_in: set[str] = {"user_added_to_group"}
        writes = effects is not Effects.OFF
        puts_in = self.others_put_in.__contains__
        self.reconciliation = Reconciliation(store, self.directory, self.policies, puts_in, writes)
        self.safe = SafeDesk(store, self.policies)
        self.strays = Strays(store, self.directory, self.policies)
        self.offers = Offers(store, self.policies, self.people)
        self.told: list[Claim] = []
        self.worker = Worker(
            store,
            {
                "plan": self.planning.plan,
                "count": self.counting.count,
                "wait": Waiting(store, self.policies).look,
                "apply": self.provisioning.apply,
                "end": self.provisioning.ending.end,
                "ends soon": Warning(store).warn,
                "welcome": Welcoming(store, self.directory, self.policies, self.workflow).welcome,
                "bulk end": self.provisioning.bulk_ending.end,
                "group end": self.provisioning.ending_together.end,
                "glass": self.glass.judge,
                "glass heard": self.glass.heard,
                "review": self.told.append,
                "review events": self.told.append,
                "review due": self.reviews.due,
                "misuse": self.reviews.propose_suspension,
                "offer": self.offers.offer,
                "bulk progress": self.told.append,
                "bulk result": self.told.append,
                "draw": self.told.append,
                "tell": self.told.append,
                "events": lambda claim: None,
                "reconcile": self.reconciliation.run,
                "safe mode": self.strays.read,
                "stray": self.strays.settle,
                "safe mode over": self.told.append,
                "heartbeat": self.told.append,
            },
            last_words={
                "plan": self.planning.last_words,
                "count": self.counting.last_words,
                "apply": self.provisioning.last_words,
                "glass": self.glass.last_words,
            },
        )
        self.clicks = after.clicks if after else 0
        if after is None:
            self._first_morning(policy or roomy())

    def restarted(self, effects: Effects = Effects.ON) -> World:
        """The process died here: everything is new but the database and Atlassian."""
        store = Store(self.store.database, movable_time=True)
        store.take_over()
        return World(store, effects=effects, after=self)

    def _first_morning(self, policy: str) -> None:
        url, what = self.store.database.url, f"the story's people, {policy}"
        if not begin_like_before(url, what):
            empty = self.store.verify().last == 0
            self.set_policy(policy)
            self.import_people()
            if empty:
                keep(url, what)

    def set_policy(self, text: str) -> Policy:
        policy = Policy.parse(text)
        adopt_first(self.store, text, policy)
        return policy

    def change_policy(self, old: str, new: str) -> None:
        """Apply a policy that differs from the demo's in one place."""
        text = demo_policy()
        assert text.count(old) == 1
        self.apply_policy(text.replace(old, new))

    def apply_policy(self, text: str) -> None:
        """A newer policy than the one in force."""
        with self.store.write() as w:
            digest = Policy.parse(text).hash
            w.session.add(PolicyVersion(hash=digest, text=text, applied_at=w.now, applied_by="test"))
            w.audit("policy.applied", actor=Actor("test"), data={"policy_hash": digest, "agreed": []})

    def import_people(self) -> None:
        """The story's people only: two hundred rows a test would be waste."""
        head, *rows = seed.people_csv().splitlines()
        lines = read_csv("\n".join([head, *rows[: len(seed.STORY)]]))
        apply(self.store, lines, actor=Actor("test"), move=False, dry=False)
        with self.store.write() as w:
            for person in COMPANY.people[: len(seed.STORY)]:
                w.session.add(
                    SlackUser(
                        team=seed.SLACK_TEAM, user=person.slack_id, name=person.handle, mail=person.email,
                        standing=person.slack_kind, read_at=w.now,
                    )
                )  # fmt: skip

    # -- what people do -------------------------------------------------------------------------------------------

    def speaker(self, handle: str) -> Speaker:
        with self.store.read() as session:
            found = people.speaker(
                session, self.policies.current(session), seed.SLACK_TEAM, COMPANY.person(handle).slack_id
            )
        assert isinstance(found, Speaker), found
        return found

    def ask(
        self, who: str = "ada", what: str = "eu-jira-admins", *, subject: str | None = None,
        length: timedelta | None = timedelta(hours=2), reason: str = "INC-42: the database is down",
        source: str | None = None, ends_by: datetime | None = None,
    ) -> AccessRequest:  # fmt: skip
        self.clicks += 1
        ask = Ask(
            "grant", account(subject or who), what, length, reason, source or f"source {self.clicks}", ends_by=ends_by
        )
        return self.request(self.workflow.ask(self.speaker(who), ask))

    def breaks(
        self, who: str = "tomas", what: str = "eu-jira-admins", incident: str = "INC-42", *,
        reason: str = "the database is down", channel: str = "", source: str | None = None,
    ) -> AccessRequest:  # fmt: skip
        """Somebody breaks glass; it is decided by the next run."""
        self.clicks += 1
        wanted = Wanted(what, incident, reason, source or f"glass {self.clicks}", channel)
        return self.request(self.glass_desk.ask(self.speaker(who), wanted))

    def click(
        self, who: str, request: AccessRequest, choice: str = "approve", *, version: int | None = None,
        reason: str = "", typed: str = "", changed: str = "",
    ) -> None:  # fmt: skip
        self.clicks += 1
        self.workflow.vote(
            Click(
                request_id=request.id, version=version or self.request(request).version, choice=choice,
                team=seed.SLACK_TEAM, user=COMPANY.person(who).slack_id, channel="D1",
                source=f"click {self.clicks}", reason=reason, typed=typed, changed=changed,
            )
        )  # fmt: skip

    def run(self) -> None:
        """Do all the work that is due."""
        self.worker.run_until_idle()

    def later(self, by: timedelta) -> None:
        """Domain time, moved on from where it was first."""
        self.store.move_time(by)

    # -- what there is --------------------------------------------------------------------------------------------

    def request(self, request: AccessRequest | Asked) -> AccessRequest:
        with self.store.read() as session:
            found = session.get(AccessRequest, request.id)
        assert found is not None
        return found

    def grant(self, request: AccessRequest) -> Grant | None:
        with self.store.read() as session:
            return session.exec(select(Grant).where(Grant.request_id == request.id)).first()

    def news(self, kind: str) -> list[News]:
        """What people are told of this kind, in its order."""
        with self.store.read() as session:
            return list(session.exec(select(News).where(News.kind == kind).order_by(col(News.id))))

    def record(self, event: str) -> list[dict[str, Any]]:
        """The chained bodies of this kind, in their order."""
        with self.store.read() as session:
            rows = session.exec(select(AuditEntry).where(AuditEntry.event == event).order_by(col(AuditEntry.seq)))
            return [json.loads(row.body) for row in rows]

    def jobs(self) -> dict[str, Job]:
        """The jobs that are left, by their key; drawing, telling, warning and the audit log's reading excepted."""
        with self.store.read() as session:
            quiet = (*RECURRING, "draw", "tell", "review", "review events", "bulk progress", "bulk result", "ends soon",
                     "safe mode")  # fmt: skip
            return {job.key: job for job in session.exec(select(Job)) if job.kind not in quiet}

    def holds(self, who: str, group: str = "eu-jira-admins") -> bool:
        return account(who) in self.directory.held(group)


def account(handle: str) -> str:
    return COMPANY.person(handle).account_id


def accounts(*handles: str) -> set[str]:
    return {account(handle) for handle in handles}


def name_of(account_id: str) -> str:
    return next((person.name for person in COMPANY.people if person.account_id == account_id), account_id)


def at_once(*doings: Callable[[], Any]) -> list[Any]:
    """Let threads do these at the same moment; what each returned or raised, in the order given."""
    start = threading.Barrier(len(doings))

    def begin(doing: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return doing()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(doings)) as threads:
        return list(threads.map(begin, doings))
