"""Break-glass from the question to its end: who hears of it, who stops it, and what a hand can't forge."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from approvals import safety
from approvals.extending import longer
from approvals.glass import STAYS_OPEN
from approvals.models import AccessRequest, Binding, Grant, Job, News, Review, SourceMember, SourceState
from approvals.ports import DirectoryError, IncidentError
from approvals.states import Grant as GrantStatus
from approvals.states import Review as ReviewStatus
from approvals.states import Status
from approvals.store import Actor, Store
from approvals.watching import HEARD_WITHIN
from approvals.workflow import Refused
from bot.sandbox.demo_policy import demo_policy
from tests.support.policies import roomy
from tests.support.world import COMPANY, World, account

ON_CALL = roomy(
    demo_policy().replace("[break_glass]\n", '[oncall.primary]\nfile = "rota.toml"\n\n[break_glass]\n'
                          'on_call = "oncall:primary"\nincident_open = true\nsecond_person = true\n')
)  # fmt: skip


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


@pytest.fixture
def careful(store: Store) -> World:
    """Where the policy asks who is on call, and whether the incident is open."""
    world = World(store, ON_CALL)
    on_call(world, "tomas", "mei")
    return world


def on_call(world: World, *who: str, trouble: str = "") -> None:
    with world.store.write() as w:
        for row in w.session.exec(select(SourceMember)).all():
            w.session.delete(row)
        w.session.flush()
        for one in who:
            w.session.add(SourceMember(source="oncall:primary", account=account(one), since=w.now))
        read_at = None if trouble else w.now
        w.session.merge(SourceState(source="oncall:primary", read_at=read_at, tried_at=w.now, trouble=trouble))


def broken(world: World, who: str = "tomas", **more: Any) -> AccessRequest:
    request = world.breaks(who, **more)
    world.run()
    now = world.request(request)
    assert now.status == Status.DONE, now.because
    return now


def review(world: World, request: AccessRequest) -> Review | None:
    with world.store.read() as session:
        return session.get(Review, request.id)


def heard(world: World, kind: str = "glass") -> set[str]:
    """Where this is said: a place, or a person's handle."""
    handles = {person.slack_id: person.handle for person in COMPANY.people}
    return {handles.get(news.user, news.place) for news in world.news(kind)}


def deliver(world: World, place: str) -> None:
    with world.store.write() as w:
        for news in w.session.exec(select(News).where(News.kind == "glass", News.place == place)):
            news.told_at = w.now
            w.session.add(news)


# -- the whole way ----------------------------------------------------------------------------------------------------


def test_it_is_taken_first_told_to_everybody_and_ends_by_itself(world: World) -> None:
    request = broken(world, channel="C0GENERAL1")
    assert world.holds("tomas")
    grant = world.grant(request)
    assert grant is not None
    assert grant.ends_at is not None
    assert grant.ends_at - grant.promised_at == timedelta(hours=1)
    assert heard(world) == {"security", "operators", "grace", "room"}
    found = review(world, request)
    assert found is not None
    assert (found.status, found.person, found.drill) == (ReviewStatus.DUE, account("tomas"), False)
    assert found.due_at - found.opened_at == timedelta(hours=24)
    world.later(timedelta(hours=1, seconds=1))
    world.run()
    assert not world.holds("tomas")
    ended = world.grant(request)
    assert ended is not None
    assert ended.status == GrantStatus.ENDED


def test_everything_of_it_is_in_one_transaction_with_the_facts_that_decided(world: World) -> None:
    request = broken(world)
    (asked,), (approved,) = world.record("request.asked"), world.record("request.approved")
    assert asked["data"]["glass"]
    assert approved["actor"] == "gatehouse"
    assert approved["data"]["verb"] == "break_glass"
    assert approved["data"]["plan_hash"] == request.plan_hash
    assert approved["data"]["facts"]["in_group"] == "yes"
    moments = {approved["at"], *(body["at"] for body in world.record("review.due"))}
    assert len(moments) == 1
    with world.store.read() as session:
        told = session.exec(select(News.at).where(News.kind == "glass")).all()
    assert {at.isoformat(timespec="microseconds") for at in told} == moments
    assert [body["data"]["ends_at"] is not None for body in world.record("grant.promised")] == [True]
    assert world.store.verify().ok


def test_the_end_is_committed_before_the_call(world: World) -> None:
    seen: list[bool] = []
    world.directory.on_perform = lambda step: seen.append(bool(world.record("grant.promised")))
    broken(world)
    assert seen == [True]


def test_it_goes_before_everything_else(world: World) -> None:
    world.ask("ada")
    request = world.breaks()
    claim = world.store.claim()
    assert claim is not None
    assert claim.about == request.id
    world.glass.judge(claim)
    urgent = {key for key, job in world.jobs().items() if job.priority == 1}
    assert {f"apply:{request.id}", f"glass heard:{request.id}"} <= urgent
    with world.store.read() as session:
        tells = {job.about: job.priority for job in session.exec(select(Job).where(Job.kind == "tell"))}
        loud = {str(news.id) for news in session.exec(select(News).where(News.kind == "glass"))}
    assert {tells[one] for one in loud} == {1}


def test_pressed_twice_it_is_taken_once(world: World) -> None:
    first = world.breaks(source="the same")
    again = world.breaks(source="the same")
    other = world.breaks()
    assert first.id == again.id == other.id
    world.run()
    assert len([call for call in world.directory.calls if call[0] == "add_member"]) == 1


def test_a_lost_answer_is_found_and_not_repeated(world: World) -> None:
    world.directory.lost_answers = [DirectoryError("no answer", retry=True, maybe_done=True)]
    request = world.breaks()
    world.run()
    world.later(timedelta(minutes=3))
    world.run()
    assert world.request(request).status == Status.DONE
    assert len(world.directory.calls) == 1


def test_atlassian_that_can_not_be_read_is_tried_again_until_it_lapses(world: World) -> None:
    world.directory.unreadable = [DirectoryError("down", retry=True)] * 1000
    request = world.breaks()
    world.run()
    assert world.request(request).status == Status.ASKED
    assert world.news("glass") == []
    world.later(STAYS_OPEN + timedelta(minutes=6))
    world.run()
    assert world.request(request).status == Status.LAPSED
    assert "could not be read" in world.request(request).because


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "more", "said"),
    [
        ("ada", {}, "breaking glass is for"),
        ("tomas", {"what": "eu-confluence-admins"}, "is not taken by break-glass"),
        ("tomas", {"incident": "nothing"}, "name the incident"),
        ("tomas", {"reason": "so"}, "a reason of at least"),
        ("tomas", {"incident": "DRILL", "what": "breakglass-drill"}, "that is for the role"),
    ],
)
def test_what_the_mirror_can_tell_is_refused_at_once_and_in_the_record(
    world: World, who: str, more: dict[str, str], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        world.breaks(who, **more)
    assert world.record("glass.refused")[0]["actor"] == account(who)
    assert world.directory.calls == []


def test_a_new_binding_breaks_no_glass(world: World) -> None:
    with world.store.write() as w:
        bound = w.session.exec(select(Binding).where(Binding.account == account("tomas"))).one()
        bound.votes_from = w.now + timedelta(hours=24)
        w.session.add(bound)
    with pytest.raises(Refused, match="count"):
        world.breaks()


def test_what_is_held_already_is_refused_when_atlassian_shows_it(world: World) -> None:
    request = world.breaks("mei")
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert "hold eu-jira-admins already" in world.request(request).because
    assert world.record("request.refused")[0]["data"]["facts"]["in_group"] == "yes"
    assert world.news("glass") == []


def test_frozen_nothing_is_taken(world: World) -> None:
    with world.store.write() as w:
        safety.freeze(w, Actor(account("sade")), "let us look")
    with pytest.raises(Refused, match="stands still"):
        world.breaks()


def test_who_is_not_on_call_now_is_refused(careful: World) -> None:
    on_call(careful, "mei")
    request = careful.breaks()
    careful.run()
    assert careful.request(request).status == Status.REFUSED
    assert "only who is on call may" in careful.request(request).because


@pytest.mark.parametrize(("state", "said"), [("closed", "INC-42 is closed"), ("missing", "INC-42 does not exist")])
def test_an_incident_that_is_not_open_is_no_reason(careful: World, state: Any, said: str) -> None:
    careful.incidents.states["INC-42"] = state
    request = careful.breaks()
    careful.run()
    assert said in careful.request(request).because
    assert careful.incidents.asked == ["INC-42"]


def test_with_everything_read_nobody_else_is_asked(careful: World) -> None:
    request = broken(careful)
    facts = careful.record("request.approved")[0]["data"]["facts"]
    assert (facts["on_call"], facts["incident"], facts["second"]) == ("yes", "open", "")
    assert facts["with_them"] == sorted([account("tomas"), account("mei")])
    assert careful.news("glass_second") == []
    assert review(careful, request) is not None


def test_where_no_second_person_is_provided_for_what_is_unread_is_refused(store: Store) -> None:
    world = World(store, ON_CALL.replace("second_person = true", "second_person = false"))
    on_call(world, trouble="PagerDuty: no answer")
    request = world.breaks()
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert "can't be read now: PagerDuty: no answer" in world.request(request).because


# -- a second person --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["on call", "incident"])
def test_what_can_not_be_read_takes_a_second_persons_click(careful: World, trouble: str) -> None:
    if trouble == "on call":
        on_call(careful, trouble="PagerDuty: no answer")
    else:
        careful.incidents.trouble = IncidentError("Jira: no answer", retry=True)
    request = careful.breaks()
    careful.run()
    assert careful.request(request).status == Status.ASKED
    assert heard(careful, "glass_second") == {"tomas", "mei", "nadia"}
    assert careful.directory.calls == []
    for stranger in ("tomas", "grace"):
        with pytest.raises(Refused):
            careful.glass_desk.second(careful.speaker(stranger), request.id, f"click of {stranger}")
    careful.run()
    assert careful.request(request).status == Status.ASKED
    careful.glass_desk.second(careful.speaker("mei"), request.id, "click of mei")
    careful.run()
    assert careful.request(request).status == Status.DONE
    facts = careful.record("request.approved")[0]["data"]["facts"]
    assert facts["second"] == account("mei")
    with pytest.raises(Refused, match="nothing to agree to"):
        careful.glass_desk.second(careful.speaker("nadia"), request.id, "too late")


def test_a_source_that_comes_back_decides_by_itself(careful: World) -> None:
    on_call(careful, trouble="PagerDuty: no answer")
    request = careful.breaks()
    careful.run()
    on_call(careful, "tomas")
    careful.later(timedelta(seconds=20))
    on_call(careful, "tomas")
    careful.run()
    assert careful.request(request).status == Status.DONE


def test_nobody_agrees_in_time(careful: World) -> None:
    on_call(careful, trouble="PagerDuty: no answer")
    request = careful.breaks()
    careful.run()
    careful.later(STAYS_OPEN + timedelta(seconds=1))
    careful.run()
    assert careful.request(request).status == Status.LAPSED


def test_the_third_time_within_a_week_takes_a_second_person(world: World) -> None:
    for hours in (0, 2):
        world.later(timedelta(hours=hours))
        broken(world)
        world.later(timedelta(hours=hours + 1, minutes=1))
        world.run()
    request = world.breaks()
    world.run()
    assert world.request(request).status == Status.ASKED
    assert "broke glass 2 times within 7 days" in world.news("glass_second")[0].facts
    world.glass_desk.second(world.speaker("mei"), request.id, "mei agrees")
    world.run()
    assert world.request(request).status == Status.DONE


# -- stopping it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["grace", "sade", "omar", "tomas"])
def test_each_of_them_ends_it_with_one_click(world: World, who: str) -> None:
    request = broken(world)
    world.workflow.end(world.speaker(who), request.id, "End it now")
    world.run()
    assert not world.holds("tomas")
    grant = world.grant(request)
    assert grant is not None
    assert grant.because.startswith("ended early by")


@pytest.mark.parametrize("who", ["ada", "mei", "kofi"])
def test_nobody_else_does_and_that_they_tried_is_in_the_record(world: World, who: str) -> None:
    request = broken(world)
    before = world.grant(request)
    with pytest.raises(Refused, match="no such request"):
        world.workflow.end(world.speaker(who), request.id, "End it now")
    world.run()
    assert world.holds("tomas")
    after = world.grant(request)
    assert before is not None
    assert after is not None
    assert (after.ends_at, after.status) == (before.ends_at, GrantStatus.ACTIVE)
    (refused,) = world.record("end.refused")
    assert (refused["actor"], refused["request"]) == (account(who), request.id)
    assert world.record("grant.end_asked") == []


def test_pressed_twice_by_two_of_them_it_is_taken_away_once(world: World) -> None:
    request = broken(world)
    world.workflow.end(world.speaker("grace"), request.id, "grace presses")
    world.workflow.end(world.speaker("grace"), request.id, "grace presses")
    world.workflow.end(world.speaker("sade"), request.id, "sade presses before it is gone")
    assert [body["actor"] for body in world.record("grant.end_asked")] == [account("grace"), account("sade")]
    world.run()
    assert not world.holds("tomas")
    with pytest.raises(Refused, match="gives nothing at the moment"):
        world.workflow.end(world.speaker("omar"), request.id, "omar presses when it is gone")
    world.run()
    assert [does for does, *_ in world.directory.calls] == ["add_member", "remove_member"]
    assert len(world.record("grant.ended")) == 1
    assert {news.place for news in world.news("ended")} >= {"security", "person"}


def test_a_question_for_longer_is_closed_with_whatever_it_would_make_longer(world: World) -> None:
    """Given in the ordinary way and given back early: a yes to a card that was left open would give it again."""
    request = world.ask("ada")
    world.run()
    world.click("grace", request)
    world.run()
    asked = extended(world, request, answered=False, who="ada")
    other = world.ask("ada", length=timedelta(hours=7), ends_by=world.store.now() + timedelta(hours=7))
    world.run()
    world.workflow.end(world.speaker("ada"), request.id, "Give it back")
    world.run()
    assert (world.request(asked).status, world.request(other).status) == (Status.CANCELLED, Status.PENDING)
    world.click("grace", asked)
    world.run()
    assert not world.holds("ada")


def test_an_approver_ends_nothing_that_was_given_in_the_ordinary_way(world: World) -> None:
    request = world.ask("ada")
    world.run()
    world.click("grace", request)
    world.run()
    with pytest.raises(Refused, match="no such request"):
        world.workflow.end(world.speaker("grace"), request.id, "End it now")


def test_stopped_before_atlassian_was_called_nothing_is_given(world: World) -> None:
    request = world.breaks()
    claim = world.store.claim()
    assert claim is not None
    world.glass.judge(claim)
    assert world.request(request).status == Status.APPROVED
    world.workflow.end(world.speaker("grace"), request.id, "End it now")
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert world.directory.calls == []
    with pytest.raises(Refused, match="gives nothing at the moment"):
        world.workflow.end(world.speaker("sade"), request.id, "and once more")


@pytest.mark.parametrize("who", ["grace", "sade", "tomas"])
def test_stopped_while_atlassian_is_read_before_the_decision_nothing_is_given(world: World, who: str) -> None:
    world.directory.unreadable = [DirectoryError("down", retry=True)]
    request = world.breaks()
    world.run()
    assert world.request(request).status == Status.ASKED
    world.workflow.end(world.speaker(who), request.id, "End it now")
    world.later(timedelta(minutes=3))
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert (world.directory.calls, world.holds("tomas")) == ([], False)
    assert world.news("glass") == []


@pytest.mark.parametrize("moment", ["the end is committed", "the worker is about to call"])
@pytest.mark.parametrize("who", ["grace", "sade", "tomas"])
def test_stopped_between_the_promise_and_the_call_nothing_is_given(
    world: World, who: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = world.breaks()
    make_true = world.provisioning.calls.make_true

    def presses(label: str = "apply: end committed") -> None:
        if label == "apply: end committed":
            world.workflow.end(world.speaker(who), request.id, "End it now")

    def presses_first(*given: Any, **more: Any) -> None:
        presses()
        make_true(*given, **more)

    if moment == "the end is committed":
        monkeypatch.setattr("approvals.provisioning.crash_point", presses)
    else:
        monkeypatch.setattr(world.provisioning.calls, "make_true", presses_first)
    world.run()
    world.later(timedelta(seconds=5))
    world.run()
    assert world.directory.calls == []
    assert not world.holds("tomas")
    grant = world.grant(request)
    assert grant is not None
    assert grant.status in (GrantStatus.VOID, GrantStatus.ENDED)
    assert world.request(request).status == Status.FAILED
    assert "ended early by" in world.request(request).because
    assert not [key for key in world.jobs() if key.startswith(("apply:", "end:"))]
    assert world.store.verify().ok


def test_stopped_while_the_call_is_under_way_it_is_taken_away_at_once_and_said_by_whom(world: World) -> None:
    request = world.breaks()

    def presses(step: object) -> None:
        world.directory.on_perform = lambda step: None
        world.workflow.end(world.speaker("grace"), request.id, "End it now")

    world.directory.on_perform = presses
    world.run()
    world.later(timedelta(seconds=5))
    world.run()
    assert not world.holds("tomas")
    grant = world.grant(request)
    assert grant is not None
    assert (grant.status, grant.because.split(" by ")[0]) == (GrantStatus.ENDED, "ended early")
    assert [does for does, *_ in world.directory.calls] == ["add_member", "remove_member"]


def test_stopped_while_the_call_is_refused_and_tried_again_it_is_not_made_again(world: World) -> None:
    world.directory.trouble = [DirectoryError("503", retry=True)]
    request = world.breaks()
    world.run()
    assert world.request(request).status == Status.APPLYING
    world.workflow.end(world.speaker("grace"), request.id, "End it now")
    world.later(timedelta(minutes=3))
    world.run()
    assert [does for does, *_ in world.directory.calls] == ["add_member"], "the one that was refused"
    assert not world.holds("tomas")
    assert world.request(request).status == Status.FAILED


def test_stopped_while_nobody_knows_whether_the_call_has_arrived_it_is_taken_away_to_be_sure(world: World) -> None:
    world.directory.lost_answers = [DirectoryError("no answer", retry=True, maybe_done=True)]
    request = world.breaks()
    world.run()
    assert world.holds("tomas")
    world.workflow.end(world.speaker("grace"), request.id, "End it now")
    world.later(timedelta(minutes=3))
    world.run()
    assert not world.holds("tomas")
    grant = world.grant(request)
    assert grant is not None
    assert grant.status == GrantStatus.ENDED
    assert [does for does, *_ in world.directory.calls] == ["add_member", "remove_member"]


# -- whether it was heard ---------------------------------------------------------------------------------------------


def test_where_nobody_heard_of_it_the_end_comes_closer_by_half(world: World) -> None:
    request = broken(world)
    before = world.grant(request)
    world.later(HEARD_WITHIN + timedelta(seconds=1))
    world.run()
    after = world.grant(request)
    assert before is not None
    assert after is not None
    assert before.ends_at is not None
    assert after.ends_at is not None
    assert timedelta(minutes=29) < before.ends_at - after.ends_at < timedelta(minutes=30)
    assert world.jobs()[f"end:{after.id}"].run_at.replace(tzinfo=None) == after.ends_at.replace(tzinfo=None)
    assert heard(world, "glass_unheard") == {"operators"}
    assert world.record("glass.unheard")
    world.later(timedelta(minutes=32))
    world.run()
    assert not world.holds("tomas")


def test_killed_after_it_was_made_shorter_it_is_made_shorter_once(world: World) -> None:
    request = broken(world)
    world.later(HEARD_WITHIN + timedelta(seconds=1))
    world.run()
    once = world.grant(request)
    with world.store.write() as w:
        w.enqueue("glass heard", request.id)  # what the dead one had not finished
    world.run()
    again = world.grant(request)
    assert once is not None
    assert again is not None
    assert once.ends_at == again.ends_at
    assert len(world.record("glass.unheard")) == 1


def test_what_atlassian_takes_only_after_a_minute_is_made_shorter_as_well(world: World) -> None:
    survey, reads = world.directory.survey_grant, iter(range(1, 100))

    def busy(*asked: Any) -> Any:
        if 2 <= next(reads) <= 5:  # the first one decides
            raise DirectoryError("Atlassian: 429", retry=True, after=20.0)
        return survey(*asked)

    world.directory.survey_grant = busy  # type: ignore[method-assign]
    request = world.breaks()
    world.run()
    world.later(HEARD_WITHIN + timedelta(seconds=1))
    world.run()
    assert (world.request(request).status, world.grant(request)) == (Status.APPROVED, None)
    assert "heartbeat:trouble" in [claim.key for claim in world.told], "the operators need not wait for it"
    for seconds in range(80, 400, 20):
        world.later(timedelta(seconds=seconds))
        world.run()
    grant = world.grant(request)
    assert grant is not None
    assert grant.ends_at is not None
    assert timedelta(minutes=29) < grant.ends_at - grant.promised_at < timedelta(minutes=31)
    assert len(world.record("glass.unheard")) == 1


def test_what_was_never_given_needs_nobody_to_hear_of_it(world: World) -> None:
    request = world.breaks()
    world.workflow.end(world.speaker("tomas"), request.id, "End it now")
    world.later(HEARD_WITHIN + timedelta(seconds=1))
    world.run()
    assert not world.record("glass.unheard")


@pytest.mark.parametrize("place", ["security", "person"])
def test_where_somebody_heard_it_stays(world: World, place: str) -> None:
    request = broken(world)
    deliver(world, place)
    before = world.grant(request)
    world.later(HEARD_WITHIN + timedelta(seconds=1))
    world.run()
    after = world.grant(request)
    assert before is not None
    assert after is not None
    assert before.ends_at == after.ends_at


# -- longer -----------------------------------------------------------------------------------------------------------


def test_it_is_extended_once_by_the_ordinary_rule_and_never_beyond_four_hours(world: World) -> None:
    request = broken(world)
    policy = world.policies
    with world.store.read() as session:
        now, rules = world.store.time_in(session), policy.current(session)
        assert "4 hours at most" in str(longer(session, rules, request, timedelta(hours=4), now))
        found = longer(session, rules, request, timedelta(hours=2), now)
    assert not isinstance(found, str)
    asked = world.request(world.workflow.ask(world.speaker("tomas"), found.ask("", "longer")))
    world.run()
    assert world.request(asked).status == Status.PENDING, "somebody answers this time"
    world.click("grace", asked)
    world.run()
    assert world.request(asked).status == Status.DONE
    both = (request, world.request(asked))
    with world.store.read() as session:
        now, rules = world.store.time_in(session), policy.current(session)
        for one in both:
            assert "is extended once" in str(longer(session, rules, one, timedelta(minutes=10), now))


def extended(world: World, request: AccessRequest, *, answered: bool = True, who: str = "tomas") -> AccessRequest:
    with world.store.read() as session:
        found = longer(
            session, world.policies.current(session), request, timedelta(hours=2), world.store.time_in(session)
        )
    assert not isinstance(found, str)
    asked = world.request(world.workflow.ask(world.speaker(who), found.ask("still down", "longer")))
    world.run()
    if answered:
        world.click("grace", asked)
        world.run()
        assert world.request(asked).status == Status.DONE
    return world.request(asked)


@pytest.mark.parametrize("when", ["before", "during", "after", "its own"])
@pytest.mark.parametrize("who", ["grace", "sade", "tomas"])
def test_extended_it_is_still_ended_with_one_click(world: World, who: str, when: str) -> None:
    """Before the extension is answered, while both last, and when only the extension does."""
    request = broken(world)
    asked = extended(world, request, answered=when != "before")
    if when in ("after", "its own"):
        world.later(timedelta(hours=1, minutes=30))
        world.run()
        first = world.grant(request)
        assert first is not None
        assert (first.status, world.holds("tomas")) == (GrantStatus.ENDED, True)
    pressed = asked if when == "its own" else request
    world.workflow.end(world.speaker(who), pressed.id, "End it now")
    world.run()
    assert not world.holds("tomas")
    for one in (request, asked) if when == "during" else ():
        grant = world.grant(one)
        assert grant is not None
        assert grant.status == GrantStatus.ENDED
    with pytest.raises(Refused, match="gives nothing"):
        world.workflow.end(world.speaker(who), request.id, "once more")


def test_what_still_asks_for_longer_is_closed_with_it(world: World) -> None:
    """Whoever looks after it ends it because it should be over: nobody may make it longer by a card left open."""
    request = broken(world)
    asked = extended(world, request, answered=False)
    assert asked.status == Status.PENDING
    world.workflow.end(world.speaker("sade"), request.id, "End it now")
    world.run()
    closed = world.request(asked)
    assert closed.status == Status.CANCELLED
    assert closed.because.startswith(f"{request.id} was ended early by")
    world.click("grace", asked)
    world.run()
    assert not world.holds("tomas")
    assert {news.request_id for news in world.news("cancelled")} == {asked.id}


def test_an_extension_that_was_made_none_by_hand_gives_nothing(world: World) -> None:
    request = broken(world)
    asked = extended(world, request, answered=False)
    with world.store.write() as w:
        w.connection.execute(update(AccessRequest).where(col(AccessRequest.id) == asked.id).values(extends=""))
    world.click("grace", asked)
    world.run()
    assert world.request(asked).status == Status.REFUSED
    assert world.news("alarm")


def test_what_others_gave_beside_it_is_no_extension_of_it(world: World) -> None:
    """Asked for by itself, until some time, while break-glass lasts: it ends in its own time, and may be extended."""
    request = broken(world)
    until = world.store.now() + timedelta(hours=3)
    other = world.ask("tomas", length=timedelta(hours=3), ends_by=until)
    world.run()
    world.click("grace", other)
    world.run()
    assert world.request(other).status == Status.DONE
    with pytest.raises(Refused, match="no such request"):
        world.workflow.end(world.speaker("grace"), other.id, "one click")  # who was bypassed ends what did
    world.workflow.end(world.speaker("sade"), request.id, "End it now")
    world.run()
    both = [grant.status for grant in map(world.grant, (request, other)) if grant is not None]
    assert (both, world.holds("tomas")) == ([GrantStatus.ENDED, GrantStatus.ACTIVE], True)
    with world.store.read() as session:
        found = longer(
            session, world.policies.current(session), other, timedelta(hours=1), world.store.time_in(session)
        )
    assert not isinstance(found, str), found


@pytest.mark.parametrize("pressed", ["the first", "the extension"])
def test_nobody_else_ends_it_when_it_is_extended(world: World, pressed: str) -> None:
    request = broken(world)
    asked = extended(world, request)
    with pytest.raises(Refused, match="no such request"):
        world.workflow.end(world.speaker("mei"), (request if pressed == "the first" else asked).id, "End it now")
    assert world.holds("tomas")


# -- what a hand in the database can do -------------------------------------------------------------------------------


def test_a_row_written_by_hand_does_nothing(world: World) -> None:
    request = world.ask("ada")
    world.run()
    with world.store.write() as w:
        row = w.session.get_one(AccessRequest, request.id)
        row.status, row.value = Status.APPROVED, "INC-42"
        w.session.add(row)
        w.enqueue("apply", request.id, priority=1)
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert world.directory.calls == []
    assert world.news("alarm")


@pytest.mark.parametrize(
    ("change", "value"),
    [("subject", account("ada")), ("entitlement", "eu-confluence-admins"), ("duration", 86400), ("value", "INC-43")],
)
def test_what_was_changed_after_the_decision_is_refused_with_an_alarm(world: World, change: str, value: object) -> None:
    request = world.breaks()
    claim = world.store.claim()
    assert claim is not None
    world.glass.judge(claim)
    with world.store.write() as w:
        row = w.session.get_one(AccessRequest, request.id)
        setattr(row, change, value)
        w.session.add(row)
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert world.directory.calls == []


def test_who_is_put_out_of_the_group_before_the_deed_gets_nothing(world: World) -> None:
    request = world.breaks()
    claim = world.store.claim()
    assert claim is not None
    world.glass.judge(claim)
    tomas = COMPANY.person("tomas")
    entry = f'{{slack = "T0HARBOUR/{tomas.slack_id}", account = "{tomas.account_id}"}}, '
    world.apply_policy(roomy(demo_policy().replace(entry, "", 1)))
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert "breaking glass is for" in world.request(request).because
    assert world.directory.calls == []


def test_who_comes_off_call_before_the_deed_gets_nothing(careful: World) -> None:
    request = careful.breaks()
    claim = careful.store.claim()
    assert claim is not None
    careful.glass.judge(claim)
    on_call(careful, "mei")
    careful.run()
    assert careful.request(request).status == Status.REFUSED
    assert careful.directory.calls == []


# -- practice ---------------------------------------------------------------------------------------------------------


def test_a_drill_goes_the_whole_way_and_counts_for_nothing(world: World) -> None:
    request = broken(world, "sade", what="breakglass-drill", incident="DRILL")
    assert world.holds("sade", "breakglass-drill")
    found = review(world, request)
    assert found is not None
    assert found.drill
    assert {"security", "omar"} <= heard(world)
    assert all(json.loads(news.facts)["drill"] for news in world.news("glass"))
    for _ in range(2):
        broken(world, "tomas")
        with world.store.read() as session:
            held = session.exec(select(Grant).where(Grant.account == account("tomas"))).all()
        for grant in held:
            if grant.status == GrantStatus.ACTIVE:
                world.workflow.end(world.speaker("tomas"), grant.request_id, f"end {grant.id}")
        world.run()
