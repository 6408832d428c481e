"""An incident is open, closed, missing or not readable: four answers, and none is taken for another."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from approvals.ports import IncidentError
from bot.oncall.incidents import IncidentReader, jira_transport
from bot.oncall.pagerduty import PagerDuty
from bot.sandbox import seed
from bot.sandbox.oncall.state import PAGERDUTY_KEY
from tests.support.hostile_ids import HOSTILE_IDS
from tests.support.on_call import FAULTS, StandIn, problem
from tests.support.wire import Recorder


@pytest.fixture
def reader(there: StandIn) -> Iterator[IncidentReader]:
    jira = jira_transport(there.url, seed.SITE_EMAIL, SecretStr(seed.SITE_API_TOKEN), read_seconds=2.0)
    reader = IncidentReader(jira, PagerDuty(there.url, SecretStr(PAGERDUTY_KEY), read_seconds=2.0))
    there.control.issues({"INC-42": {"category": "indeterminate"}, "INC-7": {"category": "done"}})
    there.control.incidents(
        PT4KHLK={"status": "triggered", "number": 1234},
        Q02JTSNZWHSEKV={"status": "acknowledged"},
        PDONE99={"status": "resolved", "number": 77},
    )
    yield reader
    reader.close()


@pytest.mark.parametrize(
    ("incident", "state"),
    [("INC-42", "open"), ("inc-42", "open"), (" INC-42 ", "open"), ("INC-7", "closed"), ("INC-99", "missing"),
     ("PT4KHLK", "open"), ("1234", "open"), ("#1234", "open"), ("Q02JTSNZWHSEKV", "open"), ("PDONE99", "closed"),
     ("#77", "closed"), ("PNOTHERE", "missing"), ("#5", "missing")],
)  # fmt: skip
def test_what_it_is_is_told(reader: IncidentReader, incident: str, state: str) -> None:
    assert reader.state(incident) == state


@pytest.mark.parametrize("category", ["new", "undefined", "indeterminate", "anything"])
def test_in_jira_everything_but_done_is_open(there: StandIn, reader: IncidentReader, category: str) -> None:
    there.control.issues({"INC-42": {"category": category}})
    assert reader.state("INC-42") == "open"


def test_it_is_read_each_time(there: StandIn, reader: IncidentReader) -> None:
    assert reader.state("INC-42") == "open"
    there.control.issues({"INC-42": {"category": "done"}})
    assert reader.state("INC-42") == "closed"


@pytest.mark.parametrize("incident", ["INC-42", "INC-7", "PT4KHLK", "#77", "INC-99"])
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_an_error(there: StandIn, reader: IncidentReader, incident: str, name: str) -> None:
    there.control.fault(times=None, **FAULTS[name])
    error = problem(lambda: reader.state(incident), IncidentError)
    assert error.retry or name in ("not allowed", "a gateway's 404") or (incident, name) == ("INC-99", "truncated")
    assert len(there.control.calls()) == 1


def test_an_issue_that_moved_must_be_named_by_its_new_key(there: StandIn, reader: IncidentReader) -> None:
    there.control.issues({"INC-42": {"category": "new", "moved_to": "OPS-3"}})
    error = problem(lambda: reader.state("INC-42"), IncidentError)
    assert str(error) == "Jira says that INC-42 is OPS-3 now: name that one."
    assert not error.retry


@pytest.mark.parametrize("incident", ["INC-42", "PT4KHLK", "1234"])
def test_an_answer_about_another_incident_is_an_error(there: StandIn, reader: IncidentReader, incident: str) -> None:
    there.control.lie("other_incident")
    problem(lambda: reader.state(incident), IncidentError)


@pytest.mark.parametrize("incident", ["", "INC", "INC 42", "-42", "#0", "pt4khlk", "INC-42/x", "INC-42?x=1", "<@U1>"])
def test_what_is_no_name_of_an_incident_sends_nothing(there: StandIn, reader: IncidentReader, incident: str) -> None:
    error = problem(lambda: reader.state(incident), IncidentError)
    assert "named like INC-42" in str(error)
    assert there.control.calls() == []


@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_name_sends_nothing(value: str) -> None:
    recorder = Recorder({})
    jira = jira_transport("https://x.atlassian.example", "a@b.c", SecretStr("t"), http=recorder.transport)
    pagerduty = PagerDuty("https://api.pagerduty.example", SecretStr("k"), http=recorder.transport)
    problem(lambda: IncidentReader(jira, pagerduty).state(value), IncidentError)
    assert recorder.requests == []


def test_without_the_settings_the_sentence_says_which_one() -> None:
    reader = IncidentReader()
    assert "set ATLASSIAN_SITE_URL" in str(problem(lambda: reader.state("INC-42"), IncidentError))
    assert "set PAGERDUTY_API_TOKEN" in str(problem(lambda: reader.state("PT4KHLK"), IncidentError))


@pytest.mark.parametrize(
    "answer",
    [{"key": "INC-42"}, {"key": "INC-42", "fields": {}}, {"key": "INC-42", "fields": {"status": {"name": "Done"}}},
     {"key": "INC-42", "fields": {"status": {"statusCategory": {"id": 3}}}},
     {"key": "INC-42", "fields": {"status": {"statusCategory": {"key": ""}}}},
     {"key": "INC-42", "fields": {"status": {"statusCategory": {"key": None}}}},
     {"fields": {"status": {"statusCategory": {"key": "new"}}}},
     {"key": "a b", "fields": {"status": {"statusCategory": {"key": "new"}}}}],
    ids=str,
)  # fmt: skip
def test_an_issue_without_a_status_is_not_taken_to_be_open(answer: object) -> None:
    jira = jira_transport("https://x.atlassian.example", "a@b.c", SecretStr("t"), http=Recorder(answer).transport)
    problem(lambda: IncidentReader(jira).state("INC-42"), IncidentError)


@pytest.mark.parametrize(
    "incident",
    [None, [], {}, {"id": "PT4KHLK"}, {"id": "PT4KHLK", "status": "snoozed"}, {"id": "PT4KHLK", "status": None},
     {"id": "PT4KHLK", "status": ["triggered"]}, {"status": "triggered"}],
    ids=str,
)  # fmt: skip
def test_an_incident_without_a_status_is_not_taken_to_be_open(incident: object) -> None:
    recorder = Recorder({"incident": incident})
    reader = IncidentReader(None, PagerDuty("https://api.pagerduty.example", SecretStr("k"), http=recorder.transport))
    problem(lambda: reader.state("PT4KHLK"), IncidentError)
