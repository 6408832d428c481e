"""Taking away: in time, once, and never what somebody had by another road."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from approvals import jobs
from approvals.bulk_units import Approved
from approvals.ending import Ending
from approvals.jobs import Claim
from approvals.models import AccessRequest
from approvals.models import Grant as GrantRow
from approvals.outside import Nowhere
from approvals.plan import Step
from approvals.ports import DirectoryError, OutsideError
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import MACHINE, Store
from tests.support.bulk import approve, bulk_policy, grants, line, planned, states
from tests.support.world import World, account

GIVE = ("add_member", "eu-jira-admins", account("ada"))
TAKE = ("remove_member", "eu-jira-admins", account("ada"))
HOUR = timedelta(hours=1)


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def given(world: World, length: timedelta = 2 * HOUR) -> AccessRequest:
    request = world.ask(length=length)
    world.run()
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.DONE
    return request


def grant(world: World, request: AccessRequest) -> GrantRow:
    found = world.grant(request)
    assert found is not None
    return found


def at(world: World, hours: float) -> None:
    world.later(timedelta(hours=hours))
    world.run()


def test_an_end_that_somebody_else_has_begun_meanwhile_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look and its transaction; its steps are planned once."""
    request = given(world)
    look = Ending._is_in_a_crowd

    def begun_meanwhile(self: Ending, seen: GrantRow) -> bool:
        if seen.status == GrantStatus.ACTIVE:
            with world.store.write() as w:
                self.begin(w, w.session.get_one(GrantRow, seen.id), because="somebody was faster")
        return look(self, seen)

    monkeypatch.setattr(Ending, "_is_in_a_crowd", begun_meanwhile)
    monkeypatch.setattr(jobs, "pause", lambda attempts, at_least=None: 30.0)  # longer than any machine stands still
    at(world, 2.01)
    (job,) = [job for key, job in world.jobs().items() if key.startswith("end:")]
    assert "moved by somebody else" in job.trouble
    at(world, 2.02)
    assert grant(world, request).because == "somebody was faster"
    assert grant(world, request).status == GrantStatus.ENDED
    assert world.directory.calls == [GIVE, TAKE]


# -- in time ----------------------------------------------------------------------------------------------------------


def test_access_ends_when_its_time_is_over_and_not_before(world: World) -> None:
    request = given(world)
    at(world, 1.99)
    assert world.holds("ada")
    assert grant(world, request).status == GrantStatus.ACTIVE
    at(world, 2.01)
    row = grant(world, request)
    assert not world.holds("ada")
    assert (row.status, row.because) == (GrantStatus.ENDED, "its time is over")
    assert row.ends_at is not None
    assert row.ended_at is not None
    assert row.ended_at >= row.ends_at
    assert {news.place for news in world.news("ended")} == {"thread", "person"}


def test_a_bot_that_was_down_ends_what_is_due_when_it_is_back(world: World) -> None:
    given(world)
    world = world.restarted()
    at(world, 48)
    assert not world.holds("ada")
    assert json.loads(world.news("ended")[0].facts)["late"] > 0


def test_ends_go_before_everything_else(world: World) -> None:
    given(world)
    world.ask("tomas")
    world.later(3 * HOUR)
    claim = world.store.claim()
    assert claim is not None
    assert claim.kind == "end"


# -- never what was held before ---------------------------------------------------------------------------------------


def test_what_was_held_before_is_neither_given_nor_taken(world: World) -> None:
    world.directory.held("eu-jira-admins").add(account("ada"))
    request = given(world)
    assert grant(world, request).held_before
    at(world, 3)
    row = grant(world, request)
    assert world.holds("ada")
    assert world.directory.calls == []
    assert (row.status, row.remove) == (GrantStatus.ENDED, False)
    assert "held before" in row.because


def test_a_request_upon_what_was_held_before_still_leaves_it_after_two_rounds(world: World) -> None:
    world.directory.held("eu-jira-admins").add(account("ada"))
    given(world)
    at(world, 3)
    given(world)
    at(world, 6)
    assert world.holds("ada")
    assert world.directory.calls == []


def test_what_gatehouse_gave_and_took_is_not_held_before_the_next_time(world: World) -> None:
    given(world)
    at(world, 3)
    request = given(world)
    assert not grant(world, request).held_before
    at(world, 6)
    assert not world.holds("ada")
    assert world.directory.calls == [GIVE, TAKE, GIVE, TAKE]


# -- overlapping ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [(2, 4), (4, 2)])
def test_overlapping_grants_end_with_the_last_one(world: World, first: int, second: int) -> None:
    a, b = given(world, first * HOUR), given(world, second * HOUR)
    at(world, 2.1)
    assert world.holds("ada"), "the other one still needs it"
    sooner, later = (a, b) if first < second else (b, a)
    assert grant(world, sooner).status == GrantStatus.ENDED
    assert grant(world, sooner).because == f"still held because of {later.id}"
    assert world.directory.calls == [GIVE]
    at(world, 4.1)
    assert not world.holds("ada")
    assert grant(world, later).status == GrantStatus.ENDED
    assert world.directory.calls == [GIVE, TAKE]


def test_overlapping_grants_that_end_at_the_same_moment_take_it_once(world: World) -> None:
    given(world)
    given(world)
    at(world, 3)
    assert not world.holds("ada")
    assert world.directory.calls == [GIVE, TAKE]


@pytest.mark.parametrize("early", [0, 1])
def test_ending_one_of_two_early_takes_nothing(world: World, early: int) -> None:
    requests = [given(world), given(world)]
    row = grant(world, requests[early])
    with world.store.write() as w:
        world.provisioning.ending.begin(w, row, because="given back")
    world.run()
    assert world.holds("ada")
    assert grant(world, requests[early]).status == GrantStatus.ENDED
    at(world, 3)
    assert not world.holds("ada")
    assert world.directory.calls == [GIVE, TAKE]


def test_overlapping_grants_leave_what_was_held_before_the_first(world: World) -> None:
    world.directory.held("eu-jira-admins").add(account("ada"))
    first, second = given(world, 2 * HOUR), given(world, 4 * HOUR)
    assert [grant(world, request).held_before for request in (first, second)] == [True, True]
    at(world, 5)
    assert world.holds("ada")
    assert world.directory.calls == []


def test_a_grant_asked_for_while_an_earlier_one_is_just_ending_is_given_after_it(world: World) -> None:
    """Else it would take the membership that is on its way out for one that was held before."""
    given(world)
    world.directory.trouble = [DirectoryError("HTTP 503", retry=True)] * 2
    at(world, 2.1)
    assert world.holds("ada")
    request = world.ask()
    world.run()
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.APPROVED
    at(world, 2.5)
    at(world, 2.9)
    at(world, 3.0)
    assert world.request(request).status == Status.DONE
    assert not grant(world, request).held_before
    assert world.holds("ada")
    at(world, 6)
    assert not world.holds("ada")


class Unwritable(Nowhere):
    """Nothing can be said outside for as long as ``full``, so nothing is given."""

    full = True

    def catch_up(self) -> None:
        if self.full:
            raise OutsideError("the file can't be written", retry=True)


def second_that_is_not_given(world: World) -> AccessRequest:
    """Approved and promised while the first is held, and held up before its first call."""
    world.provisioning.outside = world.provisioning.bulk.outside = Unwritable()
    at(world, 1.5)
    request = world.ask()
    world.run()
    world.click("grace", request)
    world.run()
    assert grant(world, request).status == GrantStatus.PROMISED
    return request


@pytest.mark.parametrize("how", ["given up", "ended", "rehearsed"])
def test_what_an_earlier_grant_left_to_one_that_is_never_given_is_taken_all_the_same(world: World, how: str) -> None:
    first = given(world)
    second = second_that_is_not_given(world)
    at(world, 2.1)
    assert grant(world, first).because == f"still held because of {second.id}"
    assert world.holds("ada")
    match how:
        case "ended":
            world.workflow.end(world.speaker("ada"), second.id, "an end")
        case "rehearsed":
            with world.store.write() as w:
                w.session.execute(
                    update(AccessRequest).where(col(AccessRequest.id) == second.id).values(rehearsal=True)
                )
    at(world, 2.7)
    at(world, 2.8)
    assert grant(world, second).status == GrantStatus.ENDED
    assert not world.holds("ada"), "nobody else would ever take it"
    assert world.directory.calls == [GIVE, TAKE]


def test_what_was_never_given_while_the_earlier_one_goes_on_is_void(world: World) -> None:
    first = given(world, 8 * HOUR)
    second = second_that_is_not_given(world)
    at(world, 2.7)
    assert (grant(world, second).status, grant(world, first).status) == (GrantStatus.VOID, GrantStatus.ACTIVE)
    assert world.holds("ada")
    at(world, 8.2)
    assert not world.holds("ada")


def test_what_an_earlier_grant_left_to_a_row_that_is_never_given_is_taken_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(store, bulk_policy())
    first = given(world)
    blocked = world.provisioning.bulk.outside = Unwritable()
    at(world, 1.5)
    request = approve(world, planned(world, [line(2, "ada", hours=1)]), minutes=100)
    assert [row.status for row in grants(world, request)] == [GrantStatus.PROMISED]
    at(world, 2.1)
    assert grant(world, first).because == f"still held because of {request.id}"
    blocked.full = False
    bulk = world.provisioning.bulk

    def refuse(claim: Claim, approved: Approved) -> None:
        for row in [row for unit in approved.units for row in unit.rows]:
            bulk._failed_one(claim, approved, row, "HTTP 403")

    monkeypatch.setattr(bulk, "_take_all", refuse)
    at(world, 2.2)
    assert states(world, request) == ["failed"]
    assert [row.status for row in grants(world, request)] == [GrantStatus.ENDED]
    assert not world.holds("ada")


def test_grants_of_different_people_have_nothing_to_do_with_each_other(world: World) -> None:
    given(world)
    other = world.ask("tomas", length=4 * HOUR)
    world.run()
    world.click("grace", other)
    world.run()
    at(world, 3)
    assert (world.holds("ada"), world.holds("tomas")) == (False, True)


# -- trouble ----------------------------------------------------------------------------------------------------------


def test_an_end_is_tried_until_it_is_true_and_shouts_while_it_is_not(world: World) -> None:
    request = given(world)
    world.directory.trouble = [DirectoryError("HTTP 503", retry=True) for _ in range(7)]
    at(world, 2.1)
    assert world.news("job_in_trouble") == []
    for tenth in range(2, 12):
        at(world, 2 + tenth / 10)
    shouts = world.news("job_in_trouble")
    assert [json.loads(news.facts)["attempts"] for news in shouts] == [3, 6]
    assert {news.place for news in shouts} == {"operators"}
    assert not world.holds("ada")
    assert grant(world, request).status == GrantStatus.ENDED
    assert world.directory.calls == [GIVE, *[TAKE] * 8]


def test_an_end_is_never_given_up_though_atlassian_says_it_never_will(world: World) -> None:
    given(world)
    world.directory.trouble = [DirectoryError("HTTP 403", retry=False) for _ in range(20)]
    for hour in range(3, 23):
        at(world, hour)
    assert world.holds("ada")
    at(world, 30)
    assert not world.holds("ada")


def test_an_end_whose_answer_was_lost_is_read_back(world: World) -> None:
    given(world)
    world.directory.lost_answers = [DirectoryError("no answer", retry=True, maybe_done=True)]
    at(world, 2.1)
    at(world, 2.2)
    assert world.directory.calls == [GIVE, TAKE]
    assert world.news("ended")


def test_who_is_gone_already_is_not_removed_again(world: World) -> None:
    """Somebody took it away by hand."""
    request = given(world)
    world.directory.held("eu-jira-admins").discard(account("ada"))
    at(world, 3)
    assert grant(world, request).status == GrantStatus.ENDED
    assert world.directory.calls == [GIVE]


def test_an_end_that_is_not_yet_due_does_nothing(world: World) -> None:
    request = given(world)
    number = grant(world, request).id or 0
    with world.store.write() as w:
        w.enqueue("end", number)
    world.run()
    assert world.holds("ada")
    assert grant(world, request).status == GrantStatus.ACTIVE
    at(world, 2.1)
    assert not world.holds("ada")


def test_an_end_runs_once_however_often_it_is_asked_for(world: World) -> None:
    request = given(world)
    number = grant(world, request).id or 0
    at(world, 3)
    for _ in range(3):
        with world.store.write() as w:
            w.enqueue("end", number)
        world.run()
    assert world.directory.calls == [GIVE, TAKE]
    assert len(world.record("grant.ended")) == 1
    assert len(world.news("ended")) == 2


def test_nothing_is_told_as_ended_before_a_read_shows_it(world: World) -> None:
    request = given(world)
    is_true = world.directory.is_true
    world.directory.is_true = lambda step: False  # type: ignore[method-assign]
    at(world, 2.1)
    assert grant(world, request).status == GrantStatus.ENDING
    assert world.news("ended") == []
    world.directory.is_true = is_true  # type: ignore[method-assign]
    at(world, 2.2)
    assert grant(world, request).status == GrantStatus.ENDED
    assert world.news("ended")


def test_an_end_that_meets_the_last_word_of_its_own_gift_comes_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Due at the very moment in which another thread writes down that what was given shows: the end looks again."""
    request = given(world)
    number = grant(world, request).id or 0

    def to(status: GrantStatus) -> None:
        with world.store.database.writing() as session:
            row = session.get(GrantRow, number)
            assert row is not None
            row.status = status

    ending = world.provisioning.ending
    insist = ending._insist_on_the_record

    def meanwhile(claim: Claim, row: GrantRow, purpose: str) -> None:
        insist(claim, row, purpose)
        to(GrantStatus.ACTIVE)

    to(GrantStatus.PROMISED)
    monkeypatch.setattr(ending, "_insist_on_the_record", meanwhile)
    at(world, 2.1)
    monkeypatch.undo()
    assert grant(world, request).status == GrantStatus.ACTIVE, "what was read was old, so nothing was moved"
    at(world, 2.2)
    assert (grant(world, request).status, world.holds("ada")) == (GrantStatus.ENDED, False)


def test_a_grant_that_is_gone_from_the_record_ends_nothing(world: World) -> None:
    with world.store.write() as w:
        w.enqueue("end", 4711)
        w.audit("x", actor=MACHINE)
    world.run()
    assert world.jobs() == {}


# -- what does not show yet -------------------------------------------------------------------------------------------


def shows_late(world: World) -> list[bool]:
    """From here on Atlassian takes what it is told, and its reads still show what was; until the list is emptied."""
    late, before, is_true = [True], set(world.directory.held("eu-jira-admins")), world.directory.is_true

    def read(step: Step) -> bool:
        now = is_true(step)
        return now if not late else (step.account in before) == (step.does == "add_member")

    world.directory.is_true = read  # type: ignore[method-assign]
    return late


def being_given(world: World) -> tuple[AccessRequest, list[bool]]:
    """Called and answered, and not to be seen yet."""
    request = world.ask()
    world.run()
    late = shows_late(world)
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.APPLYING
    assert world.holds("ada")
    return request, late


def test_what_is_ended_before_it_shows_is_taken_away_all_the_same(world: World) -> None:
    """A read that does not show it may be older than the gift: that is no proof that it is gone."""
    request, late = being_given(world)
    world.workflow.end(world.speaker("ada"), request.id, "an end")
    world.run()
    assert not world.holds("ada")
    late.clear()
    at(world, 0.1)
    assert (grant(world, request).status, world.holds("ada")) == (GrantStatus.ENDED, False)
    assert world.directory.calls == [GIVE, TAKE]


@pytest.mark.parametrize("lost", [True, False])
def test_a_removal_of_what_does_not_show_yet_is_repeated_until_it_is_answered(world: World, lost: bool) -> None:
    request, late = being_given(world)
    error = DirectoryError("no answer", retry=True, maybe_done=True)
    (world.directory.lost_answers if lost else world.directory.trouble).append(error)
    world.workflow.end(world.speaker("ada"), request.id, "an end")
    world.run()
    assert grant(world, request).status == GrantStatus.ENDING, "not answered, not proven"
    at(world, 0.2)
    late.clear()
    assert (grant(world, request).status, world.holds("ada")) == (GrantStatus.ENDED, False)


def test_a_removal_that_is_refused_because_nothing_is_there_closes_when_the_gift_should_show(world: World) -> None:
    """The gift was accepted and had no effect: its removal is refused for ever, and a read tells in the end."""
    request, late = being_given(world)
    world.directory.held("eu-jira-admins").discard(account("ada"))
    late.clear()
    world.directory.refuses["remove_member"] = DirectoryError("HTTP 400: the role is not assigned")
    world.workflow.end(world.speaker("ada"), request.id, "an end")
    world.run()
    assert grant(world, request).status == GrantStatus.ENDING, "it may come yet"
    for hours in (0.1, 0.2, 0.3):
        at(world, hours)
    assert grant(world, request).status == GrantStatus.ENDED


def test_what_was_never_called_for_needs_no_removal(world: World) -> None:
    request = world.ask()
    world.run()
    world.click("grace", request)
    world.directory.trouble = [DirectoryError("no connection", retry=True)]
    world.run()
    assert world.request(request).status == Status.APPLYING
    world.workflow.end(world.speaker("ada"), request.id, "an end")
    world.run()
    at(world, 0.2)
    assert grant(world, request).status == GrantStatus.ENDED
    assert world.directory.calls == [GIVE], "which was refused; nothing is taken that was not given"
