"""What may be done to an account is read from Atlassian, and silence is not permission."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.atlassian.accounts import AccountsClient, Asked
from bot.atlassian.errors import (
    AtlassianError,
    BadRequest,
    Forbidden,
    NotFound,
    RateLimited,
    Unavailable,
    Unreadable,
)
from bot.atlassian.transport import organization_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
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


Real = tuple[AccountsClient, AtlassianControl]


@pytest.fixture(scope="module")
def wire() -> Iterator[Real]:
    with running() as base, AtlassianControl(base) as control:
        transport = organization_transport(base, SecretStr(seed.ORG_API_KEY))
        yield AccountsClient(transport), control
        transport.close()


@pytest.fixture
def real(wire: Real) -> Real:
    """The client and the sandbox on a real socket, as on the first morning."""
    wire[1].reset()
    return wire


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


# Changes

PATH = "/users/712020%3Ae19eff6d-1111-2222-3333-444455556666/manage"
PROFILE = {"account": {"account_id": MIA, "account_status": "active", "nickname": "marshmallow"}}
TOKEN = {"id": "65a1", "label": "My script", "createdAt": "2015-04-12T23:20:50.522Z"}
CONFLICT = {
    "key": "conflict.lifecycleErrors",
    "context": {"message": "not now", "accountId": MIA, "errorCodes": [{"code": "pendingDeletion"}]},
}


def test_a_profile_is_patched_with_the_fields_that_change() -> None:
    accounts, recorder = build(PROFILE)
    assert accounts.patch_profile(MIA, {"nickname": "marshmallow"}).nickname == "marshmallow"
    assert recorder.lines() == [f"PATCH {PATH}/profile"]
    assert recorder.bodies() == [{"nickname": "marshmallow"}]
    with pytest.raises(ValueError, match="at least one field"):
        accounts.patch_profile(MIA, {})
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("answer", [{}, {"account": {"account_id": "712020:other"}}, httpx.Response(200)])
def test_a_patched_profile_of_somebody_else_may_have_been_done(answer: Any) -> None:
    with pytest.raises(Unreadable) as raised:
        build(answer)[0].patch_profile(MIA, {"name": "x"})
    assert raised.value.maybe_done


def test_a_broken_field_is_named() -> None:
    violation = {"field": "nickname", "violations": [{"key": "maxLength"}, {"key": "validCharacters"}]}
    body = {"key": "fieldConstraintsViolated", "context": {"fieldViolations": [violation]}}
    with pytest.raises(BadRequest, match="nickname: maxLength, validCharacters") as raised:
        build(httpx.Response(400, json=body))[0].patch_profile(MIA, {"nickname": "x" * 31})
    assert raised.value.code == "fieldConstraintsViolated"


@pytest.mark.parametrize(
    "violations", [None, 5, ["x"], [{}], [{"field": "a", "violations": None}], [{"violations": ["x"]}], {"a": 1}]
)
def test_violations_of_another_shape_break_nothing(violations: Any) -> None:
    body = {"key": "fieldConstraintsViolated", "context": {"fieldViolations": violations, "errorCodes": violations}}
    with pytest.raises(BadRequest) as raised:
        build(httpx.Response(400, json=body))[0].patch_profile(MIA, {"nickname": "x"})
    assert raised.value.code == "fieldConstraintsViolated"


def test_an_email_is_put_and_nothing_comes_back() -> None:
    accounts, recorder = build(httpx.Response(204))
    assert accounts.set_email(MIA, "x@y.example") is None
    assert recorder.lines() == [f"PUT {PATH}/email"]
    assert recorder.bodies() == [{"email": "x@y.example"}]


def test_an_email_whose_answer_was_lost_may_be_set() -> None:
    with pytest.raises(Unavailable) as raised:
        build(httpx.Response(502))[0].set_email(MIA, "x@y.example")
    assert raised.value.maybe_done


def test_why_an_email_is_refused_is_told() -> None:
    foreign = {"key": "forbidden.unclaimedDomain", "context": {"domain": "vanlowe-pi.example"}}
    with pytest.raises(Forbidden, match="vanlowe-pi") as raised:
        build(httpx.Response(403, json=foreign))[0].set_email(MIA, "x@vanlowe-pi.example")
    assert raised.value.code == "forbidden.unclaimedDomain"
    linked = {"key": "forbidden.action", "errorKey": "forbidden-action", "errorDetail": "Error: no", "context": SYNCED}
    with pytest.raises(Forbidden) as raised:
        build(httpx.Response(403, json=linked))[0].set_email(MIA, "x@y.example")
    assert (raised.value.code, raised.value.reason) == ("forbidden.action", "externalDirectory.scim")


def test_a_context_that_is_a_sentence_is_read_as_one() -> None:
    body = {"key": "forbidden.action", "context": "Action not allowed"}
    with pytest.raises(Forbidden, match="Action not allowed") as raised:
        build(httpx.Response(403, json=body))[0].enable(MIA)
    assert (raised.value.code, raised.value.reason) == ("forbidden.action", None)


def test_tokens_are_read_and_their_labels_stay_out_of_logs() -> None:
    more = {**TOKEN, "id": "65a2", "lastAccess": "2026-11-01T00:00:00.000Z", "expiry": "2027-03-19T00:00:00.000Z"}
    accounts, recorder = build([TOKEN, more])
    first, second = accounts.api_tokens(MIA)
    assert recorder.lines() == [f"GET {PATH}/api-tokens"]
    assert (first.id, first.label, first.last_access, first.expiry) == ("65a1", "My script", None, None)
    assert second.expiry is not None
    assert (second.expiry.year, second.last_access is None) == (2027, False)
    assert "My script" not in f"{first} {first!r} {[first]}"
    assert "2026" not in f"{second} {second!r}"


@pytest.mark.parametrize("answer", [{}, {"data": []}, [{}], ["x"], [{"id": None}], httpx.Response(200), {"key": "x"}])
def test_no_tokens_is_never_a_guess(answer: Any) -> None:
    with pytest.raises(Unreadable):
        build(answer)[0].api_tokens(MIA)
    assert build([])[0].api_tokens(MIA) == []


def test_a_token_is_deleted_once_and_gone_is_as_good() -> None:
    accounts, recorder = build(httpx.Response(204), httpx.Response(404, json={"key": "notFound"}))
    assert accounts.delete_api_token(MIA, "65a1") is True
    assert accounts.delete_api_token(MIA, "65a1") is False
    assert recorder.lines() == [f"DELETE {PATH}/api-tokens/65a1"] * 2


@pytest.mark.parametrize("status", [400, 401, 403, 409, 429, 500])
def test_only_404_means_that_a_token_is_gone(status: int) -> None:
    with pytest.raises(AtlassianError):
        build(httpx.Response(status, json={"key": "notFound"}))[0].delete_api_token(MIA, "65a1")


@pytest.mark.parametrize(("message", "body"), [("On leave", {"message": "On leave"}), (None, {}), ("", {})])
def test_disabling_always_sends_an_object(message: str | None, body: dict[str, str]) -> None:
    accounts, recorder = build(httpx.Response(204))
    assert accounts.disable(MIA, message).accepted
    assert recorder.lines() == [f"POST {PATH}/lifecycle/disable"]
    assert recorder.bodies() == [body]


def test_enabling_sends_nothing() -> None:
    accounts, recorder = build(httpx.Response(204))
    assert accounts.enable(MIA).accepted
    assert recorder.lines() == [f"POST {PATH}/lifecycle/enable"]
    assert recorder.bodies() == [None]


@pytest.mark.parametrize("body", [CONFLICT, {"key": "somethingElse"}, {}, None])
@pytest.mark.parametrize("call", [AccountsClient.disable, AccountsClient.enable])
def test_a_conflict_is_an_answer_that_the_profile_must_decide(call: Callable[..., Asked], body: Any) -> None:
    asked = call(build(httpx.Response(409, json=body) if body is not None else httpx.Response(409))[0], MIA)
    assert not asked.accepted
    assert asked.refusal is not None
    assert asked.refusal.status == 409
    if body is CONFLICT:
        assert (asked.refusal.code, asked.refusal.reason) == ("conflict.lifecycleErrors", "pendingDeletion")
        assert "not now" in str(asked.refusal)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, Forbidden), (404, NotFound), (429, RateLimited), (500, Unavailable)]
)
def test_everything_else_about_a_state_is_an_error(status: int, kind: type[AtlassianError]) -> None:
    with pytest.raises(kind) as raised:
        build(httpx.Response(status, json={}))[0].disable(MIA)
    assert raised.value.maybe_done is (status == 500)


def test_nothing_here_deletes_an_account_or_everybodys_tokens() -> None:
    offered = {name for name in dir(AccountsClient) if not name.startswith("_")}
    assert offered == {
        "privileges", "profile", "patch_profile", "set_email", "api_tokens", "delete_api_token", "disable", "enable",
    }  # fmt: skip


CHANGES: list[Callable[[AccountsClient, str], object]] = [
    lambda accounts, value: accounts.patch_profile(value, {"name": "x"}),
    lambda accounts, value: accounts.set_email(value, "x@y.example"),
    lambda accounts, value: accounts.api_tokens(value),
    lambda accounts, value: accounts.delete_api_token(value, "65a1"),
    lambda accounts, value: accounts.delete_api_token(MIA, value),
    lambda accounts, value: accounts.disable(value),
    lambda accounts, value: accounts.enable(value),
]


@pytest.mark.parametrize("call", CHANGES, ids=range(len(CHANGES)))
@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_id_changes_nothing(call: Callable[[AccountsClient, str], object], value: str) -> None:
    accounts, recorder = build(PROFILE)
    with pytest.raises(BadRequest, match="nothing was sent"):
        call(accounts, value)
    assert recorder.requests == []


# Against the sandbox, over a socket


def test_a_local_account_is_deactivated_with_its_tokens(real: Real) -> None:
    """Tokens first, then the account, and again what was made meanwhile: only an empty list is the end."""
    accounts, control = real
    nadia = seed.company().person("nadia").account_id
    control.make_token(nadia, "at the last moment", late=True)
    assert [accounts.delete_api_token(nadia, token.id) for token in accounts.api_tokens(nadia)] == [True, True]
    assert accounts.disable(nadia, "left").accepted
    assert accounts.profile(nadia).account_status == "inactive"
    [late] = accounts.api_tokens(nadia)
    assert late.label == "at the last moment"
    assert accounts.delete_api_token(nadia, late.id)
    assert accounts.delete_api_token(nadia, late.id) is False
    assert accounts.api_tokens(nadia) == []
    assert accounts.enable(nadia).accepted
    assert accounts.profile(nadia).account_status == "active"


@pytest.mark.parametrize("conflicts", [False, True])
def test_a_repeat_leaves_it_to_the_profile(real: Real, conflicts: bool) -> None:
    accounts, control = real
    control.switch(lifecycle_repeat_conflicts=conflicts)
    nadia = seed.company().person("nadia").account_id
    asked = [accounts.disable(nadia), accounts.disable(nadia)]
    assert [one.accepted for one in asked] == [True, not conflicts]
    assert accounts.profile(nadia).account_status == "inactive"


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("state", ["google", "export_control"])
def test_who_is_run_elsewhere_is_refused_with_the_reason(real: Real, state: str, as_text: bool) -> None:
    accounts, control = real
    control.switch(context_is_text=as_text)
    person = next(person for person in seed.company().people if person.state == state)
    reason = {"google": "externalDirectory.google", "export_control": "blocked.exportControl"}[state]
    assert accounts.privileges(person.account_id).reason("lifecycle.enablement") == reason
    with pytest.raises(Forbidden, match=reason) as raised:
        accounts.enable(person.account_id)
    assert raised.value.code == "forbidden.action"
    assert raised.value.reason == (None if as_text else reason)


def test_an_account_pending_deletion_stays_as_it_is(real: Real) -> None:
    accounts, _ = real
    person = next(person for person in seed.company().people if person.state == "pending_deletion")
    refusal = accounts.enable(person.account_id).refusal
    assert refusal is not None
    assert refusal.reason == "pendingDeletion"
    assert accounts.profile(person.account_id).account_status == "inactive"


def test_profile_and_email_change_where_no_directory_owns_them(real: Real) -> None:
    accounts, _ = real
    ada, nadia = (seed.company().person(handle).account_id for handle in ("ada", "nadia"))
    assert accounts.patch_profile(nadia, {"name": "Nadia P.", "extended_profile": {"location": "Oslo"}}).name
    accounts.set_email(nadia, f"nadia.p@{seed.DOMAIN}")
    assert accounts.profile(nadia).email == f"nadia.p@{seed.DOMAIN}"
    with pytest.raises(Forbidden) as raised:
        accounts.set_email(nadia, "nadia@elsewhere.example")
    assert raised.value.code == "forbidden.unclaimedDomain"
    with pytest.raises(Forbidden) as raised:
        accounts.set_email(ada, f"ada.f@{seed.DOMAIN}")
    assert raised.value.reason == "externalDirectory.scim"
    with pytest.raises(Forbidden) as raised:
        accounts.patch_profile(ada, {"name": "x"})
    assert (raised.value.code, raised.value.reason) == ("forbidden.fieldMutation", "externalDirectory.scim")


def test_a_success_that_changes_nothing_is_seen_in_the_profile(real: Real) -> None:
    accounts, control = real
    control.switch(silent_success=["/lifecycle/"])
    nadia = seed.company().person("nadia").account_id
    assert accounts.disable(nadia).accepted
    assert accounts.profile(nadia).account_status == "active"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"code": 404, "message": "Not Found"}', b'{"errors": [{"message": "no route"}], "key": null}'],
)
def test_a_404_of_something_in_between_does_not_say_that_a_token_is_gone(body: bytes) -> None:
    accounts, _ = build(httpx.Response(404, content=body))
    with pytest.raises(NotFound):
        accounts.delete_api_token(MIA, "65a1")
