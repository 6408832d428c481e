"""User management in the sandbox refuses what Atlassian refuses, and what it changes is changed everywhere."""

from typing import Any

import pytest

from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from tests.support.atlassian_api import ANY, Api

COMPANY = seed.company()
ADA, NADIA, KOFI, OMAR, VERA = (COMPANY.person(handle) for handle in ("ada", "nadia", "kofi", "omar", "vera"))
GOOGLE, EXPORT, PENDING, UNMANAGED = (
    next(person for person in COMPANY.people if person.state == state)
    for state in ("google", "export_control", "pending_deletion", "unmanaged")
)


def manage(person: seed.Person, rest: str = "") -> str:
    return f"/users/{person.account_id}/manage{rest}"


def tokens(api: Api, person: seed.Person) -> list[dict[str, Any]]:
    return list(api("GET", manage(person, "/api-tokens")).json())


def turn(api: Api, person: seed.Person, verb: str) -> int:
    return api("POST", manage(person, f"/lifecycle/{verb}"), json={}).status_code


def test_a_directory_key_changes_no_account(api: Api, control: AtlassianControl) -> None:
    calls = [
        ("PATCH", "/profile"), ("PUT", "/email"), ("GET", "/api-tokens"), ("DELETE", "/api-tokens/x"),
        ("POST", "/lifecycle/disable"), ("POST", "/lifecycle/enable"),
    ]  # fmt: skip
    assert {api(method, manage(NADIA, rest), key=seed.OURS.key).status_code for method, rest in calls} == {401}
    assert control.ledger(writes=True)[0]["applied"] is False


@pytest.mark.parametrize("rest", ["/lifecycle/delete", "/lifecycle/cancel-delete", "/api-tokens"])
def test_what_gatehouse_never_calls_is_not_served(api: Api, rest: str) -> None:
    assert api("DELETE" if rest == "/api-tokens" else "POST", manage(NADIA, rest), json={}).status_code in (404, 405)


def test_a_disabled_account_is_inactive_everywhere(api: Api, control: AtlassianControl) -> None:
    assert turn(api, NADIA, "disable") == 204
    assert api("GET", manage(NADIA, "/profile")).json()["account"]["account_status"] == "inactive"
    [user] = api.users(accountIds=[NADIA.account_id])
    assert user["accountStatus"] == "inactive"
    assert api.site("GET", "/user", params={"accountId": NADIA.account_id}).json()["active"] is False
    assert api.site("GET", "/user/search", params={"accountId": NADIA.account_id}).json() == []
    assert control.account(NADIA.account_id)["active"] is False
    assert turn(api, NADIA, "enable") == 204
    assert control.account(NADIA.account_id)["active"] is True


def test_a_repeat_is_silent_or_a_conflict(api: Api, control: AtlassianControl) -> None:
    assert [turn(api, NADIA, verb) for verb in ("enable", "disable", "disable")] == [204, 204, 204]
    control.switch(lifecycle_repeat_conflicts=True)
    answer = api("POST", manage(NADIA, "/lifecycle/disable"), json={})
    assert (answer.status_code, answer.json()["key"]) == (409, "conflict.lifecycleErrors")
    assert set(answer.json()["context"]) == {"message", "accountId", "errorCodes"}
    assert [turn(api, NADIA, verb) for verb in ("enable", "enable")] == [204, 409]


@pytest.mark.parametrize(
    ("person", "reason"),
    [(ADA, "externalDirectory.scim"), (GOOGLE, "externalDirectory.google"), (EXPORT, "blocked.exportControl")],
    ids=["scim", "google", "export control"],
)
@pytest.mark.parametrize("verb", ["disable", "enable"])
def test_what_runs_elsewhere_is_not_turned_here(
    api: Api, control: AtlassianControl, person: seed.Person, reason: str, verb: str
) -> None:
    before = control.account(person.account_id)
    answer = api("POST", manage(person, f"/lifecycle/{verb}"), json={})
    assert answer.status_code == 403
    assert answer.json() == {
        "key": "forbidden.action",
        "errorKey": "forbidden-action",
        "errorDetail": f"Error: Action not allowed: {reason}",
        "context": {"allowed": False, "reason": {"key": reason}},
    }
    assert control.account(person.account_id) == before
    told = api("GET", manage(person, "?privileges=lifecycle.enablement")).json()
    assert told["lifecycle.enablement"]["reason"]["key"] == reason


def test_a_linked_account_may_be_disabled_but_never_enabled(api: Api, control: AtlassianControl) -> None:
    control.switch(linked_may_be_disabled=True)
    assert [turn(api, ADA, verb) for verb in ("disable", "enable")] == [204, 403]
    assert turn(api, GOOGLE, "disable") == 403
    assert control.account(ADA.account_id)["active"] is False


@pytest.mark.parametrize("verb", ["disable", "enable"])
def test_an_account_that_waits_for_its_deletion_is_a_conflict(api: Api, verb: str) -> None:
    answer = api("POST", manage(PENDING, f"/lifecycle/{verb}"), json={})
    assert answer.status_code == 409
    assert answer.json()["context"]["errorCodes"][0]["code"] == "pendingDeletion"
    assert api("GET", manage(PENDING, "/profile")).json()["account"]["account_status"] == "inactive"


def test_disable_needs_a_body(api: Api) -> None:
    assert api("POST", manage(NADIA, "/lifecycle/disable")).json()["key"] == "bodyParseFailure"
    assert api("POST", manage(NADIA, "/lifecycle/disable"), json={"message": 5}).status_code == 400
    assert api("POST", manage(NADIA, "/lifecycle/disable"), json={"message": "On leave"}).status_code == 204


def test_an_unmanaged_account_is_nobodys_here(api: Api) -> None:
    calls = [
        ("GET", "", None), ("GET", "/profile", None), ("PATCH", "/profile", {"nickname": "x"}),
        ("PUT", "/email", {"email": f"x@{seed.DOMAIN}"}), ("GET", "/api-tokens", None),
        ("POST", "/lifecycle/disable", {}), ("POST", "/lifecycle/enable", {}),
    ]  # fmt: skip
    for method, rest, body in calls:
        answer = api(method, manage(UNMANAGED, rest), json=body)
        assert (answer.status_code, answer.json()["key"]) == (403, "forbidden")
    assert api.users(accountIds=[UNMANAGED.account_id])[0]["claimStatus"] == "unmanaged"


def test_the_context_of_a_refusal_may_be_a_sentence(api: Api, control: AtlassianControl) -> None:
    control.switch(context_is_text=True)
    for path in (manage(ADA, "/lifecycle/enable"), "/users/nobody/manage/lifecycle/enable"):
        body = api("POST", path, json={}).json()
        assert isinstance(body["context"], str)
        assert set(body) == {"key", "errorKey", "errorDetail", "context"}


# Profile and e-mail


def test_a_changed_profile_is_shown_everywhere(api: Api) -> None:
    changes = {"name": "Nadia P.", "nickname": "nad", "extended_profile": {"job_title": "Lead"}}
    account = api("PATCH", manage(NADIA, "/profile"), json=changes).json()["account"]
    assert (account["name"], account["nickname"], account["extended_profile"]["job_title"]) == (
        "Nadia P.",
        "nad",
        "Lead",
    )
    assert account == api("GET", manage(NADIA, "/profile")).json()["account"]
    [user] = api.users(accountIds=[NADIA.account_id])
    assert (user["name"], user["jobTitle"]) == ("Nadia P.", "Lead")
    assert api.site("GET", "/user", params={"accountId": NADIA.account_id}).json()["displayName"] == "Nadia P."


@pytest.mark.parametrize(
    ("changes", "field", "constraint"),
    [
        ({"nickname": "x" * 31}, "nickname", "maxLength"),
        ({"nickname": ""}, "nickname", "minLength"),
        ({"name": "x" * 101}, "name", "maxLength"),
        ({"name": "a\x00"}, "name", "validCharacters"),
        ({"account_status": "inactive"}, "account_status", "unknownField"),
        ({"extended_profile": {"salary": "1"}}, "extended_profile.salary", "unknownField"),
    ],
)
def test_a_field_that_breaks_a_rule_is_named(api: Api, changes: dict[str, Any], field: str, constraint: str) -> None:
    answer = api("PATCH", manage(NADIA, "/profile"), json=changes)
    assert (answer.status_code, answer.json()["key"]) == (400, "fieldConstraintsViolated")
    violation = {"field": field, "violations": [{"key": constraint}]}
    assert answer.json()["context"] == {"fieldViolations": [violation]}


def test_a_linked_profile_changes_only_where_its_directory_has_no_say(api: Api) -> None:
    answer = api("PATCH", manage(ADA, "/profile"), json={"name": "Other", "nickname": "ad"})
    assert (answer.status_code, answer.json()["key"]) == (403, "forbidden.fieldMutation")
    refused = {"name": {"allowed": False, "reason": {"key": "externalDirectory.scim"}}}
    assert answer.json()["context"] == refused
    assert api("GET", manage(ADA, "/profile")).json()["account"]["nickname"] == ADA.given
    assert api("PATCH", manage(ADA, "/profile"), json={"nickname": "ad"}).json()["account"]["nickname"] == "ad"


def test_a_new_email_is_the_accounts_only_one(api: Api) -> None:
    assert api("PUT", manage(NADIA, "/email"), json={"email": f"nadia.p@{seed.DOMAIN}"}).status_code == 204
    assert api("GET", manage(NADIA, "/profile")).json()["account"]["email"] == f"nadia.p@{seed.DOMAIN}"
    assert api.users(emails=[NADIA.email]) == []
    assert api.users(emails=[f"nadia.p@{seed.DOMAIN}"])[0]["accountId"] == NADIA.account_id


@pytest.mark.parametrize(
    ("person", "email", "status", "key"),
    [
        (NADIA, "nadia@elsewhere.example", 403, "forbidden.unclaimedDomain"),
        (NADIA, OMAR.email, 400, "fieldConstraintsViolated"),
        (NADIA, "nadia", 400, "fieldConstraintsViolated"),
        (NADIA, None, 400, "fieldConstraintsViolated"),
        (ADA, f"ada.f@{seed.DOMAIN}", 403, "forbidden.action"),
        (GOOGLE, f"g@{seed.DOMAIN}", 403, "forbidden.action"),
    ],
)
def test_an_email_has_its_own_refusals(
    api: Api, control: AtlassianControl, person: seed.Person, email: str | None, status: int, key: str
) -> None:
    answer = api("PUT", manage(person, "/email"), json={"email": email})
    assert (answer.status_code, answer.json()["key"]) == (status, key)
    assert control.account(person.account_id)["email"] == person.email
    if key == "forbidden.unclaimedDomain":
        assert answer.json()["context"] == {"domain": "elsewhere.example"}


# API tokens


def test_tokens_are_a_bare_list_and_go_one_by_one(api: Api) -> None:
    first, second = tokens(api, ADA)
    assert set(first) == {"id", "label", "createdAt", "lastAccess"}
    path = manage(ADA, f"/api-tokens/{first['id']}")
    assert [api("DELETE", path).status_code for _ in range(2)] == [204, 404]
    assert tokens(api, ADA) == [second]


def test_a_token_is_deleted_under_its_owner_only(api: Api) -> None:
    [token] = tokens(api, KOFI)
    assert api("DELETE", manage(ADA, f"/api-tokens/{token['id']}")).status_code == 404
    assert tokens(api, KOFI) == [token]


def test_tokens_of_a_deactivated_account_stay_listed_and_work_again_after(api: Api, control: AtlassianControl) -> None:
    secret = control.account(NADIA.account_id)["tokens"][0]["secret"]
    login = (NADIA.email, secret)
    before = tokens(api, NADIA)

    def works() -> bool:
        answered = api.site("GET", "/user", login, params={"accountId": NADIA.account_id}).status_code == 200
        assert {token["works"] for token in control.account(NADIA.account_id)["tokens"]} == {answered}
        return answered

    assert works()
    turn(api, NADIA, "disable")
    assert not works()
    assert tokens(api, NADIA) == before
    turn(api, NADIA, "enable")
    assert works()


def test_a_token_can_be_made_now_or_in_the_middle_of_a_deactivation(api: Api, control: AtlassianControl) -> None:
    control.make_token(VERA.account_id, "now")
    control.make_token(VERA.account_id, "at the last moment", late=True)
    for token in tokens(api, VERA):
        api("DELETE", manage(VERA, f"/api-tokens/{token['id']}"))
    assert tokens(api, VERA) == []
    off = {"op": "replace", "path": "active", "value": False}
    api.patch(f"/scim/directory/{seed.OURS.id}/Users/{VERA.scim_id}", off)
    assert [token["label"] for token in tokens(api, VERA)] == ["at the last moment"]
    with pytest.raises(ValueError, match="active"):
        control.make_token(VERA.account_id)


def test_the_levers_make_any_state(api: Api, control: AtlassianControl) -> None:
    control.change_account(NADIA.account_id, pending_deletion=True)
    assert turn(api, NADIA, "enable") == 409
    assert "deactivatedOn" in api("GET", f"{ANY}/users/{NADIA.account_id}").json()["data"]
    control.change_account(NADIA.account_id, pending_deletion=False, google=True, active=True)
    assert turn(api, NADIA, "disable") == 403
    with pytest.raises(ValueError, match="true or false"):
        control.change_account(NADIA.account_id, rich=True)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"null", b"[" * 100_000])
@pytest.mark.parametrize(("method", "rest"), [("PATCH", "/profile"), ("PUT", "/email"), ("POST", "/lifecycle/disable")])
def test_a_broken_body_is_a_400(api: Api, method: str, rest: str, content: bytes) -> None:
    assert api(method, manage(NADIA, rest), content=content).json()["key"] == "bodyParseFailure"
