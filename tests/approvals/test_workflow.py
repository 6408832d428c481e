"""The verbs people use: who is heard, who is not, and what each is told."""

import json
from datetime import timedelta

import pytest
from sqlmodel import func, select

from approvals import people
from approvals.models import AccessRequest, AuditEntry, Binding, SlackUser, Vote
from approvals.policy import Person as Speaker
from approvals.ports import PeopleError
from approvals.states import Status
from approvals.store import Actor, Store
from approvals.workflow import Click, Refused
from bot.sandbox import seed
from tests.support.world import COMPANY, World, account, at_once


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def how_many(world: World, kind: type) -> int:
    with world.store.read() as session:
        return session.exec(select(func.count()).select_from(kind)).one()


def pending(world: World, who: str = "ada", what: str = "eu-jira-admins", **more: object) -> AccessRequest:
    request = world.ask(who, what, **more)  # type: ignore[arg-type]
    world.run()
    assert world.request(request).status == Status.PENDING
    return world.request(request)


def votes(world: World) -> list[Vote]:
    with world.store.read() as session:
        return list(session.exec(select(Vote).order_by(Vote.id)))  # type: ignore[arg-type]


def because(world: World) -> str:
    """What the sender of the last vote was told."""
    facts = json.loads(world.news("vote_refused")[-1].facts)
    return str(facts["because"])


def change_slack_user(world: World, who: str, **changed: str) -> None:
    with world.store.write() as w:
        row = w.session.get(SlackUser, (seed.SLACK_TEAM, COMPANY.person(who).slack_id))
        assert row is not None
        for name, value in changed.items():
            setattr(row, name, value)


# -- asking -----------------------------------------------------------------------------------------------------------


def test_what_is_asked_is_written_down_with_its_rule_and_planned(world: World) -> None:
    request = world.ask()
    found = world.request(request)
    assert (found.status, found.requester, found.subject) == (Status.ASKED, account("ada"), account("ada"))
    assert found.lapses_at == found.asked_at + timedelta(hours=24)
    assert found.duration == 7200
    assert set(world.jobs()) == {f"plan:{request.id}", f"wait:{request.id}"}
    (entry,) = world.record("request.asked")
    assert (entry["actor"], entry["request"]) == (account("ada"), request.id)
    assert entry["data"]["rule_hash"] == found.rule_hash


def test_the_same_payload_makes_one_request(world: World) -> None:
    first = world.ask(source="a payload")
    assert world.ask(source="a payload").id == first.id
    outcomes = at_once(*[lambda: world.ask(source="another payload", length=timedelta(hours=1)).id] * 4)
    assert len(set(outcomes)) == 1
    assert how_many(world, AccessRequest) == 2
    assert len(world.record("request.asked")) == 2


REFUSALS = {
    "no such entitlement": ({"what": "eu-jira-admin"}, "Did you mean `eu-jira-admins`"),
    "too long": ({"length": timedelta(hours=9)}, "8 hours at most"),
    "until revoked": ({"length": None}, "8 hours at most"),
    "no time at all": ({"length": timedelta(0)}, "no time at all"),
    "no reason": ({"reason": "  because  "}, "a reason of at least 10"),
    "nobody is left to approve": ({"who": "orla"}, "Nobody is left to approve"),
    "only the requester is left": ({"who": "grace", "subject": "ada"}, "Nobody is left to approve"),
    "not for others": ({"who": "ada", "subject": "tomas"}, "you may not ask for eu-jira-admins for somebody else"),
}


@pytest.mark.parametrize(("asked", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_a_refused_question_leaves_one_entry_and_nothing_else(
    world: World, asked: dict[str, object], sentence: str
) -> None:
    before = how_many(world, AuditEntry)
    with pytest.raises(Refused, match=sentence):
        world.ask(**asked)  # type: ignore[arg-type]
    assert how_many(world, AccessRequest) == 0
    assert how_many(world, AuditEntry) == before + 1
    assert len(world.record("ask.refused")) == 1
    assert world.jobs() == {}


def test_a_stop_before_the_question_is_written_down_once(world: World) -> None:
    speaker = world.speaker("ada")
    actor = Actor(speaker.account, speaker.team, speaker.user)
    world.workflow.refuse(actor, "Guests can't", "a payload", typed="grant everything")
    world.workflow.refuse(actor, "Guests can't", "a payload", typed="grant everything")
    assert len(world.record("ask.refused")) == 1


@pytest.mark.parametrize(("who", "words"), [("gus", "Guests"), ("vera", "deactivated")])
def test_guests_and_deleted_users_are_not_heard(world: World, who: str, words: str) -> None:
    with world.store.read() as session:
        found = people.speaker(session, world.policies.current(session), seed.SLACK_TEAM, COMPANY.person(who).slack_id)
    assert isinstance(found, people.Stop)
    assert words in found.because


# -- answering --------------------------------------------------------------------------------------------------------


def test_an_approval_is_in_the_chain_with_the_plan_it_binds(world: World) -> None:
    request = pending(world)
    world.click("grace", request)
    assert world.request(request).status == Status.PENDING, "a click alone decides nothing"
    world.run()
    (entry,) = world.record("request.approved")
    assert entry["actor"] == account("grace")
    assert entry["data"]["plan_hash"] == request.plan_hash
    assert entry["data"]["version"] == 1
    now = world.request(request)
    assert (now.status, now.approver) == (Status.DONE, account("grace"))
    assert world.people.refreshed[0] == COMPANY.person("grace").slack_id, "looked at afresh before it counted"


def test_a_denial_carries_its_reason_to_who_asked(world: World) -> None:
    request = pending(world)
    world.click("grace", request, "deny", reason="use the read-only role")
    world.run()
    now = world.request(request)
    assert (now.status, now.closed_by) == (Status.DENIED, account("grace"))
    told = [json.loads(news.facts) for news in world.news("denied")]
    assert {facts["reason"] for facts in told} == {"use the read-only role"}
    assert COMPANY.person("ada").slack_id in {news.user for news in world.news("denied")}
    assert world.directory.calls == []
    assert world.grant(request) is None


def not_counted(world: World, request: AccessRequest, words: str) -> None:
    assert [vote.outcome for vote in votes(world)][-1] == "refused"
    assert words in because(world)
    assert len(world.record("vote.refused")) >= 1
    assert not world.record("request.approved")
    assert not world.directory.calls
    assert world.request(request).status not in (Status.APPROVED, Status.APPLYING, Status.DONE)


def test_nobody_approves_their_own_request(world: World) -> None:
    """Mei owns it and would be its approver, and asks for it herself."""
    request = pending(world, "mei", "eu-confluence-admins")
    world.click("mei", request)
    world.run()
    not_counted(world, request, "nobody approves their own request")


def test_own_is_judged_by_the_account_and_not_by_the_slack_user(world: World) -> None:
    request = pending(world, "mei", "eu-confluence-admins")
    with world.store.write() as w:  # mei speaks through another Slack user, bound to her account now
        row = w.session.get(Binding, (seed.SLACK_TEAM, COMPANY.person("mei").slack_id))
        assert row is not None
        w.session.delete(row)
        other = w.session.get(Binding, (seed.SLACK_TEAM, COMPANY.person("tomas").slack_id))
        assert other is not None
        w.session.flush()
        other.account = account("mei")
    world.click("tomas", request)
    world.run()
    not_counted(world, request, "nobody approves their own request")


def test_nobody_approves_what_is_for_themselves(world: World) -> None:
    """The helpdesk asks for Mei, who owns it."""
    request = pending(world, "kofi", "eu-confluence-admins", subject="mei")
    world.click("mei", request)
    world.run()
    not_counted(world, request, "nobody approves what is for themselves")
    world.click("linnea", request)
    world.run()
    assert world.request(request).status == Status.DONE


def test_a_manager_who_asked_for_a_report_does_not_answer_it(world: World) -> None:
    request = pending(world, "grace", "eu-confluence-admins", subject="ada")
    world.click("grace", request)
    world.run()
    not_counted(world, request, "nobody approves their own request")


@pytest.mark.parametrize("who", ["tomas", "omar", "sade", "linnea", "orla"])
def test_somebody_whom_the_policy_does_not_name_does_not_approve(world: World, who: str) -> None:
    """Neither a colleague, nor an admin, nor the manager's manager."""
    request = pending(world)
    world.click(who, request)
    world.run()
    not_counted(world, request, "is answered by the person's manager")


@pytest.mark.parametrize("choice", ["approve", "deny"])
def test_a_vote_upon_an_older_plan_does_not_count(world: World, choice: str) -> None:
    request = pending(world)
    world.change_policy('longest = "8h"\nlisted = true', 'longest = "7h"\nlisted = true')
    world.click("grace", request)
    world.run()
    assert world.request(request).version == 2
    world.click("grace", request, choice, version=1, reason="no")
    world.run()
    not_counted(world, request, "has a new plan since you saw it")
    assert world.request(request).status == Status.PENDING


def test_the_second_of_two_answers_is_told_who_was_first_and_when(world: World) -> None:
    request = pending(world, "ada", "eu-confluence-admins")
    world.click("grace", request)
    world.click("mei", request, "deny", reason="no")
    world.run()
    first, second = votes(world)
    assert (first.outcome, second.outcome) == ("counted", "refused")
    now = world.request(request)
    assert now.status == Status.DONE
    assert COMPANY.person("grace").name in because(world)
    assert "UTC" in because(world)
    assert world.news("vote_refused")[0].user == COMPANY.person("mei").slack_id
    assert len(world.record("request.denied")) == 0


def test_a_vote_after_the_question_lapsed_does_not_count(world: World) -> None:
    request = pending(world)
    world.later(timedelta(hours=25))
    world.click("grace", request)
    world.run()
    not_counted(world, request, "laps")
    assert world.request(request).status == Status.LAPSED


def test_the_same_click_twice_is_one_vote(world: World) -> None:
    request = pending(world)
    click = Click(
        request_id=request.id, version=1, choice="approve", team=seed.SLACK_TEAM,
        user=COMPANY.person("grace").slack_id, channel="D1", source="one payload",
    )  # fmt: skip
    at_once(*[lambda: world.workflow.vote(click)] * 4)
    world.workflow.vote(click)
    world.run()
    assert len(votes(world)) == 1
    assert len(world.record("vote.cast")) == 1
    assert len(world.directory.calls) == 1


def test_a_click_on_a_card_that_gatehouse_never_made_does_nothing(world: World) -> None:
    world.workflow.vote(Click("REQ-forged", 1, "approve", "T1", "U1", "D1", "a payload"))
    world.run()
    assert votes(world) == []


@pytest.mark.parametrize(("standing", "words"), [("deleted", "deactivated"), ("guest", "Guests"), ("stranger", "ano")])
def test_an_approver_who_is_no_longer_a_full_member_does_not_count(world: World, standing: str, words: str) -> None:
    request = pending(world)
    world.click("grace", request)
    change_slack_user(world, "grace", standing=standing)
    world.run()
    not_counted(world, request, words)


def test_a_vote_of_somebody_unbound_does_not_count(world: World) -> None:
    request = pending(world)
    with world.store.write() as w:
        w.session.delete(w.session.get(Binding, (seed.SLACK_TEAM, COMPANY.person("grace").slack_id)))
    world.click("grace", request)
    world.run()
    not_counted(world, request, "which Atlassian account is yours")


def test_a_new_binding_does_not_vote_for_a_day(world: World) -> None:
    request = pending(world)
    with world.store.write() as w:
        row = w.session.get(Binding, (seed.SLACK_TEAM, COMPANY.person("grace").slack_id))
        assert row is not None
        row.votes_from = w.now + timedelta(hours=12)
    world.click("grace", request)
    world.run()
    not_counted(world, request, "your answers count from")
    world.later(timedelta(hours=12, minutes=1))
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.DONE


def test_a_vote_waits_while_nobody_can_say_who_its_sender_is(world: World) -> None:
    request = pending(world)
    world.people.trouble = [PeopleError("Slack is down", retry=True), PeopleError("Slack is down", retry=True)]
    world.click("grace", request)
    world.run()
    assert [vote.outcome for vote in votes(world)] == ["waiting"]
    assert world.request(request).status == Status.PENDING
    for minutes in (10, 20):
        world.later(timedelta(minutes=minutes))
        world.run()
    assert [vote.outcome for vote in votes(world)] == ["counted"]
    assert world.request(request).status == Status.DONE
    assert world.news("vote_refused") == []


def test_a_vote_cast_in_time_counts_though_it_is_judged_late(world: World) -> None:
    """The one who answered is not to blame for the outage; unless the question has lapsed meanwhile."""
    request = pending(world)
    with world.store.write() as w:
        w.request(request.id).lapses_at = w.now + timedelta(seconds=60)
    world.click("grace", request)
    world.later(timedelta(seconds=61))
    world.run()
    assert world.request(request).status == Status.DONE


def test_a_changed_rule_is_asked_again_and_planned_anew(world: World) -> None:
    request = pending(world)
    world.change_policy('longest = "8h"\nlisted = true', 'longest = "7h"\nlisted = true')
    world.click("grace", request)
    world.run()
    now = world.request(request)
    assert (now.status, now.version) == (Status.PENDING, 2)
    assert now.rule_hash != request.rule_hash
    assert "planned anew" in because(world)
    assert world.directory.calls == []
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.DONE


def test_a_policy_that_changed_elsewhere_asks_nobody_again(world: World) -> None:
    request = pending(world)
    world.change_policy('longest = "30d"', 'longest = "29d"')
    world.click("grace", request)
    world.run()
    assert world.request(request).version == 1
    assert world.request(request).status == Status.DONE


def test_an_entitlement_that_left_the_policy_is_refused_and_everybody_hears_it(world: World) -> None:
    request = pending(world)
    world.change_policy("[entitlements.eu-jira-admins]", "[entitlements.eu-jira-administrators]")
    world.click("grace", request)
    world.run()
    now = world.request(request)
    assert now.status == Status.REFUSED
    assert "no longer in the policy" in now.because
    assert {news.place for news in world.news("refused")} == {"thread", "person"}
    assert "no longer in the policy" in because(world)


# -- taking back ------------------------------------------------------------------------------------------------------


def cancel(world: World, who: str, id: str, source: str = "a cancel") -> AccessRequest:
    return world.workflow.cancel(world.speaker(who), id, source)


@pytest.mark.parametrize("planned", [False, True])
def test_who_asked_takes_it_back(world: World, planned: bool) -> None:
    request = world.ask()
    if planned:
        world.run()
    assert cancel(world, "ada", request.id).status == Status.CANCELLED
    assert cancel(world, "ada", request.id).status == Status.CANCELLED, "the same payload again"
    world.run()
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.CANCELLED
    assert world.directory.calls == []
    assert len(world.record("request.cancelled")) == 1


def test_somebody_else_does_not_even_learn_that_it_exists(world: World) -> None:
    request = pending(world)
    answers = []
    for number, id in enumerate([request.id, "REQ-nosuchone"]):
        for _ in range(2):  # the same payload again must not say more
            with pytest.raises(Refused) as refused:
                cancel(world, "tomas", id, f"cancel {number}")
            answers.append(str(refused.value))
    assert len(set(answers)) == 1
    assert world.request(request).status == Status.PENDING
    assert len(world.record("cancel.refused")) == 2


def test_the_person_it_is_for_is_told_that_only_who_asked_can_cancel(world: World) -> None:
    request = pending(world, "kofi", subject="ada")
    with pytest.raises(Refused, match="Only the person who asked"):
        cancel(world, "ada", request.id)
    assert world.request(request).status == Status.PENDING


def test_what_is_done_can_not_be_cancelled(world: World) -> None:
    request = pending(world)
    world.click("grace", request)
    world.run()
    with pytest.raises(Refused, match=r"already approved, by Grace Okafor.*can't be taken back"):
        cancel(world, "ada", request.id)
    assert world.request(request).status == Status.DONE
    assert world.holds("ada")
    assert len(world.record("cancel.refused")) == 1


def test_of_a_cancel_and_an_approval_at_once_exactly_one_counts(world: World) -> None:
    for number in range(10):
        request = pending(world)
        world.click("grace", request)
        claim = world.store.claim()
        assert claim is not None
        outcomes = at_once(
            lambda claim=claim: world.worker.run(claim),
            lambda request=request, number=number: cancel(world, "ada", request.id, f"cancel {number}"),
        )
        status = world.request(request).status
        assert outcomes[0] is None
        if isinstance(outcomes[1], Refused):
            assert status == Status.APPROVED
            assert "already approved" in str(outcomes[1])
        else:
            assert status == Status.CANCELLED
            assert votes(world)[-1].outcome == "refused"
            assert "already cancelled, by Ada Ferreira" in because(world)
        world.run()
        if world.holds("ada"):
            world.directory.held("eu-jira-admins").discard(account("ada"))
    assert world.store.verify().ok


# -- time -------------------------------------------------------------------------------------------------------------


def test_a_question_nobody_answers_lapses_when_its_time_is_over(world: World) -> None:
    request = pending(world)
    world.later(timedelta(hours=23, minutes=59))
    world.run()
    assert world.request(request).status == Status.PENDING
    world.later(timedelta(hours=24, seconds=1))
    world.run()
    now = world.request(request)
    assert (now.status, now.because) == (Status.LAPSED, "nobody answered in time")
    assert {news.place for news in world.news("lapsed")} == {"thread", "person"}


def test_an_answered_question_does_not_lapse(world: World) -> None:
    request = pending(world)
    world.click("grace", request)
    world.run()
    world.later(timedelta(hours=25))
    world.run()
    assert world.request(request).status == Status.DONE
    assert world.news("lapsed") == []


# -- who hears of it --------------------------------------------------------------------------------------------------


def test_the_person_it_is_for_hears_of_the_question_and_of_its_end(world: World) -> None:
    request = pending(world, "kofi", subject="ada")
    assert [news.user for news in world.news("about_you")] == [COMPANY.person("ada").slack_id]
    world.click("grace", request, "deny", reason="no")
    world.run()
    heard = {news.user for news in world.news("denied") if news.place == "person"}
    assert heard == {COMPANY.person("ada").slack_id, COMPANY.person("kofi").slack_id}


def test_a_speaker_is_a_person_of_the_policy(world: World) -> None:
    assert world.speaker("ada") == Speaker(account("ada"), seed.SLACK_TEAM, COMPANY.person("ada").slack_id)
    assert "admin" in world.speaker("omar").roles
