"""Whose turn it is, held against a slow reckoning that knows nothing of the quick one; time zones; changing clocks."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from bot.oncall.rota import FixedShift, Rotation, is_plain, moment
from tests.support.share import part_of

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
A, B, C = frozenset({"a@x.example"}), frozenset({"b@x.example"}), frozenset({"c@x.example", "d@x.example"})
TICK = timedelta(microseconds=1)
ZONES = (
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo",
    "Africa/Casablanca", "UTC", "Pacific/Chatham", "America/St_Johns",
)  # fmt: skip


def slow_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """RFC 5545, section 3.3.5, from the offsets of the days around: the first moment that shows ``wall``, or none."""
    around = [wall.replace(tzinfo=UTC) + timedelta(hours=hours) for hours in range(-40, 41)]
    offsets = [offset for near in around if (offset := near.astimezone(zone).utcoffset()) is not None]
    shown = [
        at
        for offset in set(offsets)
        if (at := wall.replace(tzinfo=UTC) - offset).astimezone(zone).replace(tzinfo=None) == wall
    ]
    return min(shown) if shown else wall.replace(tzinfo=UTC) - offsets[0]  # offsets[0]: from long before the gap


def slow_people(rotation: Rotation, at: datetime) -> frozenset[str]:
    """One handover after the other from the first one on."""
    current: frozenset[str] = frozenset()
    day, number = rotation.first, 0
    while slow_moment(datetime.combine(day, rotation.handover), rotation.zone) <= at:
        current = rotation.turns[number % len(rotation.turns)]
        day, number = day + timedelta(days=7 * rotation.weeks), number + 1
    return current if rotation.until is None or at < rotation.until else frozenset()


rotations = st.builds(
    Rotation,
    turns=st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=5),
    first=st.dates(date(2008, 1, 1), date(2027, 12, 31)),
    handover=st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59])),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    weeks=st.integers(1, 4),
    until=st.none() | st.datetimes(datetime(2010, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC)),
)


@pytest.mark.torture
@limits(max_examples=part_of(3000), deadline=None)
@given(rotations, st.integers(-3, 40), st.integers(-90_000, 90_000) | st.integers(-2, 2), st.data())
def test_a_rotation_agrees_with_counting_every_handover(
    rotation: Rotation, turn: int, seconds: int, data: st.DataObject
) -> None:
    near = rotation.begins(turn) + timedelta(seconds=seconds)  # most of all around a handover
    at = data.draw(st.sampled_from([near, near.astimezone(NEW_YORK), near + TICK, near - TICK]))
    assert rotation.people(at) == slow_people(rotation, at)


@pytest.mark.torture
@limits(max_examples=part_of(2000), deadline=None)
@given(rotations, st.integers(-3, 40), st.integers(-90_000, 90_000))
def test_nobody_else_is_on_call_before_the_next_change_that_is_told(
    rotation: Rotation, turn: int, seconds: int
) -> None:
    at = rotation.begins(turn) + timedelta(seconds=seconds)
    changes = rotation.changes(at)
    assert all(change > at for change in changes)
    before = min(changes, default=at + timedelta(days=400)) - TICK
    assert rotation.people(before) == rotation.people(at)
    halfway = at + (before - at) / 2
    assert slow_people(rotation, halfway) == rotation.people(at)


@pytest.mark.torture
@limits(max_examples=part_of(3000), deadline=None)
@given(st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1)), st.sampled_from(ZONES).map(ZoneInfo))
def test_the_clock_on_the_wall_is_read_as_the_standard_says(wall: datetime, zone: ZoneInfo) -> None:
    assert moment(wall, zone) == slow_moment(wall, zone)


def test_handover_keeps_to_the_clock_on_the_wall_when_the_clocks_change() -> None:
    rotation = Rotation([A, B], date(2026, 3, 23), time(9), BERLIN)  # summer time begins on 29 March
    assert rotation.begins(0) == datetime(2026, 3, 23, 8, tzinfo=UTC)
    assert rotation.begins(1) == datetime(2026, 3, 30, 7, tzinfo=UTC)
    assert rotation.people(datetime(2026, 3, 30, 6, 59, 59, tzinfo=UTC)) == A
    assert rotation.people(datetime(2026, 3, 30, 7, tzinfo=UTC)) == B


def test_a_handover_that_the_clock_never_shows_is_an_hour_later_on_that_day() -> None:
    rotation = Rotation([A, B], date(2026, 3, 22), time(2, 30), BERLIN)  # 02:30 is left out on 29 March
    change = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert rotation.begins(1) == change
    assert change.astimezone(BERLIN).time() == time(3, 30)
    assert (rotation.people(change - TICK), rotation.people(change)) == (A, B)


def test_a_handover_that_the_clock_shows_twice_is_the_first_of_them() -> None:
    rotation = Rotation([A, B], date(2026, 10, 18), time(2, 30), BERLIN)  # 02:30 comes twice on 25 October
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert rotation.people(first - TICK) == A
    assert rotation.people(first) == B
    assert rotation.people(second) == B


def test_a_clock_that_goes_back_past_midnight_does_not_take_the_turn_back() -> None:
    zone = ZoneInfo("America/St_Johns")  # at 00:01 on 2 November 2008 it was 23:01 on the 1st again
    rotation = Rotation([A, B], date(2008, 10, 26), time(0), zone)
    change = datetime(2008, 11, 2, 2, 30, tzinfo=UTC)
    again = change + timedelta(minutes=30)
    assert again.astimezone(zone).date() == date(2008, 11, 1)
    assert (rotation.people(change - TICK), rotation.people(change), rotation.people(again)) == (A, B, B)


def test_a_day_that_never_was_hands_over_all_the_same() -> None:
    rotation = Rotation([A, B, C], date(2011, 12, 23), time(9), ZoneInfo("Pacific/Apia"))  # no 30 December 2011 there
    turns = [rotation.begins(number) for number in range(4)]
    assert turns == sorted(set(turns))
    assert [rotation.people(begin) for begin in turns] == [A, B, C, A]


def test_before_the_first_turn_and_after_the_end_nobody_is_on_call() -> None:
    end = datetime(2026, 1, 19, 8, tzinfo=UTC)
    rotation = Rotation([A, B], date(2026, 1, 5), time(9), BERLIN, until=end)
    assert rotation.people(datetime(2026, 1, 5, 7, 59, tzinfo=UTC)) == frozenset()
    assert rotation.people(datetime(2026, 1, 5, 8, 0, tzinfo=UTC)) == A
    assert rotation.people(end - TICK) == B
    assert rotation.people(end) == frozenset()


def test_a_turn_may_last_several_weeks_and_belong_to_several_people() -> None:
    rotation = Rotation([A, C], date(2026, 1, 5), time(9), NEW_YORK, weeks=2)
    assert [rotation.people(datetime(2026, 1, day, 15, tzinfo=UTC)) for day in (6, 13, 20, 27)] == [A, A, C, C]


def test_a_shift_is_from_its_first_moment_until_before_its_last() -> None:
    start, until = datetime(2026, 12, 24, 18, tzinfo=BERLIN), datetime(2026, 12, 27, 8, tzinfo=BERLIN)
    shift = FixedShift(A, start, until)
    moments = (start - TICK, start, until - TICK, until)
    assert [shift.people(at.astimezone(UTC)) for at in moments] == [frozenset(), A, A, frozenset()]
    assert shift.changes(start - TICK) == [start, until]
    assert shift.changes(start) == [until]
    assert shift.changes(until) == []


@pytest.mark.parametrize(("hour", "plain"), [(1, True), (2, False), (3, True)])
@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_an_hour_that_is_left_out_or_comes_twice_is_not_plain(day: date, hour: int, plain: bool) -> None:
    assert is_plain(datetime.combine(day, time(hour, 30)), BERLIN) is plain
