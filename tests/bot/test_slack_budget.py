"""What may be said now, and who has to wait how long."""

import pytest

from approvals.jobs import Later
from bot.slack_budget import MISSED, PACE, Budget


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_budget_is_kept_for_each_channel() -> None:
    budget = Budget({"chat.postMessage": (2, 3600.0)})
    budget.take("chat.postMessage", "C1", "one")
    budget.take("chat.postMessage", "C1", "two")
    budget.take("chat.postMessage", "C2", "three")
    with pytest.raises(Later) as later:
        budget.take("chat.postMessage", "C1", "four")
    assert 0 < later.value.seconds <= 3600


def test_redraws_share_one_budget() -> None:
    budget = Budget({"chat.update": (1, 3600.0)})
    budget.take("chat.update", "C1", "one")
    with pytest.raises(Later):
        budget.take("chat.update", "C2", "two")


def test_room_comes_back() -> None:
    budget = Budget({"chat.update": (1, 0.0)})
    for number in range(10):
        budget.take("chat.update", "C1", str(number))


def test_other_methods_have_no_budget_of_ours() -> None:
    budget = Budget()
    for _ in range(1000):
        budget.take("users.info", "")
    assert set(PACE) == {"chat.postMessage", "chat.update"}


def test_a_thousand_that_wait_look_twice_each_and_go_in_the_order_they_came() -> None:
    clock = Clock()
    budget = Budget({"chat.postMessage": (1, 1.0)}, clock)
    asleep = {str(number): clock.now for number in range(1000)}
    went: list[str] = []
    looks = 0
    while asleep:
        what = min(asleep, key=lambda name: (asleep[name], int(name)))
        clock.now = max(clock.now, asleep.pop(what))
        looks += 1
        try:
            budget.take("chat.postMessage", "C1", what)
            went.append(what)
        except Later as later:
            asleep[what] = clock.now + later.seconds
    assert went == [str(number) for number in range(1000)]
    assert looks <= 2100
    assert clock.now == pytest.approx(1999.0, abs=0.5)  # a second apart, and no second without one


def test_a_newcomer_does_not_take_the_turn_of_one_who_waits() -> None:
    clock = Clock()
    budget = Budget({"chat.postMessage": (1, 1.0)}, clock)
    budget.take("chat.postMessage", "C1", "first")
    with pytest.raises(Later):
        budget.take("chat.postMessage", "C1", "patient")
    clock.now += 1.0
    with pytest.raises(Later) as later:
        budget.take("chat.postMessage", "C1", "newcomer")
    assert later.value.seconds == pytest.approx(1.0)
    budget.take("chat.postMessage", "C1", "patient")


def test_a_turn_that_nobody_takes_is_given_up() -> None:
    clock = Clock()
    budget = Budget({"chat.postMessage": (1, 1.0)}, clock)
    budget.take("chat.postMessage", "C1", "first")
    with pytest.raises(Later):
        budget.take("chat.postMessage", "C1", "gone")
    clock.now += MISSED + 2
    budget.take("chat.postMessage", "C1", "newcomer")


def test_the_limit_holds_in_every_minute_whoever_asks() -> None:
    clock = Clock()
    budget = Budget({"chat.update": (45, 60.0)}, clock)
    sent: list[float] = []
    waiting = {str(number): clock.now for number in range(200)}
    while waiting:
        what = min(waiting, key=waiting.__getitem__)
        clock.now = max(clock.now, waiting.pop(what))
        try:
            budget.take("chat.update", "C1", what)
            sent.append(clock.now)
        except Later as later:
            waiting[what] = clock.now + later.seconds
    assert all(sum(1 for other in sent if moment <= other < moment + 60) <= 45 for moment in sent)
    assert len(sent) == 200
    assert clock.now - 1000 < 60 * 200 / 45 + 60


def test_what_must_be_heard_goes_before_everybody_who_has_a_turn() -> None:
    clock = Clock()
    budget = Budget(clock=clock)
    budget.take("chat.postMessage", "C1", "one")
    for waiting in ("two", "three", "four"):
        with pytest.raises(Later):
            budget.take("chat.postMessage", "C1", waiting)
    with pytest.raises(Later) as later:
        budget.take("chat.postMessage", "C1", "loud", first=True)
    assert later.value.seconds <= 1.0
    clock.now += 1.0
    with pytest.raises(Later):
        budget.take("chat.postMessage", "C1", "two")
    budget.take("chat.postMessage", "C1", "loud", first=True)
    clock.now += 1.0
    budget.take("chat.postMessage", "C1", "two")
