"""After the record was lost: nothing is given until an admin has settled who holds what, and ends go on."""

import json
from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select

from approvals.models import AccessRequest, Binding, EventRead, Grant, Meta, SafeMode, Stray
from approvals.outside import Note
from approvals.policy import Policy
from approvals.ports import DirectoryError
from approvals.safe_mode import KNOWN, LEFT, NOW, READ_TO, REVOKED, current, enter, leave, why_not_leave
from approvals.safety import UNKNOWN
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Store
from approvals.workflow import Ask, Refused
from handlers.cards import draw
from handlers.view import view_of
from tests.support.bulk import approve, bulk_policy, line, planned
from tests.support.policies import roomy
from tests.support.world import COMPANY, World, account

GROUP, OTHER = "eu-jira-admins", "breakglass-drill"
HOLDING = f"scim:d1/groups/id-{GROUP}"
GIVE, TAKE = ("add_member", GROUP, account("ada")), ("remove_member", GROUP, account("ada"))
HOUR = timedelta(hours=1)
WHY = "the record ends at entry 7, and the disk saw entry 9"


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def lose(world: World, *notes: Note) -> None:
    with world.store.write() as w:
        assert enter(w, WHY, notes=notes)
    world.run()


def note(world: World, who: str = "ada", hours: float | None = 2, what: str = GROUP, request: str = "REQ-lost") -> Note:
    ends_at = world.store.now() + timedelta(hours=hours) if hours is not None else None
    return Note(request, account(who), what, f"scim:d1/groups/id-{what}", ends_at)


def put_in(world: World, *who: str, group: str = GROUP) -> None:
    world.directory.held(group).update(account(one) for one in who)


def given(world: World, who: str = "ada", length: timedelta = 2 * HOUR) -> AccessRequest:
    request = world.ask(who, length=length)
    world.run()
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.DONE
    return request


def strays(world: World) -> dict[tuple[str, str], Stray]:
    with world.store.read() as session:
        return {(row.entitlement, row.account): row for row in session.exec(select(Stray).order_by(col(Stray.id)))}


def stray(world: World, who: str = "ada", what: str = GROUP) -> Stray:
    return strays(world)[what, account(who)]


def decide(world: World, choice: str, who: str = "ada", *, by: str = "omar", what: str = GROUP) -> Stray:
    world.clicks += 1
    world.safe.decide(world.speaker(by), stray(world, who, what).id or 0, choice, f"safe {world.clicks}")
    world.run()
    return stray(world, who, what)


def settle_the_rest(world: World) -> None:
    for name in {row.entitlement for row in strays(world).values() if row.state == "open"}:
        world.clicks += 1
        world.safe.decide_many(world.speaker("omar"), LEFT, name, f"safe {world.clicks}")
    world.run()


def go(world: World, by: str = "omar") -> None:
    """As the job does it once it has said so outside."""
    world.clicks += 1
    world.safe.leave(world.speaker(by), f"leave {world.clicks}")
    with world.store.write() as w:
        mode = current(w.session)
        assert mode is not None
        leave(w, mode.id or 0, account(by))
    world.later(timedelta(minutes=1))
    world.run()


def is_on(world: World) -> bool:
    with world.store.read() as session:
        return current(session) is not None


def grants(world: World, who: str = "ada") -> list[Grant]:
    with world.store.read() as session:
        return list(session.exec(select(Grant).where(Grant.account == account(who)).order_by(col(Grant.id))))


# -- nothing is given -------------------------------------------------------------------------------------------------


def test_what_was_approved_is_put_off_and_done_when_it_is_over(world: World) -> None:
    request = world.ask()
    world.run()
    with world.store.write() as w:
        enter(w, WHY)
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.APPROVED
    assert world.directory.calls == []
    assert "Put off: safe mode is on since" in card(world, request)
    settle_the_rest(world)
    go(world)
    assert world.request(request).status == Status.DONE
    assert world.directory.calls == [GIVE]
    assert "Put off" not in card(world, request)


def card(world: World, request: AccessRequest) -> str:
    with world.store.read() as session:
        view = view_of(session, world.policies.current(session), request.id, world.store.time_in(session))
    assert view is not None
    return str(draw(view, buttons=True).blocks)


def test_what_was_being_given_gives_nothing_more_and_ends_in_its_time(world: World) -> None:
    request = world.ask()
    world.run()
    world.directory.trouble = [DirectoryError("HTTP 503", retry=True)]
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.APPLYING
    lose(world)
    world.later(timedelta(minutes=30))
    world.run()
    assert world.directory.calls == [GIVE]
    world.later(3 * HOUR)
    world.run()
    assert not world.holds("ada")
    assert grants(world)[0].status == GrantStatus.ENDED


def test_who_asks_hears_why_nothing_is_given(world: World) -> None:
    lose(world)
    with pytest.raises(Refused, match="what ends still ends"):
        world.ask()
    with pytest.raises(Refused, match="safe mode is on since"):
        world.breaks()


def test_what_takes_away_goes_on_but_for_what_was_approved_before(world: World) -> None:
    """Nobody knows what became since of what was approved before the copy was made."""
    put_in(world, "ada")
    ask = Ask("revoke", account("ada"), GROUP, None, "INC-42: she moved on", "revoke 1")
    before = world.request(world.workflow.ask(world.speaker("sade"), ask))
    world.run()
    lose_with_an_approval(world, before)
    assert world.holds("ada")
    assert world.request(before).status == Status.APPROVED
    settle_the_rest(world)
    go(world)
    assert not world.holds("ada")


def lose_with_an_approval(world: World, request: AccessRequest) -> None:
    """Approved, and lost before it was begun."""
    world.directory.unreadable = [DirectoryError("HTTP 503", retry=True, after=1000.0)]
    world.click("omar", request)
    world.run()
    assert world.request(request).status == Status.APPROVED
    with world.store.write() as w:
        enter(w, WHY)
        w.enqueue("apply", request.id)
    world.run()


def test_a_list_is_put_off(store: Store) -> None:
    world = World(store, bulk_policy())
    request = planned(world, [line(2, "ada"), line(3, "tomas")])
    lose(world)
    request = approve(world, request)
    assert request.status in (Status.APPROVED, Status.SCHEDULED)
    assert world.directory.calls == []


def test_ends_go_on(world: World) -> None:
    given(world)
    lose(world)
    world.later(3 * HOUR)
    world.run()
    assert not world.holds("ada")
    assert grants(world)[0].status == GrantStatus.ENDED


def test_nothing_is_compared_or_repaired_while_the_record_is_not_what_it_was(store: Store) -> None:
    world = World(store, roomy() + '\n[reconciliation]\ndrift = "repair"\n')
    given(world)
    world.later(3 * HOUR)
    world.run()
    put_in(world, "ada")
    lose(world)
    for minutes in (185, 190, 195):
        world.later(timedelta(minutes=minutes))
        look = world.reconciliation.look(recent=False, writing=world.store.write)
        assert look.unread[0][1].startswith("safe mode is on")
        world.run()
    assert world.holds("ada")


def test_until_it_is_known_how_far_the_record_was_nothing_is_given(world: World) -> None:
    request = world.ask()
    world.run()
    with world.store.write() as w:
        w.add(Meta(key=UNKNOWN, value="x"))
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.APPROVED
    with world.store.write() as w:
        w.session.delete(w.session.get_one(Meta, UNKNOWN))
    world.later(timedelta(seconds=5))
    world.run()
    assert world.holds("ada")


def test_it_is_told_to_operators_and_security_and_is_entered_once(world: World) -> None:
    lose(world, note(world))
    with world.store.write() as w:
        assert not enter(w, "another reason")
    assert [news.place for news in world.news("safe_mode")] == ["operators", "security"]
    assert json.loads(world.news("safe_mode")[0].facts) == {"why": WHY, "known": 1}
    (entry,) = world.record("safe_mode.entered")
    assert entry["data"] == {"known": 1}


def test_of_a_record_that_is_empty_the_audit_log_of_a_week_is_read(world: World) -> None:
    lose(world)
    with world.store.read() as session:
        mode, read_to = session.exec(select(SafeMode)).one(), session.get(Meta, READ_TO)
    assert read_to is not None
    assert world.store.now() - datetime.fromisoformat(read_to.value) > timedelta(days=6)
    assert mode.lost_from == datetime.fromisoformat(read_to.value)


# -- who holds what ---------------------------------------------------------------------------------------------------


def test_everybody_whom_the_record_can_not_explain_is_found_and_nobody_else(world: World) -> None:
    given(world, "tomas")
    before = set(world.directory.held(GROUP)) - {account("tomas")}
    put_in(world, "ada")
    lose(world)
    found = {who for what, who in strays(world) if what == GROUP}
    assert found == before | {account("ada")}
    assert {row.evidence for row in strays(world).values()} == {"none"}


def test_what_was_said_outside_is_known_with_its_end(world: World) -> None:
    put_in(world, "ada")
    lost = note(world)
    lose(world, lost)
    row = stray(world)
    assert (row.evidence, row.request, row.ends_at, row.state) == ("outside", "REQ-lost", lost.ends_at, "open")


def test_what_the_record_has_itself_is_not_asked_about_but_a_longer_promise_is(world: World) -> None:
    request = given(world)
    row = grants(world)[0]
    same = Note(request.id, row.account, GROUP, row.holding, row.ends_at)
    lose(world, same)
    assert (GROUP, account("ada")) not in strays(world)
    go_back(world)
    lose(world, same, note(world, hours=6, request="REQ-longer"))
    assert (stray(world).request, stray(world).evidence) == ("REQ-longer", "outside")


def go_back(world: World) -> None:
    settle_the_rest(world)
    go(world)
    assert not is_on(world)


def test_of_several_promises_the_one_that_ends_last_counts(world: World) -> None:
    put_in(world, "ada", "tomas")
    notes = [note(world, hours=hours, request=f"REQ-{hours}") for hours in (1, 5, 3)]
    lose(world, *notes, note(world, "tomas", 4), note(world, "tomas", None, request="REQ-ever"))
    assert stray(world).request == "REQ-5"
    assert (stray(world, "tomas").request, stray(world, "tomas").ends_at) == ("REQ-ever", None)


def test_who_does_not_hold_it_any_more_needs_nothing(world: World) -> None:
    lose(world, note(world))
    assert stray(world).state == "gone"


def test_who_is_not_in_the_list_but_has_it_by_their_own_record_is_not_forgotten(world: World) -> None:
    put_in(world, "ada")
    world.directory.shown[GROUP] = set()  # the list lags behind
    lose(world, note(world))
    assert stray(world).state == "open"


def read_again(world: World, minutes: int) -> None:
    world.later(timedelta(minutes=minutes))
    world.run()


def test_who_one_list_did_not_show_is_asked_about_when_the_next_one_does(world: World) -> None:
    put_in(world, "ada")
    lose(world)
    assert stray(world).evidence == "none"
    world.directory.shown[GROUP] = world.directory.held(GROUP) - {account("ada")}
    read_again(world, 6)
    assert stray(world).state == "gone"
    del world.directory.shown[GROUP]
    read_again(world, 12)
    assert stray(world).state == "open"
    decide(world, NOW)
    assert not world.holds("ada")


def test_who_is_put_in_again_is_asked_about_though_they_had_not_held_it_when_it_was_decided(world: World) -> None:
    put_in(world, "ada")
    lose(world, note(world))
    world.directory.held(GROUP).discard(account("ada"))
    row = decide(world, NOW)
    assert (row.state, row.by) == ("gone", account("omar"))
    put_in(world, "ada")
    read_again(world, 6)
    row = stray(world)
    assert (row.state, row.by, row.until, row.decided_at) == ("open", "", None, None), "what was decided is over"
    settle_the_rest(world)
    with pytest.raises(Refused, match="1 people hold something that nobody has settled"):
        go(world)
    decide(world, NOW)
    assert not world.holds("ada")


def test_who_is_protected_and_put_in_again_is_asked_about_by_the_list_alone(world: World) -> None:
    lose(world, note(world))
    assert stray(world).state == "gone"
    put_in(world, "ada")
    world.directory.untouched.add(account("ada"))
    read_again(world, 6)
    assert stray(world).state == "open"


def test_what_a_list_still_shows_although_it_is_settled_stays_settled(world: World) -> None:
    put_in(world, "ada", "tomas", "kofi", "mei")
    lose(world, note(world), note(world, "tomas"), note(world, "kofi"))
    everybody = set(world.directory.held(GROUP))
    world.directory.held(GROUP).discard(account("ada"))
    decided = [
        decide(world, NOW),
        decide(world, NOW, "tomas"),
        decide(world, KNOWN, "kofi"),
        decide(world, LEFT, "mei"),
    ]
    assert [row.state for row in decided] == ["gone", "ended", "adopted", "left"]
    world.directory.shown[GROUP] = everybody  # the list lags behind
    read_again(world, 6)
    assert [stray(world, who).state for who in ("ada", "tomas", "kofi", "mei")] == ["gone", "ended", "adopted", "left"]


def test_gatehouses_own_event_in_the_audit_log_is_evidence(world: World) -> None:
    given(world, "tomas")
    put_in(world, "ada")
    world.later(HOUR)
    with world.store.write() as w:
        about = json.dumps(sorted({account("ada").casefold(), GROUP}))
        w.add(EventRead(id="event-1", action="user_added_to_group", at=w.now, credentials="scim:d1", about=about))
        foreign = json.dumps(sorted({account("mei").casefold(), GROUP}))
        w.add(EventRead(id="event-2", action="user_added_to_group", at=w.now, credentials="", about=foreign))
    lose(world)
    assert (stray(world).evidence, stray(world).event) == ("event", "event-1")
    assert stray(world, "mei").evidence == "none"


def test_what_can_not_be_read_is_named_and_read_again(world: World) -> None:
    world.directory.impossible[GROUP] = "there is no such group"
    lose(world)
    with world.store.read() as session:
        mode = current(session)
        assert mode is not None
        assert json.loads(mode.unread) == [[GROUP, "there is no such group"]]
    settle_the_rest(world)
    with pytest.raises(Refused, match=f"who holds {GROUP} could not be read"):
        go(world)
    del world.directory.impossible[GROUP]
    world.later(timedelta(minutes=6))
    world.run()
    settle_the_rest(world)
    go(world)
    assert not is_on(world)


# -- settling it ------------------------------------------------------------------------------------------------------


def test_adopted_until_its_known_end_it_ends_by_itself_and_no_call_gave_it(world: World) -> None:
    put_in(world, "ada")
    lost = note(world)
    lose(world, lost)
    row = decide(world, KNOWN)
    assert row.state == "adopted"
    (grant,) = grants(world)
    assert (grant.status, grant.ends_at, grant.request_id) == (GrantStatus.ACTIVE, lost.ends_at, row.adopted_as)
    assert grant.held_before is False
    assert world.directory.calls == []
    assert [news.user for news in world.news("adopted")] == [COMPANY.person("ada").slack_id]
    world.later(2 * HOUR + timedelta(minutes=1))
    world.run()
    assert not world.holds("ada")
    assert world.directory.calls == [TAKE]
    assert grants(world)[0].status == GrantStatus.ENDED
    assert world.store.verify().ok


def test_what_is_adopted_is_a_grant_like_any_other(world: World) -> None:
    put_in(world, "ada")
    lose(world, note(world))
    request = decide(world, KNOWN).adopted_as
    settle_the_rest(world)
    go(world)
    world.workflow.end(world.speaker("ada"), request, "given back")
    world.run()
    assert not world.holds("ada")


def test_the_steps_of_what_was_adopted_are_those_in_the_chain(world: World) -> None:
    """Somebody who writes others into the database has nothing taken by them."""
    from approvals.models import StepRow

    put_in(world, "ada", "tomas")
    lose(world, note(world))
    request = decide(world, KNOWN).adopted_as
    with world.store.write() as w:
        row = w.session.exec(select(StepRow).where(StepRow.request_id == request)).one()
        row.body = row.body.replace(account("ada"), account("tomas"))
        w.session.add(row)
    world.later(3 * HOUR)
    world.run()
    assert world.holds("tomas")
    assert world.news("alarm")


def test_ended_now_it_is_taken_by_the_ordinary_job(world: World) -> None:
    put_in(world, "ada")
    lose(world, note(world))
    assert decide(world, NOW).state == "ended"
    assert not world.holds("ada")
    assert grants(world)[0].status == GrantStatus.ENDED


def test_an_end_that_is_over_already_is_an_end_now(world: World) -> None:
    put_in(world, "ada")
    lose(world, note(world, hours=-1))
    decide(world, KNOWN)
    assert not world.holds("ada")


def test_left_as_it_was_held_before_it_is_not_touched(world: World) -> None:
    put_in(world, "ada")
    lose(world)
    assert decide(world, LEFT).state == "left"
    world.later(48 * HOUR)
    world.run()
    assert world.holds("ada")
    assert (grants(world), world.directory.calls) == ([], [])


@pytest.mark.parametrize(("choice", "match"), [
    ("for:32400", "held for 8 hours at most"), ("for:0", "at most"), ("for:x", "at most"), ("sideways", "at most"),
    (REVOKED, "may not be held until revoked"), (KNOWN, "not known"),
])  # fmt: skip
def test_nobody_is_given_longer_than_the_policy_lets_anybody_hold_it(world: World, choice: str, match: str) -> None:
    put_in(world, "ada")
    lose(world)
    with pytest.raises(Refused, match=match):
        decide(world, choice)
    assert stray(world).state == "open"


def test_what_may_be_held_until_revoked_may_be_adopted_so(world: World) -> None:
    put_in(world, "ada", group=OTHER)
    lose(world, note(world, what=OTHER, hours=None))
    assert decide(world, REVOKED, what=OTHER).state == "adopted"
    (grant,) = grants(world)
    assert grant.ends_at is None


def test_everything_with_a_known_end_is_adopted_with_one_click(world: World) -> None:
    put_in(world, "ada", "tomas", "kofi")
    lose(world, note(world), note(world, "tomas", -1), note(world, "kofi", None))
    assert world.safe.decide_many(world.speaker("omar"), KNOWN, "", "all") == 2
    world.run()
    assert [stray(world, who).state for who in ("ada", "tomas", "kofi")] == ["adopted", "ended", "open"]
    assert (world.holds("ada"), world.holds("tomas")) == (True, False)


def test_many_of_whom_nothing_is_known_are_left_with_one_click_and_nobody_else(world: World) -> None:
    put_in(world, "ada", "tomas")
    put_in(world, "ada", group=OTHER)
    lose(world, note(world))
    world.safe.decide_many(world.speaker("omar"), LEFT, GROUP, "rest")
    world.run()
    assert (stray(world).state, stray(world, "tomas").state) == ("open", "left")
    assert stray(world, "ada", OTHER).state == "open"


def test_of_who_is_protected_nothing_can_be_adopted_and_the_window_says_so(world: World) -> None:
    put_in(world, "ada")
    lose(world)
    world.directory.untouched.add(account("ada"))
    row = decide(world, NOW)
    assert (row.state, "protected" in row.trouble) == ("open", True)
    assert world.holds("ada")
    assert decide(world, LEFT).state == "left"


def test_of_what_the_policy_does_not_have_any_more_nothing_can_be_adopted(world: World) -> None:
    lose(world, note(world, what="of-yesterday"))
    row = decide(world, KNOWN, what="of-yesterday")
    assert (row.state, "no `of-yesterday` any more" in row.trouble) == ("open", True)


def test_what_was_decided_is_done_when_atlassian_is_back(world: World) -> None:
    put_in(world, "ada")
    lose(world, note(world))
    world.directory.unreadable = [DirectoryError("HTTP 503", retry=True)]
    assert decide(world, NOW).state == "deciding"
    world.later(timedelta(minutes=6))
    world.run()
    assert stray(world).state == "ended"
    assert not world.holds("ada")


def test_the_same_click_decides_once(world: World) -> None:
    put_in(world, "ada")
    lose(world, note(world))
    number = stray(world).id or 0
    for _ in range(3):
        world.safe.decide(world.speaker("omar"), number, KNOWN, "the same")
        world.run()
    assert len(grants(world)) == 1
    with pytest.raises(Refused, match="settled meanwhile"):
        world.safe.decide(world.speaker("omar"), number, NOW, "another")
    assert len(world.record("stray.decided")) == 1


def test_another_grant_that_was_held_before_keeps_it_after_an_adopted_one_ends(world: World) -> None:
    put_in(world, "ada")
    given(world)
    assert grants(world)[0].held_before
    lose(world, note(world, hours=1, request="REQ-longer"))
    decide(world, NOW)
    world.later(3 * HOUR)
    world.run()
    assert world.holds("ada")


# -- leaving it -------------------------------------------------------------------------------------------------------


def test_it_is_left_only_when_everything_is_settled(world: World) -> None:
    put_in(world, "ada")
    lose(world, note(world))
    settle_the_rest(world)
    with pytest.raises(Refused, match="1 people hold something that nobody has settled"):
        go(world)
    assert is_on(world)
    decide(world, KNOWN)
    go(world)
    assert not is_on(world)
    (entry,) = world.record("safe_mode.left")
    assert entry["actor"] == account("omar")
    assert entry["data"]["adopted"] == 1
    assert {news.place for news in world.news("safe_mode_left")} == {"operators", "security"}


def test_it_is_not_left_before_anything_was_read(world: World) -> None:
    world.directory.unreadable = [DirectoryError("HTTP 503", retry=True)] * 50
    with world.store.write() as w:
        enter(w, WHY)
    with world.store.read() as session:
        mode = current(session)
        assert mode is not None
        assert why_not_leave(session, mode) == "who holds what has not been read yet"


@pytest.mark.parametrize("who", ["sade", "kofi", "grace", "ada"])
def test_only_an_admin_settles_and_leaves(world: World, who: str) -> None:
    put_in(world, "ada")
    lose(world, note(world))
    for act in (
        lambda: world.safe.decide(world.speaker(who), stray(world).id or 0, NOW, f"x {who}"),
        lambda: world.safe.decide_many(world.speaker(who), LEFT, GROUP, f"y {who}"),
        lambda: world.safe.read_again(world.speaker(who), f"a {who}"),
        lambda: world.safe.leave(world.speaker(who), f"z {who}"),
    ):
        with pytest.raises(Refused, match="for the role admin"):
            act()
    assert world.holds("ada")


def test_an_admin_whose_binding_is_new_settles_nothing_yet(world: World) -> None:
    put_in(world, "ada")
    lose(world, note(world))
    with world.store.write() as w:
        row = w.session.exec(select(Binding).where(Binding.account == account("omar"))).one()
        row.votes_from = w.now + HOUR
        w.session.add(row)
    with pytest.raises(Refused):
        decide(world, NOW)
    assert world.holds("ada")


def test_somebody_who_is_found_while_it_is_being_left_keeps_it_on(world: World) -> None:
    lose(world)
    settle_the_rest(world)
    world.safe.leave(world.speaker("omar"), "leave")
    with world.store.write() as w:
        mode = current(w.session)
        assert mode is not None
        w.add(Stray(safe_mode_id=mode.id or 0, entitlement=GROUP, account="712020:new"))
        leave(w, mode.id or 0, account("omar"))
    assert is_on(world)


def test_after_it_was_left_the_record_can_be_lost_again(world: World) -> None:
    lose(world)
    settle_the_rest(world)
    go(world)
    put_in(world, "ada")
    lose(world, note(world))
    with world.store.read() as session:
        rows = session.exec(select(Stray).where(Stray.account == account("ada"), Stray.state == "open")).all()
    assert len(rows) == 1


def test_the_policy_names_who_may(world: World) -> None:
    policy = Policy.parse(roomy())
    assert {person.account for person in policy.roles["admin"]} == {account("omar"), account("ingrid")}
