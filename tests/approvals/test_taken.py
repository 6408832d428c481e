"""What a revocation took away is over in the record as well, and keeps nothing that is given afterwards."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from approvals.models import AccessRequest, Grant
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Store
from approvals.workflow import Ask
from tests.support.bulk import approve, bulk_policy, grants, line, planned, states
from tests.support.world import World, account

GROUP = "eu-jira-admins"
HOUR = timedelta(hours=1)
EVER = timedelta(days=3000)


@pytest.fixture
def world(store: Store) -> World:
    return World(store, policy=bulk_policy())


def given(world: World, length: timedelta | None = 8 * HOUR) -> AccessRequest:
    request = world.ask(length=length)
    world.run()
    for who in ("grace", "omar"):
        if world.request(request).status == Status.PENDING:
            world.click(who, request, typed=f"name of {account('ada')}")
            world.run()
    assert world.request(request).status == Status.DONE, world.request(request).because
    return request


def revoked(world: World) -> str:
    ask = Ask("revoke", account("ada"), GROUP, None, "INC-42: it must be", f"a revocation {world.clicks}")
    id = world.workflow.ask(world.speaker("grace"), ask).id
    world.run()
    request = world.request(AccessRequest(id=id))
    world.click("omar", request)
    world.run()
    assert world.request(request).status == Status.DONE, world.jobs()
    assert not world.holds("ada")
    return id


def of(world: World, request: AccessRequest) -> tuple[str, str]:
    grant = world.grant(request)
    assert grant is not None
    return grant.status, grant.because


@pytest.mark.parametrize("first", [8 * HOUR, 4 * HOUR])
def test_what_is_given_after_a_revocation_ends_at_its_own_time(world: World, first: timedelta) -> None:
    before = given(world, first)
    taken_by = revoked(world)
    assert of(world, before) == (GrantStatus.ENDED, f"taken away by {taken_by}")
    again = given(world, HOUR)
    assert world.holds("ada")
    world.later(HOUR + timedelta(seconds=5))
    world.run()
    assert not world.holds("ada")
    assert of(world, again)[0] == GrantStatus.ENDED
    assert f"end:{world.grant(before).id}" not in world.jobs()  # type: ignore[union-attr]


def test_held_before_the_first_is_not_held_before_the_second_when_it_was_revoked_between(world: World) -> None:
    world.directory.held(GROUP).add(account("ada"))
    before = given(world)
    assert world.grant(before).held_before  # type: ignore[union-attr]
    revoked(world)
    given(world, HOUR)
    world.later(HOUR + timedelta(seconds=5))
    world.run()
    assert not world.holds("ada")


def test_what_asks_for_longer_is_closed_with_what_was_taken(world: World) -> None:
    before = given(world, HOUR)
    asks = Ask("grant", account("ada"), GROUP, 2 * HOUR, "INC-42: longer", "longer", extends=before.id)
    longer = world.workflow.ask(world.speaker("ada"), asks).id
    world.run()
    taken_by = revoked(world)
    now = world.request(AccessRequest(id=longer))
    assert (now.status, now.because) == (Status.CANCELLED, f"{before.id} was taken away by {taken_by}")


def test_whoever_held_it_hears_what_took_it(world: World) -> None:
    before = given(world)
    taken_by = revoked(world)
    told = [news for news in world.news("ended") if news.request_id == before.id]
    assert {news.place for news in told} == {"thread", "person"}
    assert all(taken_by in news.facts for news in told)
    (ended,) = [body for body in world.record("grant.ended") if body["request"] == before.id]
    assert ended["data"]["taken_by"] == taken_by


def test_what_became_active_after_the_call_of_a_revocation_is_left_to_its_own_end(world: World) -> None:
    """It may have been given anew behind it; closed, nobody would ever take it."""
    before = given(world)
    perform = world.directory.perform

    def given_behind(step):  # type: ignore[no-untyped-def]
        answer = perform(step)
        if step.does == "remove_member":
            with world.store.write() as w:
                shown = w.now + timedelta(seconds=1)
                w.session.execute(update(Grant).where(col(Grant.request_id) == before.id).values(active_at=shown))
        return answer

    world.directory.perform = given_behind  # type: ignore[method-assign]
    revoked(world)
    assert of(world, before)[0] == GrantStatus.ACTIVE
    assert f"end:{world.grant(before).id}" in world.jobs()  # type: ignore[union-attr]


def test_a_row_of_a_list_that_revokes_closes_what_gave_it(world: World) -> None:
    before = given(world)
    request = planned(world, [line(2, "ada", verb="revoke")])
    approve(world, request)
    assert states(world, request) == ["done"]
    assert of(world, before) == (GrantStatus.ENDED, f"taken away by {request.id}")
    assert grants(world, request) == []
    given(world, HOUR)
    world.later(HOUR + timedelta(minutes=6, seconds=5))  # the pause of the list went by as well
    world.run()
    assert not world.holds("ada")
