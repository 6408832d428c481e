"""What Atlassian takes and does not show: looked at with growing pauses, called again once at most, then given up."""

import json
from datetime import timedelta

import pytest

from approvals.models import AccessRequest
from approvals.plan import Step
from approvals.ports import DirectoryError
from approvals.showing import NOT_SHOWN
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Store
from tests.approvals.test_verbs import approve, ask, status
from tests.support.world import World, account

GIVE, TAKE = "add_member", "remove_member"
ALREADY = DirectoryError("HTTP 400: it is so already", retry=False)


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def blind(world: World) -> list[bool]:
    """From here on no read shows what a call did; until the list is emptied."""
    late, is_true = [True], world.directory.is_true
    world.directory.is_true = lambda step: not late and is_true(step)  # type: ignore[method-assign]
    return late


def no_repeats(world: World) -> None:
    """What is so already is refused, as it may be at Atlassian."""
    made: set[tuple[str, str]] = set()

    def insist(step: Step) -> None:
        if (step.does, step.account) in made:
            raise ALREADY
        made.add((step.does, step.account))

    world.directory.on_perform = insist


def over(world: World, since: timedelta, until: timedelta, *, every: float = 1.0) -> None:
    """Time goes by, and whatever comes due is done."""
    while since < until:
        since += timedelta(seconds=every)
        world.later(since)
        world.run()


def called(world: World) -> list[str]:
    return [does for does, *_ in world.directory.calls]


def asked(world: World) -> AccessRequest:
    request = world.ask()
    world.run()
    return request


SECONDS, MINUTES, HOURS = (
    lambda n: timedelta(seconds=n),
    lambda n: timedelta(minutes=n),
    lambda n: timedelta(hours=n),
)


def test_a_gift_that_shows_late_is_called_for_once(world: World) -> None:
    request = asked(world)
    late = blind(world)
    no_repeats(world)
    world.click("grace", request)
    world.run()
    reads = world.directory.reads
    over(world, SECONDS(0), SECONDS(60))
    assert called(world) == [GIVE]
    assert world.directory.reads - reads < 15, "the pauses grow"
    late.clear()
    over(world, SECONDS(60), SECONDS(130), every=10)
    assert (status(world, request), called(world)) == (Status.DONE, [GIVE])


def test_a_repeat_that_is_refused_is_no_failure(world: World) -> None:
    request = asked(world)
    late = blind(world)
    no_repeats(world)
    world.click("grace", request)
    world.run()
    over(world, SECONDS(0), MINUTES(20), every=10)
    assert called(world) == [GIVE, GIVE], "once more, when it should show by then"
    assert status(world, request) == Status.APPLYING
    late.clear()
    over(world, MINUTES(20), MINUTES(22), every=10)
    assert (status(world, request), world.holds("ada")) == (Status.DONE, True)


def test_a_repeat_after_a_lost_answer_is_no_failure_either(world: World) -> None:
    request = asked(world)
    late = blind(world)
    no_repeats(world)
    world.directory.lost_answers = [DirectoryError("no answer", retry=True, maybe_done=True)]
    world.click("grace", request)
    world.run()
    over(world, SECONDS(0), SECONDS(30))
    assert (called(world), status(world, request)) == ([GIVE, GIVE], Status.APPLYING)
    late.clear()
    over(world, SECONDS(30), MINUTES(2), every=5)
    assert (status(world, request), world.holds("ada"), called(world)) == (Status.DONE, True, [GIVE, GIVE])


def test_a_refusal_after_a_lost_call_is_believed_in_the_end(world: World) -> None:
    request = asked(world)
    world.directory.trouble = [
        DirectoryError("no answer", retry=True, maybe_done=True),
        *[DirectoryError("HTTP 403: not allowed", retry=False)] * 2,
    ]
    world.click("grace", request)
    world.run()
    over(world, SECONDS(0), MINUTES(4), every=5)
    assert status(world, request) == Status.FAILED
    assert world.request(request).because == "HTTP 403: not allowed"


def test_a_gift_that_never_shows_is_given_up_and_taken_back(world: World) -> None:
    request = asked(world)
    late = blind(world)
    world.click("grace", request)
    world.run()
    over(world, SECONDS(0), MINUTES(58), every=20)
    assert status(world, request) == Status.APPLYING
    over(world, MINUTES(58), MINUTES(63), every=20)
    now = world.request(request)
    assert (now.status, now.because) == (Status.FAILED, NOT_SHOWN)
    assert {news.place for news in world.news("failed")} == {"thread", "person", "operators"}
    assert called(world)[:3] == [GIVE, GIVE, TAKE], "a read would prove nothing, so it is taken back to be sure"
    late.clear()
    over(world, MINUTES(63), MINUTES(75), every=20)
    grant = world.grant(request)
    assert grant is not None
    assert grant.status == GrantStatus.ENDED
    assert not world.holds("ada")


def test_a_change_that_never_shows_stops_in_the_middle_and_goes_on_when_somebody_says_so(world: World) -> None:
    request = ask(world, "suspend", "sade", "tomas")
    world.run()
    late = blind(world)
    no_repeats(world)
    approve(world, request, "grace", "omar")
    over(world, SECONDS(0), MINUTES(58), every=20)
    assert (status(world, request), called(world)) == (Status.APPLYING, ["suspend"] * 2)
    over(world, MINUTES(58), MINUTES(63), every=20)
    now = world.request(request)
    assert (now.status, now.because) == (Status.PARTLY, NOT_SHOWN)
    assert [news.place for news in world.news("partly")].count("thread") == 1
    world.directory.on_perform = lambda step: None
    late.clear()
    world.directory.active.clear()
    world.workflow.resume(world.speaker("omar"), request.id, "continue")
    world.run()
    assert (status(world, request), called(world)) == (Status.DONE, ["suspend"] * 3)


def test_tokens_that_are_there_again_are_deleted_again_at_once(world: World) -> None:
    """Each call takes what it finds: that is no repeat of the one before."""
    request = ask(world, "tokens", "sade", "tomas")
    world.run()
    late = blind(world)
    approve(world, request, "grace", "omar")
    assert called(world) == ["delete_tokens"]
    over(world, SECONDS(0), SECONDS(20))
    assert 2 < called(world).count("delete_tokens") < 8
    late.clear()
    over(world, SECONDS(20), SECONDS(50), every=5)
    assert status(world, request) == Status.DONE


def test_an_end_that_does_not_show_is_never_given_up_and_is_heard_of(world: World) -> None:
    request = asked(world)
    world.click("grace", request)
    world.run()
    world.later(HOURS(2))
    late = blind(world)
    over(world, HOURS(2), HOURS(2) + SECONDS(80), every=5)
    assert called(world) == [GIVE, TAKE]
    over(world, HOURS(2) + SECONDS(80), HOURS(4), every=20)
    assert 5 < called(world).count(TAKE) < 40
    told = [json.loads(news.facts) for news in world.news("job_in_trouble")]
    assert told
    assert all((one["why"], one["dead"]) == (NOT_SHOWN, False) for one in told)
    late.clear()
    over(world, HOURS(4), HOURS(4) + MINUTES(10), every=20)
    grant = world.grant(request)
    assert grant is not None
    assert grant.status == GrantStatus.ENDED
    assert account("ada") not in world.directory.held("eu-jira-admins")
