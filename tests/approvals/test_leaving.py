"""Somebody leaves: the account, then everything the record knows of them; and what was done in part goes on."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from approvals import safety
from approvals.models import AccessRequest, News
from approvals.planning import plan_of
from approvals.ports import DirectoryError
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Actor, Store
from approvals.workflow import Ask, Refused
from tests.support.world import COMPANY, World, account, name_of

REASON = "HR-7: the contract is over"


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.directory.admins = {account(who) for who in ("omar", "ingrid", "linnea", "sade")}
    return world


def ask(world: World, verb: str, subject: str, *, who: str = "kofi", **more: Any) -> AccessRequest:
    world.clicks += 1
    ask = Ask(verb, account(subject), "", None, REASON, f"verb {world.clicks}", **more)
    request = world.workflow.ask(world.speaker(who), ask)
    world.run()
    return world.request(request)


def approved(world: World, verb: str, subject: str, **more: Any) -> AccessRequest:
    """Asked, answered by two, and the pause has begun."""
    request = ask(world, verb, subject, **more)
    for who in ("grace", "omar"):
        world.click(who, request, typed=name_of(request.subject))
        world.run()
    assert world.request(request).status == Status.SCHEDULED, world.request(request).because
    return request


def given(world: World, who: str, what: str = "eu-jira-admins", **more: Any) -> AccessRequest:
    request = world.ask(who, what, **more)
    world.run()
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.DONE
    return request


def pause(world: World, minutes: int = 6) -> None:
    world.later(timedelta(minutes=minutes))
    world.run()


def finish(world: World, request: AccessRequest) -> None:
    for minutes in range(6, 20):
        pause(world, minutes)
        if world.request(request).status == Status.DONE:
            return
    raise AssertionError(world.request(request).status)


def warnings_of(world: World, request: AccessRequest) -> list[str]:
    row = world.request(request)
    with world.store.read() as session:
        plan = plan_of(session, row)
    assert plan is not None
    return list(plan.warnings)


def heard(world: World, user: str) -> int:
    with world.store.read() as session:
        return len([news for news in session.exec(select(News)) if news.user == user])


def test_the_plan_says_what_ends_with_it(world: World) -> None:
    held = given(world, "ada")
    waiting = world.ask("ada", "eu-confluence-admins")
    world.run()
    said = warnings_of(world, ask(world, "offboard", "ada"))
    assert any("Holds `eu-jira-admins` until" in line and f"({held.id}), which ends with this" in line for line in said)
    assert any(waiting.id in line and "is cancelled with this" in line for line in said)


def test_a_deactivation_says_that_grants_go_on(world: World) -> None:
    given(world, "ada")
    assert any("goes on to its own end" in line for line in warnings_of(world, ask(world, "deactivate", "ada")))


def test_who_has_duties_in_the_policy_is_named(world: World) -> None:
    said = warnings_of(world, ask(world, "deactivate", "mei"))
    assert any("Owns `eu-confluence-admins`" in line for line in said)


def test_everything_ends_and_the_proof_says_when(world: World) -> None:
    held = [given(world, "ada"), given(world, "ada", "eu-confluence-admins")]
    waiting = world.ask("ada", "release-managers")
    world.run()
    request = approved(world, "offboard", "ada")
    assert world.holds("ada")
    finish(world, request)
    assert not world.holds("ada")
    assert not world.holds("ada", "eu-confluence-admins")
    grants = [world.grant(one) for one in held]
    assert [grant.status for grant in grants if grant] == [GrantStatus.ENDED] * 2
    assert world.request(waiting).status == Status.CANCELLED
    facts = json.loads(world.news("changed")[0].facts)
    assert {(name, id) for name, id, at, kept in facts["ended"] if at and not kept} == {
        ("eu-jira-admins", held[0].id), ("eu-confluence-admins", held[1].id),
    }  # fmt: skip
    assert [id for id, at in facts["cancelled"] if at] == [waiting.id]


def test_nothing_of_it_shows_before_the_account_is_out(world: World) -> None:
    given(world, "ada")
    world.ask("ada", "release-managers")
    world.run()
    ada = COMPANY.person("ada").slack_id
    before = heard(world, ada)
    request = approved(world, "offboard", "ada")
    seen: list[int] = []

    def look(step: Any) -> None:
        if step.does == "deactivate":
            seen.append(heard(world, ada))

    world.directory.on_perform = look
    finish(world, request)
    assert seen == [before]


def test_a_group_joined_meanwhile_and_one_joined_in_the_last_moment_are_left_too(world: World) -> None:
    world.directory.at_site = ("legacy-reporters", "legacy-watchers")
    request = approved(world, "offboard", "tomas")
    world.directory.held("legacy-reporters").add(account("tomas"))

    def join(step: Any) -> None:
        if step.does == "deactivate":
            world.directory.held("legacy-watchers").add(account("tomas"))

    world.directory.on_perform = join
    finish(world, request)
    assert world.directory.held("legacy-reporters") | world.directory.held("legacy-watchers") == set()


def test_an_end_that_can_not_be_made_for_a_while_is_waited_for(world: World) -> None:
    held = given(world, "ada")
    request = approved(world, "offboard", "ada")
    world.directory.refuses = {"remove_member": DirectoryError("Atlassian is down", retry=True)}
    pause(world)
    assert world.request(request).status == Status.APPLYING
    grant = world.grant(held)
    assert grant is not None
    assert grant.status == GrantStatus.ENDING
    world.directory.refuses = {}
    finish(world, request)
    assert not world.holds("ada")


def test_it_may_be_set_for_a_time(world: World) -> None:
    at = world.store.now() + timedelta(days=2)
    request = approved(world, "offboard", "tomas", starts_at=at)
    pause(world, 24 * 60)
    assert (world.request(request).status, world.directory.calls) == (Status.SCHEDULED, [])
    pause(world, 48 * 60 + 1)
    assert world.request(request).status in (Status.APPLYING, Status.DONE)


def test_begun_before_its_time_by_a_hand_in_the_database_it_is_refused_with_an_alarm(world: World) -> None:
    request = approved(world, "offboard", "tomas", starts_at=world.store.now() + timedelta(days=2))
    with world.store.write() as w:
        w.session.get_one(AccessRequest, request.id).starts_at = w.now - timedelta(minutes=1)
        w.enqueue("apply", request.id)
    world.run()
    assert (world.request(request).status, world.directory.calls) == (Status.REFUSED, [])
    assert world.news("alarm")


# -- in part, and on ---------------------------------------------------------------------------------------------------


def in_part(world: World) -> AccessRequest:
    request = approved(world, "deactivate", "tomas")
    world.directory.refuses = {"deactivate": DirectoryError("Google owns the account", retry=False)}
    pause(world)
    assert world.request(request).status == Status.PARTLY
    return request


def test_in_part_can_be_continued_by_who_may(world: World) -> None:
    request = in_part(world)
    with pytest.raises(Refused, match="no such request"):
        world.workflow.resume(world.speaker("ada"), request.id, "a stranger")
    world.workflow.resume(world.speaker("grace"), request.id, "again 1")
    world.run()
    assert world.request(request).status == Status.PARTLY
    assert len([news for news in world.news("partly") if news.place == "thread"]) == 2, "said each time"
    world.directory.refuses = {}
    world.workflow.resume(world.speaker("omar"), request.id, "again 2")
    pause(world, 7)
    assert world.request(request).status == Status.DONE
    with pytest.raises(Refused, match="nothing to go on with"):
        world.workflow.resume(world.speaker("omar"), request.id, "again 3")


def test_in_part_can_be_left_so(world: World) -> None:
    request = in_part(world)
    world.workflow.resume(world.speaker("kofi"), request.id, "leave", give_up=True)
    world.run()
    assert world.request(request).status == Status.FAILED
    assert "left as it is by Kofi Mensah" in world.request(request).because
    assert world.news("left")


def test_frozen_nothing_goes_on(world: World) -> None:
    request = in_part(world)
    with world.store.write() as w:
        safety.freeze(w, Actor(account("sade")), "let us look")
    with pytest.raises(Refused, match="stands still"):
        world.workflow.resume(world.speaker("grace"), request.id, "again")


# -- coming back -------------------------------------------------------------------------------------------------------


def test_a_reactivation_says_who_deactivated_when_and_why(world: World) -> None:
    gone = approved(world, "deactivate", "tomas")
    finish(world, gone)
    said = warnings_of(world, ask(world, "reactivate", "tomas", who="sade"))
    by = "asked by Kofi Mensah, approved by Omar Haddad"
    assert any(gone.id in line and by in line and REASON in line for line in said)


def test_whom_the_bot_did_not_deactivate_is_looked_up_elsewhere(world: World) -> None:
    assert any("audit log says who did" in line for line in warnings_of(world, ask(world, "reactivate", "tomas")))
