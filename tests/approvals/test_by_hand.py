"""What was given by hand and entered afterwards: it has an end and a review, and Gatehouse never gives it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from approvals.by_hand import ByHand, Entered, enter, why_not
from approvals.extending import longer
from approvals.models import AccessRequest, Grant, Review, StepRow
from approvals.plan import Survey
from approvals.states import Grant as GrantStatus
from approvals.states import Review as ReviewStatus
from approvals.states import Status
from approvals.store import Actor, Store
from approvals.workflow import Refused
from bot.sandbox import seed
from tests.support.world import COMPANY, World, account

SHELL = Actor("shell:root")
GROUP = "eu-jira-admins"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def said(world: World, who: str = "ada", since: float = -60, until: float = 60, **more: Any) -> ByHand:
    """In minutes from now; ``more`` is what is said otherwise."""
    now = world.store.now().replace(microsecond=0)
    facts: dict[str, Any] = {
        "account": account(who), "entitlement": GROUP, "incident": "INC-42", "because": "the database is down",
        "was_member": False,
    }  # fmt: skip
    return ByHand(**(facts | {"since": now + since * MINUTE, "until": now + until * MINUTE} | more))


def shown(world: World, said: ByHand) -> Survey:
    with world.store.read() as session:
        rule = world.policies.current(session).entitlement(said.entitlement)
    assert rule is not None
    return world.directory.survey_grant(said.account, rule)


def entered(world: World, said: ByHand) -> Entered:
    survey = shown(world, said)
    with world.store.write() as w:
        return enter(w, world.policies.current(w.connection), SHELL, said, survey)


def request_of(world: World, found: Entered) -> AccessRequest:
    with world.store.read() as session:
        return session.get_one(AccessRequest, found.request)


def grant_of(world: World, found: Entered) -> Grant:
    grant = world.grant(request_of(world, found))
    assert grant is not None
    return grant


def review_of(world: World, found: Entered) -> Review:
    with world.store.read() as session:
        return session.get_one(Review, found.request)


def by_hand(world: World, who: str = "ada") -> None:
    world.directory.held(GROUP).add(account(who))


def later(world: World, minutes: float) -> None:
    world.later(minutes * MINUTE)
    world.run()


# -- its end ----------------------------------------------------------------------------------------------------------


def test_what_is_still_to_end_is_taken_away_by_the_ordinary_worker(world: World) -> None:
    by_hand(world)
    found = entered(world, said(world))
    world.run()
    grant = grant_of(world, found)
    assert (grant.status, grant.held_before) == (GrantStatus.ACTIVE, False)
    assert request_of(world, found).status == Status.DONE
    assert world.directory.calls == []
    later(world, 61)
    assert not world.holds("ada")
    assert [does for does, *_ in world.directory.calls] == ["remove_member"]
    assert grant_of(world, found).status == GrantStatus.ENDED
    assert world.store.verify().ok


def test_what_is_over_is_read_and_not_touched(world: World) -> None:
    wanted = said(world, until=-30)
    found = entered(world, wanted)
    world.run()
    grant = grant_of(world, found)
    assert (grant.status, grant.ended_at) == (GrantStatus.ENDED, wanted.until)
    assert world.directory.calls == []


def test_what_is_said_to_be_over_and_is_not_is_taken_away(world: World) -> None:
    by_hand(world)
    found = entered(world, said(world, until=-30))
    world.run()
    assert not world.holds("ada")
    grant = grant_of(world, found)
    assert grant.status == GrantStatus.ENDED
    assert grant.ended_at is not None
    assert grant.ended_at > said(world, until=-1).until, "it was held until now"


@pytest.mark.parametrize("until", [-30, 60])
def test_what_atlassian_does_not_show_is_never_given(world: World, until: float) -> None:
    found = entered(world, said(world, until=until))
    world.run()
    later(world, 30)
    assert request_of(world, found).status == Status.DONE
    later(world, 61)
    assert world.directory.calls == []
    assert not world.holds("ada")
    assert grant_of(world, found).status == GrantStatus.ENDED


def test_what_shows_only_after_it_was_entered_is_ended_all_the_same(world: World) -> None:
    found = entered(world, said(world))
    world.run()
    assert grant_of(world, found).status == GrantStatus.PROMISED, "nobody has seen it"
    by_hand(world)
    later(world, 61)
    assert not world.holds("ada")


@pytest.mark.parametrize("until", [-30, 60])
def test_who_was_a_member_before_stays_one(world: World, until: float) -> None:
    by_hand(world)
    found = entered(world, said(world, until=until, was_member=True))
    later(world, 61)
    assert world.holds("ada")
    assert world.directory.calls == []
    assert grant_of(world, found).because == "held before, so it was left as it was"


def test_what_another_request_still_gives_is_left_and_ends_with_it(world: World) -> None:
    """It was asked for in Slack while it was held by hand: that request took it for theirs."""
    by_hand(world)
    asked = world.ask("ada", length=timedelta(hours=2))
    world.run()
    world.click("grace", asked)
    world.run()
    given = world.grant(asked)
    assert given is not None
    assert given.held_before
    found = entered(world, said(world))
    later(world, 61)
    assert world.holds("ada")
    assert f"still held because of {asked.id}" in grant_of(world, found).because
    later(world, 125)
    assert not world.holds("ada"), "nobody else would have taken it"
    assert world.record("grant.corrected")[0]["data"]["because_of"] == found.request


def test_what_the_record_knows_is_not_contradicted(world: World) -> None:
    by_hand(world)
    asked = world.ask("ada", length=timedelta(hours=2))
    world.run()
    world.click("grace", asked)
    world.run()
    with world.store.write() as w:
        grant = w.session.exec(select(Grant).where(Grant.request_id == asked.id)).one()
        grant.promised_at -= timedelta(hours=3)
    with pytest.raises(Refused, match=f"{asked.id} found them in it") as refused:
        entered(world, said(world))
    assert "--was-member yes" in str(refused.value)


def test_steps_that_a_hand_changed_are_not_taken(world: World) -> None:
    by_hand(world)
    found = entered(world, said(world))
    with world.store.write() as w:
        row = w.session.exec(select(StepRow).where(StepRow.request_id == found.request)).one()
        row.body = row.body.replace(GROUP, "release-managers")
    later(world, 61)
    assert world.directory.calls == []
    assert [news.place for news in world.news("alarm")] == ["operators", "security"]


def test_it_is_ended_early_by_whoever_may_end_broken_glass_and_is_not_extended(world: World) -> None:
    by_hand(world)
    found = entered(world, said(world))
    request = request_of(world, found)
    with world.store.read() as session:
        policy = world.policies.current(session)
        answer = longer(session, policy, request, timedelta(hours=1), world.store.time_in(session))
    assert answer == f"{request.id} was given by hand, so it is not extended. Ask for it anew."
    world.workflow.end(world.speaker("grace"), request.id, "a click")
    world.run()
    assert not world.holds("ada")


# -- its review -------------------------------------------------------------------------------------------------------


def test_it_is_judged_like_a_use_of_break_glass(world: World) -> None:
    by_hand(world, "tomas")
    found = entered(world, said(world, "tomas"))
    world.run()
    review = review_of(world, found)
    assert (review.status, review.person) == (ReviewStatus.DUE, account("tomas"))
    assert review.due_at - world.store.now() > timedelta(hours=23)
    assert "nobody judges what they did" in world.reviews.why_not(world.speaker("tomas"), found.request)
    later(world, 25 * 60)
    assert review_of(world, found).status == ReviewStatus.OVERDUE
    with pytest.raises(Refused, match="overdue"):
        world.breaks("tomas")
    world.reviews.settle(world.speaker("sade"), found.request, "legitimate", "Slack was down", "settles")
    assert review_of(world, found).verdict == "legitimate"


def test_it_counts_as_one_of_the_two_in_a_week(world: World) -> None:
    for hours in (30, 29):
        entered(world, said(world, "tomas", since=-hours * 60, until=-hours * 60 + 10))
    for found in world.news("by_hand"):
        assert found.request_id
    world.run()
    request = world.breaks("tomas")
    world.run()
    assert world.request(request).status == Status.ASKED, "the third time within a week takes a second person"


def test_everybody_hears_who_would_of_broken_glass_and_the_person_too(world: World) -> None:
    by_hand(world)
    entered(world, said(world))
    heard = {(news.place, news.user) for news in world.news("by_hand")}
    users = {COMPANY.person(who).slack_id for who in ("ada", "grace")}
    assert heard == {("security", ""), ("operators", ""), *(("person", user) for user in users)}


def test_the_record_says_who_entered_it_and_no_words(world: World) -> None:
    by_hand(world)
    found = entered(world, said(world))
    (asked,), (done,) = world.record("request.asked"), world.record("request.done")
    assert (asked["actor"], done["actor"]) == ("shell:root", "shell:root")
    assert asked["data"]["by_hand"]
    assert asked["data"]["shown"]
    assert "database" not in str(asked["data"])
    assert done["data"]["verb"] == "record"
    assert [body["request"] for body in world.record("review.due")] == [found.request]
    assert world.record("request.approved") == []


def test_somebody_without_a_place_in_slack_is_entered_and_ended(world: World) -> None:
    nobody = COMPANY.person("person003").account_id
    world.directory.held(GROUP).add(nobody)
    with world.store.write() as w:
        from approvals.models import Person

        w.add(Person(account=nobody, name="Emil", mail="emil@example", read_at=w.now))
    wanted = ByHand(**(vars(said(world)) | {"account": nobody}))
    entered(world, wanted)
    later(world, 61)
    assert nobody not in world.directory.held(GROUP)
    assert [news.place for news in world.news("ended")] == ["thread", "security"]


# -- what is wrong with it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"entitlement": "eu-jira-admin"}, "Did you mean `eu-jira-admins`"),
        ({"account": account(seed.EMERGENCY)}, "protected"),
        ({"incident": ""}, "Name the incident"),
        ({"incident": "DRILL"}, "Name the incident"),
        ({"incident": "=cmd()"}, "is no incident's id"),
        ({"because": "down"}, "A reason of at least 10 characters is needed"),
        ({"since": 10, "until": 20}, "can't have begun in the future"),
        ({"since": -10, "until": -20}, "are they the wrong way round?"),
        ({"since": -10, "until": -10}, "are they the wrong way round?"),
        ({"until": 4 * 60 + 1}, "An emergency ends within 4 hours"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_nothing_is_written(world: World, change: dict[str, Any], words: str) -> None:
    times = {name: value for name, value in change.items() if name in ("since", "until")}
    words_of_it = {name: value for name, value in change.items() if name not in times}
    wanted = ByHand(**(vars(said(world, **times)) | words_of_it))
    with world.store.read() as session:
        policy = world.policies.current(session)
        because = why_not(session, policy, wanted, world.store.time_in(session))
    assert words in because
    assert because.endswith((".", "?"))
    survey = shown(world, said(world))
    with pytest.raises(Refused), world.store.write() as w:
        enter(w, world.policies.current(w.connection), SHELL, wanted, survey)
    with world.store.read() as session:
        assert session.exec(select(AccessRequest)).all() == []
    assert world.news("by_hand") == []


def test_the_same_twice_is_entered_once(world: World) -> None:
    by_hand(world)
    wanted = said(world)
    first, second = entered(world, wanted), entered(world, wanted)
    assert (first.before, second) == (False, Entered(first.request, True))
    again = ByHand(**(vars(wanted) | {"because": "said in other words"}))
    assert entered(world, again) == second
    for change in ({"until": wanted.until + MINUTE}, {"was_member": True}):
        with pytest.raises(Refused, match=rf"entered before, as {first.request}.*gatehouse end {first.request}"):
            entered(world, ByHand(**(vars(wanted) | change)))
    assert len(world.news("by_hand")) == 4
    another = entered(world, ByHand(**(vars(wanted) | {"since": wanted.since - MINUTE})))
    assert another.request != first.request


def test_in_the_ordinary_way_nobody_makes_a_request_that_was_given_by_hand(world: World) -> None:
    """No door of Slack leads to that move: it is the shell's."""
    request = world.breaks()
    assert not request.source.startswith("by hand:")
    assert isinstance(request.asked_at, datetime)
    world.run()
    assert world.record("request.done")[0]["data"]["verb"] == "finish"
