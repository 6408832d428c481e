"""Nobody lends an answer that would not count if they gave it themselves, neither at the click nor at the deed."""

from datetime import timedelta

import pytest
from sqlmodel import select

from approvals import bindings, people
from approvals.authority import Case, Delegation, Facts, Yes
from approvals.delegating import Delegating
from approvals.models import AccessRequest, Binding, SlackUser
from approvals.models import Delegation as DelegationRow
from approvals.policy import Person, Policy
from approvals.states import Status
from approvals.store import Actor, Store
from approvals.workflow import Refused
from bot.sandbox import seed
from tests.approvals.test_many_answers import away, pending, person, rule, says, status
from tests.matrix.test_both_moments import count
from tests.support.world import COMPANY, World, account

SOCK = "U0SOCK0001"
GRACE = (seed.SLACK_TEAM, COMPANY.person("grace").slack_id)
MANAGER = 'approvers = ["manager"]'


@pytest.fixture
def world(store: Store) -> World:
    return World(store, rule(MANAGER))


def bound_anew(world: World, who: str, user: str, how: str) -> Person:
    """Another Slack user stands for their account from now on, as an admin or an address has it."""
    by = Actor(account("omar"))
    with world.store.write() as w:
        if w.session.get(SlackUser, (seed.SLACK_TEAM, user)) is None:
            w.add(SlackUser(team=seed.SLACK_TEAM, user=user, name="x", mail="x@x", standing="member", read_at=w.now))
        old = w.session.exec(select(Binding).where(Binding.account == account(who))).one()
        bindings.unbind(w, old, actor=by, because="by hand")
        bindings.bind(w, seed.SLACK_TEAM, user, account(who), how=how, actor=by, confirmed=False)
    with world.store.read() as session:
        found = people.speaker(session, world.policies.current(session), seed.SLACK_TEAM, user)
    assert isinstance(found, Person)
    return found


def begun_by(world: World, speaker: Person, stand_in: str) -> None:
    Delegating(world.store, world.policies).begin(speaker, account(stand_in), timedelta(days=1), f"by {stand_in}")


def change(world: World, standing: str) -> None:
    """Grace is another kind of member, or bound no more."""
    with world.store.write() as w:
        if standing == "unbound":
            w.session.delete(w.session.get_one(Binding, GRACE))
        elif standing == "unconfirmed":
            w.session.get_one(Binding, GRACE).confirmed = False
        else:
            w.session.get_one(SlackUser, GRACE).standing = standing


def test_an_admin_who_binds_another_user_to_an_approver_can_not_have_that_one_delegate(store: Store) -> None:
    world = World(store, rule('approvers = ["role:security"]'))
    request = pending(world)
    sock = bound_anew(world, "sade", SOCK, "bind")
    with pytest.raises(Refused, match="enough to ask and not to answer"):
        begun_by(world, sock, "omar")
    assert says(world, "omar", request) != ""
    assert (status(world, request), world.holds("ada")) == (Status.PENDING, False)


def test_a_manager_who_was_found_by_address_today_delegates_nothing(world: World) -> None:
    request = pending(world)
    grace = bound_anew(world, "grace", GRACE[1], "match")
    with pytest.raises(Refused):
        begun_by(world, grace, "tomas")
    assert says(world, "tomas", request) != ""
    with world.store.read() as session:
        assert session.exec(select(DelegationRow)).all() == []


@pytest.mark.parametrize("standing", ["guest", "deleted", "unbound", "unconfirmed"])
def test_who_stands_in_answers_no_longer_when_the_absent_one_may_not(world: World, standing: str) -> None:
    away(world, "grace", "tomas")
    request = pending(world)
    change(world, standing)
    assert "answered by" in says(world, "tomas", request)
    assert (status(world, request), world.holds("ada")) == (Status.PENDING, False)


@pytest.mark.parametrize("standing", ["guest", "deleted", "unbound", "unconfirmed"])
def test_nor_does_a_yes_that_they_gave_before_the_deed(world: World, standing: str) -> None:
    away(world, "grace", "tomas")
    request = voted(world)
    change(world, standing)
    world.run()
    assert (status(world, request), world.holds("ada")) == (Status.REFUSED, False)
    assert "no longer counts" in world.request(request).because


def voted(world: World) -> AccessRequest:
    request = pending(world)
    world.click("tomas", request)
    count(world)
    assert status(world, request) == Status.APPROVED
    return request


@pytest.mark.parametrize("moment", ["click", "deed"])
def test_whoever_is_away_is_looked_up_at_the_moment_as_whoever_answers_is(world: World, moment: str) -> None:
    away(world, "grace", "tomas")
    request = pending(world) if moment == "click" else voted(world)
    world.people.refreshed.clear()
    if moment == "click":
        world.click("tomas", request)
        count(world)
    else:
        world.run()
    assert {GRACE[1], COMPANY.person("tomas").slack_id} <= set(world.people.refreshed)


def test_whoever_is_away_and_security_hear_that_somebody_stands_in(world: World) -> None:
    away(world, "grace", "tomas")
    told = world.news("stood_in_for")
    assert [(one.place, one.user) for one in told] == [("person", GRACE[1]), ("security", "")]
    assert all("Grace" in one.facts and "Tom" in one.facts for one in told)


# -- one seat, several stages -----------------------------------------------------------------------------------------

TWICE = f'stages = [{{approvers = ["manager"]}}, {{approvers = [{person("grace")}, "role:security"]}}]'
ONLY_HER = f'stages = [{{approvers = ["manager"]}}, {{approvers = [{person("grace")}]}}]'


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [("tomas", "grace", "whoever stands in for you"), ("grace", "tomas", "whoever you stand in for")],
)
def test_one_seat_counts_once_in_whatever_stage(store: Store, first: str, then: str, why: str) -> None:
    world = World(store, rule(TWICE))
    away(world, "grace", "tomas")
    request = pending(world)
    assert says(world, first, request) == ""
    assert says(world, then, request) == f"{why} has answered already"
    assert (status(world, request), world.holds("ada")) == (Status.PENDING, False)
    assert says(world, "sade", request) == ""
    assert status(world, request) == Status.DONE


@pytest.mark.parametrize("order", [("tomas", "grace"), ("grace", "tomas")])
def test_nor_do_two_answers_of_one_seat_that_the_chain_has_make_two_stages_complete(order: tuple[str, str]) -> None:
    policy = Policy.parse(rule(TWICE))
    found = policy.rule("grant", "eu-jira-admins")
    assert found is not None
    grace, ada = account("grace"), account("ada")
    known = Facts(grace, delegations=(Delegation(grace, account("tomas")),))
    said = tuple(Yes(account(who), grace) for who in order)
    tally = Case(policy, found, "grant", ada, ada, known, yes=said).tally
    assert (tally.complete, tally.stage, tally.wanted) == (False, 1, 1)


def test_where_a_seat_would_be_needed_twice_too_few_are_left_to_answer(store: Store) -> None:
    world = World(store, rule(ONLY_HER))
    away(world, "grace", "tomas")
    with pytest.raises(Refused, match="Too few people are left to approve"):
        world.ask()
