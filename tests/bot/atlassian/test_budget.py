"""The budget of a credential at the edge: Atlassian's own limits are never met, and a 429 stops everybody."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from approvals.budget import RateBudgets
from approvals.database import Database
from approvals.store import Store
from bot.atlassian.budget import Allowances, Budget, organization_allowances, urgently, usual
from bot.atlassian.errors import RateLimited
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.transport import Brakes, organization_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from tests.support.atlassian_calls import NETWORK


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def base() -> Iterator[str]:
    with running() as base:
        yield base


@pytest.fixture
def elsewhere(store: Store) -> Iterator[Store]:
    """The same database, from another process."""
    database = Database(store.database.url)
    yield Store(database)
    database.close()


def client(
    base: str, store: Store, clock: Clock, http: httpx.BaseTransport = NETWORK, a_minute: int = 1200
) -> OrganizationClient:
    budget = Budget(RateBudgets(store.database), "organization", organization_allowances(a_minute), now=clock)
    transport = organization_transport(base, SecretStr(seed.ORG_API_KEY), brakes=Brakes(budget), http=http)
    return OrganizationClient(transport, seed.ORG_ID)


def refused(client: OrganizationClient) -> RateLimited | None:
    try:
        client.event_actions()
    except RateLimited as limited:
        return limited
    return None


def test_the_audit_log_is_never_asked_more_often_than_it_allows(
    base: str, store: Store, elsewhere: Store, clock: Clock
) -> None:
    """The sandbox answers 429 from the eleventh call of a minute on; it is never made."""
    two = client(base, store, clock), client(base, elsewhere, clock)
    refusals = [refusal for turn in range(30) if (refusal := refused(two[turn % 2]))]
    assert len(refusals) == 26
    for refusal in refusals:
        assert refusal.status is None, "Atlassian itself had to say no"
        assert refusal.retry
        assert refusal.after
    with AtlassianControl(base) as control:
        statuses = [entry["status"] for entry in control.ledger() if "event-actions" in entry["path"]]
    assert statuses == [200] * 4


def test_what_must_not_wait_has_calls_when_others_have_none(base: str, store: Store, clock: Clock) -> None:
    slow = client(base, store, clock, a_minute=20)
    for _ in range(8):
        slow.directories()
    with pytest.raises(RateLimited):
        slow.directories()
    with urgently():
        assert slow.directories()
    with pytest.raises(RateLimited):
        slow.directories()


def test_a_429_stops_everybody_until_its_time(base: str, store: Store, elsewhere: Store, clock: Clock) -> None:
    answers = [httpx.Response(429, headers={"Retry-After": "90"})]
    busy = httpx.MockTransport(lambda request: answers.pop())
    with pytest.raises(RateLimited, match="HTTP 429"):
        client(base, store, clock, busy).directories()
    other = client(base, elsewhere, clock)
    for urgent in (False, True):
        with urgently(urgent), pytest.raises(RateLimited) as limited:
            other.directories()
        assert limited.value.after == pytest.approx(90, abs=1)
    other.event_actions()  # counted apart
    clock.on(91)
    assert other.directories()


def test_most_calls_need_no_database(store: Store, clock: Clock) -> None:
    rows = RateBudgets(store.database)
    taken = []

    class Counted(RateBudgets):
        def take(self, *args: object, **more: object):  # type: ignore[no-untyped-def]
            taken.append(1)
            return rows.take(*args, **more)  # type: ignore[arg-type]

    budget = Budget(Counted(store.database), "scim", Allowances({}, usual(1200)), now=clock)
    assert [budget.spend("/Users") for _ in range(100)] == [0.0] * 100
    assert len(taken) == 10
    clock.on(6)  # what was left of the slice is given up, so that a block reaches everybody soon
    budget.spend("/Users")
    assert len(taken) == 11
