"""The SCIM client says exactly what Atlassian documents, and believes only what it can check."""

import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.atlassian.errors import AtlassianError, BadRequest, Conflict, KeyRefused, NotFound, Unreadable
from bot.atlassian.scim import MAX_MEMBERS, ScimClient
from bot.atlassian.transport import scim_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.server import running
from tests.support.hostile_ids import HOSTILE_IDS
from tests.support.wire import Recorder

DIRECTORY = "315e79ae-404a-4061-8a88-df91c8c7db34"
ROOT = f"/scim/directory/{DIRECTORY}"
ID = "247b915a-9d6c-4cd5-b5a5-071b1b3abc2e"
GROUP = "50202593-bc47-45df-8fa0-3f63343aa3c1"
PATCH_OP = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
USER: dict[str, Any] = {
    "schemas": [
        "urn:scim:schemas:extension:atlassian-external:1.0",
        "urn:ietf:params:scim:schemas:core:2.0:User",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    ],
    "userName": "tess@acme.example",
    "externalId": "hr-1",
    "emails": [{"value": "tess@acme.example", "type": "work", "primary": True}],
    "meta": {
        "resourceType": "User",
        "lastModified": "2021-02-16T15:05:41.185473Z",
        "created": "2021-02-15T13:26:34.13545Z",
    },
    "groups": [{"value": GROUP, "display": "engineering"}],
    "urn:scim:schemas:extension:atlassian-external:1.0": {"atlassianAccountId": "602bdf457b23f40068547c25"},
    "id": ID,
    "active": True,
}
BARE = {key: value for key, value in USER.items() if key in ("id", "userName")}
TEAM: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
    "id": GROUP,
    "displayName": "demotime-confluence-users",
    "members": [{"type": "User", "value": ID, "display": "tess@acme.example", "$ref": f"https://x.example/Users/{ID}"}],
}


def build(*answers: Any) -> tuple[ScimClient, Recorder]:
    recorder = Recorder(*answers)
    transport = scim_transport("https://api.atlassian.com", SecretStr("scim-key"), http=recorder.transport)
    return ScimClient(transport, DIRECTORY), recorder


def listing(*items: Any, total: int | None = None, start: int = 1, **more: Any) -> dict[str, Any]:
    total = len(items) if total is None else total
    page = {"totalResults": total, "startIndex": start, "itemsPerPage": len(items), "Resources": list(items)}
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], **page, **more}


def test_a_user_is_read_with_account_and_groups() -> None:
    scim, recorder = build(USER)
    user = scim.get(ID)
    assert recorder.lines() == [f"GET {ROOT}/Users/{ID}"]
    assert recorder.last.headers["Authorization"] == "Bearer scim-key"
    assert (user.id, user.user_name, user.external_id, user.active) == (ID, "tess@acme.example", "hr-1", True)
    assert user.atlassian_account_id == "602bdf457b23f40068547c25"
    assert user.group_ids == {GROUP}
    assert user.emails[0].value == "tess@acme.example"


def test_what_an_answer_leaves_out_is_unknown_and_not_false() -> None:
    user = build(BARE)[0].get(ID)
    assert user.active is None
    assert user.atlassian_account_id is None
    assert user.group_ids == frozenset()
    nulls = {
        **BARE,
        "active": None,
        "groups": None,
        "emails": None,
        "urn:scim:schemas:extension:atlassian-external:1.0": None,
    }
    assert build(nulls)[0].get(ID).active is None


def test_creating_a_user_sends_what_the_document_asks_for() -> None:
    scim, recorder = build(httpx.Response(201, json=USER))
    scim.create(user_name="t@a.example", email="t@a.example", given_name="Test", family_name="User", external_id="00u1")
    assert recorder.lines() == [f"POST {ROOT}/Users"]
    assert recorder.bodies() == [
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "t@a.example",
            "externalId": "00u1",
            "emails": [{"value": "t@a.example", "type": "work", "primary": True}],
            "name": {"formatted": "Test User", "familyName": "User", "givenName": "Test"},
            "displayName": "Test User",
            "active": True,
        }
    ]


def test_creating_leaves_out_what_is_not_known() -> None:
    scim, recorder = build(httpx.Response(201, json=USER))
    scim.create(user_name="t@a.example", email="t@a.example")
    assert set(recorder.bodies()[0]) == {"schemas", "userName", "emails", "active"}


def test_creating_who_exists_is_a_conflict_with_its_code() -> None:
    scim, _ = build(httpx.Response(409, json={"status": "409", "scimType": "uniqueness", "detail": "exists"}))
    with pytest.raises(Conflict) as raised:
        scim.create(user_name="t@a.example", email="t@a.example")
    assert raised.value.code == "uniqueness"


@pytest.mark.parametrize(("value", "active"), [(True, "activate"), (False, "deactivate")])
def test_activation_is_one_replace_and_never_delete_or_put(value: bool, active: str) -> None:
    scim, recorder = build({**USER, "active": value})
    assert getattr(scim, active)(ID).active is value
    assert recorder.lines() == [f"PATCH {ROOT}/Users/{ID}"]
    operation = {"op": "replace", "path": "active", "value": value}
    assert recorder.bodies() == [{"schemas": PATCH_OP, "Operations": [operation]}]
    assert recorder.last.headers["Content-Type"] == "application/scim+json"


def test_a_patch_carries_its_operations_as_they_are() -> None:
    scim, recorder = build(USER)
    operations = [{"op": "replace", "path": "title", "value": "Lead"}]
    scim.patch(ID, operations)
    assert recorder.bodies() == [{"schemas": PATCH_OP, "Operations": operations}]


def test_members_are_added_with_one_patch() -> None:
    scim, recorder = build(TEAM)
    group = scim.add_members(GROUP, [ID, ID, "c6993c94"])
    assert group is not None
    assert group.member_ids == {ID}
    assert recorder.lines() == [f"PATCH {ROOT}/Groups/{GROUP}"]
    operation = {"op": "add", "path": "members", "value": [{"value": ID}, {"value": "c6993c94"}]}
    assert recorder.bodies() == [{"schemas": PATCH_OP, "Operations": [operation]}]


@pytest.mark.parametrize("number", [0, MAX_MEMBERS + 1])
def test_none_or_too_many_members_are_no_call(number: int) -> None:
    scim, recorder = build(TEAM)
    with pytest.raises(ValueError, match="between 1 and 100"):
        scim.add_members(GROUP, [f"u{i}" for i in range(number)])
    assert recorder.requests == []


def test_a_member_is_removed_by_name_and_never_all_of_them() -> None:
    scim, recorder = build({**TEAM, "members": []})
    scim.remove_member(GROUP, ID)
    operation = {"op": "remove", "path": f'members[value eq "{ID}"]'}
    assert recorder.lines() == [f"PATCH {ROOT}/Groups/{GROUP}"]
    assert recorder.bodies() == [{"schemas": PATCH_OP, "Operations": [operation]}]


def test_removing_who_is_no_member_is_done() -> None:
    no_target = httpx.Response(400, json={"status": "400", "scimType": "noTarget", "detail": "x"})
    assert build(no_target)[0].remove_member(GROUP, ID) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"scimType": "invalidPath"}), (400, {"detail": "noTarget"}), (400, {}), (422, {"scimType": "noTarget"}),
        (404, {"scimType": "noTarget"}), (409, {"scimType": "noTarget"}),
    ],
)  # fmt: skip
def test_only_no_target_means_done(status: int, body: dict[str, str]) -> None:
    with pytest.raises(AtlassianError):
        build(httpx.Response(status, json=body))[0].remove_member(GROUP, ID)
    with pytest.raises(AtlassianError):
        build(httpx.Response(400, json={"scimType": "noTarget"}))[0].add_members(GROUP, [ID])


@pytest.mark.parametrize("answer", [{**TEAM, "id": "other"}, {**USER, "id": "other"}])
def test_an_answer_about_another_record_is_not_believed(answer: dict[str, Any]) -> None:
    scim, _ = build(answer)
    calls: list[Callable[[], object]] = [
        lambda: scim.get(ID),
        lambda: scim.get_group(GROUP),
        lambda: scim.deactivate(ID),
        lambda: scim.add_members(GROUP, [ID]),
        lambda: scim.remove_member(GROUP, ID),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(Unreadable) as raised:
            call()
        assert raised.value.maybe_done is (number >= 2)


def test_a_group_patch_may_answer_nothing() -> None:
    assert build(httpx.Response(204))[0].add_members(GROUP, [ID]) is None


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("tess@acme.example", "userName%20eq%20%22tess%40acme.example%22"),
        ('a"b\\c', "userName%20eq%20%22a%5C%22b%5C%5Cc%22"),
        ('x" or userName eq "y', "userName%20eq%20%22x%5C%22%20or%20userName%20eq%20%5C%22y%22"),
        ("a&count=1#", "userName%20eq%20%22a%26count%3D1%23%22"),
        ("é\n", "userName%20eq%20%22%C3%A9%5Cn%22"),
    ],
)
def test_a_name_can_not_leave_its_filter(name: str, query: str) -> None:
    scim, recorder = build(listing())
    assert scim.find_by_user_name(name) is None
    assert recorder.lines() == [f"GET {ROOT}/Users?filter={query}&startIndex=1&count=100"]


def test_what_the_filter_finds_is_compared() -> None:
    stranger = {**USER, "userName": "other@acme.example"}
    assert build(listing(stranger, USER))[0].find_by_user_name("tess@acme.example").id == ID
    assert build(listing(stranger))[0].find_by_user_name("tess@acme.example") is None
    assert build(listing(USER))[0].find_by_user_name("TESS@ACME.example").id == ID
    assert build(listing(USER))[0].find_by_external_id("HR-1") is None
    assert build(listing(USER))[0].find_by_external_id("hr-1").id == ID
    assert build(listing({**USER, "userName": "stra\u00dfe"}))[0].find_by_user_name("strasse") is None
    assert build(listing({**USER, "userName": "\u212aay"}))[0].find_by_user_name("kay") is None


def test_two_that_fit_are_not_one() -> None:
    twin = {**USER, "id": "twin", "userName": "TESS@acme.example"}
    assert build(listing(USER, twin))[0].find_by_user_name("tess@acme.example").id == ID
    for found in (lambda s: s.find_by_external_id("hr-1"), lambda s: s.find_by_user_name("Tess@acme.example")):
        with pytest.raises(Conflict) as raised:
            found(build(listing(USER, twin))[0])
        assert raised.value.code == "ambiguous"


def test_a_group_is_found_by_its_name_to_the_letter() -> None:
    scim, recorder = build(listing({**TEAM, "displayName": "Demotime-confluence-users", "id": "x"}, TEAM))
    group = scim.find_group_by_name("demotime-confluence-users")
    assert group is not None
    assert group.id == GROUP
    assert recorder.lines()[0].startswith(f"GET {ROOT}/Groups?filter=displayName%20eq%20%22demotime")


def test_pages_count_from_one_and_go_on_by_what_came() -> None:
    others = [{"id": f"u{i}", "userName": f"n{i}"} for i in range(5)]
    pages = [listing(*others[:2], total=6), listing(*others[2:5], total=6, start=3), listing(USER, total=6, start=6)]
    scim, recorder = build(*pages)
    assert scim.find_by_user_name("tess@acme.example").id == ID
    assert [request.url.params["startIndex"] for request in recorder.requests] == ["1", "3", "6"]


def test_a_wrong_items_per_page_skips_nobody() -> None:
    scim, recorder = build(listing({"id": "u0"}, total=2, itemsPerPage=100), listing(USER, total=2, start=2))
    assert scim.find_by_user_name("tess@acme.example").id == ID
    assert [request.url.params["startIndex"] for request in recorder.requests] == ["1", "2"]


def test_an_empty_page_ends_a_list() -> None:
    scim, recorder = build(listing({"id": "u0"}, total=50), listing(total=50), listing(USER))
    assert scim.find_by_user_name("tess@acme.example") is None
    assert len(recorder.requests) == 2


@pytest.mark.parametrize("page", [listing(total=3), {"totalResults": 3}, {"totalResults": 3, "Resources": None}])
def test_a_list_that_counts_more_than_it_shows_is_no_proof_that_nobody_is_there(page: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        build(page)[0].find_by_user_name("tess@acme.example")


def test_a_repeated_page_is_noticed() -> None:
    scim, recorder = build(listing({"id": "u0"}, {"id": "u1"}, total=100))
    with pytest.raises(Unreadable, match="same page"):
        scim.find_by_user_name("tess@acme.example")
    assert len(recorder.requests) == 2


def test_pages_without_end_are_given_up() -> None:
    scim, recorder = build(lambda request: listing({"id": f"u{request.url.params['startIndex']}"}, total=10**9))
    with pytest.raises(Unreadable, match="no end"):
        scim.find_by_user_name("tess@acme.example")
    assert len(recorder.requests) == 10


@pytest.mark.parametrize(
    "answer",
    [[], {}, {"Resources": []}, {"totalResults": "many"}, listing("x"), listing({}), listing({"id": 7}), listing(None),
     {"totalResults": 1, "Resources": {"id": "x"}}, listing({"id": "x", "active": "perhaps"})],
    ids=range(10),
)  # fmt: skip
def test_a_list_of_another_shape_is_unreadable(answer: Any) -> None:
    with pytest.raises(Unreadable):
        build(answer)[0].find_by_user_name("tess@acme.example")


def test_the_configuration_is_the_probe_of_a_key() -> None:
    scim, recorder = build({"filter": {"supported": True, "maxResults": 100}})
    assert scim.service_provider_config()["filter"]["maxResults"] == 100
    assert recorder.lines() == [f"GET {ROOT}/ServiceProviderConfig"]
    with pytest.raises(KeyRefused):
        build(httpx.Response(401, json={"error": "x", "traceId": "y"}))[0].service_provider_config()
    with pytest.raises(Unreadable):
        build([])[0].service_provider_config()


CALLS: list[Callable[[ScimClient, str], object]] = [
    lambda scim, value: scim.get(value),
    lambda scim, value: scim.patch(value, [{"op": "replace", "path": "title", "value": "x"}]),
    lambda scim, value: scim.activate(value),
    lambda scim, value: scim.deactivate(value),
    lambda scim, value: scim.get_group(value),
    lambda scim, value: scim.add_members(value, [ID]),
    lambda scim, value: scim.add_members(GROUP, [value]),
    lambda scim, value: scim.remove_member(value, ID),
    lambda scim, value: scim.remove_member(GROUP, value),
]


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_id_sends_nothing(call: Callable[[ScimClient, str], object], value: str) -> None:
    scim, recorder = build(USER)
    with pytest.raises(BadRequest, match="nothing was sent") as raised:
        call(scim, value)
    assert recorder.requests == []
    assert not raised.value.retry
    assert not raised.value.maybe_done
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_directory_makes_no_client(value: str) -> None:
    transport = scim_transport("https://api.atlassian.com", SecretStr("k"), http=Recorder({}).transport)
    with pytest.raises(ValueError, match="no possible scim directory id"):
        ScimClient(transport, value)


@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_name_stays_in_its_filter(value: str) -> None:
    scim, recorder = build(listing())
    for find in (scim.find_by_user_name, scim.find_by_external_id, scim.find_group_by_name):
        with contextlib.suppress(BadRequest):  # what is no text is not sent at all
            assert find(value) is None
    for request in recorder.requests:
        assert request.url.host == "api.atlassian.com"
        assert request.url.path in (f"{ROOT}/Users", f"{ROOT}/Groups")
        assert list(request.url.params) == ["filter", "startIndex", "count"]


def test_the_client_and_the_sandbox_agree() -> None:
    ada = seed.company().person("ada")
    with running() as base:
        transport = scim_transport(base, SecretStr(seed.OURS.key))
        scim = ScimClient(transport, seed.OURS.id)
        assert scim.service_provider_config()["patch"] == {"supported": True}
        user, group = scim.find_by_user_name(ada.email.upper()), scim.find_group_by_name("eu-jira-admins")
        assert user is not None
        assert group is not None
        assert (user.id, user.atlassian_account_id) == (ada.scim_id, ada.account_id)
        scim.add_members(group.id, [user.id])
        scim.add_members(group.id, [user.id])
        assert user.id in scim.get_group(group.id).member_ids
        assert group.id in scim.get(user.id).group_ids
        scim.remove_member(group.id, user.id)
        scim.remove_member(group.id, user.id)
        assert user.id not in scim.get_group(group.id).member_ids
        assert scim.deactivate(user.id).active is False
        assert scim.activate(user.id).active is True
        scim.create(user_name="new@harbour.example", email="new@harbour.example", given_name="New", family_name="One")
        with pytest.raises(Conflict):
            scim.create(user_name="new@harbour.example", email="new@harbour.example")
        assert scim.find_by_user_name("nobody@harbour.example") is None
        with pytest.raises(NotFound):
            scim.get("no-such-user")
        transport.close()
