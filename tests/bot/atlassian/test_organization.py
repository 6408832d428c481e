"""Reads of the organization: the right questions, every page once, and no answer taken for more than it says."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.atlassian.errors import AtlassianError, BadRequest, KeyRefused, NotFound, Unreadable
from bot.atlassian.organization import ALL, OrganizationClient
from bot.atlassian.shapes import OrgGroup, OrgUser
from bot.atlassian.transport import organization_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.server import running
from tests.support.hostile_ids import HOSTILE_IDS
from tests.support.wire import Recorder

ORG = "7a1f6f0e-5c1b-4b8e-9d53-2f0c7a9e4b10"
V1 = f"/admin/v1/orgs/{ORG}"
V2 = f"/admin/v2/orgs/{ORG}/directories/-"
MIA = "712020:e19eff6d"
GROUP = "12345678-1234-1234-1234-123456789012"
USER: dict[str, Any] = {
    "accountId": MIA, "accountType": "atlassian", "accountStatus": "active", "membershipStatus": "active",
    "status": "active", "claimStatus": "managed", "managementSource": "synced", "name": "Mia", "nickname": "mia",
    "email": "mia@example.com", "emailVerified": True, "addedToOrg": "2024-01-01T00:00:00.000Z",
    "platformRoles": ["atlassian/org-admin"],
    "productAccess": [{"id": "ari:cloud:confluence::site/x", "key": "confluence",
                       "lastActiveTimestamp": "2025-11-06T23:07:29.936941226Z"}],
    "groups": [{"id": f"ari:cloud:identity::group/{GROUP}", "name": "Engineering", "description": ""}],
}  # fmt: skip
TEAM: dict[str, Any] = {
    "id": GROUP, "directoryId": "d1", "name": "jira-administrators", "managedBy": "admins", "externalSynced": False,
    "managementAccess": {"readable": True, "modifiable": True, "deletable": False}, "counts": {"users": 10},
}  # fmt: skip


def build(*answers: Any) -> tuple[OrganizationClient, Recorder]:
    recorder = Recorder(*answers)
    transport = organization_transport("https://api.atlassian.com", SecretStr("org-key"), http=recorder.transport)
    return OrganizationClient(transport, ORG), recorder


def page(*items: Any, after: str | None = None) -> dict[str, Any]:
    return {"data": list(items), "links": {"self": "s", **({"next": after} if after else {})}}


def test_people_are_searched_by_address() -> None:
    organization, recorder = build(page(USER))
    found = organization.users_by_email(["mia@example.com"], expand=["platformRoles", "groups"])
    assert recorder.lines() == [f"POST {V2}/users/search"]
    assert recorder.bodies() == [{"emails": ["mia@example.com"], "limit": 100, "expand": ["platformRoles", "groups"]}]
    assert [user.account_id for user in found] == [MIA]
    assert found[0].groups is not None
    assert found[0].groups[0].id == GROUP


def test_a_search_for_nobody_is_no_call_for_it_would_find_everybody() -> None:
    organization, recorder = build(page(USER))
    assert organization.users_by_email([]) == organization.users_by_account([]) == organization.groups_by_name([]) == []
    assert recorder.requests == []


def test_searches_keep_to_the_limits_of_the_document() -> None:
    organization, recorder = build(page())
    organization.users_by_email([f"p{i}@example.com" for i in range(201)])
    organization.users_by_account([f"a{i}" for i in range(21)])
    organization.groups_by_name([f"g{i}" for i in range(101)])
    sizes = [
        len(values)
        for body in recorder.bodies()
        for key, values in body.items()
        if isinstance(values, list) and key != "expand"
    ]
    assert sizes == [100, 100, 1, 10, 10, 1, 100, 1]


def test_a_search_that_ignored_its_filter_is_not_believed() -> None:
    other = {**USER, "accountId": "712020:other", "email": "other@example.com"}
    hidden = {key: value for key, value in USER.items() if key != "email"}
    assert [u.account_id for u in build(page(other, USER))[0].users_by_email(["MIA@example.com"])] == [MIA]
    assert [u.account_id for u in build(page(hidden))[0].users_by_email(["mia@example.com"])] == [MIA]
    assert [u.account_id for u in build(page(other, USER))[0].users_by_account([MIA])] == [MIA]
    groups = build(page({**TEAM, "name": "jira-administrators-2"}, TEAM))[0].groups_by_name(["Jira-Administrators"])
    assert [group.name for group in groups] == ["jira-administrators"]


def test_a_body_cursor_comes_with_the_filters_until_there_is_none() -> None:
    second = {**USER, "accountId": "712020:two"}
    organization, recorder = build(page(USER, after="token+/="), page(second))
    assert [user.account_id for user in organization.users()] == [MIA, "712020:two"]
    assert recorder.bodies() == [{"limit": 100}, {"limit": 100, "cursor": "token+/="}]


def test_members_of_a_group_and_groups_of_a_person() -> None:
    organization, recorder = build(page(USER))
    assert [user.account_id for user in organization.users_of_group(GROUP, directory="d1")] == [MIA]
    assert recorder.lines() == [f"POST /admin/v2/orgs/{ORG}/directories/d1/users/search"]
    assert recorder.bodies() == [{"groupIds": [GROUP], "limit": 100}]
    organization, recorder = build(page(TEAM))
    assert [group.id for group in organization.groups_of_account(MIA)] == [GROUP]
    assert recorder.bodies() == [{"accountIds": [MIA], "limit": 100, "expand": ["counts.users"]}]
    assert [group.name for group in organization.groups()] == ["jira-administrators"]


def test_a_v1_link_gives_its_cursor_and_is_never_called() -> None:
    org = {"id": ORG, "type": "orgs", "attributes": {"name": "Acme"}}
    first = page(org, after="https://evil.example/steal?cursor=a%2Bb%3D&x=1")
    organization, recorder = build(first, page({**org, "id": "two"}))
    assert [(found.id, found.name) for found in organization.organizations()] == [(ORG, "Acme"), ("two", "Acme")]
    assert recorder.lines() == ["GET /admin/v1/orgs", "GET /admin/v1/orgs?cursor=a%2Bb%3D"]
    assert {request.url.host for request in recorder.requests} == {"api.atlassian.com"}


@pytest.mark.parametrize(
    "link", ["https://evil.example/x", "nonsense", "https://[", "https://x/?cursor=", "//evil.example"]
)
def test_a_v1_link_without_a_cursor_is_unreadable(link: str) -> None:
    organization, recorder = build(page({"id": ORG}, after=link))
    with pytest.raises(Unreadable, match="next page"):
        organization.organizations()
    assert len(recorder.requests) == 1


def test_a_v2_token_that_is_a_url_is_not_followed() -> None:
    organization, recorder = build(
        page({"directoryId": "a"}, after="https://evil.example/?cursor=c1"), page({"directoryId": "b"})
    )
    assert [found.directory_id for found in organization.directories()] == ["a", "b"]
    assert recorder.lines() == [
        f"GET /admin/v2/orgs/{ORG}/directories?limit=100",
        f"GET /admin/v2/orgs/{ORG}/directories?limit=100&cursor=c1",
    ]
    assert {request.url.host for request in recorder.requests} == {"api.atlassian.com"}


def test_pages_that_go_round_in_a_circle_are_noticed() -> None:
    turn = iter(range(100))
    organization, recorder = build(
        lambda request: page({"directoryId": f"d{next(turn)}"}, after=f"c{len(recorder.requests) % 2}")
    )
    with pytest.raises(Unreadable, match="next page"):
        organization.directories()
    assert len(recorder.requests) == 3
    fresh = iter(range(100))
    organization, recorder = build(lambda request: page({"directoryId": "same"}, after=f"c{next(fresh)}"))
    with pytest.raises(Unreadable, match="same page"):
        organization.directories()
    assert len(recorder.requests) == 2


def test_a_page_that_comes_again_later_is_noticed() -> None:
    turn, token = iter("abab"), iter(range(9))
    organization, recorder = build(lambda request: page({"directoryId": next(turn)}, after=f"c{next(token)}"))
    with pytest.raises(Unreadable, match="same page"):
        organization.directories()
    assert len(recorder.requests) == 3


def test_pages_that_stay_empty_have_no_end() -> None:
    token = iter(range(1000))
    organization, recorder = build(lambda request: page(after=f"c{next(token)}"))
    with pytest.raises(Unreadable, match="empty"):
        organization.directories()
    assert len(recorder.requests) == 21


def test_an_empty_page_with_a_next_one_is_not_the_end() -> None:
    organization, _ = build(page(after="c1"), page({"directoryId": "late"}))
    assert [found.directory_id for found in organization.directories()] == ["late"]


@pytest.mark.parametrize("links", [None, {}, {"next": None}, {"next": ""}])
def test_the_last_page_may_say_so_in_any_way(links: Any) -> None:
    assert len(build({"data": [{"directoryId": "a"}], "links": links})[0].directories()) == 1
    assert len(build({"data": [{"directoryId": "a"}]})[0].directories()) == 1


@pytest.mark.parametrize(
    "answer",
    [[], {}, {"data": None}, {"data": {}}, {"data": ["x"]}, {"data": [{}]}, {"data": [], "links": {"next": 7}},
     {"data": [{"directoryId": None}]}, {"errors": []}],
    ids=range(9),
)  # fmt: skip
def test_a_list_of_another_shape_is_unreadable_and_never_empty(answer: Any) -> None:
    with pytest.raises(Unreadable) as raised:
        build(answer)[0].directories()
    assert raised.value.retry
    assert not raised.value.maybe_done


def test_only_a_verified_domain_is_ours() -> None:
    states = ["verified", "deleted", "unverified", "superseded", "missing_token", None]
    items = [
        {"attributes": {"name": f"{state}.example", "claim": {"type": "dns", "status": state}}} for state in states
    ]
    organization, recorder = build(page(*items, {"attributes": {"name": "bare.example"}}))
    assert [domain.name for domain in organization.domains() if domain.verified] == ["verified.example"]
    assert recorder.lines() == [f"GET {V1}/domains"]


def test_one_person_is_read_from_the_wrapping() -> None:
    organization, recorder = build({"data": {**USER, "deactivatedOn": "2026-11-01T00:00:00Z"}})
    user = organization.user(MIA)
    assert recorder.lines() == [f"GET {V2}/users/712020%3Ae19eff6d"]
    assert user.deactivated_on == datetime(2026, 11, 1, tzinfo=UTC)
    assert user.management_source == "synced"


def test_an_answer_about_somebody_else_is_not_believed() -> None:
    with pytest.raises(Unreadable):
        build({"data": USER})[0].user("712020:other")
    with pytest.raises(Unreadable):
        build({"data": TEAM})[0].group("other")
    link = {"scimUserId": "s1", "directoryId": "d1", "atlassianAccountId": "712020:other"}
    with pytest.raises(Unreadable):
        build({"scimLinks": [link]})[0].scim_links(MIA)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("2025-11-06T23:07:29.936941226Z", datetime(2025, 11, 6, 23, 7, 29, 936941, UTC)),
        ("2025-11-06T23:07:29.9Z", datetime(2025, 11, 6, 23, 7, 29, 900000, UTC)),
        ("2025-11-06T23:07:29", datetime(2025, 11, 6, 23, 7, 29, tzinfo=UTC)),
        ("2024-01-01", datetime(2024, 1, 1, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        ({}, None),
        (None, None),
    ],
)
def test_times_are_aware_and_a_strange_one_spoils_nothing(given: object, read: datetime | None) -> None:
    assert OrgUser.model_validate({**USER, "addedToOrg": given}).added_to_org == read


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["atlassian/org-admin"], ["atlassian/org-admin"]),
        ([["atlassian/org-admin", "atlassian/site-admin"]], ["atlassian/org-admin", "atlassian/site-admin"]),
        ({"platformRoles": ["atlassian/org-admin"]}, ["atlassian/org-admin"]),
        ([{"role": "atlassian/org-admin"}], ["atlassian/org-admin"]),
        ([], []),
        (None, None),
    ],
)
def test_platform_roles_flat_or_nested_are_the_same_and_untold_is_not_none(given: Any, read: list[str] | None) -> None:
    assert OrgUser.model_validate({**USER, "platformRoles": given}).platform_roles == read


def test_a_role_that_is_no_text_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        build({"data": {**USER, "platformRoles": [7]}})[0].user(MIA)


@pytest.mark.parametrize(
    ("change", "synced"),
    [
        ({}, False),
        ({"externalSynced": True}, True),
        ({"managedBy": "external"}, True),
        ({"managementAccess": {"modifiable": False}}, True),
        ({"managementAccess": None, "externalSynced": None, "managedBy": None}, False),
        ({"managedBy": "something new"}, False),
    ],
)
def test_a_group_that_something_else_feeds_is_synced(change: dict[str, Any], synced: bool) -> None:
    assert OrgGroup.model_validate({**TEAM, **change}).synced is synced


def test_a_group_id_may_come_as_an_ari() -> None:
    organization, recorder = build({"data": {**TEAM, "id": f"ari:cloud:identity::group/{GROUP}"}})
    assert organization.group(GROUP).id == GROUP
    assert recorder.lines() == [f"GET {V2}/groups/{GROUP}"]
    with pytest.raises(Unreadable):
        build({"data": {**TEAM, "id": "ari:cloud:identity::group/"}})[0].group(GROUP)


def test_roles_tell_the_route() -> None:
    assignment = {
        "resourceId": "ari:cloud:jira-software::site/x", "resourceOwner": "jira-software", "directoryId": None,
        "userDirectoryStatus": "active", "roles": ["atlassian/user"],
        "roleAssignments": [{"role": "atlassian/user", "roleAssignmentMethods": ["direct", "group_direct"]}],
    }  # fmt: skip
    organization, recorder = build(page(assignment))
    roles = organization.user_roles(MIA)
    assert roles[0].role_assignments[0].role_assignment_methods == ["direct", "group_direct"]
    assert recorder.lines() == [f"GET {V2}/users/712020%3Ae19eff6d/role-assignments?limit=100"]
    organization, recorder = build(
        page({"resourceId": "r", "roles": ["atlassian/user"], "defaultRole": "atlassian/user"})
    )
    assert organization.group_roles(GROUP)[0].default_role == "atlassian/user"
    assert recorder.lines() == [f"GET {V2}/groups/{GROUP}/role-assignments?limit=100"]


def test_scim_links_are_read_by_account_and_by_address() -> None:
    link = {"scimUserId": "s1", "atlassianAccountId": MIA, "orgId": ORG, "directoryId": "d1"}
    organization, recorder = build({"scimLinks": [link, {**link, "directoryId": "d2", "atlassianAccountId": None}]})
    assert [found.directory_id for found in organization.scim_links(MIA)] == ["d1", "d2"]
    assert organization.scim_links_for_email("mia@example.com")[1].atlassian_account_id is None
    root = f"/admin/user-provisioning/v1/org/{ORG}"
    assert recorder.lines() == [
        f"GET {root}/user/712020%3Ae19eff6d/get-scim-links",
        f"POST {root}/get-scim-links-for-email",
    ]
    assert recorder.bodies() == [None, {"email": "mia@example.com"}]
    assert len(build([link])[0].scim_links(MIA)) == 1
    assert build({"scimLinks": []})[0].scim_links(MIA) == []


@pytest.mark.parametrize(
    "answer", [{}, {"links": []}, {"scimLinks": None}, {"scimLinks": [{}]}, {"scimLinks": {}}, None]
)
def test_an_unknown_answer_about_links_is_not_taken_for_a_local_account(answer: Any) -> None:
    with pytest.raises(Unreadable):
        build(httpx.Response(200) if answer is None else answer)[0].scim_links(MIA)


def test_a_search_leaves_no_doubt_when_its_answer_is_lost() -> None:
    with pytest.raises(AtlassianError) as raised:
        build(httpx.Response(502))[0].users_by_email(["mia@example.com"])
    assert not raised.value.maybe_done


CALLS: list[Callable[[OrganizationClient, str], object]] = [
    lambda o, value: o.user(value),
    lambda o, value: o.user(MIA, directory=value),
    lambda o, value: o.user_roles(value),
    lambda o, value: o.user_roles(MIA, directory=value),
    lambda o, value: list(o.users(directory=value)),
    lambda o, value: o.users_by_email(["mia@example.com"], directory=value),
    lambda o, value: o.users_by_account([MIA], directory=value),
    lambda o, value: list(o.users_of_group(value)),
    lambda o, value: list(o.users_of_group(GROUP, directory=value)),
    lambda o, value: o.groups_by_name(["x"], directory=value),
    lambda o, value: o.groups_of_account(value),
    lambda o, value: list(o.groups(directory=value)),
    lambda o, value: o.group(value),
    lambda o, value: o.group(GROUP, directory=value),
    lambda o, value: o.group_roles(value),
    lambda o, value: o.group_roles(GROUP, directory=value),
    lambda o, value: o.scim_links(value),
]


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
def test_a_hostile_id_sends_nothing(call: Callable[[OrganizationClient, str], object]) -> None:
    for value in HOSTILE_IDS:
        organization, recorder = build(page())
        with pytest.raises(BadRequest, match="nothing was sent"):
            call(organization, value)
        assert recorder.requests == []


@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_organization_makes_no_client(value: str) -> None:
    transport = organization_transport("https://api.atlassian.com", SecretStr("k"), http=Recorder({}).transport)
    with pytest.raises(ValueError, match="no possible org id"):
        OrganizationClient(transport, value)


def test_a_hostile_name_address_or_cursor_stays_in_its_place() -> None:
    for value in HOSTILE_IDS:
        organization, recorder = build(page(after=value), page())
        with contextlib.suppress(Unreadable):  # a cursor that is an address without a cursor, or no text
            organization.users_by_email([value])
        with contextlib.suppress(Unreadable):
            organization.groups_by_name([value])
        assert recorder.requests
        for request in recorder.requests:
            assert request.url.host == "api.atlassian.com"
            assert request.url.path in (f"{V2}/users/search", f"{V2}/groups/search")
            assert not request.url.query


def test_the_client_and_the_sandbox_agree() -> None:
    company = seed.company()
    ada, nadia, group = company.person("ada"), company.person("nadia"), company.group("eu-jira-admins")
    with running() as base:
        transport = organization_transport(base, SecretStr(seed.ORG_API_KEY))
        organization = OrganizationClient(transport, seed.ORG_ID)
        assert [org.name for org in organization.organizations()] == [seed.ORG_NAME]
        assert organization.organization().id == seed.ORG_ID
        assert [found.directory_id for found in organization.directories()] == [seed.ORG_DIRECTORY_ID]
        assert seed.DOMAIN in [domain.name for domain in organization.domains() if domain.verified]
        everybody = {user.account_id for user in organization.users()}
        assert {person.account_id for person in company.people} <= everybody
        assert [user.account_id for user in organization.users_by_email([ada.email])] == [ada.account_id]
        assert [user.email for user in organization.users_by_account([ada.account_id])] == [ada.email]
        assert organization.user(ada.account_id).management_source == "synced"
        assert organization.user_roles(ada.account_id)
        found = organization.groups_by_name([group.name, "release-managers"], directory=ALL)
        assert {g.name: (g.id, g.synced) for g in found} == {
            group.name: (group.org_id, True),
            "release-managers": (company.group("release-managers").org_id, False),
        }
        assert organization.group(group.org_id).name == group.name
        assert group.name in [g.name for g in organization.groups_of_account(company.person("mei").account_id)]
        members = {user.account_id for user in organization.users_of_group(group.org_id)}
        assert members == {company.person(handle).account_id for handle in group.members}
        assert organization.group_roles(company.group("org-admins").org_id)[0].roles == ["atlassian/org-admin"]
        assert [(x.directory_id, x.scim_user_id) for x in organization.scim_links(ada.account_id)] == [
            (seed.OURS.id, ada.scim_id)
        ]
        assert organization.scim_links(nadia.account_id) == []
        assert organization.scim_links_for_email(ada.email)[0].atlassian_account_id == ada.account_id
        with pytest.raises(NotFound):
            organization.user("712020:nobody")
        stranger = organization_transport(base, SecretStr("wrong-key"))
        with pytest.raises(KeyRefused):
            OrganizationClient(stranger, seed.ORG_ID).domains()
        stranger.close()
        transport.close()
