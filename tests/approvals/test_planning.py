"""While a request is asked: what Atlassian says before anybody is asked."""

import json
from datetime import timedelta

import pytest
from sqlmodel import select

from approvals.models import PlanRow
from approvals.planning import plan_of
from approvals.ports import DirectoryError
from approvals.states import Status
from approvals.store import Stale, Store
from tests.support.world import COMPANY, World, account


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def test_the_plan_is_written_down_and_the_question_opened(world: World) -> None:
    request = world.ask()
    world.run()
    now = world.request(request)
    with world.store.read() as session:
        plan = plan_of(session, now)
    assert plan is not None
    assert (now.status, now.plan_hash) == (Status.PENDING, plan.hash)
    assert plan.subject_name == COMPANY.person("ada").name
    (entry,) = world.record("request.pending")
    assert entry["data"]["plan_hash"] == plan.hash
    assert entry["data"]["approvers"] == [account("grace")]
    assert world.directory.calls == [], "planning only reads"


def test_each_version_has_its_own_plan(world: World) -> None:
    request = world.ask()
    world.run()
    world.change_policy('longest = "8h"\nlisted = true', 'longest = "7h"\nlisted = true')
    world.click("grace", request)
    world.run()
    with world.store.read() as session:
        rows = session.exec(select(PlanRow).order_by(PlanRow.version)).all()  # type: ignore[arg-type]
    assert [row.version for row in rows] == [1, 2]
    assert world.request(request).plan_hash == rows[1].hash


def test_what_atlassian_can_not_do_is_refused_with_the_reason(world: World) -> None:
    world.directory.impossible["eu-jira-admins"] = "This group is fed by your identity provider; change it there."
    request = world.ask()
    world.run()
    now = world.request(request)
    assert (now.status, now.because) == (Status.REFUSED, world.directory.impossible["eu-jira-admins"])
    assert {news.place for news in world.news("refused")} == {"thread", "person"}
    assert all("identity provider" in json.loads(news.facts)["because"] for news in world.news("refused"))
    assert "plan" not in str(world.jobs())


def test_what_atlassian_answers_for_good_is_refused(world: World) -> None:
    world.directory.unreadable.append(DirectoryError("There is no group eu-jira-admins.", retry=False))
    request = world.ask()
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert world.request(request).because == "There is no group eu-jira-admins."


def test_an_atlassian_that_can_not_be_read_is_tried_again(world: World) -> None:
    world.directory.unreadable = [DirectoryError("HTTP 503", retry=True)]
    request = world.ask()
    world.run()
    assert world.request(request).status == Status.ASKED
    assert world.news("waiting") == [], "one hiccup is nobody's news"
    world.later(timedelta(minutes=6))
    world.run()
    assert world.request(request).status == Status.PENDING


def test_who_asked_hears_once_that_it_takes_longer_and_then_that_it_lapsed(world: World) -> None:
    world.directory.unreadable = [DirectoryError("HTTP 503", retry=True) for _ in range(1000)]
    request = world.ask()
    for minutes in range(0, 60, 6):
        world.later(timedelta(minutes=minutes))
        world.run()
    assert world.request(request).status == Status.ASKED
    (waiting,) = world.news("waiting")
    assert (waiting.place, waiting.user) == ("person", COMPANY.person("ada").slack_id)
    world.later(timedelta(hours=24, minutes=1))
    world.run()
    now = world.request(request)
    assert (now.status, now.because) == (Status.LAPSED, "Atlassian could not be read")
    world.directory.unreadable.clear()
    world.later(timedelta(hours=25))
    world.run()
    assert world.request(request).status == Status.LAPSED
    assert not world.jobs(), "nothing is tried any more"


def test_a_rule_that_changed_before_the_plan_was_made_is_refused(world: World) -> None:
    request = world.ask()
    world.change_policy('longest = "8h"\nlisted = true', 'longest = "7h"\nlisted = true')
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert "ask again" in world.request(request).because


def test_a_request_cancelled_while_atlassian_is_read_stays_cancelled(world: World) -> None:
    request = world.ask()
    survey_grant = world.directory.survey_grant

    def cancel_meanwhile(*args: object) -> object:
        world.workflow.cancel(world.speaker("ada"), request.id, "a cancel")
        return survey_grant(*args)  # type: ignore[arg-type]

    world.directory.survey_grant = cancel_meanwhile  # type: ignore[method-assign,assignment]
    world.run()
    assert world.request(request).status == Status.CANCELLED
    reads = world.directory.reads
    world.later(timedelta(minutes=1))
    world.run()  # it looks once more, and finds nothing to do
    assert (world.request(request).status, world.directory.reads) == (Status.CANCELLED, reads)
    assert not [key for key in world.jobs() if key.startswith("plan")]


def test_of_two_who_plan_the_same_question_the_later_one_is_stale_and_doubles_nothing(world: World) -> None:
    """A worker that stood still for longer than its lease goes on, and finds that another has done it."""
    request = world.ask()
    claim = world.store.claim()
    assert claim is not None
    survey_grant = world.directory.survey_grant

    def another_does_it_meanwhile(*args: object) -> object:
        world.directory.survey_grant = survey_grant  # type: ignore[method-assign]
        world.planning.plan(claim)
        return survey_grant(*args)  # type: ignore[arg-type]

    world.directory.survey_grant = another_does_it_meanwhile  # type: ignore[method-assign,assignment]
    with pytest.raises(Stale):
        world.planning.plan(claim)
    assert world.request(request).status == Status.PENDING
    assert len(world.record("request.pending")) == 1
