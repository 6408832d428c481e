"""Requests and grants against a small reference model: whatever is done in whatever order, both agree."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import select

from approvals.models import AccessRequest, Grant
from approvals.performing import unfreeze
from tests.support.share import SEED, part_of, time_is_up
from tests.support.world import account
from tests.torture.clock import BEGINNING
from tests.torture.machine import Machine, nothing
from tests.torture.reference import Model, Request
from tests.torture.simulation import Simulation
from tests.torture.weather import TROUBLES, Trouble

LIVES = 500  # of how many state machines, each of at most so many steps
STEPS = 40
AT_ONCE = 50  # lives are drawn by one seed, which the next ones continue
STATES = (
    *(f"request {status}" for status in ("pending", "done", "denied", "cancelled", "lapsed", "failed")),
    *(f"grant {status}" for status in ("active", "ending", "ended", "void")),
    "held before", "extended", "until a moment", "given less", "revoked",
)  # fmt: skip
OFTEN = 20  # that each must have been somebody's state at the end of a life
ALWAYS = ("request done",)  # every life begins with a gift: of this a share meets as many as it has lives
THINGS = [(who, what) for who in ("ada", "tomas") for what in ("eu-jira-admins", "eu-confluence-admins")]
WHO, WHAT = st.sampled_from(["ada", "tomas"]), st.sampled_from(["eu-jira-admins", "eu-confluence-admins"])
MINUTES = st.sampled_from([25, 55, 115])
ANYBODY = st.sampled_from(["grace", "grace", "grace", "mei", "ada", "tomas", "kofi"])
CLOSE = 250.0  # seconds: nobody's clock is looked at so near to a deadline
NEAR = 15.0  # seconds: more than one step's calls take, and by which both may place an end differently
REFUSING = Trouble("Atlassian refuses everything", refused=1.0, lasts=float("inf"))


class Lives(RuleBasedStateMachine):
    """The product, one process on a record in memory, and the model beside it."""

    requests = Bundle("requests")
    met: ClassVar[Counter[str]] = Counter()  # in all lives together

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.run = Simulation(0, TROUBLES[0], cards=False)
        self.inside = self.run.going_on()
        self.inside.__enter__()
        self.machine = Machine(self.run, "the only one", threads=1)
        self.machine.worker.kinds |= {"draw": nothing, "tell": nothing}
        self.run.machines.append(self.machine)
        assert not [thing for thing in THINGS if self.run.organization.holds(account(thing[0]), thing[1])]

    def teardown(self) -> None:
        for one in self.model.requests.values():
            self.met.update([f"request {one.status}", *([f"grant {one.grant}"] if one.grant else [])])
            self.met.update(["held before"] * one.held_before + ["extended"] * one.extends)
            self.met.update(["until a moment"] * (one.ends_by is not None and not one.extends))
            self.met.update(["given less"] * (one.version > 1))
        try:
            assert self.machine.store.verify().ok
        finally:
            self.inside.__exit__(None, None, None)

    @property
    def now(self) -> float:
        return self.run.clock.true

    def settle(self) -> None:
        """What is due is done; what waits half a second for something else is waited for."""
        for _ in range(3):
            self.machine.worker.run_until_idle()
            self.run.clock.true += 2.0
        while any(abs(deadline - self.now) < NEAR for deadline in self.model.deadlines()):
            self.run.clock.true += NEAR  # who is seconds ahead of the other would see an end that the other doesn't
            self.machine.worker.run_until_idle()
        self.model.time_is(self.now)

    # -- what people do -------------------------------------------------------------------------------------------

    @initialize(target=requests)
    def morning(self) -> Any:
        """Both have asked for something, and one of them has it."""
        first, second = self.ask("ada", "eu-jira-admins", 115), self.ask("tomas", "eu-confluence-admins", 55)
        self.approve(first, "grace")
        return multiple(first, second)

    @rule(target=requests, who=WHO, what=WHAT, minutes=MINUTES)
    def asks(self, who: str, what: str, minutes: int) -> Any:
        return self.ask(who, what, minutes)

    @rule(target=requests, who=WHO, what=WHAT, minutes=MINUTES)
    def is_given(self, who: str, what: str, minutes: int) -> Any:
        id = self.ask(who, what, minutes)
        self.approve(id, "grace")
        return id

    def ask(self, who: str, what: str, minutes: int) -> str:
        same, asked = self.model.same(who, what, minutes * 60.0), self.now
        id = self.run.people.ask(who, what, length=timedelta(minutes=minutes))
        assert id == same or (id and not same)
        if not same:
            self.model.requests[id] = Request(who, what, minutes * 60.0, asked)
        self.settle()
        return id

    @rule(request=requests, by=ANYBODY)
    def somebody_approves(self, request: str, by: str) -> None:
        self.approve(request, by)

    def approve(self, request: str, by: str) -> None:
        one = self.model.requests[request]
        if any(other.grant == "ending" for other in self.model.of(one)):
            return  # it would wait for that
        self.run.people.answer(by, request, version=one.version)
        self.model.approve(request, by, self.now)
        self.settle()

    @rule(request=requests, by=ANYBODY)
    def deny(self, request: str, by: str) -> None:
        self.run.people.answer(by, request, "deny", version=self.model.requests[request].version)
        self.model.deny(request, by)
        self.settle()

    @rule(request=requests, by=ANYBODY)
    def answer_an_older_plan(self, request: str, by: str) -> None:
        self.run.people.answer(by, request, version=self.model.requests[request].version - 1)
        self.settle()

    @rule(request=requests, by=ANYBODY, minutes=st.sampled_from([10, 25, 55, 500]), until=st.booleans())
    def give_less(self, request: str, by: str, minutes: int, until: bool) -> None:
        self.less(request, by, minutes, until)

    @rule(target=requests, who=WHO, what=WHAT)
    def is_given_until_a_moment(self, who: str, what: str) -> Any:
        """Which is drawn too seldom by chance to mean anything."""
        id = self.ask(who, what, 115)
        self.less(id, "grace", 55, True)
        self.approve(id, "grace")
        return id

    def less(self, request: str, by: str, minutes: int, until: bool) -> None:
        """So many minutes, or until the moment that is so many minutes away."""
        one, moment = self.model.requests[request], self.now + minutes * 60.0 if until else None
        said = {"ends_by": (BEGINNING + timedelta(seconds=moment)).isoformat()} if moment is not None else {}
        changed = json.dumps({"duration": minutes * 60, "entitlement": one.what, **said})
        self.run.people.answer(by, request, "edit", version=one.version, changed=changed)
        self.model.less(request, by, minutes * 60.0, moment)
        self.settle()

    @rule(request=requests, by=st.sampled_from(["ada", "tomas", "ada", "tomas", "kofi", "grace"]))
    def cancel(self, request: str, by: str) -> None:
        self.run.people.cancel(by, request)
        self.model.cancel(request, by)
        self.settle()

    @rule(request=requests, by=st.sampled_from(["ada", "tomas", "sade", "kofi"]))
    def end(self, request: str, by: str) -> None:
        self.run.people.end(by, request)
        self.model.end(request, by, self.now)
        self.settle()

    @rule(request=requests, by=st.sampled_from(["ada", "tomas", "sade", "kofi"]))
    def end_while_atlassian_refuses(self, request: str, by: str) -> None:
        """Each of the two is drawn on its own as well, but seldom one right behind the other."""
        self.atlassian_refuses(True)
        self.end(request, by)

    @rule(target=requests, request=requests, minutes=st.sampled_from([30, 90, 400]))
    def extend(self, request: str, minutes: int) -> Any:
        one, asked = self.model.requests[request], self.now
        longer = self.model.longer(request, minutes * 60.0, self.now)
        same = self.model.same(one.who, one.what, longer[0], longer[1]) if longer else ""
        id = self.run.people.extend(one.who, request, timedelta(minutes=minutes))
        if longer is None:
            assert id == ""
            return multiple()
        assert id == same or (id and not same)
        if not same:
            self.model.requests[id] = Request(one.who, one.what, longer[0], asked, longer[1], extends=True)
        self.settle()
        self.approve(id, "grace")
        return id

    @rule(who=WHO, what=WHAT)
    def revoke(self, who: str, what: str) -> None:
        """By somebody else, and answered by an admin at once."""
        of_it = [one for one in self.model.requests.values() if (one.who, one.what) == (who, what)]
        if any(one.grant == "ending" for one in of_it):
            return  # its end takes it, and is asked for anew at each try
        id = self.run.people.ask("grace", what, verb="revoke", subject=who)
        self.settle()
        self.met.update(["revoked"] * any(one.live for one in of_it))
        self.run.people.answer("omar", id, version=1)
        self.model.revoke(who, what, self.now)
        self.settle()

    # -- what happens ---------------------------------------------------------------------------------------------

    @rule(who=WHO, what=WHAT, to=st.booleans())
    def by_hand(self, who: str, what: str, to: bool) -> None:
        self.run.organization.set(f"member of {what}", account(who), to)
        (self.model.members.add if to else self.model.members.discard)((who, what))
        if any(one.grant == "ending" for one in self.model.requests.values()):
            self.run.clock.true += 400.0  # an end that was refused finds at its next try that nothing is left to take
            self.settle()

    @rule(seconds=st.sampled_from([600.0, 600.0, 4200.0, 26 * 3600.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        while any(abs(deadline - until) < CLOSE for deadline in self.model.deadlines()):
            until += 300.0
        while self.now < until:  # what comes at different times is seen at different times
            nearest = min((deadline for deadline in self.model.deadlines() if deadline > self.now), default=until)
            self.run.clock.true = min(until, nearest + 1.0)
            self.settle()

    @rule(refusing=st.booleans())
    def atlassian_refuses(self, refusing: bool) -> None:
        self.run.weather.trouble = REFUSING if refusing else TROUBLES[0]
        self.model.refusing = refusing
        self.run.clock.true += 400.0  # for the next try of what failed
        self.settle()

    @rule(request=requests, who=WHO, what=WHAT)
    def everything_stands_still_for_a_while(self, request: str, who: str, what: str) -> None:
        """Nothing is asked and nothing is begun; what is approved meanwhile waits, and what ends still ends."""
        self.run.people.freeze("omar")
        self.model.frozen = True
        assert self.run.people.ask(who, what, length=timedelta(minutes=7)) == ""
        self.approve(request, "grace")
        self.both_agree()
        with self.machine.store.write() as w:
            unfreeze(w, {}, [account("omar"), account("sade")])
        self.model.frozen = False
        self.run.clock.true += 20.0
        for one in self.model.requests.values():
            if one.status == "approved":
                self.model.begin(one, self.now)
        self.settle()

    # -- both agree -----------------------------------------------------------------------------------------------

    @invariant()
    def both_agree(self) -> None:
        with self.machine.store.read() as session:
            requests = {row.id: row for row in session.exec(select(AccessRequest).where(AccessRequest.verb == "grant"))}
            grants = {row.request_id: row for row in session.exec(select(Grant))}
        expected = {id: (one.status, one.version) for id, one in self.model.requests.items()}
        assert expected == {id: (row.status, row.version) for id, row in requests.items()}
        for id, one in self.model.requests.items():
            row = grants.get(id)
            assert (row.status if row else "") == one.grant, id
            if row is not None and one.live:
                assert row.ends_at is not None
                assert abs((row.ends_at - BEGINNING).total_seconds() - one.ends) < 10.0
                assert row.held_before == one.held_before
        for who, what in THINGS:
            assert self.run.organization.holds(account(who), what) == ((who, what) in self.model.members)


@pytest.mark.torture
def test_requests_and_grants_do_what_the_reference_model_does(record_property: Callable[[str, object], None]) -> None:
    Lives.met.clear()
    lived, over = 0, time_is_up()
    while lived < part_of(LIVES) and not (lived and over()):
        some = min(AT_ONCE, part_of(LIVES) - lived)
        lives = settings(
            max_examples=some, stateful_step_count=STEPS, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), print_blob=True,
        )  # fmt: skip
        run_state_machine_as_test(seed(SEED + lived)(Lives), settings=lives)
        lived += some
    met = ", ".join(f"{times:,} {name}" for name, times in sorted(Lives.met.items()))
    record_property("reach", f"{lived} lives beside the reference model: {met}")
    wanted = dict.fromkeys(STATES, OFTEN) if lived == LIVES else dict.fromkeys(ALWAYS, lived)
    assert {name: Lives.met[name] for name, times in wanted.items() if Lives.met[name] < times} == {}
