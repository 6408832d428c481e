"""Many grants of one group that are over at once: few calls, one message, and each in the record of its own request."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from approvals import calls, ending, ending_together
from approvals.ending_together import EndingTogether
from approvals.models import AccessRequest, Call, CallEvent, Job, Person, SlackUser, StepRow
from approvals.models import Grant as GrantRow
from approvals.overdue import ask_for_every_end
from approvals.plan import Step
from approvals.ports import DirectoryError
from approvals.provisioning import Effects
from approvals.states import Grant as GrantStatus
from approvals.store import Actor, Store
from bot.people_import import apply, read_csv
from bot.sandbox import seed
from tests.stories.test_kill import OF_A_CROWD
from tests.support.policies import roomy
from tests.support.world import COMPANY, World, account

GROUP = "eu-jira-admins"
ASKERS = [p for p in COMPANY.people if p.slack_kind == "member" and p.manager and p.handle != seed.EMERGENCY]
MANY = 6


@pytest.fixture(autouse=True)
def small_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five are a crowd here, so that a test need not play ten requests."""
    crowd_from(monkeypatch, 5)


def crowd_from(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    for module in (ending, ending_together):
        monkeypatch.setattr(module, "CROWD", many)


REAL = ending.CROWD


@pytest.fixture
def world(store: Store) -> World:
    """With some more people than the story's, and nobody in any group."""
    world = World(store, roomy())
    world.directory.members.clear()
    head, *rows = seed.people_csv().splitlines()
    needed = {p.handle for p in ASKERS[:10]} | {str(p.manager) for p in ASKERS[:10]}
    story, rest = COMPANY.people[: len(seed.STORY)], COMPANY.people[len(seed.STORY) :]
    more = [p for p in rest if p.handle in needed]
    lines = [row for row in rows if any(p.slack_id in row for p in (*story, *more))]
    apply(store, read_csv("\n".join([head, *lines])), actor=Actor("test"), move=False, dry=False)
    with store.write() as w:
        for person in more:
            row = SlackUser(
                team=seed.SLACK_TEAM, user=person.slack_id, name=person.handle, mail=person.email,
                standing=person.slack_kind, read_at=w.now,
            )  # fmt: skip
            w.session.add(row)
        w.session.execute(update(Person).values(manager_from=None))  # they were imported long ago
    return world


def given(
    world: World, many: int = MANY, group: str = GROUP, hours: int = 2, but: str = ""
) -> dict[str, AccessRequest]:  # fmt: skip
    """So many people hold it for so long, each by a request of their own."""
    askers = [p.handle for p in ASKERS if p.handle != but][:many]
    asked = {handle: world.ask(handle, group, length=timedelta(hours=hours)) for handle in askers}
    world.run()
    for handle, request in asked.items():
        world.click(str(COMPANY.person(handle).manager), request)
        world.run()
    assert all(world.holds(handle, group) for handle in asked)
    world.directory.calls.clear()
    return asked


def over(world: World, hours: float = 2.1) -> None:
    world.later(timedelta(hours=hours))
    world.run()


def statuses(world: World, requests: Sequence[AccessRequest]) -> set[str]:
    return {str(grant.status) for grant in map(world.grant, requests) if grant is not None}


def takes(world: World) -> list[tuple[str, str]]:
    """What was called, and for whom where it was for one."""
    return [(does, who) for does, _, who in world.directory.calls]


def all_ended(world: World, asked: dict[str, AccessRequest]) -> None:
    assert statuses(world, list(asked.values())) == {GrantStatus.ENDED}
    assert not [handle for handle in asked if world.holds(handle)]
    assert not [key for key in world.jobs() if key.split(":")[0] in ("end", "group end")], "nothing is left to do"
    assert world.store.verify().problems == []


# -- few calls --------------------------------------------------------------------------------------------------------


def test_one_call_takes_all_and_stands_in_the_record_of_each(world: World) -> None:
    asked = given(world)
    over(world)
    all_ended(world, asked)
    assert takes(world) == [("remove_members", "")]
    for event in ("call.intended", "call.answered", "grant.ending", "grant.ended"):
        assert {body["request"] for body in world.record(event)} >= {request.id for request in asked.values()}
    together = [body["data"].get("together") for body in world.record("call.intended")][-MANY:]
    assert together == [MANY] * MANY
    assert all(body["data"]["late"] > 0 for body in world.record("grant.ended"))


def turns(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose jobs ``end`` come to look for a crowd from now on."""
    seen: list[str] = []
    look = ending.Ending._is_in_a_crowd

    def noted(self: ending.Ending, grant: GrantRow) -> bool:
        seen.append(str(grant.id))
        return look(self, grant)

    monkeypatch.setattr(ending.Ending, "_is_in_a_crowd", noted)
    return seen


def test_the_first_speaks_for_all_but_for_one_that_was_tried_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    asked = given(world)
    first, *_, tried = grants = [str(world.grant(request).id) for request in asked.values()]  # type: ignore[union-attr]
    with world.store.write() as w:
        w.session.execute(update(Job).where(col(Job.key) == f"end:{tried}").values(attempts=1))
    seen = turns(monkeypatch)
    over(world)
    all_ended(world, asked)
    assert seen == [first, tried], grants


@pytest.mark.parametrize(("per_call", "wanted"), [(2, 3), (5, 2), (6, 1), (100, 1)])
def test_a_call_takes_as_many_as_one_may_and_no_more(world: World, per_call: int, wanted: int) -> None:
    asked = given(world)
    world.directory.per_call = per_call
    over(world)
    all_ended(world, asked)
    assert takes(world) == [("remove_members", "")] * wanted


def test_fewer_than_ten_are_taken_one_by_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd_from(monkeypatch, REAL)
    asked = given(world, 9)
    over(world)
    all_ended(world, asked)
    assert sorted(takes(world)) == sorted(("remove_member", account(handle)) for handle in asked)


def test_ten_are_a_crowd(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd_from(monkeypatch, REAL)
    asked = given(world, 10)
    over(world)
    all_ended(world, asked)
    assert takes(world) == [("remove_members", "")]


def test_two_groups_are_two_calls(world: World) -> None:
    asked, others = given(world), given(world, group="eu-confluence-admins")
    over(world)
    all_ended(world, asked)
    assert statuses(world, list(others.values())) == {GrantStatus.ENDED}
    assert takes(world) == [("remove_members", "")] * 2


def test_what_another_grant_still_gives_and_what_was_held_before_stays(world: World) -> None:
    first, second = ASKERS[0].handle, ASKERS[1].handle
    world.directory.held(GROUP).add(account(second))
    asked = given(world)
    longer = given(world, 1, hours=7)
    over(world)
    assert {handle for handle in asked if world.holds(handle)} == {first, second}
    assert statuses(world, list(asked.values())) == {GrantStatus.ENDED}
    assert takes(world) == [("remove_members", "")]
    kept = {news.request_id for news in world.news("ended") if '"kept": ""' not in news.facts}
    assert kept == {asked[first].id, asked[second].id}, "of these nothing was taken, and they are told so"
    over(world, 7.1)
    assert statuses(world, list(longer.values())) == {GrantStatus.ENDED}
    assert not world.holds(first)


def test_who_holds_it_by_two_requests_is_named_once(world: World) -> None:
    asked = given(world)
    twice = world.ask(ASKERS[0].handle, GROUP, length=timedelta(hours=2), reason="INC-43: the queue is down")
    world.run()
    world.click(str(ASKERS[0].manager), twice)
    world.run()
    over(world)
    all_ended(world, asked)
    assert statuses(world, [twice]) <= {GrantStatus.ENDED}
    assert takes(world) == [("remove_members", "")]


def test_who_is_out_of_it_already_is_in_no_call(world: World) -> None:
    asked = given(world)
    named: list[str] = []
    world.directory.on_perform = lambda step: named.extend(step.value.split())
    world.directory.held(GROUP).discard(account(ASKERS[3].handle))
    over(world)
    all_ended(world, asked)
    assert len(named) == MANY - 1
    assert not [one for one in named if account(ASKERS[3].handle) in one]


# -- one message ------------------------------------------------------------------------------------------------------


def test_the_channel_hears_of_all_in_one_message_and_each_person_of_their_own(world: World) -> None:
    asked = given(world)
    over(world)
    (told,) = world.news("ended_together")
    assert told.place == "requests"
    assert f'"count": {MANY}' in told.facts
    assert all(request.id in told.facts for request in list(asked.values())[: ending_together.SHOWN])
    own = world.news("ended")
    assert {news.place for news in own} == {"person"}
    assert {news.request_id for news in own} == {request.id for request in asked.values()}


def test_the_threads_are_not_told_of_the_events_either(world: World) -> None:
    given(world)
    over(world)
    with world.store.read() as session:
        ends = select(CallEvent.quiet).join(Call, col(Call.id) == col(CallEvent.call_id))
        of_ends = ends.join(StepRow, col(StepRow.id) == col(Call.step_id)).where(StepRow.purpose == "end")
        assert session.exec(of_ends).all() == [True] * MANY


def test_more_than_one_transaction_takes_are_told_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending_together, "AT_ONCE", 4)
    asked = given(world)
    over(world)
    all_ended(world, asked)
    assert takes(world) == [("remove_members", "")]
    counts = [news.facts.split('"count": ')[1].split(",")[0] for news in world.news("ended_together")]
    assert counts == ["4", "2"]


# -- trouble ----------------------------------------------------------------------------------------------------------


def test_who_is_over_first_and_asked_last_is_taken_as_well(world: World) -> None:
    """In whatever order they are begun, nobody is passed over."""
    asked = given(world)
    world.directory.per_call = 2
    with world.store.write() as w:
        for number, grant in enumerate(w.session.exec(select(GrantRow).order_by(col(GrantRow.id).desc()))):
            assert grant.ends_at is not None
            grant.ends_at += timedelta(seconds=number)
    over(world)
    all_ended(world, asked)
    assert takes(world) == [("remove_members", "")] * 3


def test_while_atlassian_is_away_it_is_asked_once_a_try(world: World) -> None:
    given(world)
    world.directory.per_call = 2
    world.directory.trouble = [DirectoryError("503", retry=True) for _ in range(3)]
    over(world)
    assert takes(world) == [("remove_members", "")]


def test_a_lost_answer_is_read_back_and_nobody_is_taken_twice(world: World) -> None:
    asked = given(world)
    world.directory.lost_answers = [DirectoryError("no answer", retry=True, maybe_done=True)]
    over(world)
    assert statuses(world, list(asked.values())) == {GrantStatus.ENDING}
    over(world, 2.2)
    all_ended(world, asked)
    assert takes(world) == [("remove_members", "")]


def test_trouble_that_passes_is_waited_for_as_long_as_it_takes(world: World) -> None:
    asked = given(world)
    world.directory.trouble = [DirectoryError("429", retry=True) for _ in range(10)]
    for hour in range(12):
        over(world, 3 + hour)
    all_ended(world, asked)
    assert takes(world) == [("remove_members", "")] * 11


def test_what_is_refused_for_all_is_tried_for_each(world: World) -> None:
    asked = given(world)
    world.directory.refuses["remove_members"] = DirectoryError("400: one of them is unknown")
    over(world)
    all_ended(world, asked)
    assert takes(world)[0] == ("remove_members", "")
    assert sorted(takes(world)[1:]) == sorted(("remove_member", account(handle)) for handle in asked)


class TooLong(DirectoryError):
    """What a group answers that is larger than an answer may be."""

    unreadable = True


def test_of_a_group_whose_list_is_too_long_to_be_read_each_is_taken_by_their_own_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = given(world)

    def too_long(step: Step) -> frozenset[str]:
        raise TooLong("the answer is too large", retry=True)

    monkeypatch.setattr(world.directory, "records_in", too_long)
    over(world)
    all_ended(world, asked)
    assert sorted(takes(world)) == sorted(("remove_member", account(handle)) for handle in asked)


def test_a_step_that_somebody_wrote_by_hand_is_not_taken_and_the_others_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = given(world)
    forged = asked[ASKERS[2].handle]

    def tamper() -> None:
        with world.store.write() as w:
            mine = (StepRow.request_id == forged.id, StepRow.purpose == "end")
            row = w.session.exec(select(StepRow).where(*mine)).one()
            row.body = row.body.replace(account(ASKERS[2].handle), account(ASKERS[0].handle))
            w.session.add(row)

    at_each(monkeypatch, ending_together, "group end: begun", tamper)
    over(world)
    assert world.holds(ASKERS[2].handle)
    assert statuses(world, [forged]) == {GrantStatus.ENDING}
    assert {news.request_id for news in world.news("alarm")} == {forged.id}
    others = [request for request in asked.values() if request.id != forged.id]
    assert statuses(world, others) == {GrantStatus.ENDED}


def test_nor_is_what_follows_from_a_giving_step_that_was_written_by_hand(world: World) -> None:
    """Whoever edits the step that gave it would choose whom the bot takes out."""
    asked = given(world)
    forged, victim = asked[ASKERS[2].handle], account(ASKERS[8].handle)
    world.directory.held(GROUP).add(victim)
    with world.store.write() as w:
        mine = (StepRow.request_id == forged.id, StepRow.purpose == "apply")
        row = w.session.exec(select(StepRow).where(*mine)).one()
        row.body = row.body.replace(account(ASKERS[2].handle), victim)
        w.session.add(row)
    over(world)
    assert victim in world.directory.held(GROUP)
    assert world.holds(ASKERS[2].handle)
    assert statuses(world, [forged]) == {GrantStatus.ACTIVE}
    assert {news.request_id for news in world.news("alarm")} == {forged.id}
    others = [request for request in asked.values() if request.id != forged.id]
    assert statuses(world, others) == {GrantStatus.ENDED}
    assert takes(world) == [("remove_members", "")]


def test_break_glass_is_told_in_its_own_thread_and_to_security(world: World) -> None:
    who = "tomas"
    asked = given(world, hours=1, but=who)
    glass = world.breaks(who)
    world.run()
    assert world.holds(who)
    over(world, 1.1)
    all_ended(world, asked)
    assert not world.holds(who)
    own = {news.place for news in world.news("ended") if news.request_id == glass.id}
    assert own >= {"thread", "security"}
    assert not [news for news in world.news("ended_together") if glass.id in news.facts]


def test_while_effects_are_off_it_waits(world: World) -> None:
    asked = given(world)
    world = world.restarted(Effects.OFF)
    over(world)
    assert all(world.holds(handle) for handle in asked)
    assert statuses(world, list(asked.values())) == {GrantStatus.ENDING}
    assert takes(world) == []
    world = world.restarted()
    over(world, 2.5)
    all_ended(world, asked)


def test_what_has_a_job_of_its_own_at_work_is_left_to_it(world: World) -> None:
    """Another worker has begun with one of them; nobody is named in two calls."""
    asked = given(world)
    world.later(timedelta(hours=2.1))
    busy = world.store.claim()
    assert busy is not None
    with world.store.read() as session:
        whose = session.get(GrantRow, int(busy.about))
    assert whose is not None
    named: list[str] = []
    world.directory.on_perform = lambda step: named.extend(step.value.split())
    world.run()
    assert len(named) == MANY - 1
    assert not [one for one in named if whose.account in one]
    world.worker.run(busy)
    over(world, 2.2)
    all_ended(world, asked)


def test_a_grant_that_is_moved_before_the_call_puts_it_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for again at a start of another process, between the look and the call."""
    asked = given(world)
    with world.store.read() as session:
        ids = session.exec(select(GrantRow.id)).all()

    def meanwhile() -> None:
        with world.store.write() as w:
            w.enqueue("end", str(ids[0]))

    call = EndingTogether._call
    once = iter([meanwhile])

    def calls_late(self: EndingTogether, *given: Any) -> None:
        for act in once:
            act()
        call(self, *given)

    monkeypatch.setattr(EndingTogether, "_call", calls_late)
    over(world)
    over(world, 2.2)
    all_ended(world, asked)
    assert {does for does, _ in takes(world)} == {"remove_member", "remove_members"}
    assert len(takes(world)) == 2, "the one on its own, the others together"


def test_what_is_begun_and_has_lost_its_job_is_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = given(world)
    with monkeypatch.context() as for_now, suppress(Killed):
        kill(for_now, ending_together, "group end: begun")
        over(world)
    with world.store.write() as w:
        w.connection.execute(update(Job).where(col(Job.kind) == "group end").values(status="dead"))
    world = world.restarted()
    ask_for_every_end(world.store, due_too=True)
    over(world, 2.2)
    assert statuses(world, list(asked.values())) == {GrantStatus.ENDED}
    assert not [handle for handle in asked if world.holds(handle)]


# -- killed -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Nothing after it runs."""


def at_each(monkeypatch: pytest.MonkeyPatch, module: ModuleType, label: str, act: Callable[[], None]) -> None:
    """Do something where a process could die, the first time it gets there."""
    left: Iterator[Callable[[], None]] = iter([act])

    def reached(here: str) -> None:
        if here == label:
            for one in left:
                one()

    monkeypatch.setattr(module, "crash_point", reached)


def kill(monkeypatch: pytest.MonkeyPatch, module: ModuleType, label: str) -> None:
    def die() -> None:
        raise Killed(label)

    at_each(monkeypatch, module, label, die)


@pytest.mark.parametrize("label", OF_A_CROWD)
def test_killed_anywhere_each_is_taken_once_and_told_once(
    world: World, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:  # fmt: skip
    asked = given(world)
    module = calls if label.split(": ")[1] in ("intended", "called", "refused") else ending_together
    if label.endswith("refused"):
        world.directory.trouble = [DirectoryError("429", retry=True)]
    with monkeypatch.context() as for_now:
        kill(for_now, module, label)
        with pytest.raises(Killed):
            over(world)
    world = world.restarted()
    ask_for_every_end(world.store, due_too=True)
    over(world, 2.2)
    over(world, 2.3)
    all_ended(world, asked)
    done = takes(world)[1:] if label.endswith("refused") else takes(world)
    assert done == [("remove_members", "")], "read back before it was called again"
    assert len(world.news("ended")) == MANY
    assert len(world.news("ended_together")) == 1
