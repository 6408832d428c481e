"""What may be done to an account is read from Atlassian, and silence is not permission."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.atlassian.accounts import AccountsClient
from bot.atlassian.errors import BadRequest, Forbidden, NotFound, Unreadable
from bot.atlassian.transport import organization_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.server import running
from tests.support.hostile_ids import HOSTILE_IDS
from tests.support.wire import Recorder

MIA = "712020:e19eff6d-1111-2222-3333-444455556666"
SYNCED = {"allowed": False, "reason": {"key": "externalDirectory.scim"}}
ANSWER = {
    "email.set": SYNCED,
    "lifecycle.enablement": SYNCED,
    "profile.write": {"name": SYNCED, "nickname": {"allowed": True}},
    "apiToken.delete": {"allowed": True},
}


def build(*answers: Any) -> tuple[AccountsClient, Recorder]:
    recorder = Recorder(*answers)
    transport = organization_transport("https://api.atlassian.com", SecretStr("org-key"), http=recorder.transport)
    return AccountsClient(transport), recorder


def test_privileges_are_asked_for_by_name() -> None:
    accounts, recorder = build(ANSWER)
    accounts.privileges(MIA, ("email.set", "lifecycle.enablement"))
    path = "/users/712020%3Ae19eff6d-1111-2222-3333-444455556666/manage"
    assert recorder.lines() == [f"GET {path}?privileges=email.set&privileges=lifecycle.enablement"]
    assert recorder.last.headers["Authorization"] == "Bearer org-key"


def test_privileges_tell_yes_no_and_nothing() -> None:
    told = build(ANSWER)[0].privileges(MIA)
    assert told.allowed("apiToken.delete") is True
    assert told.allowed("email.set") is False
    assert told.reason("email.set") == "externalDirectory.scim"
    assert told.allowed("profile.write", "nickname") is True
    assert told.allowed("profile.write", "name") is False
    assert told.allowed("profile.write") is None
    assert told.allowed("profile.write", "zoneinfo") is None
    assert told.allowed("lifecycle.delete") is None
    assert told.reason("lifecycle.delete") is None


@pytest.mark.parametrize(
    ("answer", "external"),
    [
        (ANSWER, "externalDirectory.scim"),
        ({"profile.write": {"name": SYNCED}}, "externalDirectory.scim"),
        ({"email.set": {"allowed": False, "reason": {"key": "externalDirectory.google"}}}, "externalDirectory.google"),
        ({"email.set": {"allowed": False, "reason": {"key": "administrative"}}}, None),
        ({"email.set": {"allowed": True, "reason": None}}, None),
        ({}, None),
    ],
)
def test_privileges_tell_who_runs_the_account(answer: dict[str, Any], external: str | None) -> None:
    assert build(answer)[0].privileges(MIA).external == external


@pytest.mark.parametrize("answer", [[], None, {"email.set": {"allowed": "perhaps"}}, {"email.set": {"allowed": None}}])
def test_privileges_of_another_shape_are_unreadable(answer: Any) -> None:
    with pytest.raises(Unreadable):
        build(httpx.Response(200) if answer is None else answer)[0].privileges(MIA)


def test_a_profile_comes_out_of_its_wrapping() -> None:
    accounts, recorder = build({"account": {"account_id": MIA, "account_status": "inactive", "new_field": 1}})
    assert accounts.profile(MIA).account_status == "inactive"
    assert recorder.lines() == ["GET /users/712020%3Ae19eff6d-1111-2222-3333-444455556666/manage/profile"]


@pytest.mark.parametrize(
    "answer", [{}, {"account": None}, {"account": {}}, {"account": {"account_id": "712020:other"}}]
)
def test_a_profile_of_somebody_else_or_nobody_is_unreadable(answer: Any) -> None:
    with pytest.raises(Unreadable):
        build(answer)[0].profile(MIA)


def test_gone_and_not_ours_are_told_apart() -> None:
    gone = {"key": "accountNotFound", "errorKey": "account-not-found", "errorDetail": "Error: User account not found"}
    with pytest.raises(NotFound) as missing:
        build(httpx.Response(404, json=gone))[0].profile(MIA)
    assert missing.value.code == "accountNotFound"
    foreign = {"key": "forbidden", "errorDetail": "Error: Caller must be a verified org admin of targeted account"}
    with pytest.raises(Forbidden) as refused:
        build(httpx.Response(403, json=foreign))[0].profile(MIA)
    assert refused.value.code == "forbidden"


@pytest.mark.parametrize("call", [AccountsClient.privileges, AccountsClient.profile])
@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_account_sends_nothing(call: Callable[[AccountsClient, str], object], value: str) -> None:
    accounts, recorder = build(ANSWER)
    with pytest.raises(BadRequest, match="nothing was sent"):
        call(accounts, value)
    assert recorder.requests == []


def test_the_client_and_the_sandbox_agree() -> None:
    ada, nadia = seed.company().person("ada"), seed.company().person("nadia")
    with running() as base:
        transport = organization_transport(base, SecretStr(seed.ORG_API_KEY))
        accounts = AccountsClient(transport)
        assert accounts.profile(ada.account_id).email == ada.email
        assert accounts.privileges(ada.account_id).external == "externalDirectory.scim"
        assert accounts.privileges(nadia.account_id).external is None
        assert accounts.privileges(nadia.account_id).allowed("lifecycle.enablement") is True
        with pytest.raises(NotFound):
            accounts.profile("712020:nobody")
        transport.close()
