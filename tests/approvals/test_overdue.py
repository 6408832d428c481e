"""An end survives the loss of its timer and is tried first at every start; one that is late is said to be."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlmodel import col, select

from approvals.models import AccessRequest, Job
from approvals.overdue import ask_for_every_end, shout
from approvals.ports import DirectoryError
from approvals.states import Status
from approvals.store import Store
from tests.support.bulk import approve, bulk_policy, line, planned
from tests.support.world import World

HOUR = timedelta(hours=1)


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def given(world: World, who: str = "ada") -> AccessRequest:
    request = world.ask(who)
    world.run()
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.DONE
    return request


def ends(world: World) -> dict[str, Job]:
    with world.store.read() as session:
        return {job.key: job for job in session.exec(select(Job).where(col(Job.kind).in_(["end", "bulk end"])))}


def lose_the_timers(world: World) -> None:
    with world.store.write() as w:
        w.connection.execute(delete(Job).where(col(Job.kind).in_(["end", "bulk end"])))


def test_an_end_whose_job_was_lost_is_asked_for_again_at_its_time(world: World) -> None:
    given(world)
    before = {key: job.run_at for key, job in ends(world).items()}
    lose_the_timers(world)
    assert ask_for_every_end(world.store, due_too=True) == 1
    assert {key: job.run_at for key, job in ends(world).items()} == before
    world.later(2 * HOUR + timedelta(seconds=1))
    world.run()
    assert not world.holds("ada")


def test_an_end_whose_job_was_buried_lives_again(world: World) -> None:
    given(world)
    with world.store.write() as w:
        w.connection.execute(update(Job).where(col(Job.kind) == "end").values(status="dead"))
    world.later(3 * HOUR)
    world.run()
    assert world.holds("ada")
    ask_for_every_end(world.store, due_too=False)
    world.run()
    assert not world.holds("ada")


def test_the_ends_of_a_list_have_their_timer_again_too(store: Store) -> None:
    world = World(store, bulk_policy())
    request = approve(world, planned(world, [line(2, "tomas"), line(3, "ada")]))
    lose_the_timers(world)
    ask_for_every_end(world.store, due_too=True)
    assert list(ends(world)) == [f"bulk end:{request.id}"]


def test_a_list_whose_timer_was_lost_has_it_again_at_its_first_end(store: Store) -> None:
    world = World(store, bulk_policy())
    approve(world, planned(world, [line(2, "tomas", hours=1), line(3, "ada", hours=5)]))
    before = {key: job.run_at for key, job in ends(world).items()}
    lose_the_timers(world)
    ask_for_every_end(world.store, due_too=True)
    assert {key: job.run_at for key, job in ends(world).items()} == before


def test_a_gift_in_doubt_that_was_given_up_is_taken_at_once_after_a_start_too(world: World) -> None:
    """And whoever looks for late ends sees it: its time was to be hours away."""
    request = world.ask()
    world.run()
    world.click("grace", request)
    unsure = DirectoryError("no answer", retry=True, maybe_done=True)
    world.directory.lost_answers, world.directory.trouble = [unsure], []
    is_true = world.directory.is_true
    world.directory.is_true = raising(DirectoryError("no connection", retry=True))  # type: ignore[method-assign]
    world.run()
    for minutes in (10, 30, 61, 62):
        world.later(timedelta(minutes=minutes))
        world.run()
    assert world.request(request).status == Status.FAILED
    ask_for_every_end(world.store, due_too=True)
    (job,) = ends(world).values()
    assert job.run_at <= world.store.now() + timedelta(minutes=10)
    world.later(timedelta(minutes=70))
    with world.store.write() as w:
        shout(w)
    assert world.news("ends_late")
    world.directory.is_true = is_true  # type: ignore[method-assign]
    ask_for_every_end(world.store, due_too=True)
    world.run()
    assert not world.holds("ada")


def test_an_end_that_began_early_goes_on_after_a_start(world: World) -> None:
    """Atlassian was away when it began, hours before the time that was meant."""
    request = given(world)
    row = world.grant(request)
    assert row is not None
    with world.store.write() as w:
        world.provisioning.ending.begin(w, row, because="given back")
        w.enqueue("end", row.id or 0, at=w.now + HOUR)
    ask_for_every_end(world.store, due_too=True)
    world.run()
    assert not world.holds("ada")


def raising(error: Exception) -> Any:
    def act(*_: object) -> bool:
        raise error

    return act


def test_what_has_its_timer_is_left_alone(world: World) -> None:
    given(world)
    assert ask_for_every_end(world.store, due_too=True) == 0
    assert ask_for_every_end(world.store, due_too=False) == 0


def test_at_a_start_an_end_that_waits_after_a_failure_is_tried_at_once(world: World) -> None:
    given(world)
    world.directory.trouble = [DirectoryError("HTTP 503", retry=True, after=3000.0)]
    world.later(2 * HOUR + timedelta(seconds=1))
    world.run()
    assert world.holds("ada")
    assert ask_for_every_end(world.store, due_too=False) == 0, "an ordinary look does not hurry it"
    world = world.restarted()
    assert ask_for_every_end(world.store, due_too=True) == 1
    world.run()
    assert not world.holds("ada")


def test_an_end_whose_job_was_set_too_late_is_not_waited_for(world: World) -> None:
    given(world)
    with world.store.write() as w:
        w.connection.execute(update(Job).where(col(Job.kind) == "end").values(run_at=w.now + 9 * HOUR))
    assert ask_for_every_end(world.store, due_too=False) == 0, "it is not over yet"
    world.later(2 * HOUR + timedelta(seconds=1))
    assert ask_for_every_end(world.store, due_too=False) == 1
    world.run()
    assert not world.holds("ada")


def test_many_pages_of_ends_are_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("approvals.overdue.PAGE", 2)
    for who in ("ada", "tomas", "kofi"):
        given(world, who)
    lose_the_timers(world)
    assert ask_for_every_end(world.store, due_too=True) == 3
    assert len(ends(world)) == 3


# -- said aloud -----------------------------------------------------------------------------------------------------


def say(world: World) -> list[tuple[str, int, int]]:
    with world.store.write() as w:
        shout(w)
    return [(n.place, json.loads(n.facts)["count"], json.loads(n.facts)["late"]) for n in world.news("ends_late")]


def test_late_ends_are_told_to_operators_in_one_message_an_hour_and_to_security_after_one(world: World) -> None:
    given(world)
    given(world, "tomas")
    world.directory.refuses["remove_member"] = DirectoryError("HTTP 503", retry=True)
    world.later(2 * HOUR + timedelta(minutes=4))
    world.run()
    assert say(world) == []
    world.later(2 * HOUR + timedelta(minutes=6))
    (first,) = say(world)
    assert first[:2] == ("operators", 2)
    assert 360 <= first[2] < 400
    assert len(say(world)) == 1
    world.later(4 * HOUR)
    assert [place for place, *_ in say(world)] == ["operators", "operators", "security"]


def test_an_end_that_is_in_time_is_not_called_late(world: World) -> None:
    given(world)
    world.later(3 * HOUR)
    world.run()
    assert say(world) == []
