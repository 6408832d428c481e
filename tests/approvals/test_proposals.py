"""What admins must agree to: who may, how many, what a row of a table proves, and what happens then."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from approvals import safety
from approvals.authority import Case, starting_level
from approvals.models import Freeze, PolicyVersion, Proposal, ProposalVote
from approvals.performing import apply_policy, unfreeze
from approvals.policy import Policy
from approvals.policy_difference import Difference
from approvals.proposals import Proposals, open_proposal
from approvals.states import Status
from approvals.store import Actor, Store
from approvals.workflow import Refused
from bot.sandbox import seed
from tests.support.policies import roomy
from tests.support.world import COMPANY, World, account, at_once

SHELL = Actor("shell:root")


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.proposals = Proposals(store, world.policies, world.people, {"policy": apply_policy, "unfreeze": unfreeze})
    world.worker.kinds = {
        **world.worker.kinds, "agree": world.proposals.judge, "proposal over": world.proposals.over,
        "proposal": world.told.append, "sources": world.told.append,
    }  # fmt: skip
    return world


def propose(world: World, kind: str = "policy", body: Any = None, needs: int = 2, by: Actor = SHELL) -> str:
    with world.store.write() as w:
        return open_proposal(w, kind, body or {"text": changed(), "file": "policy.toml"}, "what differs", needs, by)


def changed() -> str:
    return roomy().replace('longest = "30d"', 'longest = "29d"')


def says(world: World, who: str, proposal: str, choice: str = "agree") -> None:
    world.clicks += 1
    user = COMPANY.person(who).slack_id
    world.proposals.cast(seed.SLACK_TEAM, user, "G1", proposal, choice, f"proposal click {world.clicks}")
    world.run()


def status(world: World, id: str) -> str:
    with world.store.read() as session:
        return session.get_one(Proposal, id).status


def in_force(world: World) -> str:
    with world.store.read() as session:
        return world.policies.current(session).hash


def refused(world: World) -> str:
    return str(json.loads(world.news("vote_refused")[-1].facts)["because"])


def test_a_policy_counts_when_two_admins_agreed_and_not_before(world: World) -> None:
    id = propose(world)
    before = in_force(world)
    says(world, "omar", id)
    assert (status(world, id), in_force(world)) == ("open", before)
    says(world, "omar", id)
    assert refused(world) == "your answer is counted already"
    says(world, "ingrid", id)
    assert status(world, id) == "agreed"
    assert in_force(world) == Policy.parse(changed()).hash
    (entry,) = [e for e in world.record("policy.applied") if "agreed" in e["data"]]
    assert entry["data"]["agreed"] == [account("omar"), account("ingrid")]
    assert world.store.verify().ok


@pytest.mark.parametrize("who", ["sade", "kofi", "ada", "grace"])
def test_only_admins_answer_for_a_policy(world: World, who: str) -> None:
    id = propose(world, needs=1)
    says(world, who, id)
    assert "that is for the role admin" in refused(world)
    assert status(world, id) == "open"


def test_one_no_ends_it(world: World) -> None:
    id = propose(world)
    says(world, "omar", id)
    says(world, "ingrid", id, "reject")
    assert status(world, id) == "rejected"
    says(world, "ingrid", id)
    assert "rejected already (rejected by Ingrid" in refused(world)


def test_nobody_in_time_and_it_is_over(world: World) -> None:
    id = propose(world)
    world.later(timedelta(hours=24, minutes=1))
    world.run()
    assert status(world, id) == "lapsed"


def test_a_newer_one_takes_the_place_of_an_older(world: World) -> None:
    first, second = propose(world), propose(world)
    assert (status(world, first), status(world, second)) == ("lapsed", "open")


def test_rows_written_by_hand_prove_nothing(world: World) -> None:
    id = propose(world)
    before = in_force(world)
    with world.store.write() as w:
        w.add(ProposalVote(proposal_id=id, account=account("omar"), choice="agree", at=w.now))
        w.enqueue("agree", f"{id}/forged")
    world.run()
    says(world, "ingrid", id)
    assert (status(world, id), in_force(world)) == ("open", before)
    for column, value in (("body", json.dumps({"text": roomy() + "# other", "file": "x"})), ("needs", 1),
                          ("shown", "reason: at_least 10 becomes 12")):  # fmt: skip
        again = propose(world)
        with world.store.database.writing() as session:
            session.connection().execute(text(f"UPDATE proposals SET {column} = :v WHERE id = :id"),
                                         {"v": value, "id": again})  # fmt: skip
        says(world, "omar", again)
        assert "not the one in the record" in refused(world)
        assert (status(world, again), in_force(world)) == ("open", before)
    assert world.news("alarm")


def test_two_at_once_apply_it_once(world: World) -> None:
    id = propose(world)
    workers = [world.restarted(), world.restarted()]
    for who in ("omar", "ingrid"):
        world.clicks += 1
        user = COMPANY.person(who).slack_id
        world.proposals.cast(seed.SLACK_TEAM, user, "G1", id, "agree", f"at once {who}")
    for worker in workers:
        worker.worker.kinds = world.worker.kinds
    at_once(*(worker.run for worker in workers))
    world.run()
    assert status(world, id) == "agreed"
    with world.store.read() as session:
        assert len(session.exec(select(PolicyVersion)).all()) == 2


# -- the freeze -------------------------------------------------------------------------------------------------------


def freeze(world: World, who: str = "omar") -> None:
    with world.store.write() as w:
        assert safety.freeze(w, Actor(account(who)), "INC-42: something is wrong")


def test_while_frozen_nothing_is_asked_or_given_and_ends_go_on(world: World) -> None:
    held = world.ask()
    world.run()
    world.click("grace", held)
    world.run()
    waits = world.ask(length=timedelta(hours=3))
    world.run()
    freeze(world)
    with pytest.raises(Refused, match=r"stands still since .* something is wrong"):
        world.ask(length=timedelta(hours=4))
    world.click("grace", waits)
    world.run()
    assert world.request(waits).status == Status.APPROVED
    world.later(timedelta(hours=2, minutes=1))
    world.worker.run_until_idle()
    assert world.directory.calls[-1][0] == "remove_member", "an end is never held back"


def test_two_let_it_go_on_and_one_of_them_is_not_who_froze(world: World) -> None:
    freeze(world, "omar")
    id = propose(world, "unfreeze", {"reason": ""}, 2, Actor(account("omar")))
    says(world, "omar", id)
    says(world, "kofi", id)
    assert "the role admin or the role security" in refused(world)
    assert status(world, id) == "open"
    says(world, "sade", id)
    assert status(world, id) == "agreed"
    with world.store.read() as session:
        assert [row.lifted_at is not None for row in session.exec(select(Freeze))] == [True]
        assert safety.frozen(session) == ""
    assert world.ask().id
    assert {news.place for news in world.news("frozen")} == {"operators", "security"}


def test_what_was_approved_while_frozen_is_done_when_it_thaws(world: World) -> None:
    request = world.ask()
    world.run()
    freeze(world)
    world.click("grace", request)
    world.run()
    assert not world.holds("ada")
    id = propose(world, "unfreeze", {"reason": ""}, 2, Actor(account("omar")))
    says(world, "sade", id)
    says(world, "ingrid", id)
    world.later(timedelta(seconds=20))
    world.run()
    assert world.holds("ada")


# -- what differs -----------------------------------------------------------------------------------------------------

OPERATORS = Policy.parse(roomy()).channels.operators
LIGHT = [
    ('longest = "30d"', 'longest = "29d"', "eu-confluence-admins: longest 30 days becomes 29 days"),
    ('about = "Administer Jira in the EU site"', 'about = "Jira"', "eu-jira-admins: about"),
    ('longest = "30d"', 'longest = "30d"\nescalate_after = "12h"', "escalate_after 8:00:00 becomes 12:00:00"),
    (f'operators = "{OPERATORS}"', 'operators = "C0NOWHERE"', "channels:"),
    ('who_may_ask = ["everyone"]', 'who_may_ask = ["role:admin"]', "who may ask everyone becomes the role admin"),
]
HEAVY = [
    ('approvers = ["manager", "owner"]', 'approvers = ["owner"]', "1 of manager, owner becomes answered by 1 of owner"),
    ("[[protected]]", '[[protected]]\naccount = "712020:abcdef"\nwhy = "x"\n[[protected]]', ":abcdef is protected"),
    ('longest = "30d"', 'longest = "30d"\nescalate_after = "30m"', "escalate_after 8:00:00 becomes 0:30:00"),
    (f'security = "{COMPANY.channel("security").id}"', 'security = "C0NOWHERE"', "channels:"),
    ("[reason]", "[ceilings]\nan_hour = 99\n[reason]", "ceilings:"),
    ('group = "eu-jira-admins"', 'group = "eu-jira-admins"\ntier = "medium"', "tier low becomes medium"),
    ("[entitlements.eu-jira-admins]", '[entitlements.new]\nabout = "x"\ngroup = "new"\n[entitlements.eu-jira-admins]',
     "new is new: answered by 1 of manager"),
    ("security = [{", "security = []\nauditor = [{", "loses the role security"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said", "needs"), [(*c, 1) for c in LIGHT] + [(*c, 2) for c in HEAVY])
def test_each_difference_is_said_and_who_decides_takes_two(old: str, new: str, said: str, needs: int) -> None:
    before = roomy().replace('"role:security", ', "")
    if "auditor" in new:
        before = before.replace('"role:admin", "role:security"', '"role:admin"').replace(', "role:security"]', "]")
    assert before.count(old) >= 1
    difference = Difference(Policy.parse(before), Policy.parse(before.replace(old, new, 1)))
    assert [line for line in difference.sentences if said in line], difference.sentences
    assert difference.needs == needs


def test_the_same_policy_differs_in_nothing() -> None:
    assert Difference(Policy.parse(roomy()), Policy.parse(roomy() + "\n# a remark\n")).sentences == []


def test_no_default_of_the_policy_closes_the_road_by_which_an_admin_stops_being_one() -> None:
    policy = Policy.parse(roomy().replace("[defaults]\n", "[defaults]\ndifferent_groups = true\n", 1))
    road = policy.rule("revoke", "org-admin")
    assert road is not None
    assert starting_level(Case(policy, road, "revoke", account("sade"), account("tomas"))) == 0
