"""The Organizations side of the sandbox on the wire: what no client of ours shows, but a client must survive."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bot.sandbox import seed
from tests.support.org_world import ANY, COMPANY, CONFLUENCE, JIRA, ONE, ORG, World, world_on_a_socket

ADA, MEI = COMPANY.person("ada"), COMPANY.person("mei")
RELEASE = COMPANY.group("release-managers")
GROUP = f"{ONE}/groups/{RELEASE.org_id}"
USER = f"{ORG}/users/{ADA.account_id}"
INVITE = f"/admin/v2/orgs/{seed.ORG_ID}/users/invite"
WORKSPACES = f"/admin/v2/orgs/{seed.ORG_ID}/workspaces"
UNLINK = f"/admin/user-provisioning/v1/org/{seed.ORG_ID}/scimDirectoryId/{seed.OURS.id}/scimUserId/{ADA.scim_id}/unlink"


@pytest.fixture(scope="module")
def served() -> Iterator[World]:
    with world_on_a_socket() as world:
        yield world


@pytest.fixture
def world(served: World) -> World:
    served.control.reset()
    return served


def code(answer: httpx.Response) -> str:
    return str(answer.json()["errors"][0]["code"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{ORG}/users/search"),
        ("POST", f"{ORG}/users/invite"),
        ("POST", f"{ORG}/directory/users/{ADA.account_id}/suspend-access"),
        ("POST", f"{ORG}/directory/users/{ADA.account_id}/restore-access"),
        ("DELETE", f"{ORG}/directory/users/{ADA.account_id}"),
        ("POST", f"{ORG}/groups/search"),
        ("POST", f"{ORG}/directory/groups"),
        ("DELETE", f"{ORG}/directory/groups/{RELEASE.org_id}"),
        ("POST", f"{ORG}/directory/groups/{RELEASE.org_id}/roles/assign"),
        ("POST", f"{ORG}/directory/groups/{RELEASE.org_id}/memberships"),
        ("DELETE", f"{ORG}/directory/groups/{RELEASE.org_id}/memberships/{ADA.account_id}"),
    ],
)
def test_what_atlassian_switched_off_is_the_gateways_flat_404(world: World, method: str, path: str) -> None:
    answer = world.call(method, path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"timestamp", "path", "status", "error", "requestId", "message"}


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"null", b'"x"', b"NaN", b"[" * 100_000])
@pytest.mark.parametrize(
    "path",
    [
        INVITE, WORKSPACES, f"{ONE}/groups", f"{GROUP}/role-assignments/assign", f"{GROUP}/role-assignments/revoke",
        f"{USER}/roles/assign", f"{USER}/roles/revoke", f"{USER}/role-assignments/assign",
        f"{USER}/role-assignments/revoke",
    ],
)  # fmt: skip
def test_a_broken_body_is_a_400_and_nothing_worse(world: World, path: str, content: bytes) -> None:
    assert world.call("POST", path, content=content).status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (INVITE, {}), (INVITE, {"emails": []}), (INVITE, {"emails": ["x"]}), (INVITE, {"emails": ["a@b.c"] * 26}),
        (INVITE, {"emails": ["a@b.c"], "permissionRules": [{"role": "atlassian/user"}]}),
        (INVITE, {"emails": ["a@b.c"], "permissionRules": "all"}),
        (f"{ONE}/groups", {"name": 5}), (f"{ONE}/groups", {"name": "x", "description": 5}),
        (f"{USER}/roles/assign", {"role": "atlassian/king", "resource": JIRA}),
        (f"{USER}/roles/assign", {"role": "atlassian/user"}), (f"{USER}/roles/assign", {"role": 5, "resource": JIRA}),
        (f"{USER}/role-assignments/assign", {"role": "atlassian/user"}),
        (f"{GROUP}/role-assignments/assign", {"role": "atlassian/user", "resource": JIRA}),
    ],
)  # fmt: skip
def test_a_senseless_write_is_a_400_and_changes_nothing(world: World, path: str, body: dict[str, Any]) -> None:
    assert world.call("POST", path, json=body).status_code == 400
    assert not any(entry["applied"] for entry in world.control.ledger())


@pytest.mark.parametrize(
    "body",
    [
        {"emails": ["a@b.c"], "additionalGroups": ["none"]},
        {"emails": ["a@b.c"], "permissionRules": [{"role": "atlassian/user", "resource": "none"}]},
    ],
)
def test_an_invitation_into_what_is_not_there_invites_nobody(world: World, body: dict[str, Any]) -> None:
    assert world.call("POST", INVITE, json=body).status_code == 404
    assert world.organization.users_by_email(["a@b.c"]) == []


def test_the_writes_answer_with_a_status_and_no_body(world: World) -> None:
    role = {"role": "atlassian/admin", "resource": CONFLUENCE}
    calls = [
        ("POST", f"{ONE}/groups", {"name": "data-readers"}, 201),
        ("POST", f"{GROUP}/role-assignments/assign", {"roleId": "atlassian/admin", "resourceId": CONFLUENCE}, 200),
        ("POST", f"{GROUP}/role-assignments/revoke", {"roleId": "atlassian/admin", "resourceId": CONFLUENCE}, 204),
        ("POST", f"{USER}/roles/assign", role, 204),
        ("POST", f"{USER}/roles/revoke", role, 204),
        ("POST", f"{USER}/role-assignments/assign", {"role": "atlassian/org-admin"}, 204),
        ("POST", f"{USER}/role-assignments/revoke", {"role": "atlassian/org-admin"}, 204),
        ("POST", f"{ONE}/users/{ADA.account_id}/suspend", None, 204),
        ("POST", f"{ONE}/users/{ADA.account_id}/restore", None, 204),
        ("DELETE", f"{ONE}/users/{ADA.account_id}", None, 204),
        ("PATCH", UNLINK, None, 204),
    ]
    answers = [(world.call(method, path, json=body), status) for method, path, body, status in calls]
    assert [(answer.status_code, answer.content) for answer, _ in answers] == [(status, b"") for _, status in answers]
    assert [entry["applied"] for entry in world.control.ledger()] == [True] * len(calls)


def test_a_409_comes_with_one_of_two_codes_or_with_nothing(world: World) -> None:
    path, body = f"{GROUP}/memberships", {"accountId": MEI.account_id}
    assert code(world.call("POST", path, json=body)) == "ADMIN-UAM-409-2"
    world.control.switch(full_groups=["release-managers"])
    assert code(world.call("POST", path, json={"accountId": ADA.account_id})) == "ADMIN-UAM-409-3"
    world.control.switch(unclear_conflicts=True)
    unclear = [world.call("POST", path, json={"accountId": person.account_id}) for person in (MEI, ADA)]
    assert [(answer.status_code, answer.content) for answer in unclear] == [(409, b""), (409, b"")]


def test_an_event_has_everything_the_document_requires(world: World) -> None:
    world.call("POST", f"{GROUP}/memberships", json={"accountId": ADA.account_id})
    [event] = world.call("GET", f"{ORG}/events-stream").json()["data"]
    attributes = event["attributes"]
    assert {"time", "action", "actor", "context", "container", "processedAt"} == set(attributes)
    seconds, _, fraction = attributes["processedAt"].rstrip("Z").partition(".")
    assert (len(seconds), len(fraction)) == (19, 9)
    assert len(attributes["time"]) == len("2025-02-27T18:50:12.281Z")
    assert {(item["type"], item["id"]) for item in attributes["context"]} == {
        ("users", ADA.account_id),
        ("groups", RELEASE.org_id),
    }
    assert event["links"]["self"] == f"{world.base}{ORG}/events/{event['id']}"
    [found] = world.call("GET", f"{ORG}/events").json()["data"]
    assert "processedAt" not in found["attributes"]
    assert world.call("GET", f"{ORG}/events/{event['id']}").json()["data"] == found


def test_somebody_does_something_that_no_call_stands_for(world: World) -> None:
    where = {"ip": "203.0.113.7", "city": "Brno"}
    before = world.control.happens(ADA.account_id, "user_login", "Logged in", ago=60, location=where)
    late = world.control.happens("712020:stranger", "jira_issue_viewed", about=MEI.account_id, delay=3600)
    [event] = world.call("GET", f"{ORG}/events-stream").json()["data"]
    assert (event["id"], event["attributes"]["actor"]["id"]) == (before, ADA.account_id)
    assert (event["attributes"]["location"], event["message"]["content"]) == (where, "Logged in")
    assert [known["id"] for known in world.control.events()] == [before, late]
    for wrong in ({"actor": ""}, {"ago": "x"}, {"location": []}, {"about": 1}):
        with pytest.raises(ValueError, match="refused"):
            world.control.happens(**({"actor": ADA.account_id, "action": "x"} | wrong))  # type: ignore[arg-type]


def test_an_effect_whose_answer_was_lost_is_in_the_log(world: World) -> None:
    world.control.fault(lost=True)
    with pytest.raises(httpx.RemoteProtocolError):
        world.call("POST", f"{GROUP}/memberships", json={"accountId": ADA.account_id})
    assert [action for action, _ in world.logged()] == ["user_added_to_group"]
    world.control.fault(lost=True, applied=False)
    with pytest.raises(httpx.RemoteProtocolError):
        world.call("DELETE", f"{GROUP}/memberships/{ADA.account_id}")
    assert len(world.logged()) == 1


def test_every_action_that_is_written_is_in_the_list_of_actions(world: World) -> None:
    known = {action["id"] for action in world.call("GET", f"{ORG}/event-actions").json()["data"]}
    world.organization.invite(["new@harbour.example"], roles=[("atlassian/user", JIRA)], group_ids=[RELEASE.org_id])
    world.call("POST", f"{ONE}/groups", json={"name": "data-readers"})
    world.call("DELETE", f"{ONE}/users/{ADA.account_id}")
    world.call("PATCH", UNLINK)
    written = {action for action, _ in world.logged()}
    assert len(written) >= 7
    assert written <= known


def test_an_empty_search_result_still_answers_its_shape(world: World) -> None:
    answer = world.call("GET", f"{ANY}/users/count", params={"searchTerm": "nobody at all"})
    assert answer.json() == {"count": 0}
    for query in ({"status": "gone"}, {"roleIds": "king"}, {"accountIds": ["x"] * 11}):
        assert world.call("GET", f"{ANY}/users/count", params=query).status_code == 400


@pytest.mark.parametrize("switch", [{"event_page_limit": 0}, {"event_delay": -1}, {"licence_code": 5}])
def test_a_senseless_switch_is_refused(world: World, switch: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="refused"):
        world.control.switch(**switch)
