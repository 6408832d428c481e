"""The Jira site in the sandbox has Jira's habits: success for who is there already, English for who is a member."""

import pytest

from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from tests.support.atlassian_api import Api

COMPANY = seed.company()
ADA, OMAR, MEI, NADIA = (COMPANY.person(handle) for handle in ("ada", "omar", "mei", "nadia"))
RELEASE, EU_ADMINS = COMPANY.group("release-managers"), COMPANY.group("eu-jira-admins")


def test_the_site_takes_an_email_and_an_api_token_and_nothing_else(api: Api) -> None:
    params = {"accountId": ADA.account_id}
    assert api("GET", "/rest/api/3/user", params=params).status_code == 401
    for login in ((seed.SITE_EMAIL, "wrong"), (ADA.email, seed.SITE_API_TOKEN), ("", "")):
        assert api.site("GET", "/user", login, params=params).status_code == 401
    assert api.site("GET", "/user", params=params).json()["emailAddress"] == ADA.email


def test_only_organization_admins_change_anything(api: Api, control: AtlassianControl) -> None:
    login = (ADA.email, control.account(ADA.account_id)["tokens"][0]["secret"])
    path = f"/group/user?groupId={RELEASE.org_id}"
    assert api.site("POST", path, login, json={"accountId": ADA.account_id}).status_code == 403
    assert api.site("POST", "/user", login, json={"emailAddress": "x@y.z", "products": []}).status_code == 403
    assert api.site("GET", "/user/search?query=ada", login).status_code == 200


def test_the_ledger_knows_the_sites_credential(api: Api, control: AtlassianControl) -> None:
    api.site("GET", "/user/search?query=ada")
    assert [entry["credential"] for entry in control.ledger()] == ["site"]


def test_creating_who_has_access_is_a_201_that_changes_nothing(api: Api, control: AtlassianControl) -> None:
    body = {"emailAddress": ADA.email, "products": ["jira-software"]}
    answer = api.site("POST", "/user", json=body)
    assert (answer.status_code, answer.json()["accountId"]) == (201, ADA.account_id)
    assert control.ledger(writes=True)[0]["applied"] is False


def test_creating_who_is_known_without_access_is_a_400(api: Api, control: AtlassianControl) -> None:
    control.remove_by_hand("jira-software-users", ADA.account_id)
    body = {"emailAddress": ADA.email, "products": ["jira-software"]}
    assert api.site("POST", "/user", json=body).status_code == 400


@pytest.mark.parametrize(("products", "arrives"), [(["jira-software"], True), ([], False)])
def test_a_new_person_gets_the_products(
    api: Api, control: AtlassianControl, products: list[str], arrives: bool
) -> None:
    body = {"emailAddress": f"new@{seed.DOMAIN}", "products": products}
    created = api.site("POST", "/user", json=body)
    number = created.json()["accountId"]
    assert created.status_code == 201
    assert (number in control.members("jira-software-users")) is arrives
    assert api.users(emails=[f"new@{seed.DOMAIN}"])[0]["accountId"] == number
    assert api.site("POST", "/user", json=body).status_code == (201 if arrives else 400)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"emailAddress": "a@b.c"},
        {"emailAddress": "a", "products": []},
        {"emailAddress": "a@b.c", "products": ["x"]},
    ],
)
def test_products_are_required(api: Api, body: dict[str, object]) -> None:
    answer = api.site("POST", "/user", json=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"errorMessages", "errors"}


def test_no_seat_left_leaves_nobody_behind(api: Api, control: AtlassianControl) -> None:
    control.switch(full_groups=["jira-software-users"])
    body = {"emailAddress": f"new@{seed.DOMAIN}", "products": ["jira-software"]}
    assert api.site("POST", "/user", json=body).status_code == 400
    assert api.users(emails=[f"new@{seed.DOMAIN}"]) == []


def test_a_search_takes_exactly_one_wish(api: Api) -> None:
    assert api.site("GET", "/user/search").status_code == 400
    assert api.site("GET", f"/user/search?query=a&accountId={ADA.account_id}").status_code == 400
    assert [user["accountId"] for user in api.site("GET", "/user/search?query=Ada Fer").json()] == [ADA.account_id]
    assert len(api.site("GET", "/user/search?query=person").json()) == 50


def test_emails_may_be_hidden(api: Api, control: AtlassianControl) -> None:
    control.switch(site_hides_emails=True)
    assert "emailAddress" not in api.site("GET", "/user/search?query=ada").json()[0]


def test_searches_share_a_budget_and_say_when_it_is_there_again(api: Api, control: AtlassianControl) -> None:
    control.switch(site_searches_a_minute=2)
    answers = [api.site("GET", "/user/search?query=ada") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 61
    assert answers[2].headers["RateLimit-Reason"] == "jira-burst-based"
    assert api.site("GET", "/user", params={"accountId": ADA.account_id}).status_code == 200
    control.set_clock(120)
    assert api.site("GET", "/user/search?query=ada").status_code == 200


def test_groups_are_found_by_name_and_have_the_organizations_ids(api: Api) -> None:
    found = api.site("GET", "/group/bulk", params={"groupName": "Release-Managers"}).json()
    assert found["values"] == [{"groupId": RELEASE.org_id, "name": "release-managers"}]
    assert (found["isLast"], found["total"]) == (True, 1)
    assert api.site("GET", "/group/bulk?groupName=nothing").json()["values"] == []


def test_members_come_in_pages_of_fifty_at_most(api: Api, control: AtlassianControl) -> None:
    number = COMPANY.group("jira-software-users").org_id
    first = api.site("GET", f"/group/member?groupId={number}&includeInactiveUsers=true&maxResults=100").json()
    assert (len(first["values"]), first["total"], first["isLast"]) == (50, 200, False)
    assert "nextPage" in first
    last = api.site("GET", f"/group/member?groupId={number}&includeInactiveUsers=true&startAt=150").json()
    assert last["isLast"] is True
    assert api.site("GET", f"/group/member?groupId={number}").json()["total"] == 198  # two of the seed are inactive
    assert api.site("GET", "/group/member?groupId=none").status_code == 404
    assert api.site("GET", "/group/member").status_code == 400


def test_a_member_is_added_once_and_then_refused_in_english(api: Api, control: AtlassianControl) -> None:
    path, body = f"/group/user?groupId={RELEASE.org_id}", {"accountId": ADA.account_id}
    answers = [api.site("POST", path, json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 400]
    assert answers[0].json()["groupId"] == RELEASE.org_id
    assert "already a member" in answers[1].json()["errorMessages"][0]
    assert ADA.account_id in control.members("release-managers")
    groups = api.site("GET", f"/user/groups?accountId={ADA.account_id}").json()
    assert RELEASE.org_id in {group["groupId"] for group in groups}


def test_a_member_is_removed_with_a_200(api: Api, control: AtlassianControl) -> None:
    path = f"/group/user?groupId={RELEASE.org_id}&accountId={MEI.account_id}"
    assert [api.site("DELETE", path).status_code for _ in range(2)] == [200, 400]
    assert MEI.account_id not in control.members("release-managers")
    assert api.site("DELETE", f"/group/user?groupId={RELEASE.org_id}&accountId=nobody").status_code == 404
    assert api.site("DELETE", f"/group/user?groupId={RELEASE.org_id}").status_code == 400


def test_a_synced_group_is_not_changed_on_the_site(api: Api, control: AtlassianControl) -> None:
    path = f"/group/user?groupId={EU_ADMINS.org_id}"
    assert api.site("POST", path, json={"accountId": ADA.account_id}).status_code == 403
    assert api.site("DELETE", f"{path}&accountId={MEI.account_id}").status_code == 403
    assert control.members("eu-jira-admins") == {MEI.account_id}


def test_what_scim_did_reaches_the_site_late_and_the_sites_own_doing_at_once(
    api: Api, control: AtlassianControl
) -> None:
    control.switch(visibility_delay=3600)
    add = {"op": "add", "path": "members", "value": [{"value": ADA.scim_id}]}
    api.patch(f"/scim/directory/{seed.OURS.id}/Groups/{EU_ADMINS.scim_id}", add)
    api.patch(
        f"/scim/directory/{seed.OURS.id}/Users/{ADA.scim_id}", {"op": "replace", "path": "active", "value": False}
    )
    api.site("POST", f"/group/user?groupId={RELEASE.org_id}", json={"accountId": ADA.account_id})

    def seen() -> tuple[bool, bool, bool]:
        user = api.site("GET", f"/user?accountId={ADA.account_id}&expand=groups").json()
        held = {group["groupId"] for group in user["groups"]["items"]}
        return RELEASE.org_id in held, EU_ADMINS.org_id in held, user["active"]

    assert seen() == (True, False, True)
    control.set_clock(3601)
    assert seen() == (True, True, False)


def test_who_the_site_does_not_know_is_a_404(api: Api) -> None:
    for path in ("/user?accountId=nobody", "/user", "/user/groups?accountId=nobody"):
        assert api.site("GET", path).status_code == 404


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"null", b"[" * 100_000])
@pytest.mark.parametrize("path", ["/user", f"/group/user?groupId={RELEASE.org_id}"])
def test_a_broken_body_is_a_400(api: Api, path: str, content: bytes) -> None:
    assert api.site("POST", path, content=content).status_code == 400
