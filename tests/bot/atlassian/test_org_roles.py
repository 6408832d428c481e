"""Roles of people and groups: given, taken, shown with their route, and refused with a reason that code can read."""

import pytest

from bot.atlassian.errors import BadRequest, Conflict, LicenceLimit, NotFound, RateLimited
from bot.atlassian.org_roles import ORG_ADMIN
from bot.sandbox import seed
from tests.support.org_world import COMPANY, CONFLUENCE, HERE, JIRA, ORG, World, handmade, refusal

ADA, MEI, OMAR, NADIA = (COMPANY.person(handle) for handle in ("ada", "mei", "omar", "nadia"))
LATER = COMPANY.people[-1]  # of those who have no Confluence
RELEASE, SYNCED = COMPANY.group("release-managers"), COMPANY.group("engineering")
USER, ADMIN = "atlassian/user", "atlassian/admin"
PLATFORM = f"ari:cloud:platform::org/{seed.ORG_ID}"


def test_a_role_that_is_given_is_held_directly_until_it_is_taken(world: World) -> None:
    assert (CONFLUENCE, USER) not in world.methods(LATER.account_id)
    world.organization.assign_role(LATER.account_id, USER, CONFLUENCE)
    assert world.methods(LATER.account_id)[CONFLUENCE, USER] == ["direct"]
    [found] = world.organization.users_by_account([LATER.account_id], expand=["productAccess"])
    assert "confluence" in {product.key for product in found.product_access or []}
    world.organization.revoke_role(LATER.account_id, USER, CONFLUENCE)
    assert (CONFLUENCE, USER) not in world.methods(LATER.account_id)
    assert [entry["body"] for entry in world.control.ledger(writes=True)] == 2 * [
        {"role": USER, "resource": CONFLUENCE}
    ]
    assert [action for action, about in world.logged() if LATER.account_id in about] == [
        "user_granted_role",
        "user_revoked_role",
    ]


def test_taking_a_direct_role_leaves_what_a_group_gives(world: World) -> None:
    world.organization.assign_role(ADA.account_id, USER, JIRA)
    assert world.methods(ADA.account_id)[JIRA, USER] == ["direct", "group_direct"]
    world.organization.revoke_role(ADA.account_id, USER, JIRA)
    assert world.methods(ADA.account_id)[JIRA, USER] == ["group_direct"]


def test_an_organization_admin_administers_the_products_by_inference(world: World) -> None:
    world.organization.assign_org_role(NADIA.account_id)
    held = world.methods(NADIA.account_id)
    assert held[PLATFORM, ORG_ADMIN] == ["direct"]
    assert held[JIRA, ADMIN] == ["inferred"]
    assert world.methods(OMAR.account_id)[JIRA, ADMIN] == ["group_direct", "inferred"]
    [found] = world.organization.users_by_account([NADIA.account_id], expand=["platformRoles"])
    assert found.platform_roles == [ORG_ADMIN]
    world.organization.revoke_org_role(NADIA.account_id)
    assert (JIRA, ADMIN) not in world.methods(NADIA.account_id)
    assert [action for action, about in world.logged() if NADIA.account_id in about] == [
        "added_org_admin",
        "removed_org_admin",
    ]
    assert world.control.ledger(writes=True)[0]["path"].endswith("/role-assignments/assign")


def test_an_organization_role_may_show_late(world: World) -> None:
    world.control.switch(visibility_delay=30)
    world.organization.assign_org_role(NADIA.account_id)
    assert (PLATFORM, ORG_ADMIN) not in world.methods(NADIA.account_id)
    world.control.set_clock(31)
    assert (PLATFORM, ORG_ADMIN) in world.methods(NADIA.account_id)


def test_the_organization_role_needs_no_resource_where_roles_are_given(world: World) -> None:
    path = f"{ORG}/users/{NADIA.account_id}/roles/assign"
    assert world.call("POST", path, json={"role": ORG_ADMIN}).status_code == 204
    missing = world.call("POST", path, json={"role": USER})
    assert (missing.status_code, missing.json()["errors"][0]["code"]) == (400, "ADMIN-UAM-400-5")
    assert (PLATFORM, ORG_ADMIN) in world.methods(NADIA.account_id)


def test_a_role_of_a_group_is_held_by_its_members(world: World) -> None:
    world.organization.assign_group_role(RELEASE.org_id, ADMIN, CONFLUENCE, directory=HERE)
    [given] = world.organization.group_roles(RELEASE.org_id)
    assert (given.resource_id, given.resource_owner, given.roles, given.default_role) == (
        CONFLUENCE,
        "confluence",
        [ADMIN],
        None,
    )
    assert "group_direct" in world.methods(MEI.account_id)[CONFLUENCE, ADMIN]
    world.organization.revoke_group_role(RELEASE.org_id, ADMIN, CONFLUENCE, directory=HERE)
    assert world.organization.group_roles(RELEASE.org_id) == []
    entries = world.control.ledger(writes=True)
    assert [entry["status"] for entry in entries] == [200, 204]
    assert entries[0]["body"] == {"resourceId": CONFLUENCE, "roleId": ADMIN}
    assert [action for action, about in world.logged() if RELEASE.org_id in about] == [
        "group_granted_admin_access",
        "group_revoked_product_access",
    ]


def test_a_synced_group_may_be_given_a_role(world: World) -> None:
    """Its members are the directory's business, its access is not."""
    world.organization.assign_group_role(SYNCED.org_id, USER, CONFLUENCE, directory=HERE)
    assert [row.resource_id for row in world.organization.group_roles(SYNCED.org_id)] == [CONFLUENCE]


def test_the_default_group_of_a_product_says_so(world: World) -> None:
    [row] = world.organization.group_roles(COMPANY.group("jira-software-users").org_id)
    assert (row.roles, row.default_role) == ([USER], USER)


def test_no_licence_left_is_an_error_of_its_own_with_either_code(world: World) -> None:
    for code in ("ADMIN-UAM-409-3", "ADMIN-409-3"):
        world.control.switch(full_products=["confluence"], licence_code=code)
        with pytest.raises(LicenceLimit) as raised:
            world.organization.assign_role(LATER.account_id, USER, CONFLUENCE)
        assert (raised.value.code, raised.value.retry) == (code, False)
        with pytest.raises(LicenceLimit):
            world.organization.assign_group_role(RELEASE.org_id, USER, CONFLUENCE, directory=HERE)
    assert (CONFLUENCE, USER) not in world.methods(LATER.account_id)


def test_a_409_without_a_code_can_only_be_the_licence_here() -> None:
    for organization in (handmade(refusal(409))[0] for _ in range(2)):
        with pytest.raises(LicenceLimit):
            organization.assign_role("712020:x", USER, JIRA)
        with pytest.raises(LicenceLimit):
            organization.assign_group_role("g", USER, JIRA, directory=HERE)
    with pytest.raises(Conflict) as raised:
        handmade(refusal(409, "ADMIN-UAM-409-2"))[0].assign_role("712020:x", USER, JIRA)
    assert not isinstance(raised.value, LicenceLimit)


def test_a_role_of_another_product_a_resource_or_a_person_that_is_not_there(world: World) -> None:
    with pytest.raises(BadRequest) as wrong:
        world.organization.assign_role(ADA.account_id, "atlassian/customer", CONFLUENCE)
    assert wrong.value.code == "ADMIN-UAM-400-3"
    for account, resource in (("712020:nobody", JIRA), (ADA.account_id, JIRA.replace("jira", "trello"))):
        with pytest.raises(NotFound) as missing:
            world.organization.assign_role(account, USER, resource)
        assert missing.value.code == "ADMIN-UAM-404-3"
    with pytest.raises(NotFound):
        world.organization.assign_org_role("712020:nobody")
    with pytest.raises(NotFound):
        world.organization.assign_group_role("nogroup", USER, JIRA, directory=HERE)


def test_a_repeat_may_be_refused_so_what_is_held_is_read_first(world: World) -> None:
    world.organization.assign_role(ADA.account_id, USER, JIRA)
    world.organization.assign_role(ADA.account_id, USER, JIRA)
    world.control.switch(repeat_is_refused=True)
    for call in (world.organization.assign_role, world.organization.revoke_role):
        with pytest.raises(BadRequest):
            call(*((ADA if call == world.organization.assign_role else MEI).account_id, USER, JIRA))


def test_a_conflict_of_taking_a_role_is_not_said_to_be_a_licence(world: World) -> None:
    takes = (
        lambda: world.organization.revoke_role(ADA.account_id, USER, JIRA),
        lambda: world.organization.revoke_group_role(RELEASE.org_id, ADMIN, CONFLUENCE, directory=HERE),
    )
    for take in takes:
        world.control.fault(status=409)
        with pytest.raises(Conflict) as raised:
            take()
        assert "licence" not in str(raised.value)


def test_roles_come_in_pages_of_bare_tokens(world: World) -> None:
    path = f"/admin/v2/orgs/{seed.ORG_ID}/directories/-/users/{OMAR.account_id}/role-assignments"
    first = world.call("GET", path, params={"limit": 1}).json()
    token = first["links"]["next"]
    assert "/" not in token
    second = world.call("GET", path, params={"cursor": token, "roleIds": "atlassian/guest"}).json()
    assert first["data"] + second["data"] == world.call("GET", path, params={"limit": 2}).json()["data"]
    of_owner = world.call("GET", path, params={"resourceOwners": "platform"}).json()["data"]
    assert [row["resourceId"] for row in of_owner] == [PLATFORM]
    assert world.call("GET", path, params={"limit": "many"}).status_code == 400


def test_a_429_says_how_long_to_wait(world: World) -> None:
    world.control.fault(status=429, headers={"X-RateLimit-Reset": "2099-01-01T00:00:00Z"})
    with pytest.raises(RateLimited) as raised:
        world.organization.assign_role(ADA.account_id, USER, JIRA)
    assert (raised.value.after, raised.value.maybe_done) == (3600.0, False)


@pytest.mark.parametrize(
    "role", ["user", "atlassian/", "atlassian/User", "evil/user", "atlassian/a/b", "", "atlassian/x\n"]
)
def test_what_can_be_no_role_is_not_sent(role: str) -> None:
    organization, recorder = handmade({})
    for call in (
        lambda: organization.assign_role("712020:x", role, JIRA),
        lambda: organization.revoke_role("712020:x", role, JIRA),
        lambda: organization.assign_org_role("712020:x", role),
        lambda: organization.revoke_org_role("712020:x", role),
        lambda: organization.assign_group_role("g", role, JIRA, directory=HERE),
        lambda: organization.revoke_group_role("g", role, JIRA, directory=HERE),
        lambda: organization.invite(["a@x.example"], roles=[(role, JIRA)]),
    ):
        with pytest.raises(BadRequest, match="no possible role id"):
            call()
    assert recorder.requests == []


@pytest.mark.parametrize(
    "resource",
    ["", "..", "ari:cloud:jira", "ari:cloud:jira::site/../x", "ari:cloud:Jira::site/x", f"{JIRA}?x", f"{JIRA}\n"],
)
def test_what_can_be_no_resource_is_not_sent(resource: str) -> None:
    organization, recorder = handmade({})
    for call in (
        lambda: organization.assign_role("712020:x", USER, resource),
        lambda: organization.revoke_role("712020:x", USER, resource),
        lambda: organization.assign_group_role("g", USER, resource, directory=HERE),
        lambda: organization.revoke_group_role("g", USER, resource, directory=HERE),
        lambda: organization.invite(["a@x.example"], roles=[(USER, resource)]),
    ):
        with pytest.raises(BadRequest, match="no possible resource id"):
            call()
    assert recorder.requests == []


def test_a_plain_id_may_be_a_resource() -> None:
    organization, recorder = handmade({})
    organization.assign_role("712020:x", USER, seed.SITE_CLOUD_ID)
    assert recorder.bodies() == [{"role": USER, "resource": seed.SITE_CLOUD_ID}]
