"""A record is removed for good only by who names it twice, in whichever meaning Atlassian gives to DELETE."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.atlassian.errors import AtlassianError, BadRequest, NotFound, Unreadable
from bot.atlassian.scim import ScimClient
from bot.atlassian.scim_delete import RecordRemover
from bot.atlassian.transport import scim_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from tests.support.hostile_ids import HOSTILE_IDS
from tests.support.wire import Recorder

DIRECTORY = "315e79ae-404a-4061-8a88-df91c8c7db34"
ID = "247b915a-9d6c-4cd5-b5a5-071b1b3abc2e"
ONE = f"/scim/directory/{DIRECTORY}/Users/{ID}"
USER = {"id": ID, "userName": "tess@acme.example"}
MEI = seed.company().person("mei")
Real = tuple[RecordRemover, ScimClient, AtlassianControl]


def build(*answers: Any) -> tuple[RecordRemover, Recorder]:
    recorder = Recorder(*answers)
    transport = scim_transport("https://api.atlassian.com", SecretStr("scim-key"), http=recorder.transport)
    return RecordRemover(transport, DIRECTORY), recorder


@pytest.fixture
def real() -> Iterator[Real]:
    with running() as base, AtlassianControl(base) as control:
        transport = scim_transport(base, SecretStr(seed.OURS.key))
        yield RecordRemover(transport, seed.OURS.id), ScimClient(transport, seed.OURS.id), control
        transport.close()


def test_the_record_is_looked_at_and_then_deleted() -> None:
    remover, recorder = build(USER, httpx.Response(204))
    assert remover.delete_record_for_good(ID, user_name="tess@acme.example") is True
    assert recorder.lines() == [f"GET {ONE}", f"DELETE {ONE}"]


@pytest.mark.parametrize("name", ["", "TESS@acme.example", "other@acme.example"])
def test_without_its_name_nothing_is_deleted(name: str) -> None:
    remover, recorder = build(USER)
    with pytest.raises(BadRequest, match="nothing was deleted") as raised:
        remover.delete_record_for_good(ID, user_name=name)
    assert raised.value.code == "otherRecord"
    assert recorder.lines() == [f"GET {ONE}"]
    with pytest.raises(TypeError):
        remover.delete_record_for_good(ID)  # type: ignore[call-arg]


@pytest.mark.parametrize("answer", [{"id": ID}, {"id": ID, "userName": None}])
def test_a_record_without_a_name_is_nobodys(answer: dict[str, Any]) -> None:
    remover, recorder = build(answer)
    with pytest.raises(BadRequest):
        remover.delete_record_for_good(ID, user_name="")
    assert len(recorder.requests) == 1


def test_an_answer_about_another_record_deletes_nothing() -> None:
    remover, recorder = build({**USER, "id": "other"})
    with pytest.raises(Unreadable):
        remover.delete_record_for_good(ID, user_name="tess@acme.example")
    assert len(recorder.requests) == 1


def test_gone_is_done_and_nothing_else_is() -> None:
    missing = httpx.Response(404, json={"schemas": [], "status": "404"})
    assert build(missing)[0].delete_record_for_good(ID, user_name="tess@acme.example") is False
    assert build(USER, missing)[0].delete_record_for_good(ID, user_name="tess@acme.example") is False
    for status in (400, 403, 409, 500):
        with pytest.raises(AtlassianError):
            build(USER, httpx.Response(status, json={}))[0].delete_record_for_good(ID, user_name="tess@acme.example")


@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_id_sends_nothing(value: str) -> None:
    remover, recorder = build(USER)
    with pytest.raises(BadRequest, match="nothing was sent"):
        remover.delete_record_for_good(value, user_name="tess@acme.example")
    assert recorder.requests == []


def test_who_comes_back_has_a_new_record_and_no_groups(real: Real) -> None:
    remover, scim, control = real
    assert MEI.scim_id is not None
    assert remover.delete_record_for_good(MEI.scim_id, user_name=MEI.email) is True
    assert remover.delete_record_for_good(MEI.scim_id, user_name=MEI.email) is False
    assert control.account(MEI.account_id)["active"] is False
    assert scim.find_by_user_name(MEI.email) is None
    back = scim.create(user_name=MEI.email, email=MEI.email)
    assert back.id != MEI.scim_id
    assert (back.atlassian_account_id, back.group_ids, back.active) == (MEI.account_id, frozenset(), True)


def test_in_the_old_meaning_the_record_waits_to_be_activated(real: Real) -> None:
    remover, scim, control = real
    control.switch(scim_delete_of_2023=True)
    assert MEI.scim_id is not None
    assert remover.delete_record_for_good(MEI.scim_id, user_name=MEI.email) is True
    assert scim.find_by_user_name(MEI.email) is None
    assert scim.activate(MEI.scim_id).group_ids >= {seed.company().group("eu-jira-admins").scim_id}


def test_a_404_of_something_in_between_is_no_proof() -> None:
    between = httpx.Response(404, json={"status": 404, "error": "Not Found", "requestId": "e4"})
    with pytest.raises(NotFound):
        build(USER, between)[0].delete_record_for_good(ID, user_name="tess@acme.example")
