"""However many processes call, a credential never makes more calls than it may, and something is kept for ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.budget import Allowance, RateBudgets
from approvals.database import Database
from approvals.store import Store
from tests.support.world import at_once

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SMALL = Allowance("events", 10, "a page", slice=1, reserve=1)
LARGE = Allowance("all", 600, "ours", slice=10, reserve=60)


def seconds(number: float) -> datetime:
    return NOW + timedelta(seconds=number)


def take(rows: RateBudgets, at: float, allowance: Allowance = SMALL, *, urgent: bool = False) -> int:
    return rows.take("key", allowance, urgent=urgent, now=seconds(at)).calls


@pytest.fixture
def rows(store: Store) -> RateBudgets:
    return RateBudgets(store.database)


def test_half_may_come_at_once_less_what_is_kept_and_comes_back_evenly(rows: RateBudgets) -> None:
    assert [take(rows, 0) for _ in range(6)] == [1, 1, 1, 1, 0, 0]
    assert rows.take("key", SMALL, urgent=False, now=NOW).wait == pytest.approx(12)
    assert take(rows, 11.9) == 0
    assert take(rows, 12.1) == 1


def test_what_is_kept_is_for_what_must_not_wait(rows: RateBudgets) -> None:
    while take(rows, 0):
        pass
    assert take(rows, 0, urgent=True) == 1
    assert take(rows, 0, urgent=True) == 0


def test_credentials_and_families_have_their_own(rows: RateBudgets) -> None:
    while take(rows, 0):
        pass
    assert rows.take("another key", SMALL, urgent=False, now=NOW).calls == 1
    assert take(rows, 0, LARGE) == 10


def test_after_a_429_nobody_calls_before_its_time_not_even_what_must_not_wait(store: Store, rows: RateBudgets) -> None:
    rows.block("key", LARGE, until=seconds(40), now=NOW)
    elsewhere = RateBudgets(Database(store.database.url))
    assert elsewhere.take("key", LARGE, urgent=True, now=seconds(39)).calls == 0
    assert elsewhere.take("key", LARGE, urgent=True, now=seconds(30)).wait == pytest.approx(10)
    rows.block("key", LARGE, until=seconds(20), now=seconds(10))
    assert take(rows, 30, LARGE) == 0, "an earlier end does not shorten it"
    assert take(rows, 41, LARGE, urgent=True) > 0
    elsewhere.database.close()


def test_a_clock_that_is_set_back_gives_nothing(rows: RateBudgets) -> None:
    while take(rows, 0):
        pass
    assert take(rows, -3600) == 0
    assert take(rows, 1) == 0


def test_several_who_take_at_once_get_no_more_together(store: Store) -> None:
    workers = [RateBudgets(Database(store.database.url)) for _ in range(4)]

    def all_of_it(rows: RateBudgets) -> int:
        total = 0
        while calls := take(rows, 0, LARGE):
            total += calls
        return total

    assert sum(at_once(*(lambda rows=rows: all_of_it(rows) for rows in workers))) == 240  # 300 at once, less 60
    for rows in workers:
        rows.database.close()


def test_an_allowance_that_could_give_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="events"):
        Allowance("events", 2, "x", slice=1, reserve=1)


@given(st.lists(st.floats(0.0, 40.0), min_size=1, max_size=60), st.integers(2, 30))
def test_in_no_window_are_there_more_calls_than_allowed(gaps: list[float], calls: int) -> None:
    allowance = Allowance("any", calls, "x", slice=1)
    left, at, made, now = float(allowance.at_once), 0.0, [], 0.0
    for gap in gaps:
        now += gap
        left, at = allowance.left(left, now - at), now
        while left >= 1:
            left -= 1
            made.append(now)
    for first in made:
        assert sum(first <= moment < first + 60 for moment in made) <= calls
