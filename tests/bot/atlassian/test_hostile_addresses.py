"""No id, text or link, however hostile, takes a request to another path or a key to another host.

Judged by the bytes that a raw server gets and by the addresses that sockets are opened to.
"""

import contextlib
import json
import random
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from bot.atlassian.errors import AtlassianError
from bot.http import UnsafeAddress
from tests.support.atlassian_calls import CALLS, CLIENTS, OWNERS, Call
from tests.support.broken_answers import is_page
from tests.support.hostile_ids import MORE_HOSTILE_IDS
from tests.support.listening import Listening, header, listening
from tests.support.recording import Exchange, Good, organization
from tests.support.share import SEED, all_or

# The parameters that an argument adds when it is given: whatever its text, it stays in there.
ADDS = {"cursor": frozenset({"cursor"}), "external_id": frozenset({"filter"})}
LINKS = {"next", "self", "location", "$ref", "nextPage", "related", "alt", "url"}


@pytest.fixture(scope="module")
def goods() -> dict[str, Good]:
    with organization() as there:
        return there.goods(CALLS)


@pytest.fixture(scope="module")
def ear() -> Iterator[Listening]:
    with listening() as ear:
        yield ear


@pytest.fixture(autouse=True)
def doors(monkeypatch: pytest.MonkeyPatch, ear: Listening) -> list[Any]:
    """Every address a connection was opened to; only the one server can be reached."""
    opened: list[Any] = []
    really = socket.create_connection

    def connect(address: Any, *args: Any, **more: Any) -> socket.socket:
        opened.append(address)
        if f"{address[0]}:{address[1]}" != ear.host:
            raise OSError("not in a test")
        return really(address, *args, **more)

    monkeypatch.setattr(socket, "create_connection", connect)
    return opened


def tried(call: Call, client: Any, **other: Any) -> None:
    """Whatever the client says to it: what counts is what it sends."""
    with contextlib.suppress(AtlassianError, ValueError):
        call.on(client, **other)


@contextlib.contextmanager
def made(call: Call, ear: Listening) -> Iterator[Any]:
    """A client with connections of its own, whose opening is seen."""
    ear.taken()
    with httpx.HTTPTransport(verify=False, trust_env=False) as network:
        yield CLIENTS[call.client](ear.base, network, None)


def judge(request: bytes, wanted: str, ear: Listening, *, more: frozenset[str] = frozenset()) -> None:
    """The request has the method, the path and the names of parameters of a valid one, and one Host: ours."""
    line = request.split(b"\r\n")[0].decode("ascii")
    method, target, protocol = line.split(" ")
    path, _, query = target.partition("?")
    wanted_path, _, wanted_query = wanted.split(" ")[1].partition("?")
    assert (method, path, protocol) == (wanted.split(" ")[0], wanted_path, "HTTP/1.1")
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)} - more
    assert names <= {name for name, _ in parse_qsl(wanted_query)}
    assert header(request, b"host") == [ear.host.encode()]
    assert len(header(request, b"authorization")) == 1
    assert not query or all(character.isascii() and character.isprintable() for character in query)


def valid(request: bytes, good: tuple[Exchange, ...]) -> str:
    """The line of the good run that this request should be like: that of its method and path, or else the first."""
    method, target = request.split(b"\r\n")[0].decode("ascii", "replace").split(" ")[:2]
    path = target.partition("?")[0]
    return next((each.line for each in good if (each.method, each.path) == (method, path)), good[0].line)


def test_there_are_enough_of_them() -> None:
    assert len(MORE_HOSTILE_IDS) >= 200


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_hostile_id_sends_nothing(call: Call, ear: Listening, doors: list[Any]) -> None:
    with made(call, ear) as client:
        for name, several in call.ids().items():
            for value in MORE_HOSTILE_IDS:
                tried(call, client, **{name: [value] if several else value})
                assert ear.taken() == [], f"{call.name}({name}={value!r}) was sent"
    assert doors == []


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_hostile_text_stays_in_its_place(
    call: Call, ear: Listening, doors: list[Any], goods: dict[str, Good]
) -> None:
    good = goods[call.name].exchanges
    ear.answer = lambda request: b"{}"
    with made(call, ear) as client:
        for name, several in call.texts().items():
            for value in MORE_HOSTILE_IDS if name not in call.ids() else []:
                tried(call, client, **{name: [value] if several else value})
                for request in ear.taken():
                    judge(request, valid(request, good), ear, more=ADDS.get(name, frozenset()))
    assert {f"{host}:{port}" for host, port in doors} <= {ear.host}


def links_for(call: Call, good: tuple[Exchange, ...]) -> list[str]:
    """All of them in `make torture`, else a quarter drawn for each call; where no page can follow, every eighth."""
    if not is_page(good[0]):
        return MORE_HOSTILE_IDS[::8]
    return random.Random(f"{SEED} {call.name}").sample(MORE_HOSTILE_IDS, all_or(len(MORE_HOSTILE_IDS), least=0.25))


@pytest.mark.torture
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_hostile_link_is_not_followed(call: Call, ear: Listening, doors: list[Any], goods: dict[str, Good]) -> None:
    """Every link of the good answer is replaced; the one to the next page may give a cursor and no more."""
    good = goods[call.name].exchanges
    data = good[0].answered()
    if isinstance(data, dict) and isinstance(data.get("data"), list):
        data["data"] = data["data"][:2]
    with made(call, ear) as client:
        for value in links_for(call, good):
            for link in (value, f"https://evil.example/x?cursor={value}"):
                bodies = [json.dumps(poisoned(data, link)).encode() if data else b""]
                ear.answer = lambda request, bodies=bodies: bodies.pop() if bodies else b"{}"
                tried(call, client)
                requests = ear.taken()
                assert requests, call.name
                for request in requests:
                    judge(request, valid(request, good), ear, more=frozenset({"cursor", "startAt"}))
    assert {f"{host}:{port}" for host, port in doors} == {ear.host}


def poisoned(data: Any, link: str) -> Any:
    if isinstance(data, list):
        return [poisoned(each, link) for each in data]
    if not isinstance(data, dict):
        return data
    changed = {name: link if name in LINKS and isinstance(inner, str) else poisoned(inner, link)
               for name, inner in data.items()}  # fmt: skip
    if isinstance(data.get("links"), dict) and isinstance(data.get("data"), list):
        changed["links"] = {**changed["links"], "next": link}
    return changed


@pytest.mark.parametrize("client", OWNERS, ids=lambda client: client.__name__)
def test_a_client_cannot_be_made_for_a_hostile_owner(client: type[Any], doors: list[Any]) -> None:
    for value in MORE_HOSTILE_IDS:
        with pytest.raises(UnsafeAddress):
            OWNERS[client](value)
    assert doors == []
