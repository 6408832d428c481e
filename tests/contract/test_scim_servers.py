"""The SCIM client passes the same tests on three servers that have nothing in common but the protocol."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from pydantic import SecretStr

from bot.atlassian.errors import BadRequest, Conflict, KeyRefused, NotFound, Unavailable
from bot.atlassian.scim import ScimClient
from bot.atlassian.shapes import ScimUser
from bot.atlassian.transport import scim_transport
from tests.support.atlassian_calls import NETWORK
from tests.support.scim_servers import DIRECTORY, KEY, PREFIX, SERVERS, SHOWS_GROUPS
from tests.support.wire import Recorder


@dataclass(frozen=True)
class Server:
    name: str
    base: str

    def client(self, key: str = KEY) -> ScimClient:
        return ScimClient(scim_transport(self.base, SecretStr(key), http=NETWORK), DIRECTORY)

    def group(self) -> str:
        """A new group, made by hand."""
        body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": f"team {uuid.uuid4()}"}
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/scim+json"}
        with httpx.Client(transport=NETWORK) as http:
            made = http.post(f"{self.base}{PREFIX}/Groups", json=body, headers=headers)
        assert made.status_code == 201
        number: str = made.json()["id"]
        return number


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with SERVERS[request.param]() as base:
        yield Server(request.param, base)


@pytest.fixture
def scim(server: Server) -> ScimClient:
    return server.client()


@pytest.fixture
def tess(scim: ScimClient) -> ScimUser:
    """A person nobody else has."""
    number = uuid.uuid4()
    return scim.create(
        user_name=f"Tess.{number}@harbour.example", email=f"tess.{number}@harbour.example", given_name="Tess",
        family_name="Test", external_id=f"hr-{number}",
    )  # fmt: skip


def test_a_new_user_is_active_and_found_by_name_in_any_case_and_by_external_id(
    scim: ScimClient, tess: ScimUser
) -> None:
    assert tess.active is True
    assert tess.user_name is not None
    assert tess.external_id is not None
    for found in (
        scim.get(tess.id),
        scim.find_by_user_name(tess.user_name),
        scim.find_by_user_name(tess.user_name.lower()),
        scim.find_by_external_id(tess.external_id),
    ):
        assert found is not None
        assert (found.id, found.user_name) == (tess.id, tess.user_name)
        assert found.emails[0].value == tess.emails[0].value


@pytest.mark.parametrize("name", ["nobody", 'a" or userName eq "b', "back\\slash", "ünïcode 🙂", "100%", "a&b=c", ""])
def test_nobody_is_found_by_a_name_nobody_has(scim: ScimClient, name: str) -> None:
    assert scim.find_by_user_name(name) is None
    assert scim.find_by_external_id(name) is None
    assert scim.find_group_by_name(name) is None


def test_a_name_with_every_sign_is_found_to_the_letter(scim: ScimClient) -> None:
    name = f'O"Neil\\ & sön 🙂 %41 {uuid.uuid4()}'
    made = scim.create(user_name=name, email=f"{uuid.uuid4()}@harbour.example")
    found = scim.find_by_user_name(name)
    assert found is not None
    assert found.id == made.id


def test_a_second_user_of_the_name_is_a_conflict(scim: ScimClient, tess: ScimUser) -> None:
    assert tess.user_name is not None
    with pytest.raises(Conflict) as refused:
        scim.create(user_name=tess.user_name, email=tess.emails[0].value)
    assert refused.value.code == "uniqueness"


def test_deactivated_and_back(scim: ScimClient, tess: ScimUser) -> None:
    for _ in range(2):  # a repeat changes nothing and is no error
        assert scim.deactivate(tess.id).active is False
        assert scim.get(tess.id).active is False
    assert scim.activate(tess.id).active is True
    assert scim.get(tess.id).active is True


def test_a_patch_changes_what_it_names_and_nothing_else(scim: ScimClient, tess: ScimUser) -> None:
    changed = scim.patch(tess.id, [{"op": "replace", "path": "title", "value": "Lead"}])
    assert (changed.model_extra or {})["title"] == "Lead"
    after = scim.get(tess.id)
    assert (after.model_extra or {})["title"] == "Lead"
    assert (after.user_name, after.external_id, after.active) == (tess.user_name, tess.external_id, True)


def test_members_come_and_go_and_repeats_are_done(server: Server, scim: ScimClient, tess: ScimUser) -> None:
    other = scim.create(user_name=f"{uuid.uuid4()}", email=f"{uuid.uuid4()}@harbour.example")
    group = server.group()
    for _ in range(2):
        scim.add_members(group, [tess.id, other.id])
        assert scim.get_group(group).member_ids == {tess.id, other.id}
    if server.name in SHOWS_GROUPS:
        assert scim.get(tess.id).group_ids == {group}
    for _ in range(2):
        scim.remove_member(group, tess.id)
        assert scim.get_group(group).member_ids == {other.id}
    if server.name in SHOWS_GROUPS:
        assert scim.get(tess.id).group_ids == frozenset()


def test_a_group_is_found_by_its_name(server: Server, scim: ScimClient) -> None:
    group = scim.get_group(server.group())
    assert group.display_name is not None
    found = scim.find_group_by_name(group.display_name)
    assert found is not None
    assert found.id == group.id


def test_what_is_not_there_is_not_found(server: Server, scim: ScimClient) -> None:
    nobody = str(uuid.uuid4())
    for call in (
        lambda: scim.get(nobody),
        lambda: scim.get_group(nobody),
        lambda: scim.deactivate(nobody),
        lambda: scim.add_members(nobody, [nobody]),
    ):
        with pytest.raises(NotFound):
            call()


def test_adding_nobody_to_a_group_is_an_error_and_no_member(server: Server, scim: ScimClient) -> None:
    group = server.group()
    if server.name == "scim2-server":  # it takes a member's id for a text; RFC 7643 does not ask it to look
        return
    with pytest.raises((NotFound, BadRequest)):
        scim.add_members(group, [str(uuid.uuid4())])
    assert scim.get_group(group).member_ids == frozenset()


def test_a_wrong_key_is_refused(server: Server, tess: ScimUser) -> None:
    with pytest.raises(KeyRefused):
        server.client("another-key").get(tess.id)


def test_what_the_directory_supports_is_read(scim: ScimClient) -> None:
    told = scim.service_provider_config()
    assert told["patch"]["supported"] is True
    assert told["filter"]["supported"] is True


def test_a_change_told_done_without_a_body_is_read_back_and_in_doubt_when_that_fails() -> None:
    """As scim2-server answers; RFC 7644 leaves it to the server."""
    recorder = Recorder(httpx.Response(204), httpx.Response(503))
    scim = ScimClient(scim_transport("https://x.example", SecretStr(KEY), http=recorder.transport), DIRECTORY)
    with pytest.raises(Unavailable) as raised:
        scim.deactivate("247b915a-9d6c-4cd5-b5a5-071b1b3abc2e")
    assert (raised.value.retry, raised.value.maybe_done) == (True, True)
    assert [line.partition(" ")[0] for line in recorder.lines()] == ["PATCH", "GET"]
