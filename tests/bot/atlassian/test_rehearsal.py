"""EFFECTS=off, at the edge: no client sends a write, every client still reads."""

from collections.abc import Iterator

import pytest

from bot.atlassian.errors import Rehearsed
from bot.atlassian.transport import Brakes
from tests.support.atlassian_calls import CALLS, CLIENTS, Call
from tests.support.atlassian_faults import is_write
from tests.support.recording import Organization, Tape, organization


@pytest.fixture(scope="module")
def there() -> Iterator[Organization]:
    with organization() as there:
        yield there


def rehearsing(call: Call, base: str, tape: Tape) -> object:
    client = CLIENTS[call.client](base, tape, None)
    client._transport._brakes = Brakes(writes=False)
    return call.on(client)


@pytest.mark.parametrize("call", [call for call in CALLS if call.writes], ids=lambda call: call.name)
def test_a_write_is_shown_and_not_sent(call: Call, there: Organization) -> None:
    tape = Tape()
    with pytest.raises(Rehearsed, match=r"EFFECTS=off, so (POST|PATCH|PUT|DELETE) /") as shown:
        rehearsing(call, there.base, tape)
    assert not shown.value.retry
    assert not shown.value.maybe_done
    assert [exchange.line for exchange in tape.exchanges if is_write(exchange)] == []


@pytest.mark.parametrize("call", [call for call in CALLS if not call.writes], ids=lambda call: call.name)
def test_a_read_is_made_as_ever(call: Call, there: Organization) -> None:
    there.prepare(call)
    tape = Tape()
    rehearsing(call, there.base, tape)
    assert tape.exchanges
