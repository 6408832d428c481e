"""A card of yesterday: whatever is pressed on it, in whatever state its request is, nothing happens and it says why."""

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from approvals.models import AccessRequest
from approvals.ports import DirectoryError, Impossible
from approvals.states import Status
from approvals.store import MACHINE, Store
from approvals.workflow import Refused
from tests.approvals.test_many_answers import HIGH, rule
from tests.support.world import World, account

LESS = json.dumps({"duration": 3600, "entitlement": "eu-jira-admins"})
TYPED = {"approve": {"typed": "Ada Ferreira"}, "deny": {"reason": "no"}, "edit": {"changed": LESS}}


@pytest.fixture
def world(store: Store) -> World:
    return World(store, rule(HIGH))


def asked(world: World) -> AccessRequest:
    return world.ask()


def pending(world: World) -> AccessRequest:
    request = world.ask()
    world.run()
    return request


def scheduled(world: World) -> AccessRequest:
    request = pending(world)
    for who in ("grace", "mei"):
        world.click(who, request, typed="Ada Ferreira")
        world.run()
    return request


def approved(world: World) -> AccessRequest:
    """As it stands for a moment between the last click and the pause."""
    request = pending(world)
    world.click("grace", request, typed="Ada Ferreira")
    world.run()
    with world.store.write() as w:
        w.move(w.request(request.id), "approve", actor=MACHINE, approver=account("grace"))
    return request


def applying(world: World) -> AccessRequest:
    request = scheduled(world)
    world.directory.trouble = [DirectoryError("503", retry=True)] * 50
    world.later(timedelta(minutes=6))
    world.run()
    return request


def partly(world: World) -> AccessRequest:
    request = applying(world)
    with world.store.write() as w:
        w.move(w.request(request.id), "stop_partly", actor=MACHINE)
    return request


def done(world: World) -> AccessRequest:
    request = scheduled(world)
    world.later(timedelta(minutes=6))
    world.run()
    return request


def refused(world: World) -> AccessRequest:
    world.directory.unreadable = [Impossible("There is no such group.")]
    return pending(world)


def denied(world: World) -> AccessRequest:
    request = pending(world)
    world.click("mei", request, "deny", reason="no")
    world.run()
    return request


def cancelled(world: World) -> AccessRequest:
    request = pending(world)
    world.workflow.cancel(world.speaker("ada"), request.id, "taken back")
    return request


def lapsed(world: World) -> AccessRequest:
    request = pending(world)
    world.later(timedelta(hours=25))
    world.run()
    return request


def failed(world: World) -> AccessRequest:
    request = scheduled(world)
    world.directory.unreadable = [DirectoryError("403", retry=False)] * 9
    world.later(timedelta(minutes=6))
    world.run()
    return request


STATES: dict[Status, Callable[[World], AccessRequest]] = {
    Status.ASKED: asked, Status.PENDING: pending, Status.APPROVED: approved, Status.SCHEDULED: scheduled,
    Status.APPLYING: applying, Status.PARTLY: partly, Status.DONE: done, Status.REFUSED: refused,
    Status.DENIED: denied, Status.CANCELLED: cancelled, Status.LAPSED: lapsed, Status.FAILED: failed,
}  # fmt: skip
WHO = {Status.DENIED: "Mei", Status.CANCELLED: "Ada Ferreira"}
BY_ITSELF = {Status.REFUSED, Status.LAPSED, Status.FAILED}


def test_each_state_has_its_stale_button() -> None:
    assert set(STATES) == set(Status)


@pytest.mark.parametrize("choice", ["approve", "deny", "edit"])
@pytest.mark.parametrize("state", [s for s in Status if s not in (Status.ASKED, Status.PENDING)])
def test_an_answer_to_what_is_decided_says_who_was_first_and_when(world: World, state: Status, choice: str) -> None:
    request = STATES[state](world)
    before = world.request(request)
    calls = list(world.directory.calls)
    assert before.status == state, before.because
    world.directory.trouble = []
    world.click("grace", request, choice, **TYPED[choice])
    claim = world.store.claim()
    while claim is not None and claim.kind != "count":
        if claim.kind in ("draw", "tell"):
            world.worker.run(claim)
        claim = world.store.claim()
    assert claim is not None
    world.worker.run(claim)
    told = str(json.loads(world.news("vote_refused")[-1].facts)["because"])
    who = WHO.get(state, "Gatehouse" if state in BY_ITSELF else r"\w+")
    word = state if state in BY_ITSELF or state in WHO else "approved"
    assert re.search(rf"{request.id} is already {word}, by {who}.* at \d\d:\d\d UTC", told), told
    now = world.request(request)
    assert (now.status, now.version, now.plan_hash) == (before.status, before.version, before.plan_hash)
    assert world.directory.calls == calls


@pytest.mark.parametrize("choice", ["approve", "deny", "edit"])
@pytest.mark.parametrize("state", [Status.ASKED, Status.PENDING])
def test_an_answer_to_a_plan_that_was_changed_is_sent_to_the_new_card(world: World, state: Status, choice: str) -> None:
    request = pending(world)
    world.click("grace", request, "edit", changed=LESS)
    if state == Status.PENDING:
        world.run()
    else:
        claim = world.store.claim()
        while claim is not None and claim.kind != "count":
            claim = world.store.claim()
        assert claim is not None
        world.worker.run(claim)
    assert (world.request(request).status, world.request(request).version) == (state, 2)
    world.click("mei", request, choice, version=1, **TYPED[choice])
    world.run()
    told = str(json.loads(world.news("vote_refused")[-1].facts)["because"])
    assert f"{request.id} has a new plan since you saw it" in told
    assert world.request(request).version == 2


@pytest.mark.parametrize("state", list(Status))
def test_cancel_and_end_on_an_old_card_change_only_what_still_can_be(world: World, state: Status) -> None:
    request = STATES[state](world)
    before = world.request(request).status
    if before in (Status.ASKED, Status.PENDING, Status.SCHEDULED):
        assert world.workflow.cancel(world.speaker("ada"), request.id, "late").status == Status.CANCELLED
    else:
        with pytest.raises(Refused, match=r"is already .* It can't be taken back any more"):
            world.workflow.cancel(world.speaker("ada"), request.id, "late")
        assert world.request(request).status == before
    with pytest.raises(Refused, match=r"no such request of yours|gives nothing at the moment"):
        world.workflow.end(world.speaker("tomas"), request.id, "not theirs")
    if world.grant(request) is None:
        with pytest.raises(Refused, match="gives nothing at the moment"):
            world.workflow.end(world.speaker("ada"), request.id, "nothing there")
