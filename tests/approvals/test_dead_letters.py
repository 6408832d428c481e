"""What is given up: the request ends with a sentence, what it held is free, operators see it and can try it again."""

import json
from datetime import timedelta

import pytest
from sqlmodel import select

from approvals.dead_letters import SORRY, counted, listed, request_of, revive
from approvals.jobs import Claim
from approvals.models import AccessRequest, Grant, Job, Vote
from approvals.plan import Step
from approvals.policy import Entitlement
from approvals.ports import DirectoryError
from approvals.states import Status
from approvals.store import Actor, Store
from approvals.workflow import Ask
from bot.worker import BUGS_FORGIVEN
from tests.support.world import World, account, name_of

PEOPLE = ("thread", "person")


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def bug(*_: object, **__: object) -> None:
    raise ZeroDivisionError("division by zero")


def until_given_up(world: World) -> None:
    """Every try that a bug is forgiven, and the pauses between them."""
    for hours in range(1, BUGS_FORGIVEN + 2):
        world.run()
        world.later(timedelta(minutes=10 * hours))


def dead(world: World) -> list[str]:
    return [key for key, job in world.jobs().items() if job.status == "dead"]


def approved(world: World) -> AccessRequest:
    request = world.ask()
    world.run()
    world.click("grace", request)
    return request


def test_a_grant_that_a_mistake_of_ours_stops_before_the_call_fails_and_was_never_given(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    monkeypatch.setattr(world.directory, "is_true", bug)
    monkeypatch.setattr(world.directory, "perform", bug)
    until_given_up(world)
    now, grant = world.request(request), world.grant(request)
    assert (now.status, now.because) == (Status.FAILED, SORRY)
    assert grant is not None
    assert grant.status in ("void", "ending", "ended")
    assert dead(world) == [f"apply:{request.id}"]
    assert {news.place for news in world.news("failed")} >= set(PEOPLE)
    assert all(SORRY in news.facts for news in world.news("failed"))
    (told,) = world.news("job_in_trouble")
    facts = json.loads(told.facts)
    assert (facts["job"], facts["about"], facts["dead"], facts["closed"]) == (
        f"apply:{request.id}",
        request.id,
        True,
        True,
    )
    assert "ZeroDivisionError" in facts["why"]
    assert world.store.verify().ok


def test_a_grant_that_may_have_been_given_is_taken_away_and_the_same_can_be_asked_for_again(world: World) -> None:
    """The call went out, and after it something of ours fails each time: nobody keeps it, nobody is kept from it."""
    request = approved(world)

    def given_then_broken(step: Step) -> None:
        if step.does == "add_member":
            world.directory.held(step.target_name).add(step.account)
            raise ZeroDivisionError

    world.directory.on_perform = given_then_broken
    real, world.directory.is_true = world.directory.is_true, lambda step: False  # type: ignore[method-assign]
    until_given_up(world)
    assert world.request(request).status == Status.FAILED
    world.directory.is_true = real  # type: ignore[method-assign]
    world.directory.on_perform = lambda step: None
    world.later(timedelta(hours=20))
    world.run()
    grant = world.grant(request)
    assert grant is not None
    assert grant.status == "ended"
    assert not world.holds("ada")
    again = world.ask()
    world.run()
    world.click("grace", again)
    world.run()
    assert world.request(again).status == Status.DONE
    assert world.holds("ada")


def test_what_was_done_in_part_stays_said(world: World) -> None:
    """Tokens are deleted, then something of ours fails: partly, and it can be continued."""
    account_id = account("tomas")
    world.directory.tokens[account_id] = 2
    request = deactivation(world)

    def broken(step: Step) -> None:
        if step.does == "deactivate":
            raise ZeroDivisionError

    world.directory.on_perform = broken
    until_given_up(world)
    now = world.request(request)
    assert (now.status, now.because) == (Status.PARTLY, SORRY)
    assert any(SORRY in news.facts for news in world.news("partly"))
    assert dead(world) == [f"apply:{request.id}"]


def deactivation(world: World) -> AccessRequest:
    """One that two have agreed to; its pause comes before the deed."""
    ask = Ask("deactivate", account("tomas"), "", None, "INC-42: it must be", "source deactivate")
    request = world.request(world.workflow.ask(world.speaker("kofi"), ask))
    world.run()
    for who in ("grace", "sade"):
        world.click(who, request, typed=name_of(request.subject))
        world.run()
    return request


def test_a_plan_that_a_mistake_of_ours_stops_is_refused_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(account: str, entitlement: Entitlement) -> None:
        bug()

    monkeypatch.setattr(world.directory, "survey_grant", broken)
    request = world.ask()
    until_given_up(world)
    now = world.request(request)
    assert now.status == Status.REFUSED
    assert now.because.lower().startswith(SORRY.lower())
    assert dead(world) == [f"plan:{request.id}"]


def test_an_answer_that_a_mistake_of_ours_stops_is_told_to_its_sender_and_the_question_stays_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = world.ask()
    world.run()
    world.click("grace", request)
    monkeypatch.setattr(world.counting, "_judge", bug)
    until_given_up(world)
    assert world.request(request).status == Status.PENDING
    (told,) = world.news("vote_refused")
    assert SORRY in told.facts
    (job,) = [job for job in world.jobs().values() if job.status == "dead"]
    with world.store.read() as session:
        assert request_of(session, job.kind, job.about) == request.id
        assert session.exec(select(Vote.outcome)).one() == "refused"


def test_a_dead_job_is_listed_first_and_lives_again_when_somebody_says_so(world: World) -> None:
    request = world.ask()
    with world.store.write() as w:
        w.add(Job(key="tell:7", kind="tell", about="7", status="dead", run_at=w.now, attempts=1, trouble="Slack: no"))
    with world.store.read() as session:
        lines, counts = listed(session), counted(session)
    assert (lines[0].key, lines[0].state, lines[0].trouble) == ("tell:7", "dead", "Slack: no")
    assert [(line.key, line.state, line.request) for line in lines if line.key.startswith("plan:")] == [
        (f"plan:{request.id}", "waiting", request.id)
    ]
    assert counts["dead"] == 1
    actor = Actor("shell:nia")
    with world.store.write() as w:
        assert "There is no job 'tell:8'" in revive(w, actor, "tell:8")
        assert "only one that is dead" in revive(w, actor, f"plan:{request.id}")
        assert revive(w, actor, "tell:7") == ""
    with world.store.read() as session:
        job = session.exec(select(Job).where(Job.key == "tell:7")).one()
    assert (job.status, job.attempts) == ("ready", 0)
    (entry,) = world.record("job.revived")
    assert (entry["actor"], entry["data"]) == ("shell:nia", {"job": "tell:7"})


def test_a_job_about_a_grant_an_answer_or_a_message_knows_its_request(world: World) -> None:
    request = approved(world)
    world.run()
    grant = world.grant(request)
    assert isinstance(grant, Grant)
    (news, *_) = world.news("done")
    with world.store.read() as session:
        assert request_of(session, "end", str(grant.id)) == request.id
        assert request_of(session, "tell", str(news.id)) == request.id
        assert request_of(session, "apply", request.id) == request.id
        assert request_of(session, "bulk page", f"{request.id}/2") == request.id
        assert request_of(session, "mirror", "slack") == ""
        assert request_of(session, "end", "9999999") == ""
        assert request_of(session, "end", "²") == ""


def test_an_end_that_fails_is_told_again_and_again_and_never_given_up(world: World) -> None:
    request = approved(world)
    world.run()
    world.directory.refuses["remove_member"] = DirectoryError("Atlassian: it is not allowed")
    world.later(timedelta(hours=3))
    for hours in range(4, 14):
        world.run()
        world.later(timedelta(hours=hours))
    told = [json.loads(news.facts) for news in world.news("job_in_trouble")]
    assert [facts["attempts"] for facts in told] == [3, 6, 9]
    assert {facts["about"] for facts in told} == {request.id}
    assert not any(facts["dead"] for facts in told)


def test_last_words_of_a_request_that_went_on_meanwhile_say_nothing(world: World) -> None:
    request = approved(world)
    world.run()
    claim = Claim(1, f"apply:{request.id}", "apply", request.id, 8, "x", 2)  # type: ignore[arg-type]
    with world.store.write() as w:
        assert not world.provisioning.last_words(w, claim)
        assert not world.planning.last_words(w, claim)
    assert world.request(request).status == Status.DONE
