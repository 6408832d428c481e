"""What a shell can end: whatever was given, at once, by the record's own way; and nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from approvals.models import AccessRequest
from approvals.shell_ends import end_from_shell
from approvals.states import Status
from approvals.store import Actor, Store
from approvals.workflow import Ask
from tests.support.world import World, account

SHELL = Actor("shell:root")


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def ends(world: World, request: AccessRequest) -> str:
    with world.store.write() as w:
        refused = end_from_shell(w, SHELL, request.id, "INC-42: Slack is down")
    world.run()
    return refused


def test_it_is_taken_away_and_the_record_says_by_whom(world: World) -> None:
    request = world.ask("ada")
    world.run()
    world.click("grace", request)
    world.run()
    assert ends(world, request) == ""
    assert not world.holds("ada")
    (entry,) = world.record("grant.end_asked")
    assert entry["actor"] == "shell:root"
    assert "Slack is down" not in str(entry["data"])
    grant = world.grant(request)
    assert grant is not None
    assert grant.because == "ended early from a shell by root: INC-42: Slack is down"
    assert "gives nothing at the moment" in ends(world, request)


def test_broken_glass_too_before_and_after_it_is_given(world: World) -> None:
    request = world.breaks()
    assert ends(world, request) == ""
    assert world.request(request).status == Status.REFUSED
    assert world.directory.calls == []
    world.later(timedelta(minutes=1))
    again = world.breaks()
    world.run()
    assert world.holds("tomas")
    assert ends(world, again) == ""
    assert not world.holds("tomas")


def test_what_asks_for_longer_is_closed_and_what_made_it_longer_ends_too(world: World) -> None:
    request = world.breaks()
    world.run()
    until, two = world.store.now() + timedelta(hours=2), timedelta(hours=2)
    asks = Ask("grant", account("tomas"), "eu-jira-admins", two, "still down", "a", ends_by=until, extends=request.id)
    asked = world.request(world.workflow.ask(world.speaker("tomas"), asks))
    world.run()
    world.click("grace", asked)
    world.run()
    waits = world.request(world.workflow.ask(world.speaker("tomas"), replace(asks, source="b", reason="and longer")))
    world.run()
    assert ends(world, request) == ""
    world.run()
    assert not world.holds("tomas")
    assert world.request(waits).status == Status.CANCELLED


def test_what_there_is_not_and_what_waits_for_an_answer_is_not_ended(world: World) -> None:
    request = world.ask("ada")
    world.run()
    assert "gives nothing" in ends(world, request)
    assert world.request(request).status == Status.PENDING
    assert "no request" in ends(world, AccessRequest(id="REQ-none"))
