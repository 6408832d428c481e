"""A long random run by two hostile people, judged by Atlassian's ledger: what may never happen does not."""

import itertools
import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from sqlmodel import col, select

from approvals.jobs import RECURRING
from approvals.models import AccessRequest, AuditEntry, Grant, Job
from approvals.states import GRANT_MOVES, LIVE, REQUEST_MOVES, Status
from approvals.states import Grant as GrantStatus
from tests.support.hostile_pair import (
    A_DAY,
    ADMINS_AT_FIRST,
    COMPANY,
    GROUPS,
    PROTECTED,
    Pair,
    account,
    policy,
)
from tests.support.living import Living, living, until
from tests.support.outside import copied
from tests.support.share import SEED, SHARE, time_is_up

ALL = 1_000_000
LEAST = ALL // 200  # commands, clicks and forms: CI's share is one in two hundred
WORDS = ALL if SHARE == 1 else LEAST
PARTS = 2
PATIENCE = 8  # a share so small may not meet everything by chance: then it goes on, for so many times its words
WANTED = 100 if SHARE == 1 else 1  # how often each must be met, in all parts together

# What this run can't reach, each with the word why; a test fails when one of them is met after all.
OUT_OF_REACH = {
    "break_glass": "its people type no /breakglass", "resume": "nothing stops in the middle in this run",
    "record": "nothing was given by hand",
    "stop_partly": "Atlassian refuses nothing in the middle in this run",
    "adopt": "no record is lost in this run",
    "end_again": "nobody puts back by hand what was taken in this run",
}  # fmt: skip
SELDOM = {"void"}  # what was promised is refused at the last look: in one run of several, so nothing rests on it
REFUSALS = {
    "one's own request": r"nobody approves their own request", "what is for oneself": r"what is for themselves",
    "not asked": r"is answered by", "decided": r"is already", "another plan": r"has a new plan",
    "counted already": r"counted already", "the name": r"name that was typed", "the plan first": r"look at the plan",
    "longer": r"longer than the", "too long": r"may be held for", "no reason": r"a reason of at least",
    "no such thing": r"There is no entitlement", "protected": r"is protected", "frozen": r"stands still since",
    "open at once": r"requests open", "not yours": r"no such request of yours|gives nothing at the moment",
}  # fmt: skip
SAFETY = {
    "protected": r"is protected", "one road": r"There is one road", "two admins": r"organization admins would remain",
    "ceiling": r"times an hour|times a day", "frozen": r"stands still since",
}  # fmt: skip
DESTROYED = re.compile(r"/(?:suspend|role-assignments/revoke|manage/lifecycle/disable)$")


@pytest.fixture(params=range(PARTS))
def pair(request: pytest.FixtureRequest, migrated_file: Path, tmp_path: Path) -> Iterator[Pair]:
    plenty = {"ATLASSIAN_CALLS_A_MINUTE": "100000"}  # weeks pass here in minutes; the budget has tests of its own
    with living(copied(migrated_file, tmp_path / "pair"), policy=policy(), works=False, **plenty) as bot:
        furnish(bot)
        yield Pair(bot, random.Random(SEED * PARTS + request.param))


def furnish(bot: Living) -> None:
    """Five admins, and nobody who draws: what is shown in Slack is not what is judged here."""
    for handle in ADMINS_AT_FIRST:
        if account(handle) not in bot.house.directory.org_admins():
            bot.house.directory.clients.organization.assign_org_role(account(handle))
    kinds = dict(bot.house.worker.kinds)
    for kind in (*RECURRING, "draw", "tell", "proposal", "home", "private", "preview"):
        kinds[kind] = lambda claim: None
    bot.house.worker.kinds = kinds
    bot.house.desk.__dict__["open_view"] = lambda trigger, view: False


@pytest.mark.torture
def test_two_hostile_people_with_every_right_reach_nothing_that_may_never_be(pair: Pair) -> None:
    started = len(pair.bot.atlassian.ledger())
    before = {group: pair.bot.atlassian.members(group) for group in GROUPS}
    judge, over = Judge(pair, started), time_is_up()
    for number in itertools.count():
        pair.move()
        if number % 4 == 0:
            pair.bot.house.worker.run_until_idle()
        if number % 500 == 499:
            judge.look()
            enough = pair.posts >= WORDS // PARTS or over()
            if enough and (pair.posts >= PATIENCE * WORDS // PARTS or not missed(pair)):
                break
    pair.moved += timedelta(days=40)
    for _ in range(20):  # an end that was put off is still to come, and what waited was given only now
        pair.bot.store.move_time(pair.moved)
        pair.bot.house.worker.run_until_idle()
        if not ends_left(pair):
            break
        time.sleep(0.5)
        pair.moved += timedelta(days=1)
    judge.look()
    judge.everything_ended(before)
    met = tally(pair)
    effects = sum(1 for request in met_requests(pair) if request.status == Status.DONE)
    print(f"seed {SEED}: {dict(pair.moves)}; {len(pair.asked)} requests, {effects} with an effect; {dict(met)}")
    assert effects >= 0.05 * len(pair.asked)
    assert pair.bot.store.verify().ok
    assert missed(pair) == set(), "not met often enough"
    assert not [name for name in met if name.partition(" ")[2] in OUT_OF_REACH], "something is in reach now"


@pytest.mark.torture
def test_nor_do_they_with_four_workers_on_one_postgresql(postgresql_url: str) -> None:
    """The same people, while four threads work at once; fewer words, for a run of threads can't be drawn again."""
    with living(postgresql_url, policy=policy(), works=False) as bot:
        furnish(bot)
        bot.house.worker.start()
        try:
            _move_and_judge(bot)
        finally:  # its threads would work on in the tests that follow
            bot.house.worker.stop(patience=10)
        assert bot.store.verify().ok


def _move_and_judge(bot: Living) -> None:
    pair = Pair(bot, random.Random(SEED))
    judge, over = Judge(pair, len(bot.atlassian.ledger())), time_is_up()
    pair.settle = lambda: wait_until_idle(bot)
    while pair.posts < (LEAST if over() else WORDS) // 20:
        pair.move()
    wait_until_idle(bot)
    judge.look()


def wait_until_idle(bot: Living) -> None:
    """Until nothing is due any more: what waits for its time is not waited for."""

    def idle() -> bool:
        with bot.store.read() as session:
            now = bot.store.time_in(session) + timedelta(seconds=1)
            due = select(Job.id).where(col(Job.status) == "running").limit(1)
            ready = select(Job.id).where(Job.status == "ready", Job.run_at <= now).limit(1)
            return session.exec(due).first() is None and session.exec(ready).first() is None

    until(idle)


class Judge:
    """Reads what Atlassian was asked to change, and holds it against what the people did."""

    def __init__(self, pair: Pair, started: int) -> None:
        self.pair = pair
        self.seen = started
        organization = pair.bot.house.directory.clients.organization
        self.never = {account(handle) for handle in PROTECTED}
        self.never |= {link.scim_user_id for one in tuple(self.never) for link in organization.scim_links(one)}
        self.whose = {
            link.scim_user_id: person.account_id
            for person in COMPANY.people[:40] for link in organization.scim_links(person.account_id)
        }  # fmt: skip
        self.destroyed: list[datetime] = []

    def look(self) -> None:
        for call in self.pair.bot.atlassian.ledger(after=self.seen, writes=True):
            self.seen = max(self.seen, int(call["number"]))
            if call.get("applied", True) and int(call["status"]) < 300:
                self._judge(call)
        left = self.pair.bot.atlassian.org_admins()
        assert len(left) >= 2, f"{len(left)} admins are left"

    def _judge(self, call: dict[str, Any]) -> None:
        said = f"{unquote(call['path'])} {call['body']}"
        assert not [one for one in self.never if one in said], f"a protected account was changed: {call}"
        if "role-assignments/revoke" in call["path"]:
            subject = unquote(call["path"].split("/users/")[1].split("/")[0])
            roads = [one for one in self.pair.about[subject] if one.what == "org-admin"]
            assert any(len(one.yes - {one.requester, one.subject}) >= 2 for one in roads), (call, roads)
        if added := self._added(call):
            mine = [one for subject in added for one in self.pair.about[subject] if one.verb == "grant"]
            assert any(one.yes - {one.requester, one.subject} for one in mine), f"nobody said yes to {call}"
        if DESTROYED.search(call["path"]) or '"active": false' in str(call["body"]).lower().replace("'", '"'):
            at = datetime.fromisoformat(call["time"])
            self.destroyed = [one for one in self.destroyed if at - one < timedelta(days=1)] + [at]
            assert len(self.destroyed) <= A_DAY, "more was destroyed in a day than the ceiling allows"

    def _added(self, call: dict[str, Any]) -> set[str]:
        operations = (call["body"] or {}).get("Operations", []) if isinstance(call["body"], dict) else []
        members = [member for one in operations if one.get("op") == "add" for member in one.get("value") or []]
        ids = {str(member["value"]) for member in members if isinstance(member, dict) and "value" in member}
        return {self.whose[id] for id in ids if id in self.whose}

    def everything_ended(self, before: dict[str, set[str]]) -> None:
        """Every grant of this run had an end, but those until revoked; whoever else is in a group was in it before."""
        kept = {account(one.subject) for one in self.pair.asked.values() if one.what == "breakglass-drill"}
        for group, members in before.items():
            more = self.pair.bot.atlassian.members(group) - members
            left = more - (kept if group == "breakglass-drill" else set())
            assert not left, f"{group} still has {left}: {grants_of(self.pair, left)}"


def ends_left(pair: Pair) -> int:
    """What is held until some time, and how many ends are at work."""
    with pair.bot.store.read() as session:
        held = (col(Grant.status).in_([*LIVE, GrantStatus.ENDING]), col(Grant.ends_at).is_not(None))
        at_work = select(Job.id).where(col(Job.kind).in_(("end", "group end")))
        return sum(len(session.exec(query).all()) for query in (select(Grant.id).where(*held), at_work))


def grants_of(pair: Pair, accounts: set[str]) -> list[str]:
    """What the record says of them, for whoever reads why it failed."""
    with pair.bot.store.read() as session:
        found = session.exec(select(Grant).where(col(Grant.account).in_(accounts))).all()
        jobs = [f"{job.key} {job.status} {job.run_at} {job.trouble}" for job in session.exec(select(Job))]
    return [str(grant) for grant in found] + jobs[:20]


def met_requests(pair: Pair) -> list[AccessRequest]:
    with pair.bot.store.read() as session:
        return list(session.exec(select(AccessRequest)))


def tally(pair: Pair) -> Counter[str]:
    """Each transition, refusal and safety rule, by how often it was met: from the record and from what was said."""
    found: Counter[str] = Counter()
    with pair.bot.store.read() as session:
        for entry in session.exec(select(AuditEntry)).yield_per(1000):
            data = json.loads(entry.body)["data"] if entry.event.startswith(("request.", "grant.")) else {}
            if "before" in data:
                found[f"{entry.event.partition('.')[0]} {data['verb']}"] += 1
        told = [request.because for request in session.exec(select(AccessRequest))]
        for (because,) in session.connection().exec_driver_sql("SELECT because FROM votes WHERE outcome = 'refused'"):
            told.append(because)
    lines = [(line, 1) for line in told] + [(said, times) for said, times in pair.heard.items()]
    for line, times in lines:
        for name, pattern in {**{f"refusal {n}": p for n, p in REFUSALS.items()},
                              **{f"safety {n}": p for n, p in SAFETY.items()}}.items():  # fmt: skip
            if re.search(pattern, line, re.IGNORECASE):
                found[name] += times
    return found


def missed(pair: Pair) -> set[str]:
    """What was not met often enough yet, for so many words."""
    met, wanted = tally(pair), WANTED / PARTS * min(1.0, pair.posts / (WORDS // PARTS))
    return {name for name in expected() if met[name] < max(1, int(wanted))}


def expected() -> set[str]:
    requests = {f"request {verb}" for _, verb, _, _ in REQUEST_MOVES} - {f"request {verb}" for verb in OUT_OF_REACH}
    grants = {f"grant {verb}" for _, verb, _, _ in GRANT_MOVES if verb not in ("promise", *SELDOM, *OUT_OF_REACH)}
    return (requests - {"request ask"}) | grants | {f"refusal {n}" for n in REFUSALS} | {f"safety {n}" for n in SAFETY}
