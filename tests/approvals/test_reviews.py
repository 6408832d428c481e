"""After the glass was broken: who says what it was, what time does, and what a verdict of misuse asks for."""

import json
from datetime import timedelta

import pytest
from sqlmodel import select

from approvals.jobs import Claim
from approvals.models import AccessRequest, Review
from approvals.reviews import DRILL_EVERY, last_drill, remind_to_practise
from approvals.states import Review as ReviewStatus
from approvals.states import Status
from approvals.store import Store
from approvals.workflow import Refused
from tests.approvals.test_glass import ON_CALL, broken, careful, heard, on_call, review
from tests.support.world import COMPANY, World, account

__all__ = ["careful"]  # a fixture


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def settle(world: World, who: str, request: AccessRequest, verdict: str = "legitimate", *, n: int = 1) -> None:
    world.reviews.settle(world.speaker(who), request.id, verdict, "the queue was stuck", f"settle {who} {n}")
    world.run()


def of(world: World, request: AccessRequest) -> Review:
    found = review(world, request)
    assert found is not None
    return found


@pytest.mark.parametrize("who", ["grace", "sade"])
def test_security_and_a_bypassed_approver_settle_it_with_a_reason(world: World, who: str) -> None:
    request = broken(world)
    settle(world, who, request)
    found = of(world, request)
    assert (found.status, found.verdict, found.by, found.reason) == (
        ReviewStatus.SETTLED, "legitimate", account(who), "the queue was stuck",
    )  # fmt: skip
    assert heard(world, "review_settled") == {"security", "tomas"}
    (entry,) = world.record("review.settled")
    assert entry["actor"] == account(who)
    assert "stuck" not in json.dumps(entry), "free text stands beside the chain"
    assert f"review due:{request.id}" not in world.jobs()


@pytest.mark.parametrize("who", ["tomas", "ada", "mei", "omar"])
def test_nobody_else_does(world: World, who: str) -> None:
    request = broken(world)
    with pytest.raises(Refused):
        settle(world, who, request)
    assert of(world, request).status == ReviewStatus.DUE
    assert world.record("review.refused")[0]["actor"] == account(who)


def test_who_was_on_call_with_them_does_not_judge_it(careful: World) -> None:
    on_call(careful, "tomas", "sade")
    request = broken(careful)
    with pytest.raises(Refused, match="who was on call with them"):
        settle(careful, "sade", request)
    settle(careful, "grace", request)
    assert of(careful, request).by == account("grace")


def test_of_two_who_agreed_before_it_was_decided_neither_judges_it(careful: World) -> None:
    """The first of them was enough; the other agreed all the same."""
    who, sade = "second_person = true\nwho = [", COMPANY.person("sade")
    entry = f'{{slack = "T0HARBOUR/{sade.slack_id}", account = "{sade.account_id}"}}, '
    careful.apply_policy(ON_CALL.replace(who, who + entry))
    careful.run()
    on_call(careful, trouble="PagerDuty: no answer")
    request = careful.breaks()
    careful.run()
    assert careful.request(request).status == Status.ASKED
    for who in ("mei", "sade"):
        careful.glass_desk.second(careful.speaker(who), request.id, f"{who} agrees")
    careful.run()
    assert careful.request(request).status == Status.DONE
    assert careful.record("request.approved")[0]["data"]["facts"]["second"] == account("mei")
    with pytest.raises(Refused, match="or agreed to it"):
        settle(careful, "sade", request)
    assert of(careful, request).status == ReviewStatus.DUE
    settle(careful, "grace", request)
    assert of(careful, request).by == account("grace")


@pytest.mark.parametrize("at_the_deed", [True, False])
def test_where_it_was_not_known_who_is_on_call_nobody_who_may_have_been_judges_it(
    careful: World, at_the_deed: bool
) -> None:
    """Read at the deed it is who was on call then; not read even then, it is any of the break-glass people."""
    if not at_the_deed:
        who, sade = "second_person = true\nwho = [", COMPANY.person("sade")
        entry = f'{{slack = "T0HARBOUR/{sade.slack_id}", account = "{sade.account_id}"}}, '
        careful.apply_policy(ON_CALL.replace(who, who + entry))
    on_call(careful, trouble="PagerDuty: no answer")
    request = careful.breaks()
    careful.run()
    careful.glass_desk.second(careful.speaker("mei"), request.id, "mei agrees")
    if at_the_deed:
        readable_after_the_decision(careful, "tomas", "sade")
    careful.run()
    assert careful.request(request).status == Status.DONE, careful.request(request).because
    on_call(careful, "tomas")
    with pytest.raises(Refused, match="who was on call with them"):
        settle(careful, "sade", request)
    settle(careful, "grace", request)
    assert of(careful, request).by == account("grace")


def readable_after_the_decision(world: World, *who: str) -> None:
    apply = world.worker.kinds["apply"]

    def read_first(claim: Claim) -> None:
        on_call(world, *who)
        apply(claim)

    world.worker.kinds = {**world.worker.kinds, "apply": read_first}


def test_it_is_settled_once(world: World) -> None:
    request = broken(world)
    settle(world, "sade", request)
    with pytest.raises(Refused, match="It is settled already, by Sade Adeyemi: legitimate"):
        settle(world, "grace", request, "misuse")
    assert of(world, request).verdict == "legitimate"


@pytest.mark.parametrize(("verdict", "reason"), [("fine", "because it was"), ("drill", "  "), ("", "because it was")])
def test_without_a_verdict_and_a_reason_it_is_not(world: World, verdict: str, reason: str) -> None:
    request = broken(world)
    with pytest.raises(Refused):
        world.reviews.settle(world.speaker("sade"), request.id, verdict, reason, "source")
    assert of(world, request).status == ReviewStatus.DUE


def test_overdue_it_is_said_on_three_days_and_takes_the_right_away_until_it_is_settled(world: World) -> None:
    request = broken(world)
    world.later(timedelta(hours=24, seconds=5))
    world.run()
    assert of(world, request).status == ReviewStatus.OVERDUE
    assert heard(world, "review_overdue") == {"security", "operators", "sade", "grace", "tomas"}
    with pytest.raises(Refused, match="overdue"):
        world.breaks()
    for hours, times in ((48, 2), (72, 3), (96, 3)):
        world.later(timedelta(hours=hours, seconds=5))
        world.run()
        in_security = [news for news in world.news("review_overdue") if news.place == "security"]
        assert [json.loads(news.facts)["hours"] for news in in_security] == [24, 48, 72][:times]
    assert heard(world, "review_overdue") >= {"omar", "ingrid"}, "from the second day on"
    settle(world, "sade", request)
    broken(world)


def test_a_bot_that_slept_for_three_days_says_it_once(world: World) -> None:
    request = broken(world)
    world.later(timedelta(hours=80))
    world.run()
    assert of(world, request).status == ReviewStatus.OVERDUE
    assert len([news for news in world.news("review_overdue") if news.place == "security"]) == 1
    assert f"review due:{request.id}" not in world.jobs()


def suspension(world: World) -> AccessRequest:
    with world.store.read() as session:
        return session.exec(select(AccessRequest).where(AccessRequest.verb == "suspend")).one()


@pytest.mark.parametrize(("choice", "status"), [("approve", "done"), ("deny", "denied")])
def test_of_misuse_neither_the_person_nor_the_number_of_the_request_is_told_before_it_is_over(
    world: World, choice: str, status: str
) -> None:
    request = broken(world)
    settle(world, "sade", request, "misuse")
    suspend = suspension(world)
    world.later(timedelta(minutes=5))
    world.run()
    assert (heard(world, "review_settled"), world.news("misuse")) == ({"security"}, [])
    world.click("omar", suspend, choice, reason="not so", typed="the plan was shown")
    world.run()
    world.later(timedelta(minutes=10))
    world.run()
    assert world.request(suspend).status == status, world.news("vote_refused")
    assert heard(world, "review_settled") == {"security", "tomas"}
    (said,) = world.news("misuse")
    assert (json.loads(said.facts)["suspends"], json.loads(said.facts)["status"]) == (suspend.id, status)
    assert f"misuse:{request.id}" not in world.jobs()


def test_misuse_asks_for_a_suspension_in_the_name_of_who_judged(world: World) -> None:
    request = broken(world)
    settle(world, "sade", request, "misuse")
    suspend = suspension(world)
    assert (suspend.verb, suspend.subject, suspend.requester) == ("suspend", account("tomas"), account("sade"))
    assert suspend.status == Status.PENDING, "somebody else answers it"
    assert request.id in suspend.reason


def test_who_may_not_ask_for_a_suspension_is_told_so(world: World) -> None:
    world.change_policy('ask_for_others = ["manager", "role:admin", "role:security", "role:helpdesk"]\n'
                        'approvers = ["role:admin", "role:security"]\ntier = "medium"\n\n[verbs.restore]',
                        'ask_for_others = ["role:admin"]\n'
                        'approvers = ["role:admin", "role:security"]\ntier = "medium"\n\n[verbs.restore]')  # fmt: skip
    request = broken(world)
    settle(world, "sade", request, "misuse")
    facts = json.loads(world.news("misuse")[0].facts)
    assert facts["suspends"] == ""
    assert heard(world, "review_settled") == {"security", "tomas"}, "nothing quiet waits"
    assert "you may not ask" in facts["because"]


def test_a_drill_that_is_forgotten_is_asked_for_every_week(world: World) -> None:
    def reminders(days: int) -> int:
        world.later(timedelta(days=days))
        for _ in range(3):
            with world.store.write() as w:
                remind_to_practise(w, world.policies.current(w.connection))
        return len(world.news("drill_due"))

    quarter = DRILL_EVERY.days
    assert reminders(0) == 0, "the policy is new"
    assert reminders(quarter + 1) == 1
    broken(world, "sade", what="breakglass-drill", incident="DRILL")
    with world.store.read() as session:
        assert last_drill(session) is not None
    assert reminders(quarter + 15) == 1
    assert reminders(2 * quarter + 2) == 2
    assert reminders(2 * quarter + 9) == 3
