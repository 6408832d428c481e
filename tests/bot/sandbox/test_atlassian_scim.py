"""SCIM's awkward truths in the sandbox: two meanings of DELETE, hollow success, a provider that takes it back."""

from typing import Any

import pytest

from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from tests.support.atlassian_api import Api

COMPANY = seed.company()
ADA, MEI, KOFI, NADIA = (COMPANY.person(handle) for handle in ("ada", "mei", "kofi", "nadia"))
AGENTS = COMPANY.group("support-agents")
OURS = f"/scim/directory/{seed.OURS.id}"
FED = f"/scim/directory/{seed.FED.id}"
ADMINS = f"{OURS}/Groups/{COMPANY.group('eu-jira-admins').scim_id}"
ACCOUNT = "urn:scim:schemas:extension:atlassian-external:1.0"


def active(value: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": value}


def test_delete_as_it_was_in_2023_is_a_deactivation_that_hides(api: Api, control: AtlassianControl) -> None:
    control.switch(scim_delete_of_2023=True)
    one = f"{OURS}/Users/{MEI.scim_id}"
    assert [api("DELETE", one).status_code for _ in range(2)] == [204, 404]
    assert api("GET", one).status_code == 404
    assert api("GET", f"{OURS}/Users", params={"filter": f'userName eq "{MEI.email}"'}).json()["totalResults"] == 0
    account = control.account(MEI.account_id)
    assert account["active"] is False
    assert [link["scimUserId"] for link in account["scim"]] == [MEI.scim_id]
    assert MEI.account_id in control.members("eu-jira-admins")
    assert api.patch(one, {"op": "replace", "path": "title", "value": "x"}).status_code == 404
    assert api.patch(one, active(True)).json()["id"] == MEI.scim_id
    assert api("GET", one).status_code == 200
    assert control.account(MEI.account_id)["active"] is True


def test_a_hidden_record_comes_back_though_its_account_was_let_in_elsewhere(
    api: Api, control: AtlassianControl
) -> None:
    control.switch(scim_delete_of_2023=True)
    one = f"{OURS}/Users/{MEI.scim_id}"
    api("DELETE", one)
    control.change_account(MEI.account_id, active=True)
    assert api("GET", one).status_code == 404
    assert api.patch(one, active(True)).status_code == 200
    assert api("GET", one).status_code == 200


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_gets_the_other_shape(api: Api, control: AtlassianControl, status: int) -> None:
    control.fault(status=status)
    answer = api("GET", ADMINS)
    assert (answer.status_code, set(answer.json())) == (status, {"error", "traceId"})


def test_a_write_may_succeed_and_change_nothing(api: Api, control: AtlassianControl) -> None:
    control.switch(silent_success=["/Groups/", "/lifecycle/"])
    add = {"op": "add", "path": "members", "value": [{"value": ADA.scim_id}]}
    told = api.patch(ADMINS, add)
    assert told.status_code == 200
    assert ADA.scim_id in {member["value"] for member in told.json()["members"]}
    assert control.members("eu-jira-admins") == {MEI.account_id}
    assert api("POST", f"/users/{NADIA.account_id}/manage/lifecycle/disable", json={}).status_code == 204
    assert control.account(NADIA.account_id)["active"] is True
    assert [entry["applied"] for entry in control.ledger(writes=True)] == [False, False]
    assert api.patch(f"{OURS}/Users/{ADA.scim_id}", active(False)).json()["active"] is False
    assert control.account(ADA.account_id)["active"] is False


def test_a_new_record_may_name_its_account_late(api: Api, control: AtlassianControl) -> None:
    control.switch(scim_account_id_delay=3600)
    body = {"userName": "new", "emails": [{"value": f"new@{seed.DOMAIN}"}]}
    created = api("POST", f"{OURS}/Users", json=body).json()
    assert ACCOUNT not in created
    assert ACCOUNT in api("GET", f"{OURS}/Users/{ADA.scim_id}").json()
    control.set_clock(3601)
    assert "atlassianAccountId" in api("GET", f"{OURS}/Users/{created['id']}").json()[ACCOUNT]


def test_the_levers_work_while_every_write_is_hollow(api: Api, control: AtlassianControl) -> None:
    control.switch(silent_success=["/"])
    control.add_by_hand("eu-jira-admins", ADA.account_id)
    api.patch(ADMINS, {"op": "remove", "path": "members"})
    assert control.members("eu-jira-admins") == {ADA.account_id, MEI.account_id}


# The identity provider


def test_a_sync_that_finds_nothing_to_mend_changes_nothing(control: AtlassianControl) -> None:
    assert control.resync() is False
    assert [(entry["actor"], entry["applied"]) for entry in control.ledger(writes=True)] == [
        ("identity provider", False)
    ]


def test_the_identity_provider_takes_back_what_others_changed(api: Api, control: AtlassianControl) -> None:
    one, group = f"{FED}/Users/{KOFI.scim_id}", f"{FED}/Groups/{AGENTS.scim_id}"
    members = control.members("support-agents")
    api.patch(one, active(False), {"op": "replace", "path": "title", "value": "Gone"})
    api.patch(group, {"op": "remove", "path": f'members[value eq "{KOFI.scim_id}"]'})
    assert KOFI.account_id not in control.members("support-agents")
    assert control.resync() is True
    user = api("GET", one).json()
    assert (user["active"], user["title"]) == (True, "Support engineer")
    assert control.account(KOFI.account_id)["title"] == "Support engineer"
    assert control.members("support-agents") == members
    assert control.resync() is False


def test_a_deleted_record_comes_back_under_a_new_id_with_its_groups(api: Api, control: AtlassianControl) -> None:
    api("DELETE", f"{FED}/Users/{KOFI.scim_id}")
    assert control.account(KOFI.account_id)["active"] is False
    control.resync()
    [user] = api("GET", f"{FED}/Users", params={"filter": f'userName eq "{KOFI.email}"'}).json()["Resources"]
    assert user["id"] != KOFI.scim_id
    assert user[ACCOUNT] == {"atlassianAccountId": KOFI.account_id}
    assert control.account(KOFI.account_id)["active"] is True
    assert KOFI.account_id in control.members("support-agents")
    assert control.resync() is False


def test_what_is_changed_in_the_identity_provider_itself_lasts(control: AtlassianControl) -> None:
    control.remove_by_hand("support-agents", KOFI.account_id)
    control.resync()
    assert KOFI.account_id not in control.members("support-agents")


def test_our_own_directory_is_nobodys_to_sync(api: Api, control: AtlassianControl) -> None:
    api.patch(f"{OURS}/Users/{ADA.scim_id}", active(False))
    assert control.resync() is False
    assert control.account(ADA.account_id)["active"] is False


def test_reset_forgets_what_the_levers_set_up(api: Api, control: AtlassianControl) -> None:
    control.remove_by_hand("support-agents", KOFI.account_id)
    control.make_token(ADA.account_id, late=True)
    control.reset()
    control.resync()
    assert KOFI.account_id in control.members("support-agents")
    api.patch(f"{OURS}/Users/{ADA.scim_id}", active(False))
    assert len(control.account(ADA.account_id)["tokens"]) == 2
