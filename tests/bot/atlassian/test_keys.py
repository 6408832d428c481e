"""Two slots for a key: a 401 or its last day turns to the other one, and nothing is lost between them."""

import contextlib
from datetime import date

import httpx
import pytest
from pydantic import SecretStr

from bot.atlassian.errors import Forbidden, KeyRefused, Unreachable
from bot.atlassian.keys import KeySlots, Slot
from bot.atlassian.transport import Basic, Bearer, Brakes, Transport
from tests.support.wire import Recorder

OLD, NEW = SecretStr("old-key-0f3d9a"), SecretStr("new-key-77aa11")
TODAY = date(2027, 5, 31)
YES, NO = {"ok": True}, httpx.Response(401, json={"message": "no"})


def slots(*, old: date | None = None, new: date | None = None, today: date = TODAY) -> KeySlots:
    return KeySlots("KEY", Slot(OLD, old), Slot(NEW, new), today=lambda: today)


def build(keys: KeySlots, *answers: object) -> tuple[Transport, Recorder]:
    recorder = Recorder(*answers)
    return Transport("X", "https://api.atlassian.com", Bearer(keys), http=recorder.transport), recorder


def sent(recorder: Recorder) -> list[str]:
    """Which key each call carried."""
    names = {f"Bearer {OLD.get_secret_value()}": "old", f"Bearer {NEW.get_secret_value()}": "new"}
    return [names[request.headers["Authorization"]] for request in recorder.requests]


def test_the_current_key_is_used_while_it_works() -> None:
    keys = slots()
    transport, recorder = build(keys, YES, YES)
    transport.get("/a", doing="read")
    transport.patch("/a", {}, doing="write")
    assert sent(recorder) == ["old", "old"]
    assert not keys.turned


def test_a_refused_key_gives_way_to_the_next_in_the_same_call_and_for_good() -> None:
    keys = slots()
    transport, recorder = build(keys, NO, YES, YES)
    assert transport.patch("/a", {"b": 1}, doing="write") == {"ok": True}
    transport.get("/a", doing="read")
    assert sent(recorder) == ["old", "new", "new"]
    assert (keys.turned, keys.why) == (True, "it is refused")


def test_where_neither_works_the_first_ones_word_counts_and_nothing_is_turned() -> None:
    keys = slots()
    transport, recorder = build(keys, NO, NO, NO, NO)
    for _ in range(2):
        with pytest.raises(KeyRefused):
            transport.get("/a", doing="read")
    assert sent(recorder) == ["old", "new"] * 2
    assert not keys.turned


@pytest.mark.parametrize(("second", "noted"), [(NO, [401, 401]), (YES, [401, 200])], ids=["refused", "taken"])
def test_two_calls_for_one_are_two_to_the_count_and_to_the_budget(second: object, noted: list[int]) -> None:
    heard: list[int | None] = []
    spent: list[str] = []

    class Budget:
        def spend(self, template: str) -> float:
            spent.append(template)
            return 0.0

        def refused(self, template: str, after: float | None) -> None: ...

    transport = Transport(
        "X", "https://api.atlassian.com", Bearer(slots()), http=Recorder(NO, second).transport,
        on_call=lambda method, template, status, seconds: heard.append(status), brakes=Brakes(Budget()),
    )  # fmt: skip
    with contextlib.suppress(KeyRefused):
        transport.get("/a", doing="read")
    assert heard == noted
    assert spent == ["/a", "/a"]


def test_a_next_key_that_is_refused_gives_way_to_the_current_one_again() -> None:
    keys = slots()
    transport, recorder = build(keys, NO, YES, NO, YES)
    transport.get("/a", doing="read")
    transport.get("/a", doing="read")
    assert sent(recorder) == ["old", "new", "new", "old"]
    assert not keys.turned


def test_only_a_401_speaks_of_the_key() -> None:
    keys = slots()
    transport, recorder = build(keys, httpx.Response(403, json={}), httpx.Response(500))
    with pytest.raises(Forbidden):
        transport.get("/a", doing="read")
    with pytest.raises(Exception, match="500"):
        transport.get("/a", doing="read")
    assert sent(recorder) == ["old", "old"]


def test_an_answer_of_the_next_key_that_is_lost_is_in_doubt_like_any_other() -> None:
    keys = slots()

    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow")

    transport, _ = build(keys, NO, lost)
    with pytest.raises(Unreachable) as raised:
        transport.patch("/a", {}, doing="write")
    assert raised.value.maybe_done
    assert not keys.turned


@pytest.mark.parametrize(
    ("old", "new", "used"),
    [
        (date(2027, 5, 30), date(2028, 5, 30), "new"), (date(2027, 5, 30), None, "new"),
        (date(2027, 5, 31), date(2028, 5, 30), "old"),  # its last day is today
        (date(2027, 5, 30), date(2027, 5, 29), "old"),  # neither: the one that was meant
        (None, date(2028, 5, 30), "old"),
    ],
)  # fmt: skip
def test_the_last_day_of_a_key_is_the_last_it_is_used_on(old: date | None, new: date | None, used: str) -> None:
    keys = slots(old=old, new=new)
    transport, recorder = build(keys, YES)
    transport.get("/a", doing="read")
    assert sent(recorder) == [used]
    assert keys.turned == (used == "new")
    assert ("2027-05-30" in keys.why) == keys.turned


def test_a_key_alone_is_refused_as_before() -> None:
    transport, recorder = build(KeySlots.of(OLD), NO)
    with pytest.raises(KeyRefused):
        transport.get("/a", doing="read")
    assert len(recorder.requests) == 1


def test_neither_key_is_in_any_error_whichever_is_sent_back() -> None:
    said = {"message": f"{OLD.get_secret_value()} {NEW.get_secret_value()}"}
    for credential in (Bearer(slots()), Basic("a@b.c", slots())):
        recorder = Recorder(httpx.Response(401, json=said), httpx.Response(400, json=said))
        transport = Transport("X", "https://api.atlassian.com", credential, http=recorder.transport)
        with pytest.raises(Exception, match="HTTP 400") as raised:
            transport.get("/a", doing="read")
        for key in (OLD, NEW):
            assert key.get_secret_value() not in str(raised.value) + repr(vars(raised.value))


def test_a_next_key_that_no_header_can_carry_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="characters that no key has"):
        build(KeySlots("KEY", Slot(OLD), Slot(SecretStr("new\nkey"))))
