"""Who holds already what a list gives: decided when it is given, whatever was so when it was planned."""

from datetime import timedelta

import pytest

from approvals.bulk_planning import HELD, BulkPlanning, Draft
from approvals.bulk_rows import Row
from approvals.plan import GroupSurvey, written_members
from approvals.ports import DirectoryError
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Store
from tests.support.bulk import DRILL, EU, approve, bulk_policy, grants, in_group, line, planned, resume, rows, states
from tests.support.world import World, account

OWNERS = ("scim:d1", "org:d")  # one call for many, and one for each


@pytest.fixture
def world(store: Store) -> World:
    return World(store, bulk_policy())


def held_by(world: World, request: object) -> list[tuple[str, bool]]:
    return [(grant.status, grant.held_before) for grant in grants(world, request)]  # type: ignore[arg-type]


@pytest.mark.parametrize("owner", OWNERS)
def test_what_an_earlier_grant_gave_and_took_before_the_deed_is_given_and_taken_again(world: World, owner: str) -> None:
    world.directory.owner = owner
    single = world.ask("ada")
    world.run()
    world.click("omar", single)
    world.run()
    world.later(timedelta(hours=1))
    world.run()
    request = planned(world, [line(2, "ada"), line(3, "tomas")])
    assert [row.because for row in rows(world, request)] == [HELD, ""]
    world.later(timedelta(hours=3))
    world.run()
    assert not world.holds("ada")
    request = approve(world, request, minutes=190)
    assert (request.status, in_group(world, ("ada", "tomas"))) == (Status.DONE, [True, True])
    assert [row.because for row in rows(world, request)] == ["", ""]
    assert held_by(world, request) == [(GrantStatus.ACTIVE, False)] * 2
    world.later(timedelta(hours=12))
    world.run()
    assert in_group(world, ("ada", "tomas")) == [False, False]


@pytest.mark.parametrize("owner", OWNERS)
def test_a_list_handed_in_again_before_its_end_goes_on_giving(world: World, owner: str) -> None:
    """As the message about the end advises; every row is held when it is planned, and none when it is begun."""
    world.directory.owner = owner
    three = ("ada", "tomas", "nadia")
    approve(world, planned(world, [line(n, who) for n, who in enumerate(three, 2)]))
    world.later(timedelta(hours=1, minutes=50))
    world.run()
    again = planned(world, [line(n, who, hours=8) for n, who in enumerate(three, 2)])
    assert {row.because for row in rows(world, again)} == {HELD}
    again = approve(world, again, minutes=140)
    assert (again.status, in_group(world, three)) == (Status.DONE, [True] * 3)
    world.later(timedelta(hours=40))
    world.run()
    assert in_group(world, three) == [False] * 3


@pytest.mark.parametrize("owner", OWNERS)
def test_one_that_ends_while_the_list_is_being_done_leaves_it_to_the_list_and_it_ends_with_that(
    world: World, owner: str
) -> None:
    """It is still in the group then, and yet it was not there before Gatehouse."""
    world.directory.owner = owner
    single = world.ask("ada")
    world.run()
    world.click("omar", single)
    world.run()
    request = planned(world, [line(2, "nadia", what=DRILL), line(3, "ada")])
    away = DirectoryError("Atlassian is away", retry=True)
    world.directory.trouble = [away]
    request = approve(world, request)
    assert request.status == Status.APPLYING
    world.workflow.end(world.speaker("ada"), single.id, "an end")
    world.run()
    world.later(timedelta(minutes=12))
    world.run()
    assert world.request(request).status == Status.DONE
    assert world.holds("ada")
    assert [grant.held_before for grant in grants(world, request)] == [False, False]
    world.later(timedelta(hours=12))
    world.run()
    assert not world.holds("ada")


@pytest.mark.parametrize("owner", OWNERS)
def test_who_got_it_by_hand_before_the_deed_keeps_it_after_the_end(world: World, owner: str) -> None:
    world.directory.owner = owner
    request = planned(world, [line(2, "ada"), line(3, "tomas")])
    world.directory.held(EU).add(account("ada"))
    request = approve(world, request)
    assert held_by(world, request) == [(GrantStatus.ACTIVE, True), (GrantStatus.ACTIVE, False)]
    assert [row.because for row in rows(world, request)] == [HELD, ""]
    world.later(timedelta(hours=9))
    world.run()
    assert in_group(world, ("ada", "tomas")) == [True, False]


@pytest.mark.parametrize("owner", OWNERS)
def test_who_got_it_by_hand_before_it_was_continued_keeps_it_after_the_end(world: World, owner: str) -> None:
    world.directory.owner, world.directory.per_call = owner, 1
    request = planned(world, [line(2, "ada"), line(3, "tomas")])
    world.directory.trouble = [DirectoryError("Atlassian says no (400)")]
    assert approve(world, request).status == Status.PARTLY
    world.directory.held(EU).add(account("ada"))
    resume(world, request.id)
    assert states(world, request) == ["done", "done"]
    world.later(timedelta(hours=9))
    world.run()
    assert in_group(world, ("ada", "tomas")) == [True, False]


@pytest.mark.parametrize("owner", OWNERS)
def test_a_list_that_is_given_up_takes_from_nobody_whom_it_has_called_nothing_for(world: World, owner: str) -> None:
    """Of three one is given, of one the answer was lost, and the third was never reached: somebody lets them in."""
    world.directory.owner, world.directory.per_call = owner, 1
    request = planned(world, [line(2, "ada"), line(3, "tomas"), line(4, "nadia")])
    lost = DirectoryError("no answer", retry=True, maybe_done=True)
    world.directory.on_perform = lambda step: world.directory.trouble.append(lost) if world.holds("ada") else None
    approve(world, request)
    world.directory.held(EU).add(account("nadia"))
    world.later(timedelta(hours=1, minutes=30))
    world.run()
    assert [grant.status for grant in grants(world, request)] == ["active", "ending", "void"]
    world.directory.on_perform = lambda step: None
    world.directory.trouble.clear()
    world.later(timedelta(hours=1, minutes=40))
    world.run()
    assert (world.request(request).status, states(world, request)) == (Status.PARTLY, ["done", "failed", "failed"])
    assert [grant.status for grant in grants(world, request)] == ["active", "ended", "void"]
    assert in_group(world, ("ada", "tomas", "nadia")) == [True, False, True]


def test_who_holds_it_already_is_called_for_only_where_somebody_lost_it(world: World) -> None:
    world.directory.held(EU).update(map(account, ("ada", "mei")))
    request = approve(world, planned(world, [line(2, "ada"), line(3, "mei")]))
    assert (request.status, world.directory.calls) == (Status.DONE, [])
    world.later(timedelta(hours=9))
    world.run()
    assert in_group(world, ("ada", "mei")) == [True, True]


def test_a_plan_of_an_older_version_knows_no_record_of_who_held_it_and_says_that_they_do_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BulkPlanning, "_batches", batches_as_before)
    world.directory.held(EU).update(map(account, ("ada", "mei")))
    request = planned(world, [line(2, "ada"), line(3, "mei"), line(4, "tomas")])
    world.directory.held(EU).discard(account("ada"))
    request = approve(world, request)
    assert (request.status, states(world, request)) == (Status.PARTLY, ["failed", "done", "done"])
    assert rows(world, request)[0].because == "it is not held any more; hand it in again"
    assert [grant.status for grant in grants(world, request)] == ["void", "active", "active"]
    world.later(timedelta(hours=9))
    world.run()
    assert in_group(world, ("ada", "mei", "tomas")) == [False, True, False]


def batches_as_before(planning: BulkPlanning, draft: Draft, rows: list[Row], found: GroupSurvey) -> None:
    """Whoever held it went with the first call, which did not name them."""
    to_add = []
    for row in rows:
        row.step = len(draft.steps)
        if found.records[row.account] in found.members:
            row.held, row.because = True, HELD
        else:
            to_add.append((row.account, found.records[row.account]))
    draft.steps.append(found.step.model_copy(update={"value": written_members(to_add), "words": "add them"}))
