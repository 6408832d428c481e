"""Who is behind a source of approvers, read from Slack, Atlassian or a rota into the mirror, and only for a minute."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog
from sqlmodel import Session, col, delete, select

from approvals import jobs, people
from approvals.cases import SETTLED
from approvals.crash import crash_point
from approvals.models import Binding, SourceMember, SourceState
from approvals.on_call import as_accounts
from approvals.policy import OnCallSource, Policy, Source
from approvals.policy_book import PolicyBook, tell_of_a_forged_one
from approvals.ports import Impossible, OnCall, OutsideError
from approvals.reviews import remind_to_practise
from approvals.store import MACHINE, Store, Write
from bot.oncall.sources import Described, InPagerDuty, Jsm, Rota
from bot.settings import SettingsProblem
from bot.slack_out import SlackOut

log = structlog.get_logger()
YOUNG = timedelta(seconds=45)  # read anew when older: what decides may be 60 seconds old, and reading takes time
PATIENCE = 8.0  # seconds that somebody who answers waits for all sources together
MOST_MEMBERS = 1000  # of one source; a larger group is no group of approvers
BACKGROUND = timedelta(minutes=5)


class Groups(Protocol):
    """Where the members of an Atlassian group are read."""

    def members(self, group: str) -> frozenset[str]:
        """The active accounts in it. Raises ``DirectoryError`` or ``Impossible``."""
        ...


@dataclass(frozen=True)
class _Found:
    """What reading a source gave: accounts, how many people have none here, or why it could not be read."""

    accounts: frozenset[str] = frozenset()
    strangers: int = 0
    trouble: str = ""


class Sources:
    """Keeps the mirror's copy of each source young enough; what can't be read is written down and gives nobody."""

    def __init__(
        self,
        store: Store,
        slack: SlackOut,
        groups: Groups,
        policies: PolicyBook,
        build: Callable[[Mapping[str, Described]], OnCall],
    ) -> None:
        self.store = store
        self.slack = slack
        self.groups = groups
        self.policies = policies
        self._build = build
        self._on_call: tuple[str, OnCall] | None = None  # by the policy it was built for
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="source")

    def refresh(self, sources: Iterable[Source], *, all_of_them: bool = False) -> None:
        """See ``approvals.ports.People.refresh_sources``. ``all_of_them``: also those read a moment ago."""
        wanted = list(sources)
        if not wanted:  # as for most rules: then a click waits for no transaction of ours
            return
        with self.store.read() as session:
            now = self.store.time_in(session)
            due = [source for source in wanted if all_of_them or not _is_young(session, source, now)]
            policy = self.policies.current(session)
        if not due:
            return
        crash_point("sources: before reading")
        running = {self._threads.submit(self._read, source, policy, now): source for source in due}
        wait(running, timeout=PATIENCE)
        found = {
            source: future.result() if future.done() else _Found(trouble=f"no answer within {PATIENCE:.0f} seconds")
            for future, source in running.items()
        }
        crash_point("sources: read")
        with self.store.write() as w:
            for source, reading in found.items():
                self._write_down(w, source, reading)

    def of_policy(self, policy: Policy) -> tuple[Source, ...]:
        """Every source of the policy that is looked up."""
        rules = (*policy.entitlements, *policy.verbs.values())
        found = [source for rule in rules for source in rule.looked_up]
        glass = policy.break_glass
        found += [source for source in (*glass.who, glass.on_call) if source and source.is_looked_up] if glass else []
        return tuple(dict.fromkeys(found))

    def run(self, claim: jobs.Claim) -> None:
        """The job ``sources``: all of the policy every few minutes, or one that Slack said has changed."""
        with self.store.read() as session:
            every = self.of_policy(self.policies.current(session))
        wanted = [source for source in every if claim.about in ("all", source.key)]
        if wanted:
            self.refresh(wanted, all_of_them=True)
        if claim.about == "all":
            with self.store.work(claim) as w:
                remind_to_practise(w, self.policies.current(w.connection))
                tell_of_a_forged_one(w, self.policies)
                w.enqueue("sources", "all", at=w.now + BACKGROUND, priority=jobs.BACKGROUND)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    # -- reading ----------------------------------------------------------------------------------------------------

    def _read(self, source: Source, policy: Policy, at: datetime) -> _Found:
        """One source, by its kind. Nothing is raised: a source that fails is a source that gives nobody."""
        try:
            if source.kind == "usergroup":
                return self._user_group(source)
            if source.kind == "group":
                return _Found(self.groups.members(source.name))
            return self._shift(source, policy, at)
        except (OutsideError, Impossible, SettingsProblem) as error:
            return _Found(trouble=str(error)[:300])

    def _user_group(self, source: Source) -> _Found:
        """Members who are bound. https://docs.slack.dev/reference/methods/usergroups.users.list"""
        users = self.slack.user_group(source.name)
        with self.store.read() as session:
            bound = session.exec(select(Binding.account).where(col(Binding.user).in_(users))).all()
        return _Found(frozenset(bound), len(users) - len(bound))

    def _shift(self, source: Source, policy: Policy, at: datetime) -> _Found:
        identities = self._on_call_of(policy).on_call(source.name, at)
        with self.store.read() as session:
            shift = as_accounts(identities, lambda mail: people.account_with(session, mail))
        return _Found(shift.accounts, len(shift.strangers))

    def _on_call_of(self, policy: Policy) -> OnCall:
        with self._lock:
            if self._on_call is None or self._on_call[0] != policy.hash:
                self._on_call = (policy.hash, self._build({s.name: described(s) for s in policy.on_call}))
            return self._on_call[1]

    # -- writing down -----------------------------------------------------------------------------------------------

    def _write_down(self, w: Write, source: Source, found: _Found) -> None:
        state = w.session.get(SourceState, source.key)
        first = state is None or state.read_at is None
        trouble = found.trouble
        if len(found.accounts) > MOST_MEMBERS:
            trouble = f"it has more than {MOST_MEMBERS} members"
        row = state or SourceState(source=source.key, tried_at=w.now)
        row.tried_at, row.trouble = w.now, trouble
        if not trouble:
            row.read_at = w.now
            self._members(w, source, found.accounts, first=first)
        w.add(row)

    def _members(self, w: Write, source: Source, accounts: frozenset[str], *, first: bool) -> None:
        """Who came since the last look counts from now. At the very first look nobody "came": they were there."""
        known = set(w.session.exec(select(SourceMember.account).where(SourceMember.source == source.key)).all())
        since = w.now - SETTLED if first else w.now
        for account in accounts - known:
            w.session.add(SourceMember(source=source.key, account=account, since=since))
        gone = known - accounts
        if gone:
            w.session.flush()
            where = (col(SourceMember.source) == source.key, col(SourceMember.account).in_(gone))
            w.connection.execute(delete(SourceMember).where(*where))
        came = accounts - known
        if (came or gone) and not first and source.kind != "oncall":  # who is on call changes every week
            data = {"source": source.key, "came": sorted(came), "gone": sorted(gone)}
            w.audit("source.changed", actor=MACHINE, data=data)
            names = people.names(w.session, {*came, *gone})
            w.tell("source_changed", place="security", source=source.said, came=[names[one] for one in sorted(came)],
                   gone=[names[one] for one in sorted(gone)])  # fmt: skip


def described(source: OnCallSource) -> Described:
    """The policy's words for an on-call source as what is built of them."""
    if source.kind == "jsm":
        return Jsm(source.id)
    if source.kind == "file":
        return Rota(Path(source.id))
    kind = "schedule" if source.kind == "pagerduty" else "escalation_policy"
    return InPagerDuty(source.id, kind, source.levels)  # type: ignore[arg-type]


def _is_young(session: Session, source: Source, now: datetime) -> bool:
    state = session.get(SourceState, source.key)
    return state is not None and not state.trouble and state.read_at is not None and now - state.read_at < YOUNG
