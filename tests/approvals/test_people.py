"""Who is who: both ids, full members only, and never a guess."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session

from approvals import identity, people
from approvals.authority import Case
from approvals.cases import facts_of, who_may_answer
from approvals.models import Binding, Person, SlackUser
from approvals.policy import Entitlement, Policy
from approvals.store import Store
from bot.sandbox import seed
from tests.support.policies import roomy
from tests.support.world import COMPANY, World, account

NOW = datetime.now(UTC)
TEAM = seed.SLACK_TEAM


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def slack(who: str) -> str:
    return COMPANY.person(who).slack_id


def asked(session: Session, rules: Policy, entitlement: Entitlement) -> list[str]:
    """Who can answer when Ada asks for herself."""
    facts = facts_of(session, rules, entitlement, account("ada"), datetime.now(UTC))
    case = Case(rules, entitlement, "grant", account("ada"), account("ada"), facts)
    return [candidate.account for candidate in who_may_answer(session, case)]


def policy(world: World, session: Session) -> Policy:
    return world.policies.current(session)


def stopped(world: World, team: str, user: str) -> str:
    with world.store.read() as session:
        found = people.speaker(session, policy(world, session), team, user)
    assert isinstance(found, people.Stop)
    return found.because


def test_a_member_who_is_bound_speaks_for_their_account(world: World) -> None:
    speaker = world.speaker("omar")
    assert (speaker.account, speaker.team, speaker.user) == (account("omar"), TEAM, slack("omar"))
    assert speaker.roles == {"admin"}


@pytest.mark.parametrize("standing", ["guest", "deleted", "bot", "stranger"])
def test_each_kind_of_user_who_is_not_heard_gets_their_own_sentence(world: World, standing: str) -> None:
    with world.store.write() as w:
        row = w.session.get(SlackUser, (TEAM, slack("ada")))
        assert row is not None
        row.standing = standing
    assert stopped(world, TEAM, slack("ada")) == identity.WHY_NOT[standing]


def test_who_is_not_in_the_mirror_is_not_heard(world: World) -> None:
    assert "don't know your Slack account" in stopped(world, TEAM, "U0NOBODY")


def test_the_same_user_id_in_another_workspace_is_somebody_else(world: World) -> None:
    assert "don't know your Slack account" in stopped(world, "T0ELSEWHERE", slack("ada"))


def test_who_is_not_bound_is_told_who_can_bind_them(world: World) -> None:
    with world.store.write() as w:
        w.session.delete(w.session.get(Binding, (TEAM, slack("ada"))))
    assert f"{TEAM}/{slack('ada')}" in stopped(world, TEAM, slack("ada"))


def test_a_role_needs_slack_user_and_account_together(world: World) -> None:
    """Omar's account bound to another Slack user is no admin."""
    with world.store.write() as w:
        w.session.delete(w.session.get(Binding, (TEAM, slack("omar"))))
        w.session.flush()
        row = w.session.get(Binding, (TEAM, slack("tomas")))
        assert row is not None
        row.account = account("omar")
    assert world.speaker("tomas").roles == frozenset()


def test_a_new_binding_speaks_at_once_and_votes_later(world: World) -> None:
    with world.store.write() as w:
        row = w.session.get(Binding, (TEAM, slack("grace")))
        assert row is not None
        row.votes_from = w.now + timedelta(hours=24)
        now = w.now
    assert world.speaker("grace").account == account("grace")
    with world.store.read() as session:
        rules = policy(world, session)
        early = people.voter(session, rules, TEAM, slack("grace"), now + timedelta(hours=23))
        in_time = people.voter(session, rules, TEAM, slack("grace"), now + timedelta(hours=24))
    assert isinstance(early, people.Stop)
    assert "count from" in early.because
    assert not isinstance(in_time, people.Stop)


def test_the_manager_is_the_one_of_the_import(world: World) -> None:
    with world.store.read() as session:
        assert people.manager_of(session, policy(world, session), account("ada"), NOW) == account("grace")
        assert people.manager_of(session, policy(world, session), account("orla"), NOW) is None
        assert people.manager_of(session, policy(world, session), "nobody", NOW) is None


def test_a_subject_is_found_by_binding_or_by_the_only_account_with_their_mail(world: World) -> None:
    with world.store.write() as w:
        w.session.add(SlackUser(team=TEAM, user="U0NEW", name="new", mail="NEW@x.example".lower(), standing="member",
                                read_at=w.now))  # fmt: skip
        w.session.add(Person(account="acc-new", name="New", mail="new@x.example", read_at=w.now))
        w.session.add(SlackUser(team=TEAM, user="U0NOMAIL", name="no", standing="member", read_at=w.now))
    with world.store.read() as session:
        assert people.account_of(session, TEAM, slack("ada")) == account("ada")
        assert people.account_of(session, TEAM, "U0NEW") == "acc-new"
        assert people.account_of(session, TEAM, "U0NOMAIL") is None
        assert people.account_of(session, TEAM, "U0NOBODY") is None
        assert people.account_with(session, "NEW@X.EXAMPLE") == "acc-new"
    with world.store.write() as w:
        w.session.add(Person(account="acc-two", name="Two", mail="new@x.example", read_at=w.now))
    with world.store.read() as session:
        assert people.account_of(session, TEAM, "U0NEW") is None, "two accounts with one mail: nobody is guessed"


def test_only_those_who_can_be_asked_may_answer(world: World) -> None:
    with world.store.read() as session:
        rules = policy(world, session)
        entitlement = rules.entitlement("eu-confluence-admins")
        assert entitlement is not None
        both = asked(session, rules, entitlement)
    assert both == [account("grace"), account("mei")]
    with world.store.write() as w:
        row = w.session.get(SlackUser, (TEAM, slack("grace")))
        assert row is not None
        row.standing = "deleted"
        w.session.delete(w.session.get(Binding, (TEAM, slack("mei"))))
    with world.store.read() as session:
        assert asked(session, rules, entitlement) == []


def test_names_are_names_where_they_are_known(world: World) -> None:
    with world.store.read() as session:
        assert people.names(session, {account("ada"), "acc-x"}) == {account("ada"): "Ada Ferreira", "acc-x": "acc-x"}
        assert people.names(session, set()) == {}
        bound = people.slack_user_of(session, account("ada"))
        assert bound is not None
        assert bound.user == slack("ada")
        assert people.slack_user_of(session, "acc-x") is None


@pytest.mark.parametrize(("how", "counts"), [("match", True), ("bind", False), ("import", False)])
def test_single_sign_on_stands_in_for_a_second_admin_only_where_the_address_was_matched(
    store: Store, how: str, counts: bool
) -> None:
    world = World(store, roomy().replace("[organization]\n", "[organization]\nsso = true\n", 1))
    mei = (TEAM, slack("mei"))
    with store.write() as w:
        row = w.session.get_one(Binding, mei)
        row.how, row.confirmed = how, False
    with store.read() as session:
        found = people.voter(session, world.policies.current(session), *mei, store.time_in(session))
    assert isinstance(found, people.Stop) != counts
