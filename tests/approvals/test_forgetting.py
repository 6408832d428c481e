"""What is personal goes, everywhere it lies; what proves stays."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlmodel import select

from approvals import forgetting
from approvals.expected import OUTSIDE
from approvals.forgetting import StillOpen, erase_older, forget
from approvals.models import AccessRequest, AuditDetail, AuditEntry, CallEvent, Grant, News, PlanRow, Review, StepRow
from approvals.models_safety import Freeze, Proposal
from approvals.plan import Plan, Survey
from approvals.planning import refuse_unplanned
from approvals.policy import Entitlement
from approvals.ports import DirectoryError
from approvals.store import Actor, Store
from approvals.watching import unheard
from tests.approvals.test_glass import broken
from tests.approvals.test_reconciliation import REPAIR, Clock, ended, given, put_in, seen_twice, take_out
from tests.support.bulk import approve, bulk_policy, line, planned
from tests.support.policies import roomy
from tests.support.world import COMPANY, World, account, name_of

ADA = COMPANY.person("ada")
SHELL = Actor("shell:root")
PERSONAL = ("UNIQUE-REASON", ADA.name.lower(), ADA.email.lower())


@pytest.fixture
def world(store: Store) -> World:
    """Ada asked for something, had it, and it is over; she refused nothing and Grace was asked by somebody else."""
    world = World(store)
    request = world.ask(reason=f"UNIQUE-REASON for {ADA.name}")
    world.run()
    world.click("grace", request)
    world.run()
    with store.write() as w:
        w.audit("people.imported", actor=SHELL, details={"difference": f"+ {ADA.email}\n+ other@harbour.example"})
        w.audit("noted", actor=Actor("712020:other"), details={"reason": "a reason of somebody else"})
    return world


def over(world: World) -> None:
    world.later(timedelta(hours=3))
    world.run()
    with world.store.database.writing() as session:
        for news in session.exec(select(News)):
            news.told_at = world.store.time_in(session)
            session.add(news)


def given_to_ada_by_kofi(world: World) -> AccessRequest:
    request = world.ask("kofi", subject="ada")
    world.run()
    world.click("grace", request)
    world.run()
    assert world.holds("ada")
    return request


def everything(store: Store) -> dict[str, str]:
    """All of every table as text; a row as SQLAlchemy prints it is cut where it is long."""
    with store.read() as session:
        tables = inspect(session.connection()).get_table_names()
        rows = {t: map(tuple, session.execute(text(f'SELECT * FROM "{t}"'))) for t in tables}
        return {t: str(list(of_it)).lower() for t, of_it in rows.items()}


def test_nothing_personal_is_left_in_any_table_and_the_chain_holds(world: World) -> None:
    store = world.store
    over(world)
    with store.write() as w:
        for event in w.session.exec(select(CallEvent)):
            event.says = f"added {ADA.name} to a group"
    before = everything(store)
    assert all(any(word.lower() in content for content in before.values()) for word in PERSONAL)
    head, entries = store.verify().head, store.verify().entries
    assert forget(store, ADA.account_id, actor=SHELL, tell="erased somebody") > 0
    after = everything(store)
    left = [(table, word) for table, content in after.items() for word in PERSONAL if word.lower() in content]
    assert left == [("policies", word) for word in PERSONAL if word.lower() in before["policies"]]
    found = store.verify()
    assert (found.ok, found.entries) == (True, entries + 2)  # the steps in other words, and that she is forgotten
    assert found.erased > 0
    with store.read() as session:
        bodies = session.exec(select(AuditEntry).order_by("seq")).all()
        assert bodies[entries - 1].hash == head
        assert "person.forgotten" in bodies[-1].body
        assert "shell:root" in bodies[-1].body
        assert "a reason of somebody else" in session.exec(select(AuditDetail.text)).all()
        grants = session.exec(select(Grant).where(Grant.account == ADA.account_id)).all()
        assert grants  # what she held and when is no free text
        for body in session.execute(text("SELECT body FROM plans")).scalars():
            Plan.model_validate_json(body)  # cards can still be drawn
        assert session.exec(select(News.kind).where(News.kind == "shell_act")).all() == ["shell_act"]
    assert forget(store, ADA.account_id, actor=SHELL, tell="again") == 0


def test_what_was_told_of_them_and_what_is_over_for_everybody_names_them_no_more(world: World) -> None:
    """Named by others: in messages about nobody's request, in a freeze that was lifted, in what admins agreed to."""
    store, named = world.store, f"{ADA.name} <{ADA.email}>"
    over(world)
    with store.write() as w:
        for told_at in (w.now, None):
            w.tell("shell_act", place="security", once=f"told:{told_at is not None}", by="root", did=f"binds {named}")
            news = w.session.exec(select(News).where(News.key == f"told:{told_at is not None}")).one()
            news.told_at = told_at
        for lifted in (w.now, None):
            w.add(Freeze(by="shell:root", because=f"{named} is in", at=w.now, lifted_at=lifted))
        for status in ("agreed", "rejected", "lapsed", "open"):
            w.add(Proposal(
                id=f"PRO-{status}", kind="bind", body=json.dumps({"mail": ADA.email}), shown=f"bind {named}", needs=2,
                by="shell:root", status=status, at=w.now, lapses_at=w.now, because=f"agreed to by {ADA.name}",
            ))  # fmt: skip
    forget(store, ADA.account_id, actor=SHELL, tell="erased somebody")
    after = everything(store)
    left = [(table, after[table].count(ADA.email.lower())) for table in after if ADA.email.lower() in after[table]]
    assert sorted(one for one in left if one[0] != "policies") == [("freezes", 1), ("news", 1), ("proposals", 2)]
    with store.read() as session:
        assert session.get_one(Proposal, "PRO-agreed").body == "{}"
        assert session.get_one(Proposal, "PRO-open").because
        assert session.exec(select(News.facts).where(News.key == "told:True")).one() == "{}", "it is not told again"


def test_what_was_told_long_ago_is_kept_no_longer_than_texts_are(world: World) -> None:
    over(world)
    world.later(timedelta(days=31))
    with world.store.write() as w:
        w.tell("shell_act", place="security", once="waits", by="root", did="waits to be told")
    erase_older(world.store, timedelta(days=30))
    with world.store.read() as session:
        kept = {news.key: news.facts for news in session.exec(select(News)) if news.facts != "{}"}
    assert list(kept) == ["waits"]


def test_who_still_holds_something_is_not_forgotten(world: World) -> None:
    with pytest.raises(StillOpen) as why:
        forget(world.store, ADA.account_id, actor=SHELL, tell="x")
    assert why.value.requests[0].startswith("REQ-")
    assert "person.forgotten" not in str(everything(world.store)["audit"])


def test_who_asked_for_what_somebody_else_holds_is_not_forgotten_and_it_ends_in_its_time(store: Store) -> None:
    world = World(store)
    request = given_to_ada_by_kofi(world)
    with pytest.raises(StillOpen) as why:
        forget(store, account("kofi"), actor=SHELL, tell="x")
    assert why.value.requests == [request.id]
    world.later(timedelta(hours=3))
    world.run()
    assert not world.holds("ada")
    assert forget(store, account("kofi"), actor=SHELL, tell="x") > 0


def test_who_stands_in_a_list_that_waits_for_an_answer_is_not_forgotten(store: Store) -> None:
    world = World(store, bulk_policy())
    request = planned(world, [line(2, "ada"), line(3, "tomas")])
    with pytest.raises(StillOpen) as why:
        forget(store, ADA.account_id, actor=SHELL, tell="x")
    assert why.value.requests == [request.id]


def test_what_names_somebody_in_what_others_still_hold_goes_once_that_is_over(store: Store) -> None:
    world, mei = World(store), COMPANY.person("mei")
    request = world.ask(reason=f"UNIQUE-REASON: {mei.name} is away")
    world.run()
    world.click("grace", request)
    world.run()
    forget(store, mei.account_id, actor=SHELL, tell="x")
    assert "unique-reason" in everything(store)["audit_details"]
    over(world)
    assert not world.holds("ada")
    forget(store, mei.account_id, actor=SHELL, tell="x")
    after = everything(store)
    assert not [table for table in ("audit_details", "requests") if "unique-reason" in after[table]]
    assert store.verify().ok


@pytest.mark.parametrize("forged", [False, True])
def test_what_somebody_forgotten_had_is_taken_again_unless_a_step_was_written_by_hand(
    store: Store, forged: bool
) -> None:  # fmt: skip
    world = World(store, roomy() + REPAIR)
    clock = Clock(world)
    ended(world, clock)
    if forged:
        with store.write() as w:
            (row,) = w.session.exec(select(StepRow).where(StepRow.purpose == "end"))
            row.body = row.body.replace('"path":"', '"path":"/elsewhere')
            w.add(row)
    forget(store, ADA.account_id, actor=SHELL, tell="x")
    assert ADA.name.lower() not in everything(store)["steps"]
    put_in(world)
    seen_twice(world, clock)
    world.run()
    assert world.holds("ada") is forged
    assert bool(world.news("alarm")) is forged
    assert store.verify().ok


@pytest.mark.parametrize("who", ["ada", "omar"])
def test_who_ended_it_early_is_not_named_any_more(world: World, who: str) -> None:
    (request,) = world.record("request.done")
    world.workflow.end(world.speaker(who), request["request"], "ended")
    world.run()
    assert reasons_of_ends(world.store) == [f"ended early by {COMPANY.person(who).name}"]
    over(world)
    forget(world.store, account(who), actor=SHELL, tell="x")
    assert reasons_of_ends(world.store) == ["ended early"]


@pytest.mark.parametrize("over", [True, False])
def test_who_is_named_in_what_others_asked_and_answered_is_not_once_that_is_over(store: Store, over: bool) -> None:
    world, mei = World(store), COMPANY.person("mei")
    request = world.ask(reason=f"as {mei.name} has it")
    other = world.ask(what="breakglass-drill", reason="a reason without a name")
    world.run()
    if over:
        world.click("grace", request, "deny", reason=f"{mei.name} does that")
        world.run()
        assert mei.name in world.request(request).because
    forget(store, mei.account_id, actor=SHELL, tell="x")
    assert (mei.name in world.request(request).reason) is not over
    assert mei.name not in world.request(request).because
    assert (mei.name.lower() in everything(store)["votes"]) is False
    assert world.request(other).reason == "a reason without a name"


def test_that_it_was_taken_outside_is_still_known_of_who_is_forgotten(store: Store) -> None:
    world = World(store, roomy() + REPAIR)
    clock = Clock(world)
    given(world)
    take_out(world)
    seen_twice(world, clock)
    forget(store, ADA.account_id, actor=SHELL, tell="x")
    assert reasons_of_ends(store) == [OUTSIDE]


def reasons_of_ends(store: Store) -> list[str]:
    with store.read() as session:
        return list(session.exec(select(Grant.because)))


@pytest.mark.parametrize("who", ["tomas", "sade", "mei"])
def test_what_was_said_of_broken_glass_goes_with_whoever_it_names(store: Store, who: str) -> None:
    """Tomas broke it, Sade has judged it, and Mei is named."""
    world = World(store)
    request = broken(world)
    world.reviews.settle(world.speaker("sade"), request.id, "legitimate", f"{COMPANY.person('mei').name} saw it", "s")
    over(world)
    forget(store, account(who), actor=SHELL, tell="x")
    with store.read() as session:
        (review,) = session.exec(select(Review))
    assert (review.verdict, review.by, review.reason) == ("legitimate", account("sade"), "")


def test_who_broke_glass_is_not_forgotten_before_it_was_judged(store: Store) -> None:
    """Else nobody would seem to have heard of it, for as long as anybody watches."""
    world = World(store)
    request = broken(world)
    over(world)
    assert not world.holds("tomas")
    with pytest.raises(StillOpen) as why:
        forget(store, account("tomas"), actor=SHELL, tell="x")
    assert why.value.requests == [request.id]
    with store.read() as session:
        assert unheard(session, store.time_in(session)) == []
    world.reviews.settle(world.speaker("sade"), request.id, "legitimate", "the queue was stuck", "s")
    assert forget(store, account("tomas"), actor=SHELL, tell="x") > 0
    with store.read() as session:
        assert unheard(session, store.time_in(session)) == []


def test_what_was_said_of_broken_glass_is_kept_until_it_was_judged(store: Store) -> None:
    world = World(store)
    request = broken(world, reason="UNIQUE-REASON")
    over(world)
    erase_older(store, timedelta(seconds=1))
    assert "unique-reason" in everything(store)["audit_details"]
    world.reviews.settle(world.speaker("sade"), request.id, "legitimate", "the queue was stuck", "s")
    erase_older(store, timedelta(seconds=1))
    assert "unique-reason" not in everything(store)["audit_details"]


def test_who_was_a_row_of_somebody_elses_list_is_not_named_in_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """And what the list gave them is taken once more where it is found again."""
    world = World(store, bulk_policy() + REPAIR)
    clock = Clock(world)
    world.directory.owner = "org:d"
    readable = world.directory.survey_grant

    def survey_grant(who: str, entitlement: Entitlement) -> Survey:
        found = readable(who, entitlement)
        words = f"add {name_of(who)} to {entitlement.group}"
        return found.model_copy(update={"steps": (found.steps[0].model_copy(update={"words": words}),)})

    monkeypatch.setattr(world.directory, "survey_grant", survey_grant)
    approve(world, planned(world, [line(2, "ada"), line(3, "tomas")]))
    clock.on(timedelta(hours=3))
    world.run()
    over(world)
    clock.on(timedelta(seconds=1))
    with store.write() as w:
        for event in w.session.exec(select(CallEvent)):
            event.says = f"added {ADA.name} to a group"
    assert ADA.name.lower() in everything(store)["steps"]
    forget(store, ADA.account_id, actor=SHELL, tell="x")
    after = everything(store)
    assert [table for table in after if ADA.name.lower() in after[table] and table != "policies"] == []
    tomas = COMPANY.person("tomas").name.lower()
    assert [table for table in ("steps", "plans") if tomas in after[table]] == ["steps", "plans"]
    with store.read() as session:
        for body in session.exec(select(PlanRow.body)):
            Plan.model_validate_json(body)
    put_in(world)
    seen_twice(world, clock)
    world.run()
    assert not world.holds("ada")
    assert store.verify().ok


def read_in_part(world: World, monkeypatch: pytest.MonkeyPatch) -> AccessRequest:
    """A list of which Ada's row was read, and Tomas's can't be."""
    world.directory.owner = "org:d"
    readable = world.directory.survey_grant

    def survey_grant(who: str, entitlement: Entitlement) -> Survey:
        if who == account("tomas"):
            raise DirectoryError("Atlassian is away", retry=True)
        return readable(who, entitlement)

    monkeypatch.setattr(world.directory, "survey_grant", survey_grant)
    request = planned(world, [line(2, "ada"), line(3, "tomas")])
    assert purposes(world.store) == ["plan"]
    return request


def purposes(store: Store) -> list[str]:
    with store.read() as session:
        return list(session.exec(select(StepRow.purpose)))


@pytest.mark.parametrize("how", ["cancelled", "lapsed", "refused"])
def test_what_was_read_for_a_plan_that_is_never_made_goes_with_its_request(
    store: Store, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    world = World(store, bulk_policy())
    request = read_in_part(world, monkeypatch)
    if how == "cancelled":
        world.workflow.cancel(world.speaker("kofi"), request.id, "taken back")
    elif how == "lapsed":
        world.later(timedelta(days=30))
        world.run()
    else:
        with store.write() as w:
            assert refuse_unplanned(w, request.id)
    assert world.request(request).status == how
    assert purposes(store) == []


def test_who_asked_for_a_list_that_was_read_in_part_is_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Also where the rest of it was left by a version that did not clear it away."""
    world = World(store, bulk_policy())
    request = read_in_part(world, monkeypatch)
    with store.read() as session:
        (read,) = [row.model_dump(exclude={"id"}) for row in session.exec(select(StepRow))]
    world.workflow.cancel(world.speaker("kofi"), request.id, "taken back")
    with store.write() as w:
        w.add(StepRow(**read))
    assert forget(store, account("kofi"), actor=SHELL, tell="x") > 0
    assert ADA.name.lower() not in everything(store)["steps"]


def test_the_file_itself_does_not_hold_it_any_more(sqlite_url: str) -> None:
    from approvals.database import Database

    database = Database(sqlite_url)
    store = Store(database)
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with store.write() as w:
        w.audit("noted", actor=Actor(ADA.account_id), details={"reason": "UNIQUE-REASON " * 50})
    assert b"UNIQUE-REASON" in file.read_bytes()
    forget(store, ADA.account_id, actor=SHELL, tell="x")
    database.close()
    assert b"UNIQUE-REASON" not in file.read_bytes()


# -- age ------------------------------------------------------------------------------------------------------------


def test_what_is_old_is_erased_but_for_what_is_still_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "PAGE", 3)
    store = world.store
    assert erase_older(store, timedelta(days=30)) == 0
    world.later(timedelta(minutes=1))
    with store.read() as session:
        count = len(session.exec(select(AuditDetail)).all())
    erased = erase_older(store, timedelta(seconds=1))  # Ada's grant is still held: its texts stay
    assert 0 < erased < count
    with store.read() as session:
        left = " ".join(session.exec(select(AuditDetail.text)))
    assert "UNIQUE-REASON" in left
    assert "a reason of somebody else" not in left
    over(world)
    erase_older(store, timedelta(seconds=1))
    assert "unique-reason" not in everything(store)["audit_details"]
    found = store.verify()
    assert found.ok
    assert "texts.erased" in everything(store)["audit"]
    assert erase_older(store, timedelta(seconds=0)) >= 0
