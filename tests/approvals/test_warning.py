"""Before it ends: whom it concerns hears so in time, and nobody hears what will not happen."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from approvals.models import AccessRequest
from approvals.provisioning import Effects
from approvals.states import Status
from approvals.store import Store
from approvals.warning import AT_LEAST, TOO_SHORT, warned_at
from tests.support.world import COMPANY, World, account

HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def given(world: World, who: str = "ada", length: timedelta = 2 * HOUR, **more: object) -> AccessRequest:
    request = world.ask(who, length=length, **more)  # type: ignore[arg-type]
    world.run()
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.DONE
    return request


def at(world: World, hours: float) -> None:
    world.later(timedelta(hours=hours))
    world.run()


def told(world: World) -> list[str]:
    return sorted(news.user for news in world.news("ends_soon"))


@pytest.mark.parametrize(
    ("length", "before"),
    [
        (TOO_SHORT, AT_LEAST),
        (2 * HOUR, timedelta(minutes=12)),
        (8 * HOUR, timedelta(minutes=48)),
        (timedelta(days=90), timedelta(days=1)),
    ],
)
def test_a_tenth_of_the_time_is_left_at_least_five_minutes_and_a_day_at_most(
    length: timedelta, before: timedelta
) -> None:
    assert warned_at(NOON, NOON + length) == NOON + length - before


def test_what_is_held_for_some_minutes_is_not_warned_of() -> None:
    assert warned_at(NOON, NOON + TOO_SHORT - timedelta(seconds=1)) is None


def test_whoever_holds_it_hears_that_it_ends_and_not_before_it_is_time(world: World) -> None:
    request = given(world)
    at(world, 1.79)
    assert told(world) == []
    at(world, 1.81)
    (news,) = world.news("ends_soon")
    assert (news.place, news.user, news.request_id) == ("person", COMPANY.person("ada").slack_id, request.id)
    facts = json.loads(news.facts)
    row = world.grant(request)
    assert row is not None
    assert row.ends_at is not None
    assert facts["ends_at"] == row.ends_at.timestamp()
    at(world, 3)
    assert not world.holds("ada")
    assert len(told(world)) == 1


def test_who_asked_for_somebody_else_hears_it_too(world: World) -> None:
    given(world, "kofi", subject="ada")
    at(world, 1.9)
    assert told(world) == sorted([COMPANY.person("ada").slack_id, COMPANY.person("kofi").slack_id])


def test_of_what_was_given_back_nobody_hears(world: World) -> None:
    request = given(world)
    world.workflow.end(world.speaker("ada"), request.id, "given back")
    world.run()
    at(world, 1.9)
    assert told(world) == []


def test_of_what_stays_anyway_nobody_hears(world: World) -> None:
    world.directory.held("eu-jira-admins").add(account("ada"))
    given(world)
    at(world, 1.9)
    assert told(world) == []


def test_of_overlapping_grants_only_the_last_one_is_warned_of(world: World) -> None:
    given(world)
    longer = given(world, length=4 * HOUR)
    at(world, 1.9)
    assert told(world) == []
    at(world, 3.7)
    (news,) = world.news("ends_soon")
    assert news.request_id == longer.id


def test_a_bot_that_was_down_until_the_end_does_not_warn_of_what_is_over(world: World) -> None:
    given(world)
    world = world.restarted()
    at(world, 2.5)
    assert told(world) == []
    assert not world.holds("ada")


def test_of_a_rehearsal_nobody_hears(world: World) -> None:
    world = world.restarted(Effects.OFF)
    given(world)
    at(world, 1.9)
    assert told(world) == []


def test_a_warning_is_said_once_however_often_its_job_runs(world: World) -> None:
    request = given(world)
    row = world.grant(request)
    assert row is not None
    at(world, 1.9)
    for _ in range(3):
        with world.store.write() as w:
            w.enqueue("ends soon", row.id or 0)
        world.run()
    assert len(told(world)) == 1
