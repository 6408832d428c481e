"""How late ends were is read from the record: each end once, however many ask at once and whatever is being written."""

import re
import threading

import pytest

from approvals.store import MACHINE, Store
from bot import gauges
from bot.gauges import Gauges
from bot.metrics import Metrics

LONG = 30  # seconds after which a test gives up waiting
A_MOMENT = 0.3  # seconds that whoever could overtake would have for it


@pytest.fixture
def scraped(store: Store) -> Gauges:
    """Of a process that was asked before, so that it counts what ends from now on."""
    found = Gauges(Metrics(), store, None, (), ())
    counted(found)
    return found


def ended(store: Store, *lates: float) -> None:
    with store.write() as w:
        for late in lates:
            w.audit("grant.ended", actor=MACHINE, data={"late": late})


def counted(asked: Gauges) -> int:
    text = asked.metrics.text(asked.refresh).decode()
    found = re.search(r"^gatehouse_end_lateness_seconds_count (\S+)$", text, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def test_an_end_is_counted_once_however_often_it_is_asked(store: Store, scraped: Gauges) -> None:
    ended(store, 5.0, 70.0)
    assert [counted(scraped) for _ in range(3)] == [2, 2, 2]
    ended(store, 5.0)
    assert counted(scraped) == 3


def test_an_end_that_is_written_down_in_the_middle_of_a_look_is_counted_at_the_next_one(
    store: Store, scraped: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL shows to each statement of a look what was committed before it."""
    ended(store, 5.0)
    with store.read() as session:
        before = gauges.head(session)
    ended(store, 70.0)
    with monkeypatch.context() as looked_before:
        looked_before.setattr(gauges, "head", lambda session: before)
        assert counted(scraped) == 1
    assert counted(scraped) == 2


def test_two_who_ask_at_once_count_an_end_once(store: Store, scraped: Gauges, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(store, 5.0)
    lateness, other = scraped.metrics.lateness, threading.Thread(target=scraped.refresh)
    observe = lateness.observe

    def overtaken(late: float) -> None:
        observe(late)
        if threading.current_thread() is not other:
            other.start()
            other.join(A_MOMENT)

    monkeypatch.setattr(lateness, "observe", overtaken)
    scraped.refresh()
    other.join(LONG)
    assert counted(scraped) == 1
