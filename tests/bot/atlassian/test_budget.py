"""The budget of a credential at the edge: Atlassian's own limits are never met, and a 429 stops everybody."""

import contextlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from approvals.budget import Allowance, Level, RateBudgets, Taken, block_at, take_from
from approvals.database import Database
from approvals.store import Store
from bot.atlassian.budget import Allowances, Budget, organization_allowances, urgently, usual
from bot.atlassian.errors import NotFound, RateLimited
from bot.atlassian.limits import CallLimits
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.transport import Brakes, organization_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from tests.support.atlassian_calls import CALLS, NETWORK

EVENT = str(uuid.uuid4())  # no event that there is: a 404 is a call as well


class Clock:
    """Real time as a test says it is, for the rows and for the slices."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on(self, seconds: float) -> None:
        self.seconds += seconds

    def budget(self, store: Store, credential: str, allowances: Allowances) -> Budget:
        began = datetime(2026, 11, 25, 12, tzinfo=UTC)
        rows = RateBudgets(store.database, lambda _: began + timedelta(seconds=self.seconds))
        return Budget(rows, credential, allowances, clock=lambda: self.seconds)


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
    budget = clock.budget(store, "organization", organization_allowances(CallLimits(others=a_minute)))
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


def test_for_minutes_on_end_the_audit_log_is_used_and_never_says_no(
    base: str, store: Store, elsewhere: Store, clock: Clock
) -> None:
    """Two processes ask for everything that counts together, at every moment of five minutes."""
    two = client(base, store, clock), client(base, elsewhere, clock)
    with AtlassianControl(base) as control:
        for _ in range(150):
            for each in two:
                for ask in (each.event_actions, each.events, lambda each=each: each.event(EVENT)):
                    with contextlib.suppress(RateLimited, NotFound):
                        ask()
            clock.on(2)
            control.set_clock(clock.seconds)
        calls = [entry for entry in control.ledger() if "/event" in entry["path"]]
    assert {entry["status"] for entry in calls} <= {200, 404}
    assert len(calls) >= 4 + 5 * 4, "what may be used is used"


def test_each_family_that_atlassian_names_is_known_by_the_addresses_that_are_called(base: str) -> None:
    """An address that no client calls would leave its family without its limit."""
    called = set[str]()
    transport = organization_transport(
        base, SecretStr(seed.ORG_API_KEY), on_call=lambda method, template, *_: called.add(template), http=NETWORK
    )
    organization = OrganizationClient(transport, seed.ORG_ID)
    for call in CALLS:
        if call.client is OrganizationClient and not call.writes:
            with contextlib.suppress(NotFound):
                call.on(organization)
    named = set(organization_allowances(CallLimits()).by_template)
    assert named <= called
    assert {template for template in called if "event" in template} <= named


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


class InMemory(RateBudgets):
    """The rows without a database, which count how often they are asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.levels: dict[str, Level] = {}
        self.taken = 0

    @property
    def now(self) -> datetime:
        return datetime(2026, 11, 25, 12, tzinfo=UTC) + timedelta(seconds=self.clock.seconds)

    def take(self, credential: str, allowance: Allowance, *, urgent: bool) -> Taken:
        self.taken += 1
        self.levels[credential], taken = take_from(
            self._level(credential, allowance), allowance, urgent=urgent, now=self.now
        )
        return taken

    def block(self, credential: str, allowance: Allowance, *, seconds: float) -> None:
        level = self._level(credential, allowance)
        self.levels[credential] = block_at(level, allowance, seconds=seconds, now=self.now)

    def _level(self, credential: str, allowance: Allowance) -> Level:
        return self.levels.get(credential) or Level(float(allowance.at_once), self.now)


def test_most_calls_need_no_database(clock: Clock) -> None:
    rows = InMemory(clock)
    budget = Budget(rows, "scim", Allowances({}, usual(CallLimits())), clock=lambda: clock.seconds)
    assert [budget.spend("/Users") for _ in range(100)] == [0.0] * 100
    assert rows.taken == 10
    clock.on(6)  # what was left of the slice is given up, so that a block reaches everybody soon
    budget.spend("/Users")
    assert rows.taken == 11


def test_what_was_taken_before_a_minute_counts_in_the_minute_it_is_spent_in(clock: Clock) -> None:
    allowance = Allowance("any", 200, "x", slice=10)
    budget = Budget(InMemory(clock), "key", Allowances({}, allowance), clock=lambda: clock.seconds)
    budget.spend("/x")  # nine are in hand
    clock.on(4.9)
    made = 0
    for _ in range(1199):
        while not budget.spend("/x"):
            made += 1
        clock.on(0.05)
    assert 190 < made <= 200


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.0, 0.01, 0.5, 4.9, 5.1, 12.0, 40.0]),  # seconds that pass
            st.integers(0, 2),  # whose call it is
            st.booleans(),  # whether it must not wait
            st.integers(1, 40),  # how many times it is tried
            st.sampled_from([None, None, None, 0.0, 7.0]),  # Atlassian's 429 to the last of them
        ),
        max_size=80,
    ),
    st.integers(4, 120),
    st.integers(1, 10),
)
def test_in_no_minute_are_there_more_calls_than_allowed(
    happens: list[tuple[float, int, bool, int, float | None]], calls: int, slice: int
) -> None:
    """Of three processes, with slices that grow old in their hands."""
    clock, made = Clock(), list[float]()
    rows = InMemory(clock)
    allowance = Allowance("any", calls, "x", slice=min(slice, calls // 2 - 1), reserve=1)
    three = [Budget(rows, "key", Allowances({}, allowance), clock=lambda: clock.seconds) for _ in range(3)]
    for passed, who, urgent, tries, refusal in happens:
        clock.on(passed)
        with urgently(urgent):
            went = [not three[who].spend("/x") for _ in range(tries)]
        made += [clock.seconds] * sum(went)
        if refusal is not None and went[-1]:
            three[who].refused("/x", refusal)
    for first in made:
        assert sum(first <= moment < first + 60 for moment in made) <= calls
