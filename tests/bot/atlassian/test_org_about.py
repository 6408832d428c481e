"""Policies, workspaces and SCIM links, a key with scopes, and ids that would leave their place."""

from collections.abc import Callable

import pytest

from bot.atlassian.errors import BadRequest, KeyRefused, NotFound, Unreadable
from bot.atlassian.organization import OrganizationClient
from bot.sandbox import seed
from tests.support.hostile_ids import HOSTILE_IDS
from tests.support.org_world import COMPANY, CONFLUENCE, HERE, JIRA, World, handmade

ADA, KOFI = COMPANY.person("ada"), COMPANY.person("kofi")
EU, RELEASE = COMPANY.group("eu-jira-admins"), COMPANY.group("release-managers")
WORKSPACES = f"/admin/v2/orgs/{seed.ORG_ID}/workspaces"
LINKS = f"/admin/user-provisioning/v1/org/{seed.ORG_ID}"


def test_policies_are_read_all_of_a_kind_or_one(world: World) -> None:
    everything = world.organization.policies()
    assert {policy.kind for policy in everything} == {"ip-allowlist", "data-residency", "data-security"}
    [offices] = world.organization.policies("ip-allowlist")
    assert (offices.attributes.name, offices.attributes.status) == ("Offices", "enabled")
    assert world.organization.policy(offices.id) == offices
    assert world.control.ledger()[1]["path"].endswith("/policies?type=ip-allowlist")
    with pytest.raises(NotFound) as raised:
        world.organization.policy("none")
    assert raised.value.code == "ADMIN-404-5"


def test_a_policy_of_another_kind_or_id_is_not_believed() -> None:
    policy = {"id": "p1", "type": "policy", "attributes": {"type": "data-security"}}
    assert handmade({"data": [policy]})[0].policies("ip-allowlist") == []
    with pytest.raises(Unreadable):
        handmade({"data": policy})[0].policy("p2")


def test_workspaces_give_the_resources_that_role_calls_take(world: World) -> None:
    found = {workspace.id: workspace for workspace in world.organization.workspaces()}
    assert set(found) == {JIRA, CONFLUENCE}
    assert found[JIRA].attributes.host_url == "https://harbour-works.atlassian.net"
    assert found[JIRA].attributes.status == "online"
    [confluence] = world.organization.workspaces(("confluence",))
    assert confluence.id == CONFLUENCE
    assert world.control.ledger(writes=True) == []  # a read in POST clothing
    world.organization.assign_role(ADA.account_id, "atlassian/admin", confluence.id)


def test_the_next_page_of_workspaces_is_asked_for_with_the_cursor_alone() -> None:
    organization, recorder = handmade({"data": [{"id": "a"}], "links": {"next": "c1"}}, {"data": [{"id": "b"}]})
    assert [workspace.id for workspace in organization.workspaces(("jira",))] == ["a", "b"]
    assert recorder.bodies() == [
        {"limit": 1000, "query": {"field": {"name": "attributes.type", "values": ["jira"]}}},
        {"cursor": "c1"},
    ]


def test_the_sandbox_pages_and_filters_workspaces_as_documented(world: World) -> None:
    def ids(**body: object) -> list[str]:
        return [one["id"] for one in world.call("POST", WORKSPACES, json=body).json()["data"]]

    kind = {"field": {"name": "attributes.type", "values": ["confluence"]}}
    assert ids(query={"and": [kind, {"searchWorkspaces": "harbour"}]}) == [CONFLUENCE]
    assert ids(query={"nor": [kind]}) == [JIRA]
    assert ids(query={"and": [{"features": ["some-feature"]}]}) == []
    assert ids(sort=[{"field": "attributes.type", "order": "asc"}]) == [CONFLUENCE, JIRA]
    first = world.call("POST", WORKSPACES, json={"limit": 1}).json()
    assert first["meta"]["total"] == 2
    assert ids(cursor=first["links"]["next"]) == [CONFLUENCE]
    for wrong in ({"cursor": first["links"]["next"], "limit": 1}, {"limit": 1001}, {"query": {}}, {"query": {"x": 1}}):
        assert world.call("POST", WORKSPACES, json=wrong).status_code == 400


def test_an_unlinked_record_and_its_account_know_nothing_of_each_other(world: World) -> None:
    mei = COMPANY.person("mei")
    world.organization.unlink_scim(seed.OURS.id, mei.scim_id or "")
    assert world.organization.scim_links(mei.account_id) == []
    assert world.organization.user(mei.account_id).management_source == "invited"
    assert world.control.members("eu-jira-admins") == set()  # what the record gave
    path = f"/scim/directory/{seed.OURS.id}/Users/{mei.scim_id}"
    assert world.call("GET", path, key=seed.OURS.key).status_code == 200  # the record stays
    [entry] = world.control.ledger(writes=True)
    assert (entry["method"], entry["status"], entry["body"]) == ("PATCH", 204, None)
    assert "scim_user_unlinked" in {action for action, about in world.logged() if mei.account_id in about}
    world.organization.unlink_scim(seed.OURS.id, mei.scim_id or "")  # a repeat changes nothing


def test_a_record_is_unlinked_in_its_own_directory_only(world: World) -> None:
    for directory, record in ((seed.OURS.id, KOFI.scim_id), (seed.OURS.id, "none")):
        with pytest.raises(NotFound):
            world.organization.unlink_scim(directory, record or "")
    assert len(world.organization.scim_links(KOFI.account_id)) == 1


READS: list[Callable[[OrganizationClient], object]] = [
    lambda o: o.organization(),
    lambda o: o.domains(),
    lambda o: o.directories(),
    lambda o: list(o.managed_accounts()),
    lambda o: o.user_stats(),
    lambda o: o.user_roles(ADA.account_id),
    lambda o: o.group_roles(RELEASE.org_id),
    lambda o: o.workspaces(),
    lambda o: o.events(),
    lambda o: o.events_stream(),
    lambda o: o.event_actions(),
]
UNSCOPED: list[Callable[[OrganizationClient], object]] = [
    lambda o: o.organizations(),
    lambda o: list(o.users()),
    lambda o: o.user_count(),
    lambda o: o.user(ADA.account_id),
    lambda o: list(o.groups()),
    lambda o: o.group(RELEASE.org_id),
    lambda o: o.group_stats(),
    lambda o: o.policies(),
    lambda o: o.last_active(ADA.account_id),
    lambda o: o.scim_links(ADA.account_id),
    lambda o: o.suspend(ADA.account_id, directory=HERE),
    lambda o: o.add_member(RELEASE.org_id, ADA.account_id, directory=HERE),
    lambda o: o.assign_role(ADA.account_id, "atlassian/user", JIRA),
    lambda o: o.invite(["a@harbour.example"]),
    lambda o: o.create_group("x", directory=HERE),
]


def test_a_key_with_scopes_opens_what_names_a_scope_and_nothing_else(world: World) -> None:
    scoped = world.with_key(seed.ORG_SCOPED_KEY)
    for call in READS:
        call(scoped)
    for call in UNSCOPED:
        with pytest.raises(KeyRefused, match="scopes") as raised:
            call(scoped)
        assert raised.value.code == "ADMIN-401-2"
    assert world.control.ledger(writes=True)
    assert not any(entry["applied"] for entry in world.control.ledger())
    assert {entry["credential"] for entry in world.control.ledger()} == {"org with scopes"}
    scoped.close()


def test_a_key_that_lacks_the_one_scope_is_refused(world: World) -> None:
    world.control.switch(key_scopes=["read:events:admin"])
    scoped = world.with_key(seed.ORG_SCOPED_KEY)
    scoped.event_actions()
    with pytest.raises(KeyRefused):
        scoped.domains()
    scoped.close()


@pytest.mark.parametrize(
    "answer", [{}, {"unexpected": 1}, {"count": None}, {"totals": None, "accountStatus": None}, []]
)
def test_figures_that_are_not_told_are_no_zeros(answer: object) -> None:
    organization, _ = handmade(answer)
    for call in (
        organization.user_count,
        organization.user_stats,
        organization.group_count,
        organization.group_stats,
        lambda: organization.last_active("712020:x"),
        lambda: organization.invite(["a@x.example"]),
    ):
        with pytest.raises(Unreadable):
            call()


CALLS: list[Callable[[OrganizationClient, str], object]] = [
    lambda o, v: o.policy(v),
    lambda o, v: o.event(v),
    lambda o, v: o.last_active(v),
    lambda o, v: o.events(actor_ids=[v]),
    lambda o, v: o.user_count(directory=v),
    lambda o, v: o.user_stats(directory=v),
    lambda o, v: o.group_count(directory=v),
    lambda o, v: o.group_stats(directory=v),
    lambda o, v: o.users_by_account([v]),
    lambda o, v: o.invite(["a@x.example"], group_ids=[v]),
    lambda o, v: o.suspend(v, directory="d"),
    lambda o, v: o.suspend("a", directory=v),
    lambda o, v: o.restore(v, directory="d"),
    lambda o, v: o.restore("a", directory=v),
    lambda o, v: o.remove_from_directory_for_good(v, directory="d"),
    lambda o, v: o.remove_from_directory_for_good("a", directory=v),
    lambda o, v: o.create_group("x", directory=v),
    lambda o, v: o.add_member(v, "a", directory="d"),
    lambda o, v: o.add_member("g", v, directory="d"),
    lambda o, v: o.add_member("g", "a", directory=v),
    lambda o, v: o.remove_member(v, "a", directory="d"),
    lambda o, v: o.remove_member("g", v, directory="d"),
    lambda o, v: o.remove_member("g", "a", directory=v),
    lambda o, v: o.assign_role(v, "atlassian/user", "r"),
    lambda o, v: o.revoke_role(v, "atlassian/user", "r"),
    lambda o, v: o.assign_org_role(v),
    lambda o, v: o.revoke_org_role(v),
    lambda o, v: o.assign_group_role(v, "atlassian/user", "r", directory="d"),
    lambda o, v: o.assign_group_role("g", "atlassian/user", "r", directory=v),
    lambda o, v: o.revoke_group_role(v, "atlassian/user", "r", directory="d"),
    lambda o, v: o.revoke_group_role("g", "atlassian/user", "r", directory=v),
    lambda o, v: o.unlink_scim(v, "s"),
    lambda o, v: o.unlink_scim("d", v),
]


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
def test_a_hostile_id_sends_nothing(call: Callable[[OrganizationClient, str], object]) -> None:
    organization, recorder = handmade({"data": [], "count": 0})
    for value in HOSTILE_IDS:
        with pytest.raises(BadRequest, match="nothing was sent"):
            call(organization, value)
    assert recorder.requests == []


def test_there_is_no_method_for_what_must_not_be_done() -> None:
    """Nothing deletes a group, a SCIM record, or the tokens of a whole organization."""
    names = [name for name in dir(OrganizationClient) if not name.startswith("_")]
    assert [name for name in names if "delete" in name or "token" in name] == []
    assert [name for name in names if "remove" in name] == ["remove_from_directory_for_good", "remove_member"]
