"""What a monitor outside is told: each trouble in a sentence without a name, and nothing where there is none."""

from datetime import timedelta

import pytest
from sqlmodel import select

from approvals.models import AccessRequest, Grant, Job, News
from approvals.ports import DirectoryError
from approvals.store import Store
from approvals.watching import HEARD_WITHIN, troubles
from tests.support.world import World

SECOND = timedelta(seconds=1)


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def found(world: World) -> list[str]:
    with world.store.read() as session:
        return troubles(session, world.store.time_in(session))


def tell_all(world: World) -> None:
    with world.store.write() as w:
        for news in w.session.exec(select(News)):
            news.told_at = w.now


def given(world: World) -> AccessRequest:
    request = world.ask("ada")
    world.run()
    world.click("grace", request)
    world.run()
    return request


def test_where_all_is_well_there_is_nothing_to_say(world: World) -> None:
    given(world)
    world.breaks()
    world.run()
    assert found(world) == []
    tell_all(world)
    world.later(timedelta(minutes=2))
    world.run()
    assert found(world) == []


def test_an_end_that_is_late_by_more_than_a_minute(world: World) -> None:
    given(world)
    world.later(timedelta(hours=2, seconds=59))
    assert found(world) == []
    world.later(timedelta(hours=2, seconds=61))
    assert found(world) == ["1 end is late by more than a minute: access is held that should have ended."]
    world.directory.trouble = [DirectoryError("Atlassian: 503", retry=True)]
    world.run()
    assert len(found(world)) == 1, "being taken away is not taken away"
    world.later(timedelta(hours=3))
    world.run()
    assert found(world) == []


def test_jobs_that_were_given_up_and_urgent_ones_that_nobody_takes(world: World) -> None:
    with world.store.write() as w:
        for number in range(2):
            w.add(Job(key=f"tell:{number}", kind="tell", about=str(number), status="dead", run_at=w.now))
        w.enqueue("end", 7, priority=1)
    assert found(world) == ["2 jobs are given up; operators were told which."]
    world.later(timedelta(minutes=5, seconds=1))
    assert found(world)[1:] == ["1 urgent job is waiting for more than five minutes."]


def test_broken_glass_of_which_nobody_heard_until_somebody_does_or_it_is_judged(world: World) -> None:
    request = world.breaks()
    world.run()
    with world.store.write() as w:
        room = w.session.exec(select(News).where(News.kind == "glass")).first()
        assert room is not None
        room.place, room.told_at = "room", w.now  # where it was typed others may not be
    world.later(HEARD_WITHIN - SECOND)
    assert found(world) == []
    world.later(HEARD_WITHIN + SECOND)
    world.run()
    said = ["1 break-glass is not heard of by anybody: Slack takes no message about it."]
    assert found(world) == said
    assert "heartbeat:trouble" in [claim.key for claim in world.told]
    world.later(timedelta(minutes=90))
    world.run()
    assert found(world) == said, "that it is over does not mean that anybody has heard of it"
    tell_all(world)
    assert found(world) == []
    assert request.id not in str(said)


def test_no_sentence_names_anybody(world: World) -> None:
    given(world)
    world.breaks()
    world.run()
    world.later(timedelta(hours=9))
    with world.store.read() as session:
        accounts = {grant.account for grant in session.exec(select(Grant))}
        ids = {request.id for request in session.exec(select(AccessRequest))}
    said = " ".join(found(world))
    assert said
    assert not [word for word in (*accounts, *ids, "Ada", "Tom", "INC-42") if word in said]
