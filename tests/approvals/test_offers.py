"""What an incident tool announces: told once, to whoever is on call or else to security, and nothing is given by it."""

import json
from datetime import timedelta

import pytest
from sqlmodel import func, select

from approvals import jobs
from approvals.forgetting import forget
from approvals.models import AccessRequest, AuditDetail, Binding, Grant, News, Offer
from approvals.offers import LOOKS_FOR, MOST_AN_HOUR, Announced, NotOffered
from approvals.store import Actor, AlreadyThere, Store
from bot.sandbox.demo_policy import demo_policy
from tests.approvals.test_glass import ON_CALL, on_call
from tests.support.policies import roomy
from tests.support.world import COMPANY, World, account, at_once


@pytest.fixture
def world(store: Store) -> World:
    world = World(store, ON_CALL)
    on_call(world, "tomas", "mei")
    return world


def announce(world: World, incident: str = "INC-42", **more: str) -> bool:
    world.clicks += 1
    said = {"title": "the queue is stuck", "source": f"tool {world.clicks}"} | more
    return world.offers.announce(Announced(incident, **said))


def offers(world: World) -> list[Offer]:
    with world.store.read() as session:
        return list(session.exec(select(Offer)))


def told(world: World, kind: str = "offer") -> set[str]:
    handles = {person.slack_id: person.handle for person in COMPANY.people}
    return {handles.get(news.user, news.place) for news in world.news(kind)}


def test_whoever_is_on_call_is_told_and_nothing_is_given(world: World) -> None:
    assert announce(world, entitlement="eu-jira-admins", link="https://status.example/42")
    world.run()
    assert told(world) == {"tomas", "mei"}
    assert told(world, "offer_to_nobody") == set()
    (offer,) = offers(world)
    facts = json.loads(world.news("offer")[0].facts)
    assert facts == {
        "id": offer.id, "incident": "INC-42", "title": "the queue is stuck", "link": "https://status.example/42"
    }  # fmt: skip
    assert (offer.entitlement, offer.told_at is not None) == ("eu-jira-admins", True)
    assert "INC-42" not in offer.id
    assert world.record("offer.made")[0]["data"]["to"] == sorted([account("tomas"), account("mei")])
    with world.store.read() as session:
        for table in (AccessRequest, Grant):
            assert session.exec(select(func.count()).select_from(table)).one() == 0
    assert (world.directory.calls, world.directory.reads) == ([], 0)
    assert world.jobs() == {}
    assert world.store.verify().ok


def test_what_the_tool_has_said_is_no_part_of_the_chain_itself(world: World) -> None:
    announce(world, title="UNIQUE-TITLE", link="https://unique.example/")
    (announced,) = world.record("offer.announced")
    assert announced["actor"] == "incident-tool"
    assert not [word for word in ("UNIQUE", "unique", "INC-42") if word in json.dumps(announced)]
    with world.store.read() as session:
        assert {"UNIQUE-TITLE", "https://unique.example/", "INC-42"} <= set(session.exec(select(AuditDetail.text)))


def test_an_incident_is_offered_once_however_often_and_however_it_is_written(world: World) -> None:
    assert announce(world, "inc-42")
    assert not announce(world, "INC-42", title="another title")
    world.run()
    assert not announce(world, "Inc-42")
    world.run()
    assert [(offer.incident, offer.title) for offer in offers(world)] == [("INC-42", "the queue is stuck")]
    assert len(world.news("offer")) == 2


def test_two_at_once_are_one(world: World) -> None:
    """Two deliveries with signatures of their own, at the same moment."""
    answers = at_once(lambda: announce(world, source="one"), lambda: announce(world, source="other"))
    assert sorted(answers) == [False, True]
    world.run()
    assert len(world.news("offer")) == 2


def test_the_same_bytes_are_taken_once_and_what_was_not_committed_was_not_taken(world: World) -> None:
    announce(world, source="the same")
    with pytest.raises(AlreadyThere):
        announce(world, "INC-43", source="the same")
    assert len(offers(world)) == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"incident": "42"}, "incident"),
        ({"incident": "INC-42 or so"}, "incident"),
        ({"entitlement": "nothing"}, "entitlement"),
        ({"entitlement": "eu-confluence-admins"}, "entitlement"),
    ],
)
def test_what_the_policy_does_not_know_is_refused_and_in_the_record(
    world: World, said: dict[str, str], why: str
) -> None:
    with pytest.raises(NotOffered) as refused:
        announce(world, **said)
    assert refused.value.why == why
    assert world.record("offer.refused")[0]["actor"] == "incident-tool"
    world.run()
    assert (offers(world), world.news("offer")) == ([], [])


def test_where_nobody_breaks_glass_nothing_is_offered(store: Store) -> None:
    text = demo_policy()
    head, _, rest = text.partition("[break_glass]\n")
    world = World(store, roomy(head + rest.partition("\n\n")[2]).replace("break_glass = true\n", ""))
    with pytest.raises(NotOffered, match=r"no table \[break_glass\]"):
        announce(world)


def test_a_tool_that_runs_wild_wakes_nobody_more_often(world: World) -> None:
    for number in range(MOST_AN_HOUR):
        announce(world, f"INC-{number}")
    with pytest.raises(NotOffered) as refused:
        announce(world, "INC-999")
    assert refused.value.why == "too_many"
    assert not announce(world, "INC-1"), "one that is known already is no further one"
    world.later(timedelta(hours=1, seconds=1))
    assert announce(world, "INC-999")


# -- nobody to tell ---------------------------------------------------------------------------------------------------


def test_where_nobody_is_on_call_security_is_told(world: World) -> None:
    on_call(world)
    announce(world)
    world.run()
    assert (told(world), told(world, "offer_to_nobody")) == (set(), {"security"})
    assert "nobody is on call now" in world.news("offer_to_nobody")[0].facts
    assert world.jobs() == {}


def test_where_the_policy_has_no_on_call_security_is_told(store: Store) -> None:
    world = World(store)
    announce(world)
    world.run()
    assert told(world, "offer_to_nobody") == {"security"}
    assert "does not say who is on call" in world.news("offer_to_nobody")[0].facts


def test_those_on_call_who_are_not_known_in_slack_are_nobody(world: World) -> None:
    with world.store.write() as w:
        for who in ("tomas", "mei"):
            w.session.delete(w.session.exec(select(Binding).where(Binding.account == account(who))).one())
    announce(world)
    world.run()
    assert told(world, "offer_to_nobody") == {"security"}
    assert "known in Slack" in world.news("offer_to_nobody")[0].facts


def test_what_can_not_be_read_is_said_once_and_looked_at_again_for_a_while(world: World) -> None:
    on_call(world, trouble="PagerDuty: no answer")
    announce(world)
    world.run()
    assert told(world, "offer_to_nobody") == {"security"}
    assert "can't be read: PagerDuty: no answer" in world.news("offer_to_nobody")[0].facts
    (key,) = world.jobs()
    assert key == f"offer:{offers(world)[0].id}"
    world.later(timedelta(seconds=16))
    on_call(world, "mei")
    world.run()
    assert told(world) == {"mei"}
    assert len(world.news("offer_to_nobody")) == 1
    assert world.jobs() == {}


def test_after_a_while_it_is_left_at_that(world: World) -> None:
    on_call(world, trouble="PagerDuty: no answer")
    announce(world)
    world.run()
    world.later(LOOKS_FOR + timedelta(seconds=1))
    on_call(world, trouble="PagerDuty: no answer")
    world.run()
    assert (told(world), world.jobs()) == (set(), {})


def test_it_goes_before_what_can_wait(world: World) -> None:
    world.ask("ada")
    announce(world)
    claim = world.store.claim()
    assert claim is not None
    assert (claim.kind, claim.priority) == ("offer", jobs.ENDS)


def test_a_person_whom_it_names_is_forgotten_in_it_too(world: World) -> None:
    name = COMPANY.person("nadia").name
    announce(world, title=f"{name} can't sign in", link="https://status.example/nadia")
    announce(world, "INC-43", title="another one")
    world.run()
    with world.store.write() as w:
        for news in w.session.exec(select(News)):
            news.told_at = w.now
            w.session.add(news)
    forget(world.store, account("nadia"), actor=Actor("shell:root"), tell="somebody")
    assert {offer.incident: offer.title for offer in offers(world)} == {"INC-42": "", "INC-43": "another one"}
    told = [json.loads(news.facts).get("incident") for news in world.news("offer")]
    assert told == [None, None, "INC-43", "INC-43"], "what named them is empty, and is not told again"
    assert world.store.verify().ok
