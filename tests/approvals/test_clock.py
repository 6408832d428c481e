"""What time it is: the database's on PostgreSQL, whatever a machine's clock says, and not asked for each time."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from approvals import clock
from approvals.clock import AGREED, Clock
from approvals.store import Store


class Ahead(datetime):
    """A machine's clock that is an hour ahead."""

    @classmethod
    def now(cls, tz: object = None) -> "Ahead":
        real = datetime.now(UTC) + timedelta(hours=1)
        return cls(real.year, real.month, real.day, real.hour, real.minute, real.second, real.microsecond, UTC)


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Our own clock that is never set, and the database's, moved by the test; ``asked`` counts how often."""
    now = SimpleNamespace(seconds=100.0, there=datetime(2026, 1, 1, 12, tzinfo=UTC), asked=0)

    def there(connection: object) -> datetime:
        now.asked += 1
        at: datetime = now.there
        return at

    monkeypatch.setattr(clock, "seconds_gone", lambda: now.seconds)
    monkeypatch.setattr(clock, "real_time", there)
    monkeypatch.setattr(clock, "plain", lambda db: db)
    return now


def test_on_postgresql_a_machine_whose_clock_is_wrong_goes_by_the_databases(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "datetime", Ahead)
    for real in (store, Store(store.database)):
        with store.look() as connection:
            read = real.time_in(connection)
        for now in (read, real.now()):
            wrong = now - datetime.now(UTC) > timedelta(minutes=30)
            assert wrong == store.database.is_sqlite, "SQLite's processes share the machine's clock, right or wrong"


def test_the_database_is_asked_every_few_seconds_and_not_each_time(ours: SimpleNamespace) -> None:
    kept = Clock(is_sqlite=False)
    start = ours.there
    for passed in (0.0, 1.0, AGREED - 0.5):
        ours.seconds = 100.0 + passed
        assert kept.now(object()) == start + timedelta(seconds=passed)  # type: ignore[arg-type]
    assert ours.asked == 1
    ours.seconds, ours.there = 100.0 + AGREED + 1, start + timedelta(seconds=AGREED + 1)
    assert kept.kept() is None
    assert kept.now(object()) == ours.there  # type: ignore[arg-type]
    assert ours.asked == 2


def test_a_machine_that_slept_asks_again_and_one_whose_counter_went_back_too(ours: SimpleNamespace) -> None:
    kept = Clock(is_sqlite=False)
    kept.now(object())  # type: ignore[arg-type]
    for seconds in (7300.0, 50.0):
        ours.seconds = seconds
        assert kept.kept() is None


def test_time_does_not_go_back_by_a_moment_but_another_servers_counts(ours: SimpleNamespace) -> None:
    kept = Clock(is_sqlite=False)
    first = kept.now(object())  # type: ignore[arg-type]
    ours.seconds += AGREED + 1
    ours.there = first - timedelta(milliseconds=3)
    assert kept.now(object()) == first  # type: ignore[arg-type]
    ours.seconds += AGREED + 1
    ours.there = first - timedelta(hours=1)
    assert kept.now(object()) == first - timedelta(hours=1)  # type: ignore[arg-type]
