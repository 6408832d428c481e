"""The stand-in for PagerDuty and Jira Service Management answers as they do, and does what it is told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from bot.sandbox import seed
from bot.sandbox.oncall.control import OnCallControl
from bot.sandbox.oncall.server import create_app
from bot.sandbox.oncall.state import CLOUD_ID, LIES, PAGERDUTY_KEY
from tests.support.atlassian_api import InProcess

NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HEADERS = {"Authorization": f"Token token={PAGERDUTY_KEY}", "Accept": "application/vnd.pagerduty+json;version=2"}
SHIFT = {"schedule": "PPRIMARY", "start": NOON - HOUR, "end": NOON + HOUR}


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcess(create_app()), base_url="http://sandbox.test") as client:
        yield client


@pytest.fixture
def control(client: httpx.Client) -> OnCallControl:
    return OnCallControl("http://sandbox.test", client)


def oncalls(client: httpx.Client, **params: object) -> httpx.Response:
    return client.get(
        "/oncalls", params={"since": NOON.isoformat(), "until": NOON.isoformat(), **params}, headers=HEADERS
    )


def test_pagerduty_wants_its_key_and_its_version(client: httpx.Client) -> None:
    assert client.get("/oncalls").status_code == 401
    assert client.get("/oncalls", headers={**HEADERS, "Accept": "application/json"}).status_code == 400
    assert client.get("/incidents/P1", headers={**HEADERS, "Authorization": "Bearer x"}).status_code == 401


def test_an_on_call_has_the_documented_shape(client: httpx.Client, control: OnCallControl) -> None:
    control.pagerduty({"who": "ada@harbour.example", **SHIFT})
    answer = oncalls(client, **{"schedule_ids[]": "PPRIMARY", "include[]": "users"}).json()
    (entry,) = answer.pop("oncalls")
    assert answer == {"limit": 25, "offset": 0, "more": False, "total": None}
    assert set(entry) == {"user", "schedule", "escalation_policy", "escalation_level", "start", "end"}
    assert entry["user"]["email"] == "ada@harbour.example"
    bare = oncalls(client).json()["oncalls"][0]
    assert bare["user"]["type"] == "user_reference"
    assert "email" not in bare["user"]


def test_what_is_not_asked_for_is_left_out(client: httpx.Client, control: OnCallControl) -> None:
    control.pagerduty({"who": "a@x.example", **SHIFT}, {"who": "b@x.example", **SHIFT, "schedule": "PSECOND"})
    assert len(oncalls(client).json()["oncalls"]) == 2
    assert len(oncalls(client, **{"schedule_ids[]": "PSECOND"}).json()["oncalls"]) == 1
    assert len(oncalls(client, **{"escalation_policy_ids[]": "PNONE"}).json()["oncalls"]) == 0
    later = (NOON + 5 * HOUR).isoformat()
    assert oncalls(client, since=later, until=later).json()["oncalls"] == []


def test_jira_service_management_wants_the_sites_token_and_answers_flat_or_nested(
    client: httpx.Client, control: OnCallControl
) -> None:
    control.jsm({"who": "5b10a2844c20165700ede21g", **SHIFT})
    path, login = f"/jsm/ops/api/{CLOUD_ID}/v1/schedules/PPRIMARY/on-calls", (seed.SITE_EMAIL, seed.SITE_API_TOKEN)
    at = {"date": NOON.isoformat()}
    assert client.get(path, params=at).status_code == 401
    flat = client.get(path, params={**at, "flat": "true"}, auth=login).json()
    assert flat == {"onCallUsers": ["5b10a2844c20165700ede21g"]}
    assert "onCallParticipants" in client.get(path, params=at, auth=login).json()
    assert client.get(path.replace("PPRIMARY", "other"), params=at, auth=login).status_code == 404


def test_a_lie_lasts_until_it_is_taken_back(client: httpx.Client, control: OnCallControl) -> None:
    control.pagerduty({"who": "a@x.example", **SHIFT})
    control.lie("wrong_schedule")
    assert oncalls(client).json()["oncalls"][0]["schedule"]["id"] == "POTHER1"
    control.lie()
    assert oncalls(client).json()["oncalls"][0]["schedule"]["id"] == "PPRIMARY"


def test_a_lever_that_does_not_exist_is_refused(control: OnCallControl) -> None:
    with pytest.raises(ValueError, match="there is no sometimes"):
        control.lie("sometimes")
    with pytest.raises(ValueError, match="refused"):
        control.pagerduty({"who": "a@x.example", "colour": 1})
    with pytest.raises(ValueError, match="need an offset"):
        control.pagerduty({"who": "a@x.example", "start": "2026-01-01T00:00:00"})
    assert len(LIES) == len(set(LIES))


def test_a_reset_forgets_everything(client: httpx.Client, control: OnCallControl) -> None:
    control.pagerduty({"who": "a@x.example", **SHIFT})
    control.fault(status=503, times=None)
    assert oncalls(client).status_code == 503
    control.reset()
    assert oncalls(client).json()["oncalls"] == []
    assert len(control.calls()) == 1
