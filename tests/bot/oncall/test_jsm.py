"""Jira Service Management tells who is on call, by account id, or nothing is taken to be known."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from approvals.ports import OnCallError
from bot.oncall.jsm import JsmSchedule, jsm_transport
from bot.sandbox import seed
from bot.sandbox.oncall.state import CLOUD_ID
from tests.support.hostile_ids import HOSTILE_IDS
from tests.support.on_call import FAULTS, HOUR, NOON, StandIn, problem
from tests.support.wire import Recorder

SCHEDULE = "f8f2a4ec-54b2-4513-865b-8cb3b81c9544"
SECOND = timedelta(seconds=1)
ADA, MEI = "5b10a2844c20165700ede21g", "712020:e19eff6d-0000-4000-8000-000000000001"


@pytest.fixture
def schedule(there: StandIn) -> Iterator[JsmSchedule]:
    transport = jsm_transport(there.url, seed.SITE_EMAIL, SecretStr(seed.SITE_API_TOKEN), read_seconds=2.0)
    schedule = JsmSchedule(transport, CLOUD_ID, SCHEDULE)
    yield schedule
    schedule.close()


def duty(who: str, **more: object) -> dict[str, object]:
    return {"who": who, "schedule": SCHEDULE, "start": NOON - HOUR, "end": NOON + HOUR, **more}


def test_whoever_has_the_shift_at_that_moment_is_on_call(there: StandIn, schedule: JsmSchedule) -> None:
    there.control.jsm(duty(ADA), duty(MEI, start=NOON + HOUR, end=NOON + 2 * HOUR), duty("x", schedule="other"))
    assert schedule.read(NOON).people == {ADA}
    assert schedule.read(NOON + HOUR + SECOND).people == {MEI}, "seconds are all that can be asked for"
    there.control.jsm(duty(ADA), duty(MEI))
    assert schedule.read(NOON).people == {ADA, MEI}


def test_an_empty_shift_is_nobody(there: StandIn, schedule: JsmSchedule) -> None:
    there.control.schedules(SCHEDULE)
    assert schedule.read(NOON).people == frozenset()


def test_the_answer_for_flat_false_is_read_too(there: StandIn, schedule: JsmSchedule) -> None:
    there.control.jsm(duty(ADA), duty(MEI))
    there.control.lie("ignores_flat")
    assert schedule.read(NOON).people == {ADA, MEI}


@pytest.mark.parametrize("lie", ["team_on_call", "without_people"])
def test_an_answer_that_does_not_tell_the_people_is_an_error(there: StandIn, schedule: JsmSchedule, lie: str) -> None:
    there.control.jsm(duty(ADA))
    there.control.lie(lie)
    assert problem(lambda: schedule.read(NOON), OnCallError).retry


def test_a_schedule_that_is_not_there_is_an_error_and_not_nobody(schedule: JsmSchedule) -> None:
    error = problem(lambda: schedule.read(NOON), OnCallError)
    assert "the schedule is not there, or the token's owner may not see it" in str(error)
    assert not error.retry


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_an_error(there: StandIn, schedule: JsmSchedule, name: str) -> None:
    there.control.jsm(duty(ADA))
    there.control.fault(times=None, **FAULTS[name])
    error = problem(lambda: schedule.read(NOON), OnCallError)
    assert error.retry or name in ("not allowed", "a gateway's 404")
    assert len(there.control.calls()) == 1, "nothing is repeated or followed"


def test_a_wrong_token_is_told_apart(there: StandIn) -> None:
    transport = jsm_transport(there.url, seed.SITE_EMAIL, SecretStr("wrong-token-4711"))
    error = problem(lambda: JsmSchedule(transport, CLOUD_ID, SCHEDULE).read(NOON), OnCallError)
    assert "the API key was refused" in str(error)
    assert "wrong-token-4711" not in str(error)
    transport.close()


@pytest.mark.parametrize(
    "answer",
    [{"onCallUsers": None}, {"onCallUsers": {}}, {"onCallUsers": ["a b"]}, {"onCallUsers": [None]},
     {"onCallUsers": [""]}, {"onCallUsers": ["ada@harbour.example"]}, {"onCallUsers": ADA}, [ADA],
     {"onCallParticipants": [ADA]}, {"onCallParticipants": [{"type": "user"}]},
     {"onCallParticipants": [{"type": "user", "id": 7}]}, {"onCallParticipants": [{"type": "escalation", "id": "x"}]},
     {"onCallParticipants": [{"type": "noone"}]}, {"data": {"onCallUsers": [ADA]}}],
    ids=str,
)  # fmt: skip
def test_an_answer_of_another_shape_is_an_error(answer: object) -> None:
    transport = jsm_transport("https://api.atlassian.example", "a@b.c", SecretStr("t"), http=Recorder(answer).transport)
    problem(lambda: JsmSchedule(transport, CLOUD_ID, SCHEDULE).read(NOON), OnCallError)


def test_escalations_within_escalations_end_somewhere() -> None:
    answer: dict[str, object] = {"type": "user", "id": ADA}
    for _ in range(50):
        answer = {"type": "escalation", "onCallParticipants": [answer]}
    recorder = Recorder({"onCallParticipants": [answer]})
    transport = jsm_transport("https://api.atlassian.example", "a@b.c", SecretStr("t"), http=recorder.transport)
    problem(lambda: JsmSchedule(transport, CLOUD_ID, SCHEDULE).read(NOON), OnCallError)


def test_the_call_is_the_documented_one() -> None:
    recorder = Recorder({"onCallUsers": []})
    transport = jsm_transport("https://api.atlassian.example", "a@b.c", SecretStr("t"), http=recorder.transport)
    JsmSchedule(transport, CLOUD_ID, SCHEDULE).read(NOON)
    path = f"/jsm/ops/api/{CLOUD_ID}/v1/schedules/{SCHEDULE}/on-calls"
    assert recorder.last.url.path == path
    assert dict(recorder.last.url.params) == {"flat": "true", "date": "2026-03-11T12:00:00Z"}


@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_schedule_sends_nothing(value: str) -> None:
    recorder = Recorder({"onCallUsers": []})
    transport = jsm_transport("https://api.atlassian.example", "a@b.c", SecretStr("t"), http=recorder.transport)
    problem(lambda: JsmSchedule(transport, CLOUD_ID, value).read(NOON), OnCallError)
    assert recorder.requests == []
