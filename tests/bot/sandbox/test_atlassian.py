"""The Atlassian sandbox keeps the vendor's contract, and fails only when it is told to."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import create_app, running, serve
from tests.support.atlassian_api import Api, InProcess

COMPANY = seed.company()
ADA, OMAR, MEI, NADIA, KOFI = (COMPANY.person(handle) for handle in ("ada", "omar", "mei", "nadia", "kofi"))
EU_ADMINS = COMPANY.group("eu-jira-admins")
RELEASE = COMPANY.group("release-managers")
OURS = f"/scim/directory/{seed.OURS.id}"
FED = f"/scim/directory/{seed.FED.id}"
ADMINS = f"{OURS}/Groups/{EU_ADMINS.scim_id}"
ORG = f"/admin/v2/orgs/{seed.ORG_ID}"
ANY = f"{ORG}/directories/-"
ONE = f"{ORG}/directories/{seed.ORG_DIRECTORY_ID}"
PROVISIONING = f"/admin/user-provisioning/v1/org/{seed.ORG_ID}"


@pytest.fixture
def base_url() -> Iterator[str]:
    with running() as url:
        yield url


def add(*people: seed.Person) -> dict[str, Any]:
    return {"op": "add", "path": "members", "value": [{"value": person.scim_id} for person in people]}


def remove(person: seed.Person) -> dict[str, Any]:
    return {"op": "remove", "path": f'members[value eq "{person.scim_id}"]'}


def active(value: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": value}


# Keys and errors


def test_a_key_of_another_directory_is_refused(api: Api) -> None:
    answer = api("GET", f"{OURS}/Users", key=seed.FED.key)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "traceId"}


def test_the_organization_key_does_not_open_a_scim_directory(api: Api) -> None:
    assert api("GET", f"{OURS}/ServiceProviderConfig", key=seed.ORG_API_KEY).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/admin/v1/orgs",
        f"{ORG}/directories",
        f"/users/{ADA.account_id}/manage",
        f"{PROVISIONING}/user/x/get-scim-links",
    ],
)
def test_a_directory_key_opens_nothing_but_its_directory(api: Api, path: str) -> None:
    answer = api("GET", path, key=seed.OURS.key)
    assert (answer.status_code, answer.json()) == (401, {"code": 401, "message": "Unauthorized"})


def test_an_unknown_path_answers_the_gateways_flat_404(api: Api) -> None:
    answer = api("POST", f"/admin/v1/orgs/{seed.ORG_ID}/users/search", json={})
    assert answer.status_code == 404
    assert answer.json()["status"] == 404
    assert answer.json()["error"] == "Not Found"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", f"{OURS}/Users/x"),
        ("PUT", ADMINS),
        ("DELETE", ADMINS),
        ("PATCH", "/admin/v1/orgs"),
        ("GET", f"{ANY}/users/search/"),
    ],
)
def test_a_wrong_method_or_a_stray_slash_is_never_served(api: Api, method: str, path: str) -> None:
    assert api(method, path).status_code in (404, 405)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"null", b'"x"', b"NaN", b"[" * 100_000, b"9" * 5000])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{OURS}/Users"), ("PATCH", f"{OURS}/Users/{ADA.scim_id}"),
        ("POST", f"{OURS}/Groups"), ("PATCH", ADMINS),
        ("POST", f"{ANY}/users/search"), ("POST", f"{ANY}/groups/search"),
        ("POST", f"{ONE}/groups/{RELEASE.org_id}/memberships"), ("POST", f"{PROVISIONING}/get-scim-links-for-email"),
        ("POST", "/control/faults"), ("POST", "/control/switches"), ("POST", "/control/clock"),
    ],
)  # fmt: skip
def test_a_broken_body_is_a_400_and_nothing_worse(api: Api, method: str, path: str, content: bytes) -> None:
    assert api(method, path, content=content).status_code == 400
    assert api("GET", "/control/ledger").status_code == 200


@pytest.mark.parametrize(
    "operation",
    [
        {}, {"op": "add"}, {"op": "add", "path": "members"}, {"op": "add", "path": "members", "value": "x"},
        {"op": "add", "path": "members", "value": [{"value": None}]}, {"op": "move", "path": "members"},
        {"op": "remove"}, {"op": "remove", "path": "displayName"}, {"op": "remove", "path": 'members[type eq "User"]'},
        {"op": "replace", "path": "displayName", "value": "new name"}, {"op": "add", "path": 5, "value": []},
        {"op": "add", "value": {"displayName": "new name"}}, {"op": "add", "path": "externalId", "value": "x"},
    ],
)  # fmt: skip
def test_a_senseless_group_operation_is_a_400_and_changes_nothing(
    api: Api, control: AtlassianControl, operation: dict[str, Any]
) -> None:
    assert api.patch(ADMINS, add(ADA), operation).status_code == 400
    assert control.members("eu-jira-admins") == {MEI.account_id}


# SCIM users


def test_a_person_is_found_by_the_user_name_without_case(api: Api) -> None:
    page = api("GET", f"{OURS}/Users", params={"filter": 'userName eq "ADA@harbour.example"'}).json()
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (1, 1, 1)
    user = page["Resources"][0]
    assert user["id"] == ADA.scim_id
    assert user["urn:scim:schemas:extension:atlassian-external:1.0"] == {"atlassianAccountId": ADA.account_id}
    assert {group["display"] for group in user["groups"]} == {"engineering", "all-staff-ours"}


@pytest.mark.parametrize(
    "text",
    [
        'userName co "a"',
        'emails.value eq "a"',
        'active eq "true"',
        'userName eq "a" and externalId eq "b"',
        "userName eq a",
        "",
    ],
)
def test_any_filter_but_one_eq_is_refused(api: Api, text: str) -> None:
    answer = api("GET", f"{OURS}/Users", params={"filter": text})
    assert (answer.status_code, answer.json()["status"], answer.json()["scimType"]) == (400, "400", "invalidFilter")


def test_pages_are_cut_below_the_wish_and_walk_through_everybody(api: Api, control: AtlassianControl) -> None:
    control.switch(scim_page_limit=40)
    seen: list[str] = []
    page = api("GET", f"{OURS}/Users?count=1000").json()
    while page["Resources"]:
        seen += [user["id"] for user in page["Resources"]]
        page = api("GET", f"{OURS}/Users?count=1000&startIndex={page['startIndex'] + page['itemsPerPage']}").json()
    assert set(seen) == {person.scim_id for person in COMPANY.people if person.directory is seed.OURS}
    assert len(seen) == len(set(seen)) == page["totalResults"]


def test_an_answer_can_be_cut_to_the_attributes_asked_for(api: Api) -> None:
    one = f"{OURS}/Users/{ADA.scim_id}"
    assert set(api("GET", f"{one}?attributes=userName").json()) == {"schemas", "id", "userName"}
    assert api("GET", f"{one}?attributes=emails.value").json()["emails"] == [{"value": ADA.email}]
    assert "members" not in api("GET", f"{ADMINS}?excludedAttributes=members").json()
    assert api("GET", f"{one}?attributes=id&excludedAttributes=name").status_code == 400


def test_deactivating_through_scim_deactivates_the_account_everywhere(api: Api) -> None:
    assert api.patch(f"{OURS}/Users/{ADA.scim_id}", active(False)).json()["active"] is False
    [user] = api.users(accountIds=[ADA.account_id])
    assert (user["status"], user["accountStatus"]) == ("deactivated", "inactive")
    assert "deactivatedOn" in api("GET", f"{ANY}/users/{ADA.account_id}").json()["data"]
    assert api("GET", f"/users/{ADA.account_id}/manage/profile").json()["account"]["account_status"] == "inactive"
    assert ADA.account_id not in {found["accountId"] for found in api.users(status=["active"], limit=100)}


def test_a_pathless_replace_reactivates(api: Api, control: AtlassianControl) -> None:
    api.patch(f"{OURS}/Users/{ADA.scim_id}", active(False))
    api.patch(f"{OURS}/Users/{ADA.scim_id}", {"op": "Replace", "value": {"active": True}})
    assert control.account(ADA.account_id)["active"] is True


@pytest.mark.parametrize("value", ["False", 0, None])
def test_active_takes_a_boolean_only(api: Api, control: AtlassianControl, value: object) -> None:
    refused = api.patch(f"{OURS}/Users/{ADA.scim_id}", {"op": "replace", "path": "active", "value": value})
    assert refused.status_code == 400
    assert control.account(ADA.account_id)["active"] is True


def test_deleting_a_user_unlinks_deactivates_and_leaves_the_groups(api: Api, control: AtlassianControl) -> None:
    one = f"{OURS}/Users/{MEI.scim_id}"
    assert [api("DELETE", one).status_code, api("GET", one).status_code, api("DELETE", one).status_code] == [
        204,
        404,
        404,
    ]
    assert control.account(MEI.account_id)["active"] is False
    assert control.members("eu-jira-admins") == set()
    assert api("GET", f"{PROVISIONING}/user/{MEI.account_id}/get-scim-links").json() == {"scimLinks": []}


def test_a_deleted_user_comes_back_under_a_new_id_on_the_same_account(api: Api, control: AtlassianControl) -> None:
    api("DELETE", f"{OURS}/Users/{ADA.scim_id}")
    body = {"userName": ADA.email, "emails": [{"value": ADA.email, "primary": True}]}
    created = api("POST", f"{OURS}/Users", json=body)
    assert created.status_code == 201
    assert created.json()["id"] != ADA.scim_id
    assert created.json()["groups"] == []
    account = created.json()["urn:scim:schemas:extension:atlassian-external:1.0"]["atlassianAccountId"]
    assert account == ADA.account_id
    assert control.account(account)["active"] is True


def test_a_user_name_is_taken_once(api: Api) -> None:
    answer = api(
        "POST", f"{OURS}/Users", json={"userName": ADA.email.upper(), "emails": [{"value": "new@harbour.example"}]}
    )
    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")


def test_an_account_outside_the_organization_cannot_be_deactivated_by_it(api: Api, control: AtlassianControl) -> None:
    body = {"userName": "guest", "emails": [{"value": "guest@elsewhere.example"}]}
    created = api("POST", f"{OURS}/Users", json=body).json()
    account = created["urn:scim:schemas:extension:atlassian-external:1.0"]["atlassianAccountId"]
    api.patch(f"{OURS}/Users/{created['id']}", active(False))
    assert control.account(account)["active"] is True
    assert api("GET", f"/users/{account}/manage").status_code == 403


def test_moving_to_an_unverified_domain_breaks_the_link(api: Api, control: AtlassianControl) -> None:
    emails = {"op": "replace", "path": "emails", "value": [{"value": "mei@elsewhere.example"}]}
    user = api.patch(f"{OURS}/Users/{MEI.scim_id}", emails).json()
    assert "urn:scim:schemas:extension:atlassian-external:1.0" not in user
    assert control.members("eu-jira-admins") == set()


def test_active_and_the_account_id_may_be_missing_from_answers(api: Api, control: AtlassianControl) -> None:
    control.switch(scim_omit_active=True, scim_omit_account_id=True)
    user = api("GET", f"{OURS}/Users/{ADA.scim_id}").json()
    assert not {"active", "urn:scim:schemas:extension:atlassian-external:1.0"} & set(user)


# SCIM groups


def test_adding_and_removing_a_member_is_seen_by_the_organization(api: Api, control: AtlassianControl) -> None:
    changed = api.patch(ADMINS, add(ADA))
    assert changed.status_code == 200
    assert {member["value"] for member in changed.json()["members"]} == {ADA.scim_id, MEI.scim_id}
    assert {user["accountId"] for user in api.users(groupIds=[EU_ADMINS.org_id])} == {ADA.account_id, MEI.account_id}
    assert "eu-jira-admins" in {group["name"] for group in api.groups(accountIds=[ADA.account_id])}
    api.patch(ADMINS, remove(ADA))
    assert control.members("eu-jira-admins") == {MEI.account_id}


def test_both_forms_of_remove_work_and_so_does_the_lower_case_spelling(api: Api, control: AtlassianControl) -> None:
    body = {"operations": [{"op": "Remove", "path": "members", "value": [{"value": MEI.scim_id}]}, add(ADA)]}
    assert api("PATCH", ADMINS, json=body).status_code == 200
    assert control.members("eu-jira-admins") == {ADA.account_id}


def test_a_bare_remove_of_members_removes_all_of_them(api: Api, control: AtlassianControl) -> None:
    assert api.patch(ADMINS, {"op": "remove", "path": "members"}).json()["members"] == []
    assert control.members("eu-jira-admins") == set()


def test_replace_sets_the_whole_list(api: Api, control: AtlassianControl) -> None:
    api.patch(ADMINS, {**add(ADA, OMAR), "op": "replace"})
    assert control.members("eu-jira-admins") == {ADA.account_id, OMAR.account_id}


def test_repeating_an_add_or_a_remove_changes_nothing(api: Api, control: AtlassianControl) -> None:
    assert [api.patch(ADMINS, operation).status_code for operation in (add(MEI), remove(ADA))] == [200, 200]
    assert [entry["applied"] for entry in control.ledger(writes=True)] == [False, False]


def test_removing_an_absent_member_may_answer_no_target(api: Api, control: AtlassianControl) -> None:
    control.switch(scim_remove_absent_is_no_target=True)
    answer = api.patch(ADMINS, remove(ADA))
    assert (answer.status_code, answer.json()["scimType"]) == (400, "noTarget")


def test_a_missing_group_and_a_missing_user_both_answer_404(api: Api, control: AtlassianControl) -> None:
    assert api.patch(f"{OURS}/Groups/none", add(ADA)).status_code == 404
    assert api.patch(ADMINS, add(ADA), add(KOFI)).status_code == 404  # of another directory
    assert control.members("eu-jira-admins") == {MEI.account_id}


def test_listed_groups_carry_members_only_when_asked_to(api: Api, control: AtlassianControl) -> None:
    wish = {"filter": 'displayName eq "eu-jira-admins"'}
    [listed] = api("GET", f"{OURS}/Groups", params=wish).json()["Resources"]
    assert (listed["id"], "members" in listed) == (EU_ADMINS.scim_id, False)
    control.switch(scim_list_members=True)
    [listed] = api("GET", f"{OURS}/Groups", params=wish).json()["Resources"]
    assert [member["value"] for member in listed["members"]] == [MEI.scim_id]


def test_a_directory_shows_its_own_groups_only(api: Api) -> None:
    assert [group["displayName"] for group in api("GET", f"{FED}/Groups").json()["Resources"]] == ["support-agents"]
    assert api("GET", f"{FED}/Groups/{EU_ADMINS.scim_id}").status_code == 404


def test_a_new_group_reaches_the_organization(api: Api) -> None:
    created = api("POST", f"{OURS}/Groups", json={"displayName": "data-readers"})
    assert created.status_code == 201
    [group] = api.groups(groupNames=["Data-Readers"])
    assert group["id"] != created.json()["id"]
    assert group["externalSynced"] is True


@pytest.mark.parametrize(
    "name", ["eu-jira-admins", "EU-JIRA-ADMINS", "support-agents", "release-managers", "org-admins"]
)
def test_a_group_name_is_taken_once_in_the_organization(api: Api, name: str) -> None:
    assert api("POST", f"{OURS}/Groups", json={"displayName": name}).status_code == 409


@pytest.mark.parametrize("name", ["jira-software-users", "administrators"])
def test_a_group_named_like_a_default_one_is_accepted_and_never_arrives(api: Api, name: str) -> None:
    before = api.groups(groupNames=[name])
    assert api("POST", f"{OURS}/Groups", json={"displayName": name}).status_code == 201
    assert api.groups(groupNames=[name]) == before
    assert api("POST", f"{OURS}/Groups", json={"displayName": name}).status_code == 409


# The organization


def test_the_organization_its_directory_and_its_domains_are_there_to_probe(api: Api) -> None:
    [organization] = api("GET", "/admin/v1/orgs").json()["data"]
    assert (organization["id"], organization["attributes"]["name"]) == (seed.ORG_ID, seed.ORG_NAME)
    assert api("GET", f"/admin/v1/orgs/{seed.ORG_ID}").json()["data"] == organization
    assert api("GET", "/admin/v1/orgs/other").json()["errors"][0]["code"] == "ADMIN-404-2"
    [directory] = api("GET", f"{ORG}/directories").json()["data"]
    assert directory["directoryId"] == seed.ORG_DIRECTORY_ID
    domains = api("GET", f"/admin/v1/orgs/{seed.ORG_ID}/domains").json()["data"]
    assert [d["attributes"]["name"] for d in domains if d["attributes"]["claim"]["status"] == "verified"] == [
        seed.DOMAIN
    ]


def test_a_user_can_be_expanded_to_groups_roles_and_products(api: Api) -> None:
    [omar] = api.users(
        emails=[OMAR.email.upper()], expand=["groups", "platformRoles", "productAccess", "counts.resources"]
    )
    assert omar["platformRoles"] == ["atlassian/org-admin"]
    assert {product["key"] for product in omar["productAccess"]} == {"jira-software", "confluence"}
    assert omar["productAccess"][0]["lastActiveTimestamp"] == "2026-11-06T23:07:29.936941226Z"
    assert all(group["id"].startswith("ari:cloud:identity::group/") for group in omar["groups"])
    assert "groups" not in api.users(emails=[OMAR.email])[0]


def test_the_management_source_tells_synced_people_from_invited_ones(api: Api) -> None:
    sources = {user["accountId"]: user["managementSource"] for user in api.users(emails=[ADA.email, NADIA.email])}
    assert sources == {ADA.account_id: "synced", NADIA.account_id: "invited"}


def test_a_search_is_walked_by_bare_tokens(api: Api) -> None:
    page = api("POST", f"{ANY}/users/search", json={"limit": 70}).json()
    seen = [user["accountId"] for user in page["data"]]
    while "next" in page["links"]:
        page = api("POST", f"{ANY}/users/search", json={"cursor": page["links"]["next"]}).json()
        seen += [user["accountId"] for user in page["data"]]
    assert seen == [person.account_id for person in COMPANY.people]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("users", {"emails": ["a@b.c"], "searchTerm": "a"}), ("users", {"emails": ["a@b.c"] * 101}),
        ("users", {"emails": []}), ("users", {"emails": "a@b.c"}), ("users", {"accountIds": ["a"] * 11}),
        ("users", {"status": ["gone"]}), ("users", {"expand": ["everything"]}), ("users", {"limit": 0}),
        ("users", {"limit": 101}), ("users", {"limit": True}), ("users", {"cursor": "made up"}),
        ("users", {"sortBy": {"field": "name"}}), ("users", {"searchTerm": 5}), ("users", {"claimStatus": "maybe"}),
        ("groups", {"groupNames": ["a"], "searchTerm": "a"}), ("groups", {"groupNames": ["a"], "groupIds": ["a"]}),
        ("groups", {"groupIds": ["a"] * 11}), ("groups", {"groupNames": ["a"] * 101}),
        ("groups", {"expand": ["members"]}),
    ],
)  # fmt: skip
def test_a_search_beyond_the_documented_limits_is_refused(api: Api, kind: str, body: dict[str, Any]) -> None:
    answer = api("POST", f"{ANY}/{kind}/search", json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"].startswith("ADMIN-")


def test_a_group_says_who_may_change_it(api: Api) -> None:
    [synced, local] = api.groups(groupNames=["eu-jira-admins", "release-managers"], expand=["counts.users"])
    assert (synced["managedBy"], synced["externalSynced"], synced["managementAccess"]["modifiable"]) == (
        "external",
        True,
        False,
    )
    assert (local["managedBy"], local["externalSynced"], local["managementAccess"]["modifiable"]) == (
        "admins",
        False,
        True,
    )
    assert [group["counts"] for group in (synced, local)] == [{"users": 1}, {"users": 2}]
    assert api("GET", f"{ANY}/groups/{EU_ADMINS.org_id}").json()["data"]["name"] == "eu-jira-admins"


def test_roles_of_a_person_and_of_a_group_agree(api: Api) -> None:
    [granted] = api("GET", f"{ANY}/groups/{EU_ADMINS.org_id}/role-assignments").json()["data"]
    held = api("GET", f"{ANY}/users/{MEI.account_id}/role-assignments").json()["data"]
    jira = next(row for row in held if row["resourceId"] == granted["resourceId"])
    assert set(granted["roles"]) <= set(jira["roles"])
    assert jira["roleAssignments"][0]["roleAssignmentMethods"] == ["group_direct"]


def test_a_local_group_is_joined_and_left_through_memberships(api: Api, control: AtlassianControl) -> None:
    path = f"{ONE}/groups/{RELEASE.org_id}/memberships"
    joins = [api("POST", path, json={"accountId": ADA.account_id}) for _ in range(2)]
    assert [join.status_code for join in joins] == [204, 409]
    assert joins[1].json()["errors"][0]["code"] == "ADMIN-UAM-409-2"
    assert ADA.account_id in control.members("release-managers")
    leaves = [api("DELETE", f"{path}/{ADA.account_id.replace(':', '%3A')}") for _ in range(2)]
    assert [leave.status_code for leave in leaves] == [204, 404]


def test_a_licence_limit_is_the_other_409(api: Api, control: AtlassianControl) -> None:
    control.switch(full_groups=["release-managers"])
    answer = api("POST", f"{ONE}/groups/{RELEASE.org_id}/memberships", json={"accountId": ADA.account_id})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "ADMIN-UAM-409-3")


def test_a_synced_group_is_not_changed_through_the_organization(api: Api, control: AtlassianControl) -> None:
    path = f"{ONE}/groups/{EU_ADMINS.org_id}/memberships"
    assert api("POST", path, json={"accountId": ADA.account_id}).status_code == 403
    assert api("DELETE", f"{path}/{MEI.account_id}").status_code == 403
    assert control.members("eu-jira-admins") == {MEI.account_id}


@pytest.mark.parametrize(
    ("directory", "body", "status"),
    [
        ("-", {"accountId": ADA.account_id}, 400),
        (seed.OURS.id, {"accountId": ADA.account_id}, 404),
        (seed.ORG_DIRECTORY_ID, {"account_id": ADA.account_id}, 400),
        (seed.ORG_DIRECTORY_ID, {"accountId": "nobody"}, 404),
    ],
)
def test_a_membership_needs_one_real_directory_and_a_known_account(
    api: Api, directory: str, body: dict[str, str], status: int
) -> None:
    path = f"{ORG}/directories/{directory}/groups/{RELEASE.org_id}/memberships"
    assert api("POST", path, json=body).status_code == status


def test_the_organization_may_show_a_change_late(api: Api, control: AtlassianControl) -> None:
    control.switch(visibility_delay=3600)
    assert api.patch(ADMINS, add(ADA)).status_code == 200
    assert len(api("GET", ADMINS).json()["members"]) == 2
    assert [user["accountId"] for user in api.users(groupIds=[EU_ADMINS.org_id])] == [MEI.account_id]
    control.set_clock(3601)
    assert len(api.users(groupIds=[EU_ADMINS.org_id])) == 2


# Accounts


def test_links_lead_from_an_account_or_an_email_to_the_scim_record(api: Api) -> None:
    link = {
        "scimUserId": KOFI.scim_id,
        "atlassianAccountId": KOFI.account_id,
        "orgId": seed.ORG_ID,
        "directoryId": seed.FED.id,
    }
    assert api("GET", f"{PROVISIONING}/user/{KOFI.account_id}/get-scim-links").json() == {"scimLinks": [link]}
    by_email = api("POST", f"{PROVISIONING}/get-scim-links-for-email", json={"email": KOFI.email})
    assert by_email.json() == {"scimLinks": [link]}
    assert api("GET", f"{PROVISIONING}/user/{NADIA.account_id}/get-scim-links").json() == {"scimLinks": []}


def test_a_linked_account_is_managed_by_its_directory_only(api: Api) -> None:
    path = "/users/{}/manage?privileges=lifecycle.enablement&privileges=email.set"
    refusal = {"allowed": False, "reason": {"key": "externalDirectory.scim"}}
    linked = api("GET", path.format(ADA.account_id)).json()
    assert linked == {"lifecycle.enablement": refusal, "email.set": refusal}
    assert all(rule["allowed"] for rule in api("GET", path.format(NADIA.account_id)).json().values())
    assert api("GET", path.format("nobody")).json()["key"] == "accountNotFound"


# Ledger, faults and the administrator's hand


def test_the_ledger_tells_every_call_without_its_key(api: Api, control: AtlassianControl) -> None:
    api("GET", f"{OURS}/Users?count=1")
    api("GET", "/admin/v1/orgs", key="a leaked secret")
    api.patch(ADMINS, add(ADA))
    api.users(emails=[ADA.email])
    told = [(e["number"], e["credential"], e["status"], e["applied"]) for e in control.ledger()]
    kinds = ("scim:Gatehouse", "none", "scim:Gatehouse", "org")
    assert told == [
        (n + 1, kind, status, n == 2) for n, (kind, status) in enumerate(zip(kinds, (200, 401, 200, 200), strict=True))
    ]
    assert control.ledger()[0]["path"] == f"{OURS}/Users?count=1"
    assert "leaked" not in json.dumps(control.ledger())
    [write] = control.ledger(writes=True)
    assert write["body"]["Operations"] == [add(ADA)]


def test_the_numbering_of_the_ledger_survives_clearing_and_reset(api: Api, control: AtlassianControl) -> None:
    for forget in (control.clear_ledger, control.reset):
        last = max((entry["number"] for entry in control.ledger()), default=0)
        forget()
        assert control.ledger() == []
        api("GET", "/admin/v1/orgs")
        assert [entry["number"] > last for entry in control.ledger(after=last)] == [True]


def test_an_administrators_hand_is_in_the_ledger_too(api: Api, control: AtlassianControl) -> None:
    control.add_by_hand("eu-jira-admins", ADA.account_id)
    control.remove_by_hand("eu-jira-admins", MEI.account_id)
    control.remove_by_hand("release-managers", MEI.account_id)
    assert [member["value"] for member in api("GET", ADMINS).json()["members"]] == [ADA.scim_id]
    assert MEI.account_id not in control.members("release-managers")
    assert {entry["actor"] for entry in control.ledger(writes=True)} == {"by hand"}
    with pytest.raises(ValueError, match="not in the SCIM directory"):
        control.add_by_hand("eu-jira-admins", NADIA.account_id)


def test_a_status_is_answered_instead_of_the_call_as_often_as_asked(api: Api, control: AtlassianControl) -> None:
    control.fault(method="PATCH", path_regex="/Groups/", status=503, headers={"Retry-After": "7"}, times=2)
    assert api("GET", ADMINS).status_code == 200
    answers = [api.patch(ADMINS, add(ADA)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert (answers[0].headers["Retry-After"], answers[0].json()["status"]) == ("7", "503")
    assert [entry["applied"] for entry in control.ledger(writes=True)] == [False, False, True]


def test_faults_come_in_the_order_they_were_asked_for(api: Api, control: AtlassianControl) -> None:
    control.fault(status=429, body={"code": 429, "message": "slow down"})
    control.fault(status=500, times=None)
    assert [api("GET", "/admin/v1/orgs").status_code for _ in range(4)] == [429, 500, 500, 500]
    control.clear_faults()
    assert api("GET", "/admin/v1/orgs").status_code == 200


def test_a_lost_answer_leaves_its_effect_behind(api: Api, control: AtlassianControl) -> None:
    control.fault(lost=True)
    with pytest.raises(httpx.RemoteProtocolError):
        api.patch(ADMINS, add(ADA))
    assert ADA.account_id in control.members("eu-jira-admins")
    [entry] = control.ledger()
    assert (entry["status"], entry["applied"]) == (None, True)


def test_a_lost_request_leaves_nothing_behind(api: Api, control: AtlassianControl) -> None:
    control.fault(lost=True, applied=False)
    with pytest.raises(httpx.RemoteProtocolError):
        api.patch(ADMINS, add(ADA))
    assert ADA.account_id not in control.members("eu-jira-admins")


def test_a_failure_may_hide_an_effect(api: Api, control: AtlassianControl) -> None:
    control.fault(status=500, applied=True)
    assert api.patch(ADMINS, add(ADA)).status_code == 500
    assert ADA.account_id in control.members("eu-jira-admins")


def test_garbage_is_a_200_that_is_not_json(api: Api, control: AtlassianControl) -> None:
    control.fault(garbage=True)
    answer = api.patch(ADMINS, add(ADA))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert ADA.account_id not in control.members("eu-jira-admins")


@pytest.mark.parametrize(
    "fault", [{"status": 42}, {"times": 0}, {"lost": "yes"}, {"path_regex": "("}, {"delay": -1}, {"sabotage": True}]
)
def test_a_senseless_fault_is_refused(control: AtlassianControl, fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="refused"):
        control.fault(**fault)


@pytest.mark.parametrize(
    "switch", [{"no_such": True}, {"scim_omit_active": "yes"}, {"full_groups": "all"}, {"scim_page_limit": 0}]
)
def test_a_senseless_switch_is_refused(control: AtlassianControl, switch: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="refused"):
        control.switch(**switch)


def test_reset_goes_back_to_the_seed(api: Api, control: AtlassianControl) -> None:
    control.switch(scim_omit_active=True, visibility_delay=60)
    control.fault(status=500, times=None)
    control.set_clock(86400)
    control.add_by_hand("eu-jira-admins", ADA.account_id)
    control.reset()
    assert control.members("eu-jira-admins") == {MEI.account_id}
    assert api("GET", f"{OURS}/Users/{ADA.scim_id}").json()["active"] is True
    assert [user["accountId"] for user in api.users(groupIds=[EU_ADMINS.org_id])] == [MEI.account_id]


def test_every_app_has_its_own_organization(api: Api, control: AtlassianControl) -> None:
    control.add_by_hand("eu-jira-admins", ADA.account_id)
    with httpx.Client(transport=InProcess(create_app()), base_url="http://sandbox.test") as other:
        assert AtlassianControl("http://sandbox.test", other).members("eu-jira-admins") == {MEI.account_id}


# Over a socket


def test_on_the_wire_a_lost_answer_is_a_closed_connection_and_no_traceback(
    base_url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        httpx.Client(base_url=base_url) as client,
        AtlassianControl(base_url) as control,
    ):
        api = Api(client)
        control.fault(lost=True)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            api.patch(ADMINS, add(ADA))
        assert ADA.account_id in control.members("eu-jira-admins")
        control.fault(truncated=True)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            api("GET", ADMINS)
        assert api("GET", ADMINS).status_code == 200
        assert [entry["status"] for entry in control.ledger()] == [None, 200, 200]
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
    assert "Traceback" not in "".join(capfd.readouterr())


def test_on_the_wire_a_late_answer_has_had_its_effect(base_url: str) -> None:
    with httpx.Client(base_url=base_url, timeout=0.2) as client, AtlassianControl(base_url) as control:
        control.fault(delay=600)
        with pytest.raises(httpx.ReadTimeout):
            Api(client).patch(ADMINS, add(ADA))
        assert ADA.account_id in control.members("eu-jira-admins")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "sandbox.example", ""])
def test_nothing_but_a_loopback_address_is_served(host: str) -> None:
    with pytest.raises(SystemExit, match="loopback"):
        serve(host, 0)
