"""The door for incident tools: what is not well signed, fresh, new and well-formed leaves no trace, and says why."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from approvals.models import Offer
from approvals.offers import MOST_AN_HOUR, Announced
from bot.incident_door import MAX_BODY, MENDS, SAYS, Answer, IncidentDoor
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.tool import SECRET, Headers, Tool, said, sealed

NOW = 1_795_500_000.0
BODY = said()
Request = tuple[str, Headers, bytes]


class Desk:
    """Stands where the record stands, and keeps what reaches it."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.announced: list[Announced] = []
        self.trouble = trouble

    def announce(self, announced: Announced) -> bool:
        if self.trouble:
            raise self.trouble
        self.announced.append(announced)
        return True


class Door:
    """The door by itself, at a fixed moment."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.desk, self.counted = Desk(trouble), list[str]()
        self.door = IncidentDoor(SecretStr(SECRET), self.desk, lambda: NOW, self.counted.append)  # type: ignore[arg-type]

    def send(self, body: bytes, headers: Headers | None = None, method: str = "POST") -> Answer:
        return self.door.answer(method, sealed(body, at=NOW) if headers is None else headers, body)


def but(body: bytes, **headers: str | None) -> Headers:
    """The right headers with some of them changed or taken away."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    found = {name: changed.get(name, value) for name, value in sealed(body, at=NOW).items()}
    return {name: value for name, value in found.items() if value is not None}


DEEP = b'{"incident": ' + b"[" * 4000 + b"]" * 4000 + b"}"
REFUSED: dict[str, tuple[Request, int, str]] = {
    "with GET": (("GET", but(BODY), BODY), 405, "method"),
    "with PUT": (("PUT", but(BODY), BODY), 405, "method"),
    "too large": (("POST", but(said(title="x" * MAX_BODY)), said(title="x" * MAX_BODY)), 413, "size"),
    "unsigned": (("POST", {"Content-Type": "application/json"}, BODY), 401, "timestamp"),
    "without a signature": (("POST", but(BODY, X_Gatehouse_Signature=None), BODY), 401, "signature"),
    "signed by somebody else": (("POST", sealed(BODY, at=NOW, secret="x" * 40), BODY), 401, "signature"),
    "another body": (("POST", but(BODY), said("INC-43")), 401, "signature"),
    "a signature in capitals": (
        ("POST", but(BODY, X_Gatehouse_Signature=sealed(BODY, at=NOW)["X-Gatehouse-Signature"].upper()), BODY),
        401, "signature",
    ),
    "a signature that is no ASCII": (
        ("POST", but(BODY, X_Gatehouse_Signature="v0=" + "é" * 64), BODY), 401, "signature",
    ),
    "two signatures": (("POST", but(BODY) | {"x-gatehouse-signature": "v0=" + "0" * 64}, BODY), 401, "signature"),
    "five minutes late": (("POST", sealed(BODY, at=NOW, age=301), BODY), 401, "timestamp"),
    "from the future": (("POST", sealed(BODY, at=NOW, age=-61), BODY), 401, "timestamp"),
    "another time than was signed": (
        ("POST", but(BODY, X_Gatehouse_Timestamp=str(int(NOW) - 1)), BODY), 401, "signature",
    ),
    "a timestamp of words": (("POST", but(BODY, X_Gatehouse_Timestamp="yesterday"), BODY), 401, "timestamp"),
    "a timestamp of 5,000 digits": (("POST", but(BODY, X_Gatehouse_Timestamp="1" * 5000), BODY), 401, "timestamp"),
    "Slack's headers": (
        ("POST", {name.replace("Gatehouse", "Slack-Request"): value for name, value in but(BODY).items()}, BODY),
        401, "timestamp",
    ),
    "as a form": (("POST", but(BODY, Content_Type="application/x-www-form-urlencoded"), BODY), 415, "content_type"),
    "of no kind": (("POST", but(BODY, Content_Type=None), BODY), 415, "content_type"),
    **{
        name: (("POST", but(body), body), 400, "shape")
        for name, body in {
            "empty": b"", "no JSON": b"{", "a list": b"[]", "a text": b'"INC-42"', "null": b"null", "too deep": DEEP,
            "a name twice": b'{"incident": "INC-42", "incident": "INC-43", "title": "x"}',
            "not UTF-8": b'{"incident": "\xff\xfe"}', "NaN": b'{"incident": "INC-42", "title": NaN}',
            "NUL": b'{"incident": "INC-42", "title": "\\u0000"}',
            "half a pair": b'{"incident": "INC-42", "title": "\\ud800"}',
        }.items()
    },
    **{
        f"fields: {name}": (("POST", but(body), body), 422, "fields")
        for name, body in {
            "none": b"{}", "no title": b'{"incident": "INC-42"}', "an empty incident": said(" "),
            "a number": said(incident=42), "a list": said(title=["x"]), "true": said(title=True),  # type: ignore[arg-type]
            "long": said("I" * 101), "a long title": said(title="x" * 1001), "null": said(title=None),
            "one more": said(approved=True), "a request": said(status="approved", subject="712020:x"),
            "an entitlement of another kind": said(entitlement=["eu-jira-admins"]),
        }.items()
    },
    **{
        f"link: {link[:40]}": (("POST", but(said(link=link)), said(link=link)), 422, "fields")
        for link in (
            "http://status.example/", "javascript:alert(1)", "https://", "https://u:p@status.example/",
            "//status.example",
            "https://good.example@evil.example/", "https://good.example:80@evil.example/", "https://good.example\\@evil",
            "https://status.example/ x", "https://status.example/\nx", "https://stätus.example/",
            "https://status.example/é",
            "https://status.example/<!channel>\u202e", "https://" + "a" * 61 + ".example/",
            "https://s.example/" + "x" * 500,
            " https://[::1]/", "HTTPS:status.example", "https://-a.example/",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_said_in_json_and_goes_no_further(name: str) -> None:
    (method, headers, body), status, why = REFUSED[name]
    door = Door()
    answer = door.send(body, headers, method)
    assert (answer.status, answer.body["ok"], answer.body["error"]) == (status, False, why)
    assert answer.body["message"].endswith(".")
    assert json.loads(answer.content) == answer.body
    assert door.desk.announced == []
    assert door.counted == [why]


@pytest.mark.parametrize("age", [300, 0, -60])
def test_a_signature_of_a_moment_ago_is_taken(age: float) -> None:
    door = Door()
    assert door.send(BODY, sealed(BODY, at=NOW, age=age)).status == 202
    assert [one.incident for one in door.desk.announced] == ["INC-42"]
    assert door.counted == []


def test_headers_are_found_however_they_are_spelled_and_a_charset_is_fine() -> None:
    headers = {name.lower(): value for name, value in sealed(BODY, at=NOW).items()}
    headers["content-type"] = "Application/JSON; charset=utf-8"
    assert Door().send(BODY, headers).status == 202


def test_everything_that_may_be_said_arrives_and_what_tools_leave_open_is_nothing() -> None:
    door = Door()
    door.send(said(" INC-42 ", entitlement="eu-jira-admins", link="https://Status.example:8443/i/42?x=1&y=2#top"))
    door.send(said(entitlement=None, link=None))
    door.send(said(entitlement="", link=""))
    first, *others = door.desk.announced
    assert (first.incident, first.title, first.entitlement) == ("INC-42", "The queue is stuck", "eu-jira-admins")
    assert first.link == "https://Status.example:8443/i/42?x=1&y=2#top"
    assert {(other.entitlement, other.link) for other in others} == {("", "")}


def test_a_wrong_field_is_named_with_the_mend_and_its_content_is_not_repeated() -> None:
    body = said(title=["HIDDEN"], approver="HIDDEN", **{"<!channel>\u202e": 1})
    message = Door().send(body).body["message"]
    assert message == f"title: {MENDS['title']}; approver, <!channel>?: leave it out."


def test_each_delivery_has_a_key_of_its_own_and_the_same_bytes_have_the_same() -> None:
    door = Door()
    for age in (0, 1, 1):
        door.send(BODY, sealed(BODY, at=NOW, age=age))
    first, second, third = (one.source for one in door.desk.announced)
    assert first != second == third
    assert len(first) == 64


def test_what_can_not_be_written_down_is_asked_for_again() -> None:
    answer = Door(OperationalError("x", {}, sqlite3.OperationalError("HIDDEN"))).send(BODY)
    assert (answer.status, answer.body) == (503, {"ok": False, "error": "database", "message": SAYS["database"]})


def test_a_door_without_a_secret_is_not_built() -> None:
    with pytest.raises(ValueError, match="empty"):
        IncidentDoor(SecretStr(""), Desk(), lambda: NOW, lambda why: None)  # type: ignore[arg-type]


STATUSES = {200, 202, 400, 401, 405, 413, 415, 422}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*MENDS, "x"]), inner, max_size=5),
    max_leaves=12,
)


@limits(max_examples=300, deadline=None)
@given(body=ANY_JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=300))
def test_anything_well_signed_gets_an_answer(body: bytes) -> None:
    answer = Door().send(body)
    assert answer.status in STATUSES
    assert answer.body["message"]


def test_ten_thousand_unsigned_inputs_are_all_refused_and_never_an_exception() -> None:
    rng, door = random.Random(1), Door()
    names = ["X-Gatehouse-Timestamp", "x-gatehouse-timestamp", "X-Gatehouse-Signature", "Content-Type", "é"]
    values = [str(int(NOW)), "", "abc", "9" * 3000, "v0=" + "é" * 64, "v0=" + "0" * 64, "application/json"]
    for _ in range(10_000):
        headers = {name: rng.choice(values) for name in names if rng.random() < 0.7}
        answer = door.send(rng.choice([BODY, b"", rng.randbytes(40)]), headers, rng.choice(["POST", "GET", ""]))
        assert answer.status in (401, 405)
    assert door.desk.announced == []


# -- through the web side, with the record behind it -----------------------------------------------------------------


@pytest.fixture(scope="module")
def bot(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    url = copied(migrated_file, tmp_path_factory.mktemp("incidents"))
    with living(url, works=False, INCIDENT_WEBHOOK_SECRET=SECRET) as bot:
        yield bot


@pytest.fixture
def tool(bot: Living) -> Tool:
    return Tool(bot.url)


def rows(bot: Living) -> dict[str, Any]:
    path = bot.house.settings.database_url.get_secret_value().removeprefix("sqlite:///")
    connection = sqlite3.connect(path, timeout=30)
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
    finally:
        connection.close()


def test_an_announcement_is_a_row_an_entry_a_replay_key_and_a_job(bot: Living, tool: Tool) -> None:
    before = rows(bot)
    answer = tool.announce("INC-1")
    assert (answer.status_code, answer.headers["content-type"]) == (202, "application/json")
    assert answer.json() == {
        "ok": True, "new": True,
        "message": "Whoever is on call is offered break-glass in Slack. Nothing is given by this.",
    }  # fmt: skip
    after = rows(bot)
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert grown == {"offers": 1, "audit": 1, "audit_details": 3, "replays": 1, "jobs": 1}


def test_the_same_bytes_are_refused_and_the_same_incident_is_known(bot: Living, tool: Tool) -> None:
    body = said("INC-2")
    headers = sealed(body)
    assert tool.post(body, headers).status_code == 202
    before = rows(bot)
    again = tool.post(body, headers)
    assert (again.status_code, again.json()["error"]) == (401, "replay")
    assert rows(bot) == before
    known = tool.post(body, sealed(body, age=60))
    assert (known.status_code, known.json()["new"]) == (200, False)
    assert {name: n for name, n in rows(bot).items() if n != before[name]} == {"replays": before["replays"] + 1}


UNSIGNED: dict[str, Callable[[], tuple[str, Headers, bytes]]] = {
    "unsigned": lambda: ("POST", {"Content-Type": "application/json"}, BODY),
    "signed by somebody else": lambda: ("POST", sealed(BODY, secret="x" * 40), BODY),
    "late": lambda: ("POST", sealed(BODY, age=302), BODY),
    "too large": lambda: ("POST", sealed(b"x" * 20_000), b"x" * 20_000),
    "far too large": lambda: ("POST", sealed(b"x" * 300_000), b"x" * 300_000),
    "broken": lambda: ("POST", sealed(b"{"), b"{"),
    "with DELETE": lambda: ("DELETE", sealed(b""), b""),
    "with HEAD": lambda: ("HEAD", sealed(b""), b""),
}


@pytest.mark.parametrize("name", UNSIGNED)
def test_what_is_refused_at_the_door_leaves_no_row(bot: Living, tool: Tool, name: str) -> None:
    method, headers, body = UNSIGNED[name]()
    before = rows(bot)
    answer = tool.post(body, headers, method)
    assert answer.status_code in (400, 401, 405, 413)
    assert bool(answer.content) == (name != "with HEAD")
    assert rows(bot) == before


def test_what_the_policy_does_not_know_is_a_sentence(tool: Tool) -> None:
    for more, why in (({"incident": "no id"}, "incident"), ({"entitlement": "release-managers"}, "entitlement")):
        answer = tool.post(said(**more))  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["error"]) == (422, why)


def test_refusals_are_counted_with_those_of_the_other_door(bot: Living, tool: Tool) -> None:
    tool.post(BODY, {"Content-Type": "application/json"})
    lines = bot.house.metrics.text(lambda: None).decode()
    assert 'gatehouse_refused_payloads_total{why="timestamp"}' in lines


def test_slacks_signature_opens_nothing_here_and_ours_nothing_there(bot: Living, tool: Tool) -> None:
    secret = bot.house.settings.slack_signing_secret.get_secret_value()
    assert tool.post(BODY, sealed(BODY, secret=secret)).json()["error"] == "signature"


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("curl")), reason="openssl and curl are not there")
def test_the_example_of_the_page_is_taken(bot: Living) -> None:
    page = (Path(__file__).parents[2] / "docs" / "break-glass.md").read_text(encoding="utf-8")
    script = page.partition("```sh\n")[2].partition("```")[0].replace("INC-42", "INC-4242")
    environ = {"PATH": os.environ["PATH"], "INCIDENT_WEBHOOK_SECRET": SECRET, "GATEHOUSE": bot.url, "NO_PROXY": "*"}
    done = subprocess.run(["sh", "-euc", script], env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["ok"] is True, done.stdout
    with bot.store.read() as session:
        (offer,) = session.exec(select(Offer).where(Offer.incident == "INC-4242")).all()
    assert offer.link == "https://status.example.com/42"


def test_what_the_page_says_of_sizes_is_so() -> None:
    page = (Path(__file__).parents[2] / "docs" / "break-glass.md").read_text(encoding="utf-8")
    assert f"more than {MAX_BODY:,} bytes" in page
    assert f"{MOST_AN_HOUR} new incidents within an hour" in page
    for name in ("X-Gatehouse-Timestamp", "X-Gatehouse-Signature", *MENDS):
        assert f"| `{name}` |" in page


def test_without_a_secret_there_is_no_such_address(sqlite_url: str) -> None:
    with living(sqlite_url, works=False) as bot:
        answer = Tool(bot.url).announce()
        assert (answer.status_code, answer.content) == (404, b"")
