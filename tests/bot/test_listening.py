"""PostgreSQL says that there is work: a worker elsewhere hears it without looking, also after the server was away."""

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from approvals import jobs
from approvals.database import Database
from approvals.store import Store
from bot.worker import Worker
from tests.conftest import SERVER
from tests.support.living import until

NEVER = 3600.0  # seconds between two looks: in a test's time the worker does not look by itself
LONG = 30


class Elsewhere:
    """A worker in one place, and who enqueues in another: they share nothing but the database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.here, self.there = Database(url), Database(url)
        self.done: list[str] = []
        self.heard = threading.Semaphore(0)
        self.worker = Worker(Store(self.there), {"apply": self._run}, threads=1, poll=NEVER)

    def _run(self, claim: jobs.Claim) -> None:
        self.done.append(claim.about)
        self.heard.release()

    def enqueue(self, about: str) -> None:
        with Store(self.here).write() as w:
            w.enqueue("apply", about)

    def listens(self) -> bool:
        assert self.worker.listening is not None
        return self.worker.listening.connected.is_set()

    def close(self) -> None:
        self.worker.stop(patience=LONG)
        self.here.close()
        self.there.close()


@pytest.fixture
def elsewhere(postgresql_url: str) -> Iterator[Elsewhere]:
    elsewhere = Elsewhere(postgresql_url)
    elsewhere.worker.start()
    until(elsewhere.listens)
    yield elsewhere
    elsewhere.close()


def cut(url: str, who: str) -> int:
    """The server ends the connections whose application has this name; how many."""
    name = url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(SERVER, autocommit=True) as server:
        ended = server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name LIKE %s",
            [name, who],
        ).fetchall()
    return len(ended)


def test_work_that_is_committed_elsewhere_is_begun_without_a_look(elsewhere: Elsewhere) -> None:
    for number in range(10):
        elsewhere.enqueue(f"REQ-{number}")
        assert elsewhere.heard.acquire(timeout=LONG)
    assert elsewhere.done == [f"REQ-{number}" for number in range(10)]


def test_a_worker_whose_connection_was_cut_listens_again_and_has_missed_nothing(elsewhere: Elsewhere) -> None:
    for number in range(3):
        assert cut(elsewhere.url, "gatehouse listens") == 1
        elsewhere.enqueue(f"REQ-{number}")  # said to nobody, or to the one that comes back: it is found all the same
        assert elsewhere.heard.acquire(timeout=LONG)
        until(elsewhere.listens)
    elsewhere.enqueue("REQ-last")
    assert elsewhere.heard.acquire(timeout=LONG)


def taken_back(store: Store) -> None:
    """Work is asked for, and then the transaction fails."""
    with store.write() as w:
        w.enqueue("apply", "never")
        w.flush()
        raise ZeroDivisionError


def test_what_is_rolled_back_was_never_said(elsewhere: Elsewhere) -> None:
    woken: list[bool] = []
    before: Callable[[], None] = elsewhere.worker.wake
    assert elsewhere.worker.listening is not None
    elsewhere.worker.listening._wake = lambda: (woken.append(True), before())[1]  # type: ignore[func-returns-value]
    with pytest.raises(ZeroDivisionError):
        taken_back(Store(elsewhere.here))
    elsewhere.enqueue("REQ-1")
    assert elsewhere.heard.acquire(timeout=LONG)
    assert elsewhere.done == ["REQ-1"]
    assert woken == [True], "once for what was committed"


def test_on_sqlite_nobody_listens(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    assert Worker(Store(database), {}).listening is None
    database.close()
