"""Every fault times every call: the right typed error or the right result, never a wrong "done" and never for ever."""

import re
import socket
from collections.abc import Iterator

import pytest

from bot.atlassian.errors import AtlassianError, Unreachable, Unreadable
from tests.support.atlassian_calls import CALLS, CLIENTS, SENDS_NOTHING, Call, public_methods
from tests.support.atlassian_faults import FAULTS, Fault, expected, is_right, is_write, outcome, places
from tests.support.fault_table import PAGE, text
from tests.support.recording import Good, Organization, organization

NAMES = [call.name for call in CALLS]
WRITES = [call for call in CALLS if call.writes]


@pytest.fixture(scope="module")
def there() -> Iterator[Organization]:
    with organization() as there:
        yield there


@pytest.fixture(scope="module")
def goods(there: Organization) -> dict[str, Good]:
    """How each call goes when nothing goes wrong."""
    return there.goods(CALLS)


def test_the_list_names_every_public_method_once() -> None:
    missing = sorted(public_methods() - set(NAMES) - SENDS_NOTHING)
    assert missing == [], "each needs a line in CALLS of tests/support/atlassian_calls.py"
    assert sorted((set(NAMES) | SENDS_NOTHING) - public_methods()) == []
    assert len(NAMES) == len(set(NAMES))
    assert {name.partition(".")[0] for name in public_methods()} == {client.__name__ for client in CLIENTS}


def test_what_a_call_is_said_to_be_it_is(goods: dict[str, Good]) -> None:
    for call in CALLS:
        sent = goods[call.name].exchanges
        assert sent, call.name
        assert any(is_write(exchange) for exchange in sent) == call.writes, call.name


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_call_makes_the_right_thing_of(fault: Fault, goods: dict[str, Good]) -> None:
    wrong = []
    for call in CALLS:
        good = goods[call.name]
        for place in places(good, fault):
            met, wanted = outcome(call, good, fault, place), expected(call, good, fault, place)
            if not is_right(call, fault, met, wanted):
                wrong.append(f"{call.name} × {fault.name}, request {place + 1}: {met}, wanted {wanted}")
    assert wrong == []


def test_what_is_said_to_settle_a_call_does(goods: dict[str, Good]) -> None:
    for call in CALLS:
        for name in call.settled:
            fault = next(fault for fault in FAULTS if fault.name == name)
            good = goods[call.name]
            met = [outcome(call, good, fault, place) for place in places(good, fault)]
            assert any(each.error is None for each in met), f"{call.name} × {name}: {met}"


@pytest.mark.parametrize("call", WRITES, ids=lambda call: call.name)
def test_a_write_whose_answer_is_lost_had_its_effect_and_says_maybe(
    there: Organization, goods: dict[str, Good], call: Call
) -> None:
    """On real wires, with the effect looked up in the sandbox's ledger."""
    written = [exchange for exchange in goods[call.name].exchanges if is_write(exchange)][-1]
    for fault, error in (({"lost": True}, Unreachable), ({"truncated": True}, Unreadable), ({"status": 504}, None)):
        if "truncated" in fault and not written.body:
            continue
        there.prepare(call)
        there.control.clear_ledger()
        there.control.fault(**fault, applied=True, method=written.method, path_regex=f"^{re.escape(written.path)}")
        with pytest.raises(AtlassianError) as raised:
            call(there.base)
        assert (raised.value.retry, raised.value.maybe_done) == (True, True), f"{call.name} × {fault}"
        assert error is None or isinstance(raised.value, error), f"{call.name} × {fault}"
        assert any(entry["applied"] for entry in there.control.ledger()), f"{call.name} × {fault}"


def test_with_nobody_listening_no_call_can_have_happened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        base = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for call in CALLS:
        with pytest.raises(Unreachable) as raised:
            call(base)
        assert (raised.value.retry, raised.value.maybe_done) == (True, False), call.name


def test_the_page_about_faults_is_up_to_date(goods: dict[str, Good]) -> None:
    assert PAGE.read_text(encoding="utf-8") == text(goods), "run: python -m tests.support.fault_table"
