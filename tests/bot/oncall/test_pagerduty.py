"""PagerDuty tells who is on call, or nobody is taken to be: never somebody else, and never "nobody" by mistake."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from approvals.ports import OnCallError
from bot.oncall.pagerduty import PagerDuty
from bot.oncall.pagerduty_shifts import Asked, PagerDutyShifts
from bot.sandbox.oncall.state import PAGERDUTY_KEY
from tests.support.on_call import ADA, FAULTS, HOUR, MEI, NOON, OMAR, StandIn, problem
from tests.support.wire import Recorder

PRIMARY, POLICY = "PPRIMARY", "PPOLICY"
SCHEDULE, ESCALATION = Asked("schedule", PRIMARY), Asked("escalation_policy", POLICY)
Ask = Callable[[Asked], PagerDutyShifts]


@pytest.fixture
def source(there: StandIn) -> Iterator[Ask]:
    client = PagerDuty(there.url, SecretStr(PAGERDUTY_KEY), read_seconds=2.0)
    yield lambda asked: PagerDutyShifts(client, asked)
    client.close()


def duty(who: str, **more: object) -> dict[str, object]:
    return {"who": who, "schedule": PRIMARY, "start": NOON - HOUR, "end": NOON + HOUR, **more}


def fails(source: Ask, asked: Asked = SCHEDULE) -> OnCallError:
    error = problem(lambda: source(asked).read(NOON), OnCallError)
    assert isinstance(error, OnCallError)
    return error


def test_whoever_is_on_the_schedule_is_on_call_until_the_shift_ends(there: StandIn, source: Ask) -> None:
    there.control.pagerduty(duty("Ada@Harbour.Example"), duty(MEI, schedule="PSECOND"))
    reading = source(SCHEDULE).read(NOON)
    assert (reading.people, reading.until) == ({ADA}, NOON + HOUR)


def test_two_shifts_at_once_are_both_on_call(there: StandIn, source: Ask) -> None:
    there.control.pagerduty(duty(ADA), duty(MEI, level=2, end=NOON + 3 * HOUR))
    assert source(SCHEDULE).read(NOON).people == {ADA, MEI}
    assert source(SCHEDULE).read(NOON + 2 * HOUR).people == {MEI}


def test_a_shift_begins_with_its_first_moment_and_ends_before_its_last(there: StandIn, source: Ask) -> None:
    there.control.pagerduty(duty(ADA, start=NOON - HOUR, end=NOON), duty(MEI, start=NOON, end=NOON + HOUR))
    moment = timedelta(microseconds=1)
    assert source(SCHEDULE).read(NOON - moment).people == {ADA}
    assert source(SCHEDULE).read(NOON - moment).until == NOON
    assert source(SCHEDULE).read(NOON).people == {MEI}
    assert source(SCHEDULE).read(NOON + HOUR - moment).people == {MEI}
    assert source(SCHEDULE).read(NOON + HOUR).people == frozenset()


def test_of_a_policy_the_first_level_counts_and_others_only_when_asked_for(there: StandIn, source: Ask) -> None:
    always = duty(OMAR, schedule=None, start=None, end=None, level=3)
    there.control.pagerduty(duty(ADA), duty(MEI, level=2), always, duty("x@y.example", policy="POTHER"))
    assert source(ESCALATION).read(NOON).people == {ADA}
    assert source(Asked("escalation_policy", POLICY, 2)).read(NOON).people == {ADA, MEI}
    assert source(Asked("escalation_policy", POLICY, 3)).read(NOON).people == {ADA, MEI, OMAR}


def test_a_policy_whose_first_level_rests_has_nobody_on_call(there: StandIn, source: Ask) -> None:
    there.control.pagerduty(duty(MEI, level=2))
    assert source(ESCALATION).read(NOON).people == frozenset()


def test_all_pages_are_read(there: StandIn, source: Ask) -> None:
    people = {f"p{number}@harbour.example" for number in range(230)}
    there.control.pagerduty(*(duty(person) for person in people))
    assert source(SCHEDULE).read(NOON).people == people
    assert len(there.control.calls()) == 3


@pytest.mark.parametrize("asked", [SCHEDULE, ESCALATION], ids=["schedule", "policy"])
def test_an_empty_shift_is_nobody_once_what_was_asked_for_is_known_to_exist(
    there: StandIn, source: Ask, asked: Asked
) -> None:
    there.control.schedules(asked.id)
    assert source(asked).read(NOON).people == frozenset()


@pytest.mark.parametrize("asked", [SCHEDULE, ESCALATION], ids=["schedule", "policy"])
def test_what_does_not_exist_is_an_error_and_not_nobody(there: StandIn, source: Ask, asked: Asked) -> None:
    error = fails(source, asked)
    assert f"there is no {asked.kind.replace('_', ' ')} {asked.id}" in str(error)
    assert not error.retry


def test_a_schedule_that_no_policy_uses_is_an_error(there: StandIn, source: Ask) -> None:
    there.control.schedules(unused=(PRIMARY,))
    assert "no escalation policy uses the schedule PPRIMARY" in str(fails(source))


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_of_the_list_is_an_error(there: StandIn, source: Ask, name: str) -> None:
    there.control.pagerduty(duty(ADA))
    there.control.fault(path_regex="/oncalls", times=None, **FAULTS[name])
    error = fails(source)
    assert error.retry or name in ("not allowed", "a gateway's 404")
    assert len(there.control.calls()) == 1, "nothing is repeated or followed"


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_of_the_second_page_is_an_error(there: StandIn, source: Ask, name: str) -> None:
    there.control.pagerduty(*(duty(f"p{number}@harbour.example") for number in range(101)))
    there.control.fault(path_regex="offset=100", times=None, **FAULTS[name])
    fails(source)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_of_the_schedule_itself_is_an_error(there: StandIn, source: Ask, name: str) -> None:
    there.control.schedules(PRIMARY)
    there.control.fault(path_regex="/schedules/", times=None, **FAULTS[name])
    fails(source)


LIES = ("wrong_schedule", "expired_shift", "next_page_loops", "pages_never_end", "without_mails", "without_people")


@pytest.mark.parametrize("asked", [SCHEDULE, ESCALATION], ids=["schedule", "policy"])
@pytest.mark.parametrize("lie", LIES)
def test_an_answer_to_another_question_is_an_error(there: StandIn, source: Ask, asked: Asked, lie: str) -> None:
    there.control.pagerduty(duty(ADA))
    there.control.lie(lie)
    error = fails(source, asked)
    assert error.retry
    assert "the answer makes no sense" in str(error)


def test_another_schedule_in_place_of_the_empty_one_is_an_error(there: StandIn, source: Ask) -> None:
    there.control.schedules(PRIMARY)
    there.control.lie("wrong_schedule")
    fails(source)


def test_a_key_that_is_refused_says_so_and_is_tried_again_when_it_may_be_mended(there: StandIn) -> None:
    wrong = PagerDuty(there.url, SecretStr("wrong-key-0815"))
    error = problem(lambda: PagerDutyShifts(wrong, SCHEDULE).read(NOON), OnCallError)
    assert "the API key was refused" in str(error)
    assert "wrong-key-0815" not in str(error) + repr(wrong)
    assert (error.retry, error.after) == (True, 60.0)
    wrong.close()


@pytest.mark.parametrize(("header", "after"), [("17", 17.0), ("99999", 3600.0), ("soon", None), ("", None)])
def test_how_long_to_wait_is_what_pagerduty_says(there: StandIn, source: Ask, header: str, after: float | None) -> None:
    headers = {"ratelimit-reset": header} if header else {}
    there.control.fault(path_regex="/oncalls", status=429, headers=headers)
    assert fails(source).after == after


def test_the_call_is_one_that_pagerduty_documents() -> None:
    recorder = Recorder({"oncalls": [], "offset": 0, "more": False}, {"schedule": {"id": PRIMARY}})
    client = PagerDuty("https://api.pagerduty.example", SecretStr("k"), http=recorder.transport)
    problem(lambda: PagerDutyShifts(client, SCHEDULE).read(NOON), OnCallError)
    first = recorder.requests[0]
    assert dict(first.url.params) == {
        "schedule_ids[]": PRIMARY, "include[]": "users", "limit": "100", "offset": "0",
        "since": "2026-03-11T12:00:00Z", "until": "2026-03-11T12:00:01Z",
    }  # fmt: skip
    assert first.headers["Authorization"] == "Token token=k"
    assert first.headers["Accept"] == "application/vnd.pagerduty+json;version=2"


@pytest.mark.parametrize(
    "change",
    [{"user": None}, {"user": {"id": "U1", "email": "no address"}}, {"user": {"id": "U1", "email": None}},
     {"escalation_level": 0}, {"escalation_level": "1"}, {"start": "2026-03-11T11:00:00"}, {"end": "soon"},
     {"escalation_policy": None}, {"schedule": {"id": "../x"}}, {"schedule": None}],
    ids=str,
)  # fmt: skip
def test_an_entry_that_can_not_be_read_is_an_error(change: dict[str, object]) -> None:
    entry = {
        "user": {"id": "U1", "email": ADA}, "schedule": {"id": PRIMARY}, "escalation_policy": {"id": POLICY},
        "escalation_level": 1, "start": None, "end": None,
    }  # fmt: skip
    good, bad = ({"oncalls": [e], "offset": 0, "more": False} for e in (entry, {**entry, **change}))
    recorder = Recorder(good, bad)
    client = PagerDuty("https://api.pagerduty.example", SecretStr("k"), http=recorder.transport)
    shifts = PagerDutyShifts(client, SCHEDULE)
    assert shifts.read(NOON).people == {ADA}
    problem(lambda: shifts.read(NOON), OnCallError)


@pytest.mark.parametrize("key", ["", "a key", "key\n", "schlüssel"])
def test_a_key_that_no_header_takes_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="the key for PagerDuty") as refused:
        PagerDuty("https://api.pagerduty.example", SecretStr(key))
    assert not key or key not in str(refused.value)
