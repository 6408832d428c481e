"""However many processes call, a credential never makes more calls than it may, and something is kept for ends."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection
from sqlmodel import select

from approvals import clock
from approvals.budget import Allowance, RateBudgets
from approvals.database import Database
from approvals.models import RateBudget
from approvals.store import Store
from tests.support.world import at_once

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SMALL = Allowance("events", 10, "a page", slice=1, reserve=1)
LARGE = Allowance("all", 600, "ours", slice=10, reserve=60)
# Another process: it takes until there is nothing left, and says how many that were.
ALL_OF_IT = """
import sys
from datetime import UTC, datetime
from approvals.budget import Allowance, RateBudgets
from approvals.database import Database

database, total = Database(sys.argv[1]), 0
rows = RateBudgets(database, lambda _: datetime(2026, 11, 25, 12, tzinfo=UTC))
while calls := rows.take("key", Allowance("all", 600, "ours", slice=10, reserve=60), urgent=False).calls:
    total += calls
print(total)
"""


class Rows(RateBudgets):
    """The rows, at the time that a test says."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, self._then)
        self.seconds = 0.0

    def _then(self, connection: Connection) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def at(self, seconds: float) -> "Rows":
        self.seconds = seconds
        return self


def take(rows: Rows, at: float, allowance: Allowance = SMALL, *, urgent: bool = False) -> int:
    return rows.at(at).take("key", allowance, urgent=urgent).calls


@pytest.fixture
def rows(store: Store) -> Rows:
    return Rows(store.database)


def test_half_may_come_at_once_less_what_is_kept_and_comes_back_evenly(rows: Rows) -> None:
    assert [take(rows, 0) for _ in range(6)] == [1, 1, 1, 1, 0, 0]
    assert rows.take("key", SMALL, urgent=False).wait == pytest.approx(12)
    assert take(rows, 11.9) == 0
    assert take(rows, 12.1) == 1


def test_what_is_kept_is_for_what_must_not_wait(rows: Rows) -> None:
    while take(rows, 0):
        pass
    assert take(rows, 0, urgent=True) == 1
    assert take(rows, 0, urgent=True) == 0


def test_credentials_and_families_have_their_own(rows: Rows) -> None:
    while take(rows, 0):
        pass
    assert rows.take("another key", SMALL, urgent=False).calls == 1
    assert take(rows, 0, LARGE) == 10


def test_after_a_429_nobody_calls_before_its_time_not_even_what_must_not_wait(store: Store, rows: Rows) -> None:
    rows.at(0).block("key", LARGE, seconds=40)
    elsewhere = Rows(Database(store.database.url))
    assert take(elsewhere, 39, LARGE, urgent=True) == 0
    assert elsewhere.at(30).take("key", LARGE, urgent=True).wait == pytest.approx(10)
    rows.at(10).block("key", LARGE, seconds=10)
    assert take(rows, 30, LARGE) == 0, "an earlier end does not shorten it"
    assert take(rows, 41, LARGE, urgent=True) > 0
    elsewhere.database.close()


@pytest.mark.parametrize("seconds", [0, 0.5, 3])
def test_a_429_gives_no_calls_that_were_not_there(rows: Rows, seconds: float) -> None:
    """Not even one that says "now", over and over."""
    made = 0
    for tenth in range(600):
        if take(rows, tenth / 10):
            made += 1
            rows.block("key", SMALL, seconds=seconds)
    assert 1 <= made <= SMALL.calls


def test_a_clock_that_is_set_back_gives_nothing(rows: Rows) -> None:
    while take(rows, 0):
        pass
    assert take(rows, -30) == 0
    assert take(rows, 1) == 0


def test_a_clock_that_was_hours_ahead_stops_nobody_when_it_is_right_again(rows: Rows) -> None:
    while take(rows, 7200, urgent=True):
        pass
    assert take(rows, 0, urgent=True) == 0
    assert take(rows, 13, urgent=True) == 1
    rows.at(7200).block("key", SMALL, seconds=30)
    assert take(rows, 14) == 1
    assert take(rows, 14) == 0


def test_on_postgresql_all_go_by_the_clock_of_the_database(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Ahead":
            return cls(2090, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(clock, "datetime", Ahead)
    RateBudgets(store.database).take("key", SMALL, urgent=False)
    with store.look() as connection:
        at: datetime = connection.execute(select(RateBudget.at)).scalar_one()
    assert (at.year == 2090) == store.database.is_sqlite, "there the machine's clock is the only one"


def test_several_who_take_at_once_get_no_more_together(store: Store) -> None:
    workers = [Rows(Database(store.database.url)) for _ in range(4)]

    def all_of_it(rows: Rows) -> int:
        total = 0
        while calls := take(rows, 0, LARGE):
            total += calls
        return total

    assert sum(at_once(*(lambda rows=rows: all_of_it(rows) for rows in workers))) == 240  # 300 at once, less 60
    for rows in workers:
        rows.database.close()


def test_several_processes_get_no_more_together(store: Store) -> None:
    url = store.database.engine.url.render_as_string(hide_password=False)
    begun = [
        subprocess.Popen([sys.executable, "-c", ALL_OF_IT, url], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert sum(int(process.communicate()[0]) for process in begun) == 240
    assert [process.returncode for process in begun] == [0, 0, 0]


def test_an_allowance_that_could_give_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="events"):
        Allowance("events", 2, "x", slice=1, reserve=1)
