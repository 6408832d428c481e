"""Whole lists of a SCIM directory, new groups, members in portions: nobody is skipped and nothing is swallowed."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.atlassian.errors import AtlassianError, BadRequest, Conflict, NotFound, Unreadable
from bot.atlassian.limits import GroupLimits
from bot.atlassian.scim import ScimClient
from bot.atlassian.transport import scim_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from tests.support.hostile_ids import HOSTILE_IDS
from tests.support.wire import Recorder

DIRECTORY = "315e79ae-404a-4061-8a88-df91c8c7db34"
ROOT = f"/scim/directory/{DIRECTORY}"
GROUP = "50202593-bc47-45df-8fa0-3f63343aa3c1"
TEAM: dict[str, Any] = {"id": GROUP, "displayName": "data-readers", "members": []}
CONFIG = {"filter": {"supported": True, "maxResults": 1000}}
Real = tuple[ScimClient, AtlassianControl]


def build(*answers: Any, **options: Any) -> tuple[ScimClient, Recorder]:
    recorder = Recorder(*answers)
    transport = scim_transport("https://api.atlassian.com", SecretStr("scim-key"), http=recorder.transport)
    return ScimClient(transport, DIRECTORY, **options), recorder


def page(*numbers: int, total: int) -> dict[str, Any]:
    return {"totalResults": total, "Resources": [{"id": f"u{n}", "userName": f"n{n}"} for n in numbers]}


@pytest.fixture(scope="module")
def wire() -> Iterator[Real]:
    with running() as base, AtlassianControl(base) as control:
        transport = scim_transport(base, SecretStr(seed.OURS.key))
        yield ScimClient(transport, seed.OURS.id), control
        transport.close()


@pytest.fixture
def real(wire: Real) -> Real:
    """The client and the sandbox on a real socket, as on the first morning."""
    wire[1].reset()
    wire[1].clear_ledger()
    return wire


# Lists


def test_a_list_is_walked_to_its_end_and_shows_everybody_once() -> None:
    scim, recorder = build(CONFIG, page(0, 1, total=3), page(1, 2, total=3))
    assert [user.id for user in scim.users()] == ["u0", "u1", "u2"]
    assert [request.url.params.get("startIndex") for request in recorder.requests] == [
        None,
        "1",
        "3",
    ]  # no page after the last


def test_a_list_that_repeats_itself_has_skipped_somebody() -> None:
    scim, _ = build(CONFIG, page(0, 1, total=4), page(1, 2, total=4))
    with pytest.raises(Unreadable, match="changed while it was read"):
        list(scim.users())
    scim, _ = build(CONFIG, page(0, 1, total=4), page(0, 1, total=4))
    with pytest.raises(Unreadable, match="same page"):
        list(scim.users())


@pytest.mark.parametrize(
    "second", [page(3, total=3), page(2, total=3), page(total=4), page(total=3), {"totalResults": 4, "Resources": None}]
)
def test_a_list_that_shrinks_while_it_is_read_is_not_believed(second: dict[str, Any]) -> None:
    scim, _ = build(CONFIG, page(0, 1, total=4), second, page(3, total=3))
    with pytest.raises(Unreadable, match="changed while it was read") as raised:
        list(scim.users())
    assert raised.value.retry
    assert not raised.value.maybe_done


def test_a_list_may_grow_while_it_is_read() -> None:
    scim, _ = build(CONFIG, page(0, 1, total=3), page(2, 3, total=4))
    assert len(list(scim.users())) == 4


def test_an_empty_directory_has_nobody() -> None:
    assert list(build(CONFIG, page(total=0))[0].users()) == []
    with pytest.raises(Unreadable):
        list(build(CONFIG, page(total=1))[0].users())


def test_several_may_carry_one_external_id() -> None:
    one, two, other = ({"id": f"u{n}", "externalId": name} for n, name in enumerate(("hr-1", "hr-1", "HR-1")))
    scim, recorder = build({"totalResults": 3, "Resources": [one, other, two]})
    assert [user.id for user in scim.users(external_id="hr-1")] == ["u0", "u1"]
    assert recorder.lines() == [f"GET {ROOT}/Users?filter=externalId%20eq%20%22hr-1%22&startIndex=1&count=100"]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"filter": {"maxResults": 40}}, "40"),
        ({"filter": {"maxResults": 1000}}, "100"),
        ({"filter": {"maxResults": 0}}, "100"),
        ({"filter": {"maxResults": -1}}, "100"),
        ({"filter": {"maxResults": None}}, "100"),
        ({"filter": {}}, "100"),
        ({"filter": None}, "100"),
        ({}, "100"),
    ],
)
def test_no_page_is_longer_than_the_directory_says(filters: dict[str, Any], count: str) -> None:
    empty = {"totalResults": 0, "Resources": []}
    scim, recorder = build(filters, empty)
    list(scim.users())
    list(scim.groups())
    assert scim.find_by_user_name("x") is None
    assert [request.url.path.rpartition("/")[2] for request in recorder.requests] == [
        "ServiceProviderConfig", "Users", "Groups", "Users",
    ]  # fmt: skip
    assert {request.url.params["count"] for request in recorder.requests[1:]} == {count}


def test_what_a_directory_supports_is_typed() -> None:
    told = {
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": 200},
        "changePassword": {"supported": False},
        "authenticationSchemes": [{"type": "oauthbearertoken"}],
    }
    config = build(told)[0].config()
    assert (config.patch.supported, config.bulk.supported, config.filter.max_results) == (True, False, 200)
    assert (config.bulk.max_operations, config.change_password.supported) == (0, False)
    assert config.etag.supported is None
    for answer in ([], {"filter": {"maxResults": "many"}}, {"patch": []}):
        with pytest.raises(Unreadable):
            build(answer)[0].config()


def test_everybody_is_listed_however_short_the_pages(real: Real) -> None:
    scim, control = real
    control.switch(scim_page_limit=7)
    ours = {person.scim_id for person in seed.company().people if person.directory is seed.OURS}
    assert {user.id for user in scim.users()} == ours
    names = [group.display_name for group in scim.groups()]
    assert set(names) == {group.name for group in seed.company().groups if group.directory is seed.OURS}
    assert len(names) == len(set(names))


# New groups


def test_a_group_is_created_without_members() -> None:
    scim, recorder = build(httpx.Response(201, json=TEAM))
    assert scim.create_group("data-readers").id == GROUP
    assert recorder.lines() == [f"POST {ROOT}/Groups"]
    assert recorder.bodies() == [
        {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "data-readers"}
    ]


def test_a_created_group_of_another_name_is_not_believed() -> None:
    with pytest.raises(Unreadable) as raised:
        build(httpx.Response(201, json=TEAM))[0].create_group("data-writers")
    assert raised.value.maybe_done


@pytest.mark.parametrize(
    "name",
    [
        "jira-software-users", "Jira-Software-Users", " jira-software-users ", "jira-software-users-acme",
        "jira-users", "confluence-users-acme", "site-admins", "administrators", "org-admins", "SYSTEM-administrators",
        "jira-administrators", "confluence-administrators-acme", "ｊｉｒａ-users", "jira-\u200busers",
        "\ufeffsite-admins",
    ],
)  # fmt: skip
def test_a_name_that_atlassian_would_swallow_is_not_sent(name: str) -> None:
    scim, recorder = build(httpx.Response(201, json=TEAM))
    assert scim.is_reserved(name)
    with pytest.raises(BadRequest, match="nothing was sent") as raised:
        scim.create_group(name)
    assert (raised.value.code, raised.value.retry, raised.value.maybe_done) == ("reservedName", False, False)
    assert recorder.requests == []


@pytest.mark.parametrize("name", ["eu-jira-users", "administrators-of-data", "my-site-admins", "data-readers"])
def test_other_names_are_free(name: str) -> None:
    assert not build(TEAM)[0].is_reserved(name)


def test_the_list_of_reserved_names_is_configuration() -> None:
    scim, _ = build(TEAM, reserved=["Acme-*"])
    assert scim.is_reserved("acme-all")
    assert not scim.is_reserved("jira-users")


def test_a_taken_name_is_a_conflict_and_a_swallowed_one_looks_like_success(real: Real) -> None:
    scim, control = real
    assert scim.create_group("data-readers").member_ids == frozenset()
    with pytest.raises(Conflict) as raised:
        scim.create_group("data-readers")
    assert raised.value.code == "uniqueness"
    with pytest.raises(BadRequest):
        scim.create_group("jira-software-users")
    assert len(control.ledger(writes=True)) == 2
    careless = ScimClient(scim._transport, seed.OURS.id, reserved=())
    swallowed = careless.create_group("jira-software-users")
    everybody = len(control.members("jira-software-users"))
    careless.add_members(swallowed.id, [person.scim_id for person in seed.company().people[:1] if person.scim_id])
    assert len(control.members("jira-software-users")) == everybody


# Members in portions


def test_members_go_in_portions_each_once() -> None:
    scim, recorder = build(TEAM, limits=GroupLimits(members_per_call=2))
    done = list(scim.add_in_batches(GROUP, ["a", "b", "a", "c", "d", "e"]))
    assert [(batch.number, batch.of, batch.user_ids) for batch in done] == [
        (1, 3, ("a", "b")), (2, 3, ("c", "d")), (3, 3, ("e",)),
    ]  # fmt: skip
    sent = [[member["value"] for member in body["Operations"][0]["value"]] for body in recorder.bodies()]
    assert sent == [["a", "b"], ["c", "d"], ["e"]]
    assert all(body["Operations"][0]["op"] == "add" for body in recorder.bodies())
    assert list(scim.add_in_batches(GROUP, [])) == []


def test_no_portion_is_sent_before_it_is_asked_for() -> None:
    scim, recorder = build(TEAM, limits=GroupLimits(members_per_call=1))
    portions = scim.add_in_batches(GROUP, ["a", "b"])
    assert recorder.requests == []
    next(portions)
    assert len(recorder.requests) == 1


def test_an_error_stops_at_its_portion() -> None:
    scim, recorder = build(TEAM, httpx.Response(404, json={"status": "404"}), limits=GroupLimits(members_per_call=1))
    portions = scim.add_in_batches(GROUP, ["a", "b", "c"])
    assert next(portions).user_ids == ("a",)
    with pytest.raises(NotFound):
        next(portions)
    assert list(portions) == []
    assert len(recorder.requests) == 2


@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_id_anywhere_sends_no_portion_at_all(value: str) -> None:
    scim, recorder = build(TEAM, limits=GroupLimits(members_per_call=1))
    with pytest.raises(BadRequest, match="nothing was sent"):
        list(scim.add_in_batches(GROUP, ["a", "b", value]))
    assert recorder.requests == []


def test_one_call_takes_what_the_configuration_says() -> None:
    scim, recorder = build(TEAM, limits=GroupLimits(members_per_call=3))
    scim.add_members(GROUP, ["a", "b", "c"])
    with pytest.raises(ValueError, match="between 1 and 3"):
        scim.add_members(GROUP, ["a", "b", "c", "d"])
    assert len(recorder.requests) == 1


def test_a_whole_directory_joins_a_group_in_portions(real: Real) -> None:
    scim, control = real
    group = scim.create_group("everybody-of-ours")
    people = [user.id for user in scim.users()]
    portions = list(scim.add_in_batches(group.id, people))
    assert len(portions) == -(-len(people) // 100)
    assert scim.get_group(group.id).member_ids == set(people)
    with pytest.raises(NotFound):
        list(scim.add_in_batches(group.id, ["11111111-2222-4333-8444-555555555555"]))
    assert len(control.members("everybody-of-ours")) == len(people)


def test_a_success_that_changes_nothing_is_seen_in_the_group(real: Real) -> None:
    scim, control = real
    control.switch(silent_success=["/Groups/"])
    group, ada = scim.find_group_by_name("eu-jira-admins"), seed.company().person("ada").scim_id
    assert group is not None
    assert ada is not None
    told = scim.add_members(group.id, [ada])
    assert told is not None
    assert ada in told.member_ids
    assert ada not in scim.get_group(group.id).member_ids


def test_no_method_puts_or_deletes(real: Real) -> None:
    offered = {name for name in dir(ScimClient) if not name.startswith("_")}
    assert offered == {
        "activate", "add_in_batches", "add_members", "batches", "close", "config", "create", "create_group",
        "deactivate", "find_by_external_id", "find_by_user_name", "find_group_by_name", "get", "get_group", "groups",
        "is_reserved", "patch", "remove_member", "remove_members", "service_provider_config", "users",
    }  # fmt: skip


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_by_trace(real: Real, status: int) -> None:
    scim, control = real
    control.fault(status=status)
    with pytest.raises(AtlassianError) as raised:
        scim.get_group(GROUP)
    assert (raised.value.status, raised.value.trace) == (status, "5a4db0c5e7f1")
