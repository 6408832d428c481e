"""Figures of the guide and of today are configuration, and what is over them is told as data."""

import pytest

from bot.atlassian.limits import GUIDE, TODAY, GroupLimits


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (20_000, []),
        (20_001, [(20_000, False, GUIDE)]),
        (249_999, [(20_000, False, GUIDE)]),
        (250_000, [(250_000, False, TODAY), (20_000, False, GUIDE)]),
        (290_000, [(250_000, False, TODAY), (20_000, False, GUIDE)]),
        (290_001, [(290_000, True, TODAY), (20_000, False, GUIDE)]),
    ],
)
def test_each_figure_speaks_for_itself_and_names_its_source(size: int, told: list[tuple[int, bool, str]]) -> None:
    warnings = GroupLimits().warnings(size)
    assert [(warning.limit, warning.refuse, warning.source) for warning in warnings] == told
    assert all(str(size) in warning.words and str(warning.limit) in warning.words for warning in warnings)


def test_figures_can_be_set() -> None:
    limits = GroupLimits(warn_above=5, advised_below=8, most=10)
    assert [warning.limit for warning in limits.warnings(11)] == [10, 5]
    assert limits.warnings(5) == ()


@pytest.mark.parametrize("members", [0, -1, 10_000, 20_000])
def test_a_portion_stays_below_what_stops_every_sync(members: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 9999"):
        GroupLimits(members_per_call=members)
    assert GroupLimits(members_per_call=9_999).members_per_call == 9_999
    assert GroupLimits().members_per_call == 100
