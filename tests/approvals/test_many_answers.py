"""More than one answer: how many of whom, in which order, and what a yes is worth when the world changes."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from approvals.delegating import Delegating
from approvals.models import AccessRequest, Binding, Delegation, SlackUser, Vote
from approvals.states import Status
from approvals.store import Store
from approvals.workflow import Ask, Refused
from bot.sandbox import seed
from tests.support.policies import roomy
from tests.support.world import COMPANY, World, account

GIVE = ("add_member", "eu-jira-admins")


def person(handle: str) -> str:
    return f'{{slack = "{seed.SLACK_TEAM}/{COMPANY.person(handle).slack_id}", account = "{account(handle)}"}}'


def rule(lines: str) -> str:
    """The demo's policy with other lines for eu-jira-admins."""
    head, _, rest = roomy().partition("[entitlements.eu-jira-admins]")
    _, _, after = rest.partition("\n\n")
    about = 'about = "Administer Jira"\ngroup = "eu-jira-admins"\nlongest = "8h"\nlisted = true\n'
    return f"{head}[entitlements.eu-jira-admins]\n{about}{lines}\n\n{after}"


TWO = f'approvers = ["manager", {person("mei")}, "role:admin"]\napprovals = 2'
STAGES = f'stages = [{{approvers = ["manager"]}}, {{approvers = ["role:security", {person("grace")}]}}]'
GROUPS = 'approvers = ["role:admin", "role:security"]\napprovals = 2\ndifferent_groups = true'
LEVELS = 'approvers = ["manager"]\nescalation = [["role:security"], ["role:admin"]]\nescalate_after = "2h"'


@pytest.fixture
def world(store: Store, request: pytest.FixtureRequest) -> World:
    return World(store, rule(getattr(request, "param", TWO)))


def with_rule(lines: str) -> Any:
    return pytest.mark.parametrize("world", [lines], indirect=True)


def pending(world: World, who: str = "ada", **more: Any) -> AccessRequest:
    request = world.ask(who, **more)
    world.run()
    assert world.request(request).status == Status.PENDING, world.request(request).because
    return world.request(request)


def says(world: World, who: str, request: AccessRequest, choice: str = "approve", **more: Any) -> str:
    """What somebody is told whose answer does not count; empty when it does."""
    before = len(world.news("vote_refused"))
    world.click(who, request, choice, **more)
    world.run()
    told = world.news("vote_refused")[before:]
    return str(json.loads(told[0].facts)["because"]) if told else ""


def status(world: World, request: AccessRequest) -> str:
    return world.request(request).status


def by_hand(world: World, statement: str, **values: object) -> None:
    with world.store.database.writing() as session:
        session.connection().execute(text(statement), values)


def alarms(world: World) -> set[str]:
    return {news.place for news in world.news("alarm")}


# -- how many, of whom ------------------------------------------------------------------------------------------------


def test_one_of_two_is_said_and_gives_nothing_and_the_second_gives(world: World) -> None:
    request = pending(world)
    assert says(world, "grace", request) == ""
    assert (status(world, request), world.holds("ada")) == (Status.PENDING, False)
    (told,) = world.news("voted")
    assert (told.place, json.loads(told.facts)["wanted"]) == ("thread", 1)
    assert says(world, "mei", request) == ""
    assert (status(world, request), world.holds("ada")) == (Status.DONE, True)
    counted = world.record("vote.counted")
    assert [entry["actor"] for entry in counted] == [account("grace"), account("mei")]
    assert world.store.verify().ok


def test_nobody_counts_twice(world: World) -> None:
    request = pending(world)
    says(world, "grace", request)
    assert says(world, "grace", request) == "your approval is counted already"
    assert status(world, request) == Status.PENDING


def test_one_no_ends_it_also_of_whoever_said_yes_before(world: World) -> None:
    request = pending(world)
    says(world, "grace", request)
    assert says(world, "grace", request, "deny", reason="I was too quick") == ""
    assert status(world, request) == Status.DENIED
    assert not world.holds("ada")


@with_rule(GROUPS)
def test_two_of_one_group_are_one_group(world: World) -> None:
    request = pending(world)
    assert says(world, "omar", request) == ""
    assert "another group must answer too" in says(world, "ingrid", request)
    assert says(world, "sade", request) == ""
    assert status(world, request) == Status.DONE


@with_rule(STAGES)
def test_the_second_step_is_asked_after_the_first_and_nobody_counts_in_both(world: World) -> None:
    request = pending(world)
    assert "answered by the person's manager" in says(world, "sade", request)
    assert says(world, "grace", request) == ""
    assert json.loads(world.news("voted")[0].facts)["stage"] == 2
    assert says(world, "grace", request) == "your approval is counted already"
    assert says(world, "sade", request) == ""
    assert status(world, request) == Status.DONE


@with_rule(STAGES)
def test_whoever_asks_is_no_judge_in_any_step(world: World) -> None:
    with pytest.raises(Refused, match="Too few people are left"):
        world.ask("grace", subject="ada")  # the manager asks, so the first step has nobody


# -- levels -----------------------------------------------------------------------------------------------------------


@with_rule(LEVELS)
def test_the_next_level_is_asked_when_nobody_answers_and_the_first_may_still(world: World) -> None:
    request = pending(world)
    assert "answered by the person's manager" in says(world, "sade", request)
    world.later(timedelta(hours=2, minutes=1))
    world.run()
    assert world.request(request).level == 1
    assert [entry["data"]["level"] for entry in world.record("request.escalated")] == [1]
    assert len(world.news("escalated")) == 1
    assert "answered by the person's manager or the role security" in says(world, "omar", request)
    assert says(world, "sade", request) == ""
    assert status(world, request) == Status.DONE


@with_rule(LEVELS)
def test_after_the_last_level_it_lapses(world: World) -> None:
    request = pending(world)
    for hours in (3, 5, 9, 23):
        world.later(timedelta(hours=hours))
        world.run()
    assert world.request(request).level == 2
    assert status(world, request) == Status.PENDING
    world.later(timedelta(hours=24, minutes=1))
    world.run()
    assert status(world, request) == Status.LAPSED
    assert "waited too long" in says(world, "omar", request) or "already lapsed" in says(world, "omar", request)


@with_rule(LEVELS)
def test_where_the_manager_asks_the_question_starts_at_the_next_level(world: World) -> None:
    request = pending(world, "grace", subject="ada")
    assert world.request(request).level == 1
    assert "nobody approves their own request" in says(world, "grace", request)
    assert says(world, "sade", request) == ""
    assert status(world, request) == Status.DONE


def test_with_no_level_left_it_is_refused_when_asked_and_says_who_can_mend_it(store: Store) -> None:
    world = World(store, rule('approvers = ["role:admin"]\napprovals = 2'))
    with pytest.raises(Refused, match="Too few people are left to approve eu-jira-admins") as refused:
        world.ask("omar")
    assert "can mend the policy" in str(refused.value)


@with_rule(LEVELS)
def test_a_level_raised_by_hand_gives_nothing(world: World) -> None:
    request = pending(world)
    by_hand(world, "UPDATE requests SET level = 2 WHERE id = :id", id=request.id)
    says(world, "omar", request)
    assert not world.holds("ada")
    assert status(world, request) == Status.REFUSED


# -- reminders --------------------------------------------------------------------------------------------------------


@with_rule('approvers = ["manager"]\nremind_after = "1h"')
def test_reminders_come_with_growing_pauses(world: World) -> None:
    request = pending(world)
    seen = {}
    for minutes in (59, 61, 119, 181, 239, 419, 421, 901):
        world.later(timedelta(minutes=minutes))
        world.run()
        seen[minutes] = len(world.news("reminder"))
    assert seen == {59: 0, 61: 1, 119: 1, 181: 2, 239: 2, 419: 2, 421: 3, 901: 4}
    assert {news.user for news in world.news("reminder")} == {COMPANY.person("grace").slack_id}
    says(world, "grace", request)
    world.later(timedelta(hours=23))
    world.run()
    assert len(world.news("reminder")) == 4


# -- a yes when the world changes -------------------------------------------------------------------------------------


def held_back(world: World) -> AccessRequest:
    """Both have said yes, and the deed has not begun."""
    request = pending(world)
    says(world, "grace", request)
    world.click("mei", request)
    claim = world.store.claim()
    assert claim is not None
    world.worker.run(claim)
    assert status(world, request) == Status.APPROVED
    return request


@pytest.mark.parametrize("how", ["guest", "unbound", "manager", "policy"])
def test_of_two_yes_each_is_looked_at_again_before_the_deed(world: World, how: str) -> None:
    request = held_back(world)
    if how == "policy":
        world.apply_policy(rule(f'approvers = ["manager", {person("tomas")}, "role:admin"]\napprovals = 2'))
    with world.store.write() as w:
        slack = (seed.SLACK_TEAM, COMPANY.person("grace").slack_id)
        if how == "guest":
            w.session.get_one(SlackUser, slack).standing = "guest"
        elif how == "unbound":
            w.session.delete(w.session.get_one(Binding, slack))
        elif how == "manager":
            w.connection.execute(text("UPDATE people SET manager = :m"), {"m": account("omar")})
    world.run()
    assert (status(world, request), world.holds("ada")) == (Status.REFUSED, False)
    assert [news.place for news in world.news("refused")].count("thread") == 1
    assert "no longer" in world.request(request).because or "rule changed" in world.request(request).because


# -- what is written by hand ------------------------------------------------------------------------------------------


def test_a_vote_written_by_hand_counts_for_nothing_and_is_an_alarm(world: World) -> None:
    request = pending(world)
    says(world, "grace", request)
    with world.store.write() as w:
        vote = w.add(
            Vote(request_id=request.id, version=1, choice="approve", team=seed.SLACK_TEAM, channel="D1", cast_at=w.now,
                 user=COMPANY.person("mei").slack_id, source="forged")
        )  # fmt: skip
        w.enqueue("count", vote.id or 0)
    world.run()
    assert (status(world, request), world.holds("ada")) == (Status.PENDING, False)
    assert alarms(world) == {"operators", "security"}


def test_a_vote_counted_by_hand_counts_for_nothing(world: World) -> None:
    request = pending(world)
    assert says(world, "kofi", request) != ""
    by_hand(world, "UPDATE votes SET outcome = 'counted', account = :mei, seat = :mei", mei=account("mei"))
    says(world, "grace", request)
    assert (status(world, request), world.holds("ada")) == (Status.PENDING, False)


def test_a_plan_written_by_hand_can_not_be_approved_and_is_an_alarm(world: World) -> None:
    request = pending(world)
    by_hand(world, "UPDATE plans SET body = replace(body, 'add them to', 'take them out of')")
    assert "not the one in the record" in says(world, "grace", request)
    assert alarms(world) == {"operators", "security"}
    assert status(world, request) == Status.PENDING


@pytest.mark.parametrize("column", ["subject", "requester", "entitlement", "duration"])
def test_a_request_changed_by_hand_after_the_approval_gives_nothing(world: World, column: str) -> None:
    request = held_back(world)
    value = {"subject": account("kofi"), "requester": account("kofi"), "entitlement": "release-managers",
             "duration": 28800}[column]  # fmt: skip
    by_hand(world, f"UPDATE requests SET {column} = :value", value=value)
    world.run()
    assert world.directory.calls == []
    assert status(world, request) == Status.REFUSED


# -- tiers ------------------------------------------------------------------------------------------------------------

MEDIUM = 'approvers = ["manager"]\ntier = "medium"'
HIGH = f'approvers = ["manager", {person("mei")}]\ntier = "high"'


@with_rule(MEDIUM)
def test_a_click_alone_does_not_approve_the_medium_tier(world: World) -> None:
    request = pending(world)
    assert "look at the plan first" in says(world, "grace", request)
    assert says(world, "grace", request, typed="the plan was shown") == ""
    assert status(world, request) == Status.DONE


@with_rule(HIGH)
def test_the_high_tier_wants_two_the_name_and_a_pause(world: World) -> None:
    request = pending(world)
    assert "name that was typed" in says(world, "grace", request, typed="Adam Ferreira")
    assert says(world, "grace", request, typed="  ada   FERREIRA ") == ""
    assert says(world, "mei", request, typed="Ada Ferreira") == ""
    found = world.request(request)
    assert (found.status, world.holds("ada")) == (Status.SCHEDULED, False)
    assert found.starts_at is not None
    assert found.starts_at - found.moved_at == timedelta(minutes=5)
    told = {news.user for news in world.news("scheduled")} - {""}
    assert told == {COMPANY.person(who).slack_id for who in ("ada", "grace", "mei")}
    world.later(timedelta(minutes=4, seconds=50))
    world.run()
    assert not world.holds("ada")
    world.later(timedelta(minutes=5, seconds=1))
    world.run()
    assert (status(world, request), world.holds("ada")) == (Status.DONE, True)


@with_rule(HIGH)
@pytest.mark.parametrize("who", ["ada", "grace", "mei", "omar"])
def test_in_the_pause_an_approver_an_admin_and_who_asked_may_stop_it(world: World, who: str) -> None:
    request = pending(world)
    says(world, "grace", request, typed="Ada Ferreira")
    says(world, "mei", request, typed="Ada Ferreira")
    if who in ("grace", "mei"):
        assert world.request(request).status == Status.SCHEDULED
    world.workflow.cancel(world.speaker(who), request.id, f"stop {who}")
    world.later(timedelta(minutes=6))
    world.run()
    assert (status(world, request), world.holds("ada")) == (Status.CANCELLED, False)


@with_rule(HIGH)
def test_others_do_not_stop_it_and_before_the_pause_approvers_deny(world: World) -> None:
    request = pending(world)
    with pytest.raises(Refused, match="Only the person who asked can cancel"):
        world.workflow.cancel(world.speaker("grace"), request.id, "too early")
    says(world, "grace", request, typed="Ada Ferreira")
    says(world, "mei", request, typed="Ada Ferreira")
    with pytest.raises(Refused):
        world.workflow.cancel(world.speaker("tomas"), request.id, "a stranger to it")
    assert status(world, request) == Status.SCHEDULED


# -- less than was asked ----------------------------------------------------------------------------------------------

LESS = 'approvers = ["manager"]\ninstead = ["release-managers"]'


def less(length: int | None, what: str = "eu-jira-admins", until: datetime | None = None) -> str:
    moment = {"ends_by": until.isoformat()} if until is not None else {}
    return json.dumps({"duration": length, "entitlement": what, **moment})


@with_rule(LESS)
def test_less_is_planned_and_asked_anew_and_an_old_yes_is_worth_nothing(world: World) -> None:
    request = pending(world)
    assert says(world, "grace", request, "edit", changed=less(3600)) == ""
    now = world.request(request)
    assert (now.status, now.version, now.duration) == (Status.PENDING, 2, 3600)
    assert now.plan_hash != request.plan_hash
    assert json.loads(world.news("edited")[0].facts)["now"] == "eu-jira-admins for 1 hour"
    assert "has a new plan" in says(world, "grace", request, version=1)
    assert says(world, "grace", request) == ""
    grant = world.grant(request)
    assert grant is not None
    assert grant.ends_at is not None
    assert grant.ends_at - grant.promised_at == timedelta(hours=1)


@with_rule(LESS)
def test_something_less_that_the_policy_names_can_be_given_instead(world: World) -> None:
    request = pending(world)
    assert says(world, "grace", request, "edit", changed=less(7200, "release-managers")) == ""
    assert says(world, "grace", request) == ""
    assert world.holds("ada", "release-managers")
    assert not world.holds("ada")


@with_rule(LESS)
def test_something_else_makes_nothing_longer(world: World) -> None:
    first = pending(world)
    assert says(world, "grace", first) == ""
    four = timedelta(hours=4)
    until = world.store.now() + four
    asks = Ask(
        "grant", account("ada"), "eu-jira-admins", four, "INC-42: still down", "b", ends_by=until, extends=first.id
    )
    longer = world.request(world.workflow.ask(world.speaker("ada"), asks))
    world.run()
    assert says(world, "grace", longer, "edit", changed=less(7200, "release-managers")) == ""
    assert world.request(longer).extends == ""
    assert says(world, "grace", longer) == ""
    assert world.holds("ada", "release-managers")


@with_rule(LESS)
@pytest.mark.parametrize(
    ("who", "changed", "why"),
    [
        ("grace", less(7260), "longer than the 2 hours"),
        ("grace", less(None), "longer than the 2 hours"),
        ("grace", less(7200), "what was asked for"),
        ("grace", less(3600, "eu-confluence-admins"), "not among what may be given instead"),
        ("grace", "", "could not be shown"),
        ("ada", less(3600), "nobody approves their own request"),
        ("tomas", less(3600), "answered by the person's manager"),
    ],
)
def test_more_or_something_else_is_never_given_by_a_change(world: World, who: str, changed: str, why: str) -> None:
    request = pending(world)
    assert why in says(world, who, request, "edit", changed=changed)
    assert (status(world, request), world.request(request).version) == (Status.PENDING, 1)


def held_until(world: World, request: AccessRequest) -> datetime:
    grant = world.grant(request)
    assert grant is not None
    assert grant.ends_at is not None
    return grant.ends_at


@with_rule(LESS)
@pytest.mark.parametrize(
    ("length", "what"), [(28000, "eu-jira-admins"), (28800, "release-managers"), (28000, "release-managers")]
)
def test_the_moment_that_was_asked_for_stays_the_end_when_less_is_given(world: World, length: int, what: str) -> None:
    tonight = world.store.now() + timedelta(hours=8)
    request = pending(world, length=timedelta(hours=8), ends_by=tonight)
    world.later(timedelta(hours=7))
    assert says(world, "grace", request, "edit", changed=less(length, what)) == ""
    assert says(world, "grace", request) == ""
    assert world.holds("ada", what)
    assert held_until(world, request) == tonight
    world.later(timedelta(hours=8, minutes=1))
    world.run()
    assert not world.holds("ada", what)


@with_rule(LESS)
def test_what_is_shorter_than_the_moment_that_was_asked_for_ends_before_it(world: World) -> None:
    request = pending(world, length=timedelta(hours=8), ends_by=world.store.now() + timedelta(hours=8))
    assert says(world, "grace", request, "edit", changed=less(1800)) == ""
    assert says(world, "grace", request) == ""
    grant = world.grant(request)
    assert grant is not None
    assert held_until(world, request) - grant.promised_at == timedelta(minutes=30)


@with_rule(LESS)
@pytest.mark.parametrize("asked_until", [False, True])
def test_a_moment_that_an_approver_typed_is_the_end_however_late_it_is_approved(
    world: World, asked_until: bool
) -> None:
    now = world.store.now()
    until = {"ends_by": now + timedelta(hours=8)} if asked_until else {}
    request = pending(world, length=timedelta(hours=8), **until)
    soon = now + timedelta(hours=2)
    assert says(world, "grace", request, "edit", changed=less(7200, until=soon)) == ""
    world.later(timedelta(minutes=90))
    assert says(world, "grace", request) == ""
    assert held_until(world, request) == soon
    assert world.store.verify().ok


@with_rule(LESS)
@pytest.mark.parametrize(("more", "why"), [(1, "ends later than was asked"), (0, "what was asked for")])
def test_a_moment_that_is_no_earlier_than_the_one_asked_for_changes_nothing(world: World, more: int, why: str) -> None:
    tonight = world.store.now() + timedelta(hours=8)
    request = pending(world, length=timedelta(hours=8), ends_by=tonight)
    world.later(timedelta(hours=7))
    changed = less(3600 * (1 + more), until=tonight + timedelta(hours=more))
    assert why in says(world, "grace", request, "edit", changed=changed)
    assert (status(world, request), world.request(request).version) == (Status.PENDING, 1)


# -- standing in ------------------------------------------------------------------------------------------------------


def away(world: World, absent: str, stand_in: str, days: int = 5) -> None:
    Delegating(world.store, world.policies).begin(
        world.speaker(absent), account(stand_in), timedelta(days=days), f"{absent} {stand_in} {days}"
    )


@with_rule('approvers = ["manager"]')
def test_a_stand_in_answers_for_whoever_is_away_and_says_so(world: World) -> None:
    request = pending(world)
    assert says(world, "tomas", request) != ""
    away(world, "grace", "tomas")
    assert says(world, "tomas", request) == ""
    assert status(world, request) == Status.DONE
    (entry,) = world.record("vote.counted")
    assert (entry["actor"], entry["data"]["seat"]) == (account("tomas"), account("grace"))
    assert world.request(request).because == "standing in for the person's manager (for Grace Okafor)"
    assert world.news("stands_in")[0].user == COMPANY.person("tomas").slack_id


@with_rule('approvers = ["manager"]')
def test_nobody_stands_in_for_their_own_request_nor_passes_it_on(world: World) -> None:
    request = pending(world)
    away(world, "grace", "ada")
    assert "own request" in says(world, "ada", request)
    away(world, "ada", "tomas", 4)
    assert "answered by" in says(world, "tomas", request)


def test_whoever_stands_in_is_one_person_and_one_seat(world: World) -> None:
    request = pending(world)
    away(world, "grace", "tomas")
    assert says(world, "tomas", request) == ""
    assert "whoever" in says(world, "grace", request) or "stand" in says(world, "grace", request)
    assert status(world, request) == Status.PENDING
    away(world, "mei", "tomas", 3)
    assert says(world, "tomas", request) == "your approval is counted already"


@with_rule('approvers = ["manager"]')
def test_when_the_delegation_ends_so_does_the_right_also_between_click_and_deed(world: World) -> None:
    request = pending(world)
    away(world, "grace", "tomas", 1)
    world.click("tomas", request)
    claim = world.store.claim()
    while claim is not None and claim.kind != "count":
        world.worker.run(claim)
        claim = world.store.claim()
    assert claim is not None
    world.worker.run(claim)
    assert status(world, request) == Status.APPROVED
    Delegating(world.store, world.policies).end(world.speaker("grace"), "back")
    world.run()
    assert (status(world, request), world.holds("ada")) == (Status.REFUSED, False)
    assert not Delegating(world.store, world.policies).end(world.speaker("grace"), "back again")


@pytest.mark.parametrize(
    ("stand_in", "days", "why"),
    [("grace", 5, "for themselves"), ("tomas", 31, "30 days at most"), ("person100", 5, "not known here")],
)
def test_what_is_no_delegation(world: World, stand_in: str, days: int, why: str) -> None:
    with pytest.raises(Refused, match=why):
        away(world, "grace", stand_in, days)
    with world.store.read() as session:
        assert session.exec(select(Delegation)).all() == []


# -- how much one person asks -----------------------------------------------------------------------------------------


def test_enough_is_enough(store: Store) -> None:
    world = World(store, rule(TWO).partition("\n[asking]")[0] + "\n[asking]\nopen_at_once = 3\nan_hour = 5\n")
    asked = [world.ask(length=timedelta(minutes=30 + n)) for n in range(3)]
    with pytest.raises(Refused, match="3 requests open"):
        world.ask(length=timedelta(minutes=50))
    for n, request in enumerate(asked):
        world.workflow.cancel(world.speaker("ada"), request.id, f"cancel {n}")
    for n in range(2):
        request = world.ask(length=timedelta(minutes=60 + n))
        world.workflow.cancel(world.speaker("ada"), request.id, f"cancel more {n}")
    with pytest.raises(Refused, match="5 times within an hour"):
        world.ask(length=timedelta(minutes=70))
    world.later(timedelta(minutes=61))
    assert world.ask(length=timedelta(minutes=70)).id


def test_the_very_same_is_joined_and_something_else_is_not(world: World) -> None:
    first = world.ask()
    assert world.ask().id == first.id
    assert world.ask(reason="another reason, the same wish").id == first.id
    assert world.ask(what="EU-Jira-Admins").id == first.id
    assert world.ask(length=timedelta(hours=3)).id != first.id
    assert world.ask("grace", subject="ada").id != first.id, "somebody else asks: the two can't approve each other"
    assert len(world.record("request.joined")) == 3
    tonight = world.store.now() + timedelta(hours=7)
    until = [world.ask(length=timedelta(minutes=n), ends_by=tonight) for n in (420, 419)]
    assert until[0].id == until[1].id, "until tonight is the same wish a minute later"
    world.workflow.cancel(world.speaker("ada"), first.id, "cancel")
    assert world.ask().id != first.id
