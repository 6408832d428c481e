"""What is to be done stands in the database as steps; a step that somebody wrote there by hand is never taken."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from approvals.models import AccessRequest
from approvals.ports import DirectoryError
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Store
from approvals.workflow import Ask
from tests.support.world import World, account, name_of

ANOTHER = "UPDATE steps SET body = replace(body, :ada, :mei)"
ADDED = (
    "INSERT INTO steps (request_id, purpose, position, body, status)"
    " SELECT request_id, purpose, position + 1, replace(body, :ada, :mei), 'waiting' FROM steps"
)


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.directory.admins = {account(who) for who in ("omar", "ingrid", "linnea", "sade")}
    return world


def by_hand(world: World, statement: str) -> None:
    with world.store.database.writing() as session:
        session.connection().execute(text(statement), {"ada": account("ada"), "mei": account("tomas")})


def alarms(world: World) -> set[str]:
    return {news.place for news in world.news("alarm")}


def on_its_way(world: World) -> AccessRequest:
    """Approved and begun: the steps are committed, and Atlassian can't be read just now."""
    request = world.ask()
    world.run()
    world.click("grace", request)
    world.directory.trouble = [DirectoryError("down", retry=True, after=3000)]
    world.run()
    assert world.request(request).status == Status.APPLYING
    return request


@pytest.mark.parametrize("edit", [ANOTHER, ADDED])
def test_a_step_written_by_hand_before_the_call_leads_to_an_alarm_only(world: World, edit: str) -> None:
    request = on_its_way(world)
    calls = len(world.directory.calls)
    by_hand(world, edit)
    world.later(timedelta(minutes=55))
    world.run()
    assert world.request(request).status == Status.FAILED
    assert [who for _, _, who in world.directory.calls[calls:] if who != account("ada")] == []
    assert not world.holds("tomas")
    assert alarms(world) == {"operators", "security"}


@pytest.mark.parametrize("edit", [ANOTHER, ADDED])
def test_an_end_written_by_hand_takes_nothing_from_anybody(world: World, edit: str) -> None:
    """The end stays due, and loud, until somebody has looked."""
    world.directory.held("eu-jira-admins").add(account("tomas"))
    request = world.ask()
    world.run()
    world.click("grace", request)
    world.run()
    by_hand(world, edit)
    world.later(timedelta(hours=3))
    world.run()
    grant = world.grant(request)
    assert grant is not None
    assert grant.status in (GrantStatus.ACTIVE, GrantStatus.ENDING)
    assert world.holds("tomas")
    assert alarms(world) == {"operators", "security"}
    assert "end" in {job.kind for job in world.jobs().values()}


def test_a_step_written_by_hand_between_partly_and_continue_is_not_taken(world: World) -> None:
    world.clicks += 1
    ask = Ask("deactivate", account("ada"), "", None, "HR-7: the contract is over", "deactivate ada")
    request = world.request(world.workflow.ask(world.speaker("kofi"), ask))
    world.run()
    for who in ("grace", "omar"):
        world.click(who, request, typed=name_of(request.subject))
        world.run()
    world.directory.refuses = {"deactivate": DirectoryError("Google owns the account", retry=False)}
    world.later(timedelta(minutes=6))
    world.run()
    assert world.request(request).status == Status.PARTLY
    world.directory.refuses = {}
    by_hand(world, ANOTHER)
    world.workflow.resume(world.speaker("grace"), request.id, "go on")
    world.run()
    assert account("tomas") not in {who for _, _, who in world.directory.calls}
    assert alarms(world) == {"operators", "security"}
