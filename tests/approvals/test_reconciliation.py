"""The record against Atlassian: a difference counts when it lasts, is told once, and a repair only ever ends."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from approvals import jobs, safety
from approvals.expected import LOOKS_BACK
from approvals.models import AccessRequest, Drift, EventRead, Grant, Job, Meta
from approvals.policy import Policy
from approvals.ports import DirectoryError
from approvals.provisioning import Effects
from approvals.reconciliation import LOOKED, OUTSIDE, Look
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Actor, Store
from approvals.workflow import Ask
from handlers.cards import draw
from handlers.view import view_of
from tests.support.bulk import approve, bulk_policy, line, planned
from tests.support.policies import roomy
from tests.support.world import World, account

GROUP, OTHER = "eu-jira-admins", "breakglass-drill"
GIVE, TAKE = ("add_member", GROUP, account("ada")), ("remove_member", GROUP, account("ada"))
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
REPAIR = '\n[reconciliation]\ndrift = "repair"\n'


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


@pytest.fixture
def repairing(store: Store) -> World:
    return World(store, roomy() + REPAIR)


class Clock:
    """Domain time of a world, which only goes on."""

    def __init__(self, world: World) -> None:
        self.world, self.at = world, timedelta(0)

    def on(self, by: timedelta) -> None:
        self.at += by
        self.world.later(self.at)


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    name = "repairing" if "repairing" in request.fixturenames else "world"
    return Clock(request.getfixturevalue(name))


def given(world: World, who: str = "ada", length: timedelta = 2 * HOUR) -> AccessRequest:
    request = world.ask(who, length=length)
    world.run()
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.DONE
    return request


def test_what_was_revoked_here_is_not_missing(world: World, clock: Clock) -> None:
    """Its grant is over with the revocation, and nobody took anything outside."""
    request = given(world)
    ask = Ask("revoke", account("ada"), GROUP, None, "INC-42: it must be", "a revocation")
    revoked = world.workflow.ask(world.speaker("grace"), ask)
    world.run()
    world.click("omar", world.request(revoked))
    world.run()
    assert world.request(revoked).status == Status.DONE
    assert not world.holds("ada")
    assert (grant(world, request).status, grant(world, request).because) == (
        GrantStatus.ENDED,
        f"taken away by {revoked.id}",
    )
    for _ in range(3):
        clock.on(MINUTE + timedelta(seconds=1))
        world.reconciliation.look(recent=False, writing=world.store.write)
    assert world.record("drift.found") == []
    with world.store.read() as session:
        assert session.exec(select(Drift)).all() == []
    again = given(world)  # held anew, and then taken by somebody's hand: that is another matter
    assert again.id != request.id
    world.directory.held(GROUP).discard(account("ada"))
    for _ in range(2):
        clock.on(MINUTE + timedelta(seconds=1))
        world.reconciliation.look(recent=False, writing=world.store.write)
    assert {body["request"] for body in world.record("drift.found")} == {again.id}


def test_what_a_revocation_left_open_is_closed_when_it_does_not_show(world: World, clock: Clock) -> None:
    """As an older version left them, or where it could not be sure that its call came after the gift."""
    request = given(world)
    take_out(world)
    ask = Ask("revoke", account("ada"), GROUP, None, "INC-42: it must be", "a revocation")
    revoked = world.workflow.ask(world.speaker("grace"), ask)
    world.run()
    world.click("omar", world.request(revoked))
    world.run()
    assert grant(world, request).status == GrantStatus.ACTIVE  # it was gone before anything was called
    look(world)
    assert (grant(world, request).status, grant(world, request).because) == (
        GrantStatus.ENDED,
        f"taken away by {revoked.id}",
    )
    assert world.record("drift.found") == []
    assert f"end:{grant(world, request).id}" not in world.jobs()


def ended(world: World, clock: Clock, who: str = "ada") -> AccessRequest:
    request = given(world, who)
    clock.on(2 * HOUR + timedelta(seconds=1))
    world.run()
    assert grant(world, request).status == GrantStatus.ENDED
    return request


def grant(world: World, request: AccessRequest) -> Grant:
    found = world.grant(request)
    assert found is not None
    return found


def look(world: World, *, recent: bool = False) -> Look:
    return world.reconciliation.look(recent=recent, writing=world.store.write)


def seen_twice(world: World, clock: Clock, *, recent: bool = False) -> None:
    look(world, recent=recent)
    clock.on(MINUTE + timedelta(seconds=1))
    look(world, recent=recent)


def drifts(world: World) -> list[tuple[str, str]]:
    with world.store.read() as session:
        return [(drift.kind, drift.state) for drift in session.exec(select(Drift).order_by(Drift.id))]  # type: ignore[arg-type]


def told(world: World) -> list[tuple[str, str]]:
    return [(news.place, json.loads(news.facts)["kind_"]) for news in world.news("drift")]


def put_in(world: World, who: str = "ada") -> None:
    world.directory.held(GROUP).add(account(who))


def take_out(world: World, who: str = "ada") -> None:
    world.directory.held(GROUP).discard(account(who))


# -- what differs ---------------------------------------------------------------------------------------------------


def test_where_atlassian_agrees_nothing_is_written_and_nobody_is_told(world: World, clock: Clock) -> None:
    ended(world, clock, "tomas")
    given(world)
    before = len(world.record("drift.found"))
    with world.store.read() as session:
        entries = session.exec(select(Grant)).all()
    seen_twice(world, clock)
    assert (drifts(world), told(world), len(world.record("drift.found"))) == ([], [], before)
    with world.store.read() as session:
        assert session.exec(select(Grant)).all() == entries


def test_who_should_hold_it_and_does_not_is_missing(world: World, clock: Clock) -> None:
    request = given(world)
    take_out(world)
    seen_twice(world, clock)
    assert drifts(world) == [("missing", "open")]
    assert told(world) == [("operators", "missing"), ("security", "missing"), ("thread", "missing")]
    (entry,) = world.record("drift.found")
    assert (entry["request"], entry["data"]["account"]) == (request.id, account("ada"))


def test_who_holds_it_after_its_end_is_left_over(world: World, clock: Clock) -> None:
    ended(world, clock)
    put_in(world)
    seen_twice(world, clock)
    assert drifts(world) == [("left over", "open")]
    assert told(world) == [("operators", "left over"), ("security", "left over"), ("thread", "left over")]


def test_a_difference_that_is_seen_once_may_be_one_that_is_only_not_visible_yet(world: World, clock: Clock) -> None:
    given(world)
    world.directory.shown[GROUP] = set()  # the list lags behind
    look(world)
    clock.on(timedelta(seconds=59))
    look(world)
    assert (drifts(world), told(world)) == ([("missing", "suspected")], [])
    del world.directory.shown[GROUP]
    clock.on(MINUTE)
    look(world)
    assert (drifts(world), told(world)) == ([], [])


def test_how_long_it_must_last_is_the_policys(store: Store) -> None:
    world = World(store, roomy() + '\n[reconciliation]\nconfirm_after = "10m"\n')
    clock = Clock(world)
    given(world)
    take_out(world)
    seen_twice(world, clock)
    assert told(world) == []
    clock.on(9 * MINUTE)
    look(world)
    assert drifts(world) == [("missing", "open")]


def test_drift_is_told_once_and_again_only_after_it_went_and_came_back(world: World, clock: Clock) -> None:
    given(world, length=8 * HOUR)
    take_out(world)
    seen_twice(world, clock)
    seen_twice(world, clock)
    assert len(told(world)) == 3
    put_in(world)
    look(world)
    assert drifts(world) == [("missing", "over")]
    assert len(world.record("drift.over")) == 1
    take_out(world)
    seen_twice(world, clock)
    assert drifts(world) == [("missing", "over"), ("missing", "open")]
    assert len(told(world)) == 6


def test_what_is_just_being_taken_is_no_difference(world: World, clock: Clock) -> None:
    row = grant(world, given(world))
    with world.store.write() as w:
        world.provisioning.ending.begin(w, row, because="given back")
    take_out(world)
    seen_twice(world, clock)
    assert (drifts(world), told(world)) == ([], [])


def test_what_was_given_back_while_it_was_suspected_is_not_believed(world: World, clock: Clock) -> None:
    request = given(world)
    take_out(world)
    look(world)
    world.workflow.end(world.speaker("ada"), request.id, "given back")
    world.run()
    clock.on(2 * MINUTE)
    look(world)
    assert (drifts(world), told(world)) == ([], [])


def test_of_overlapping_grants_the_ended_one_is_not_left_over(world: World, clock: Clock) -> None:
    given(world)
    given(world, length=4 * HOUR)
    clock.on(2 * HOUR + MINUTE)
    world.run()
    seen_twice(world, clock)
    assert drifts(world) == []
    clock.on(2 * HOUR)
    world.run()
    put_in(world)
    seen_twice(world, clock)
    assert drifts(world) == [("left over", "open")], "only the end that took it away is held against Atlassian"


def test_what_was_held_before_is_nobodys_left_over(world: World, clock: Clock) -> None:
    put_in(world)
    ended(world, clock)
    seen_twice(world, clock)
    assert world.holds("ada")
    assert drifts(world) == []


def test_what_was_held_before_and_is_gone_is_missing(world: World, clock: Clock) -> None:
    put_in(world)
    given(world)
    take_out(world)
    seen_twice(world, clock)
    assert drifts(world) == [("missing", "open")]


def test_somebody_else_may_give_it_again_and_then_it_is_explained(world: World, clock: Clock) -> None:
    ended(world, clock)
    put_in(world)
    with world.store.write() as w:
        about = json.dumps(sorted({account("ada").casefold(), GROUP.casefold()}))
        w.add(EventRead(id="event-by-hand", action="user_added_to_group", at=w.now, about=about))
    seen_twice(world, clock)
    assert (drifts(world), told(world)) == ([("left over", "explained")], [])
    (entry,) = world.record("drift.explained")
    assert entry["data"]["event"] == "event-by-hand"


@pytest.mark.parametrize(
    "change",
    [
        {"about": json.dumps([account("tomas").casefold(), GROUP])},
        {"about": json.dumps([account("ada").casefold(), OTHER])},
        {"action": "user_removed_from_group"},
        {"credentials": "scim:d1"},
        {"call_id": 1},
        {"at": -5 * HOUR},
    ],
)
def test_an_event_about_something_else_explains_nothing(world: World, clock: Clock, change: dict[str, Any]) -> None:
    ended(world, clock)
    put_in(world)
    with world.store.write() as w:
        values = {"id": "e", "action": "user_added_to_group", "about": json.dumps([account("ada").casefold(), GROUP])}
        w.add(EventRead(**(values | change | {"at": w.now + change.get("at", timedelta(0))})))
    seen_twice(world, clock)
    assert drifts(world) == [("left over", "open")]


def test_a_rehearsal_is_no_grant_to_look_for(world: World) -> None:
    world = world.restarted(Effects.OFF)
    given(world)
    assert look(world).people == 0


# -- how it is read -------------------------------------------------------------------------------------------------


def test_it_is_read_group_by_group_and_not_person_by_person(world: World, clock: Clock) -> None:
    for who in ("ada", "tomas", "kofi"):
        given(world, who)
    world.directory.listed.clear()
    before = world.directory.reads
    found = look(world)
    assert (found.holdings, found.people) == (1, 3)
    assert world.directory.listed == [GROUP]
    assert world.directory.reads == before + 1


def test_every_minute_only_what_changed_in_the_last_hour_is_read_and_every_quarter_the_rest(
    world: World, clock: Clock
) -> None:
    given(world, length=8 * HOUR)
    clock.on(2 * HOUR)
    given(world, "tomas", length=8 * HOUR)
    assert look(world, recent=True).people == 1
    assert look(world).people == 2
    world.reconciliation.start()
    world.run()
    with world.store.read() as session:
        due = {job.about: job.run_at for job in _jobs(session)}
    now = world.store.now()
    assert timedelta(0) < due["recent"] - now <= MINUTE
    assert 14 * MINUTE < due["all"] - now <= 15 * MINUTE


def _jobs(session: Session) -> list[Job]:
    return list(session.exec(select(Job).where(Job.kind == "reconcile")))


def test_what_was_suspected_is_looked_at_again_with_the_next_minute(world: World, clock: Clock) -> None:
    given(world, length=8 * HOUR)
    clock.on(2 * HOUR)
    take_out(world)
    look(world)
    clock.on(MINUTE + timedelta(seconds=1))
    assert look(world, recent=True).people == 1
    assert drifts(world) == [("missing", "open")]


def test_what_ended_long_ago_is_not_looked_at_for_ever_but_what_differs_is(world: World, clock: Clock) -> None:
    ended(world, clock)
    ended(world, clock, "tomas")
    put_in(world, "tomas")
    seen_twice(world, clock)
    clock.on(LOOKS_BACK + HOUR)
    assert look(world).people == 1
    assert drifts(world) == [("left over", "open")]


def test_many_pages_are_all_read(world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("approvals.expected.PAGE", 1)
    ended(world, clock)
    ended(world, clock, "tomas")
    given(world)
    given(world, "kofi")
    assert look(world).people == 3, "ada's end is followed by a grant"


def test_a_group_that_can_not_be_read_holds_no_other_up_and_is_no_drift(store: Store) -> None:
    world = World(store, bulk_policy())
    clock = Clock(world)
    approve(world, planned(world, [line(2, "tomas", what=OTHER)]))
    clock.at = timedelta(minutes=6)
    given(world)
    take_out(world)
    world.directory.held(OTHER).discard(account("tomas"))
    world.directory.unreadable = [DirectoryError("HTTP 503", retry=True)]
    found = look(world)
    assert (found.holdings, found.unread) == (2, [(OTHER, "HTTP 503")])
    assert drifts(world) == [("missing", "suspected")]
    with world.store.read() as session:
        assert session.get(Meta, LOOKED) is None, "not everything was looked at"
    look(world)
    assert drifts(world) == [("missing", "suspected")] * 2
    with world.store.read() as session:
        assert session.get(Meta, LOOKED) is not None


# -- lists ----------------------------------------------------------------------------------------------------------


def a_list(store: Store, policy: str = "") -> tuple[World, AccessRequest]:
    world = World(store, bulk_policy() + policy)
    request = approve(world, planned(world, [line(n, who) for n, who in enumerate(("ada", "tomas", "kofi"), 2)]))
    return world, request


def test_of_a_list_each_is_held_against_the_group_that_is_read_once(store: Store) -> None:
    world, request = a_list(store)
    clock = Clock(world)
    clock.at = timedelta(minutes=6)
    world.directory.listed.clear()
    take_out(world, "tomas")
    seen_twice(world, clock)
    assert drifts(world) == [("missing", "open")]
    assert world.directory.listed == [GROUP, GROUP]
    (news,) = [news for news in world.news("drift") if news.place == "thread"]
    assert news.request_id == request.id


def test_what_is_left_over_of_a_list_is_taken_again_by_the_lists_own_job(store: Store) -> None:
    world, request = a_list(store, REPAIR)
    clock = Clock(world)
    clock.at = timedelta(minutes=6)
    clock.on(3 * HOUR)
    world.run()
    assert not {account(who) for who in ("ada", "tomas", "kofi")} & world.directory.held(GROUP)
    put_in(world, "tomas")
    seen_twice(world, clock)
    world.run()
    assert not world.holds("tomas")
    with world.store.read() as session:
        states = session.exec(select(Grant.status).where(Grant.request_id == request.id)).all()
    assert set(states) == {GrantStatus.ENDED}


# -- repair ---------------------------------------------------------------------------------------------------------


def test_what_is_left_over_ends_again_by_the_ordinary_job_until_it_is_true(repairing: World, clock: Clock) -> None:
    request = ended(repairing, clock)
    put_in(repairing)
    repairing.directory.trouble = [DirectoryError("HTTP 503", retry=True)] * 2
    seen_twice(repairing, clock)
    assert grant(repairing, request).status == GrantStatus.ENDING
    for _ in range(4):
        clock.on(10 * MINUTE)
        repairing.run()
    assert not repairing.holds("ada")
    assert grant(repairing, request).status == GrantStatus.ENDED
    assert repairing.directory.calls == [GIVE, TAKE, TAKE, TAKE, TAKE]
    assert [json.loads(news.facts)["once_more"] for news in repairing.news("ended") if news.place == "thread"] == [
        False, True,
    ]  # fmt: skip
    assert [entry["data"].get("late") is None for entry in repairing.record("grant.ended")] == [False, True]
    look(repairing)
    assert drifts(repairing) == [("left over", "over")]


def test_what_is_missing_is_closed_and_nothing_is_given(repairing: World, clock: Clock) -> None:
    request = given(repairing)
    take_out(repairing)
    seen_twice(repairing, clock)
    row = grant(repairing, request)
    assert (row.status, row.because, row.remove) == (GrantStatus.ENDED, OUTSIDE, False)
    assert repairing.directory.calls == [GIVE]
    assert f"end:{row.id}" not in repairing.jobs()
    assert {news.place for news in repairing.news("ended")} == {"thread", "person"}
    put_in(repairing)
    for _ in range(2):
        seen_twice(repairing, clock)
        repairing.run()
    assert repairing.holds("ada"), "what was closed was not taken by the record, so it is not taken again"
    assert drifts(repairing) == [("missing", "over"), ("left over", "open")], "but it is said: nothing would end it"
    said = [json.loads(news.facts) for news in repairing.news("drift") if news.place == "operators"]
    assert [(facts["kind_"], facts["repairs"]) for facts in said] == [("missing", True), ("left over", False)]


def test_a_report_ends_nothing(world: World, clock: Clock) -> None:
    request = ended(world, clock)
    put_in(world)
    other = given(world, "tomas")
    take_out(world, "tomas")
    seen_twice(world, clock)
    seen_twice(world, clock)
    world.run()
    assert world.holds("ada")
    assert grant(world, request).status == GrantStatus.ENDED
    assert grant(world, other).status == GrantStatus.ACTIVE


def test_a_list_that_lies_twice_ends_nothing_that_the_persons_own_record_shows(repairing: World, clock: Clock) -> None:
    request = given(repairing)
    repairing.directory.shown[GROUP] = set()
    seen_twice(repairing, clock)
    assert drifts(repairing) == [("missing", "open")]
    assert grant(repairing, request).status == GrantStatus.ACTIVE


def test_what_was_held_before_is_not_taken_by_a_repair(repairing: World, clock: Clock) -> None:
    put_in(repairing)
    ended(repairing, clock)
    for _ in range(2):
        seen_twice(repairing, clock)
        repairing.run()
    assert repairing.holds("ada")
    assert repairing.directory.calls == []


def test_what_somebody_else_gave_again_is_not_taken_by_a_repair(repairing: World, clock: Clock) -> None:
    ended(repairing, clock)
    put_in(repairing)
    with repairing.store.write() as w:
        about = json.dumps(sorted({account("ada").casefold(), f"id-{GROUP}"}))
        w.add(EventRead(id="event-by-hand", action="user_added_to_group", at=w.now, about=about))
    seen_twice(repairing, clock)
    repairing.run()
    assert repairing.holds("ada")


def test_of_a_protected_account_nothing_is_taken_by_a_repair(repairing: World, clock: Clock) -> None:
    ended(repairing, clock)
    put_in(repairing)
    listed = f'\n[[protected]]\naccount = "{account("ada")}"\nwhy = "a service"\n'
    repairing.apply_policy(roomy() + REPAIR + listed)
    for _ in range(2):
        seen_twice(repairing, clock)
        repairing.run()
    assert repairing.holds("ada")
    assert drifts(repairing) == [("left over", "open")]


def test_while_nobody_knows_how_far_the_record_was_nothing_is_concluded_from_it(
    repairing: World, clock: Clock
) -> None:  # fmt: skip
    ended(repairing, clock)
    put_in(repairing)
    with repairing.store.write() as w:
        w.add(Meta(key=safety.UNKNOWN, value="now"))
    assert look(repairing).unread
    seen_twice(repairing, clock)
    assert drifts(repairing) == []


def test_with_effects_off_nothing_is_ended_again(repairing: World, clock: Clock) -> None:
    request = ended(repairing, clock)
    put_in(repairing)
    off = repairing.restarted(Effects.OFF)
    clock.world = off
    seen_twice(off, clock)
    off.run()
    assert grant(off, request).status == GrantStatus.ENDED
    assert drifts(off) == [("left over", "open")]


def test_while_everything_is_frozen_ends_go_on(repairing: World, clock: Clock) -> None:
    ended(repairing, clock)
    put_in(repairing)
    with repairing.store.write() as w:
        assert safety.freeze(w, Actor(account("sade")), "we look")
    seen_twice(repairing, clock)
    repairing.run()
    assert not repairing.holds("ada")


# -- shown ----------------------------------------------------------------------------------------------------------


def card(world: World, request: AccessRequest) -> str:
    with world.store.read() as session:
        view = view_of(session, world.policies.current(session), request.id, world.store.time_in(session))
    assert view is not None
    return str(draw(view, buttons=True).blocks)


def test_the_card_shows_it_while_it_lasts(world: World, clock: Clock) -> None:
    request = given(world)
    assert "does not show it any more" not in card(world, request)
    take_out(world)
    seen_twice(world, clock)
    assert "does not show it any more" in card(world, request)
    put_in(world)
    look(world)
    assert "does not show it any more" not in card(world, request)


def test_who_asks_for_a_look_hears_what_differs(world: World, clock: Clock) -> None:
    given(world)
    take_out(world)
    seen_twice(world, clock)
    with world.store.write() as w:
        w.enqueue("reconcile", "asked/T0/U0/once")
    world.run()
    (news,) = world.news("reconciled")
    facts = json.loads(news.facts)
    assert (news.place, news.team, news.user, facts["count"]) == ("person", "T0", "U0", 1)
    assert facts["differs"][0][0] == "missing"


def test_late_ends_are_said_by_the_same_job(world: World, clock: Clock) -> None:
    given(world)
    world.directory.refuses["remove_member"] = DirectoryError("HTTP 503", retry=True)
    clock.on(3 * HOUR)
    with world.store.write() as w:
        w.enqueue("reconcile", "recent")
    world.run()
    assert {news.place for news in world.news("ends_late")} == {"operators", "security"}


def test_a_lost_timer_is_found_again_by_a_look_at_everything(world: World, clock: Clock) -> None:
    row = grant(world, given(world))
    with world.store.write() as w:
        jobs.cancel(w.session, "end", str(row.id))
    look(world)
    clock.on(3 * HOUR)
    world.run()
    assert not world.holds("ada")


def test_the_policy_says_report_unless_it_says_repair() -> None:
    assert not Policy.parse(roomy()).reconciliation.repairs
    assert Policy.parse(roomy() + REPAIR).reconciliation.repairs
