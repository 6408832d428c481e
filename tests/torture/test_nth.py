"""Fail the N-th operation, for every N: a whole story goes on after it, and what may never be is not.

The story is a gift with its approval and its end. Counted are the calls to Atlassian, those to Slack, the statements
that go to the database, and its commits; each of them fails once, and again with all that follow for ten minutes.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest

from tests.support.share import SEED, some_of
from tests.torture.simulation import Simulation
from tests.torture.stories import Story
from tests.torture.weather import ATLASSIANS, SLACKS, Nth, Trouble

FAULTS = {
    "atlassian": ATLASSIANS, "slack": SLACKS, "statement": ("busy", "full"), "commit": ("full", "dies", "unknown"),
}  # fmt: skip
TEN_MINUTES = 600.0
AT_LEAST = {"atlassian": 4, "slack": 8, "statement": 200, "commit": 30}  # operations that the story has, or more


def a_gift(story: Story) -> None:
    """Ada asks for an hour, Grace approves, the hour passes."""
    request = story.people.ask("ada", length=timedelta(hours=1))
    story.people.answer("grace", request)


def run_with(nth: Nth) -> tuple[Simulation, list[str]]:
    """The same day each time, but for the operation that fails."""
    run = Simulation(1, Trouble(f"{nth.side} {nth.number}: {nth.how}", processes=(1,), lasts=1.0), cards=True)
    run.weather.nth = nth
    return run, run.live(a_gift)


@pytest.fixture(scope="module")
def operations() -> dict[str, int]:
    """How many there are of each when none fails."""
    counted = {}
    for side in FAULTS:
        nth = Nth(side)
        _, found = run_with(nth)
        assert found == []
        counted[side] = nth.count
    return counted


def test_the_story_has_operations_to_fail(operations: dict[str, int]) -> None:
    assert {side: count for side, count in operations.items() if count < AT_LEAST[side]} == {}


@pytest.mark.torture
@pytest.mark.parametrize("side", FAULTS)
def test_whichever_operation_fails_the_gift_is_given_once_and_ends(
    operations: dict[str, int], side: str, record_property: Callable[[str, object], None]
) -> None:
    """Each of them in each way, once and for ten minutes: all of it in `make torture`, else a share of it."""
    each = list(product(range(1, operations[side] + 1), FAULTS[side], (0.0, TEN_MINUTES)))
    tried, wrong = some_of(each), {}
    for number, how, lasts in tried:
        nth = Nth(side, number, how, lasts)
        run, found = run_with(nth)
        assert nth.until >= 0, f"operation {number} never came"
        given = [change.to for change in run.organization.log]
        if found or given != [True, False]:
            wrong[number, how, lasts] = found or given
    record_property("reach", f"{side}: {len(tried)} of {len(each)} failures of {operations[side]} operations")
    assert wrong == {}, f"share drawn with {SEED}"
