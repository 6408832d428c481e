"""The door through real sockets: the WSGI application by itself, and the process as an operator runs it."""

import hashlib
import hmac
import itertools
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import httpx
import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from approvals.database import InDoubt
from approvals.jobs import RECURRING
from approvals.store import Store, Write
from bot import app
from bot.sandbox import seed
from tests.support.living import living
from tests.support.outside import Bot, between_sandboxes, copied

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
METRICS_TOKEN = "a-token-for-metrics"
ADA = seed.company().person("ada").slack_id
CHANNEL = seed.company().channel("access-requests").id
Headers = dict[str, str]
MINUTES = itertools.count(30)  # the very same question would be joined to the first
TRIGGERS = itertools.count(1)


def command_body(text: str, **more: str) -> bytes:
    fields = {
        "command": "/access", "text": text, "team_id": seed.SLACK_TEAM, "user_id": ADA, "channel_id": CHANNEL,
        "trigger_id": f"1.2.{next(TRIGGERS)}",
    }  # fmt: skip
    return urlencode(fields | more).encode()


def click_body(**more: object) -> bytes:
    payload = {
        "type": "block_actions", "team": {"id": seed.SLACK_TEAM}, "user": {"id": ADA, "team_id": seed.SLACK_TEAM},
        "trigger_id": f"1.2.{next(TRIGGERS)}", "channel": {"id": CHANNEL}, "container": {"channel_id": CHANNEL},
        "actions": [{"action_id": "approve", "block_id": "b", "value": "REQ-0000000000:1"}],
    }  # fmt: skip
    return urlencode({"payload": json.dumps(payload | more)}).encode()


def signed(body: bytes, *, kind: str = FORM, age: float = 0, secret: str = seed.SLACK_SIGNING_SECRET) -> Headers:
    at = str(int(time.time() - age))
    digest = hmac.new(secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={digest}", "Content-Type": kind}


@dataclass
class Door:
    """Where requests are sent, and what is behind it."""

    url: str
    file: Path  # the SQLite database
    log: Callable[[], str]
    metrics_token: str = ""
    works: bool = False  # whether somebody does the work that requests cause

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def send(self, body: bytes, headers: Headers, method: str = "POST") -> httpx.Response:
        return httpx.request(
            method, f"{self.url}/slack/events", content=body, headers=headers, trust_env=False, timeout=30
        )

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=headers, trust_env=False, timeout=30)

    def refused(self) -> float:
        authorization = {"Authorization": f"Bearer {self.metrics_token}"} if self.metrics_token else {}
        lines = self.get("/metrics", **authorization).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("gatehouse_refused_payloads_total{"))

    def rows(self, query: str, *values: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.file, timeout=30)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def rest(self) -> None:
        """Wait until the work that earlier requests caused is done, so that what is counted stands still."""
        recurring = str(tuple(sorted({"wait", *RECURRING})))
        unfinished = f"SELECT count(*) FROM jobs WHERE kind NOT IN {recurring} OR attempts > 0"
        deadline = time.monotonic() + 60
        while self.works and self.rows(unfinished)[0][0]:
            assert time.monotonic() < deadline, self.rows("SELECT key, status, trouble FROM jobs")
            time.sleep(0.05)

    def counts(self) -> dict[str, object]:
        names = [str(name) for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: self.rows(f'SELECT count(*) FROM "{name}"')[0][0] for name in names}

    def raw(self, data: bytes, *, then_hang_up: bool = True) -> tuple[int, bytes] | None:
        """Bytes on the wire as they are; status and body of the answer, None when there is none."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as wire:
            try:
                wire.sendall(data)
                if then_hang_up:
                    wire.shutdown(socket.SHUT_WR)
                answer = HTTPResponse(wire)
                answer.begin()
                return answer.status, answer.read()
            except (OSError, HTTPException):  # hung up, or no line that says how it went
                return None


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Door]:
    url = copied(migrated_file, tmp_path_factory.mktemp("wsgi"))
    with living(url, works=False) as bot:
        yield Door(bot.url, Path(url.removeprefix("sqlite:///")), lambda: "")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Bot]:
    folder = tmp_path_factory.mktemp("served")
    with between_sandboxes(folder, copied(migrated_file, folder)) as bot:
        bot.environ["METRICS_TOKEN"] = METRICS_TOKEN
        furnish(bot)
        yield bot


@pytest.fixture(scope="module")
def served(process: Bot) -> Door:
    return door_of(process)


@pytest.fixture(params=["in_process", "served"])
def door(request: pytest.FixtureRequest) -> Door:
    found: Door = request.getfixturevalue(request.param)
    return found


def furnish(bot: Bot) -> None:
    """People imported, the process started, its mirror filled."""
    imported = bot.gatehouse("people", "import", str(bot.folder / "people.csv"))
    assert imported.returncode == 0, imported.stderr
    bot.start()
    door = door_of(bot)
    waiting = "SELECT count(*) FROM jobs WHERE kind = 'mirror' AND status = 'ready' AND attempts = 0"
    bot.until(lambda: door.rows(waiting)[0][0] == 2 and door.rows("SELECT count(*) FROM slack_users")[0][0])


def door_of(bot: Bot) -> Door:
    file = Path(bot.environ["DATABASE_URL"].removeprefix("sqlite:///"))
    token = bot.environ.get("METRICS_TOKEN", "")
    return Door(f"http://127.0.0.1:{bot.environ['PORT']}", file, lambda: complaints(bot), token, works=True)


def complaints(bot: Bot) -> str:
    """The log without the lines that say what was taken from Slack, and what the work that goes on calls."""
    ordinary = ('"event": "heard"', '"event": "called Slack"', '"event": "called Atlassian"')
    lines = (bot.folder / "serve.log").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not any(words in line for words in ordinary))


# -- the other addresses --------------------------------------------------------------------------------------------


def test_it_says_that_it_lives_and_is_ready(door: Door) -> None:
    assert (door.get("/healthz").status_code, door.get("/healthz").text) == (200, "ok\n")
    assert door.get("/readyz").status_code == 200
    report = door.get("/readyz").json()
    assert report["ready"] is True
    assert {name for name, part in report.items() if name != "ready" and part["ok"] is False} <= {
        *("slack", "atlassian", "mirror", "whole record"),  # which are told and hold nothing up
    }


@pytest.mark.parametrize(
    "path", ["/", "/slack", "/slack/events/", "/slack/install", "/metrics/", "/../etc/passwd", "/.env", "/incidents"]
)
def test_every_other_address_is_empty(door: Door, path: str) -> None:
    answer = door.get(path)
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_slack_only_posts(door: Door, method: str) -> None:
    answer = door.send(b"", signed(b""), method)
    assert (answer.status_code, answer.content) == (405, b"")


def test_figures_are_for_those_who_have_the_token(served: Door) -> None:
    for wrong in (
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": METRICS_TOKEN},
    ):
        answer = served.get("/metrics", **wrong)
        assert (answer.status_code, answer.content) == (401, b"")
    answer = served.get("/metrics", Authorization=f"Bearer {METRICS_TOKEN}")
    assert answer.status_code == 200
    assert "gatehouse_jobs{" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_without_a_token_set_the_figures_are_open(in_process: Door) -> None:
    assert "gatehouse_refused_payloads" in in_process.get("/metrics").text


def test_a_database_without_its_schema_is_not_ready(tmp_path: Path, migrated_file: Path) -> None:
    url = copied(migrated_file, tmp_path)
    with living(url, works=False) as bot:
        door = Door(bot.url, tmp_path / "gatehouse.db", lambda: "")
        door.rows("SELECT 1")
        connection = sqlite3.connect(door.file)
        connection.execute("DELETE FROM alembic_version")
        connection.commit()
        answer = door.get("/readyz")
        assert (answer.status_code, answer.json()["schema"]) == (503, {"ok": False, "says": "run gatehouse migrate"})
        connection.execute("DROP TABLE grants")
        connection.commit()
        connection.close()
        assert door.get("/readyz").status_code == 503
        assert door.get("/healthz").status_code == 200
        assert door.get("/metrics").status_code == 200  # the counters, without the figures of the database


# -- what is not Slack's --------------------------------------------------------------------------------------------

GOOD = command_body("help")
FOREIGN_TEAM = command_body("help", team_id="T0EVIL")
FOREIGN_CLICK = click_body(user={"id": "U0EVIL", "team_id": "T0EVIL"})
NOT_SLACKS: dict[str, Callable[[], tuple[bytes, Headers]]] = {
    "unsigned": lambda: (GOOD, {"Content-Type": FORM}),
    "empty": lambda: (b"", {}),
    "signed by somebody else": lambda: (GOOD, signed(GOOD, secret="another secret")),
    "another body": lambda: (GOOD + b"&x=1", signed(GOOD)),
    "stale": lambda: (GOOD, signed(GOOD, age=302)),
    "from the future": lambda: (GOOD, signed(GOOD, age=-90)),
    "no timestamp": lambda: (GOOD, {k: v for k, v in signed(GOOD).items() if "Timestamp" not in k}),
    "no signature": lambda: (GOOD, {k: v for k, v in signed(GOOD).items() if "Signature" not in k}),
    "a timestamp of words": lambda: (GOOD, signed(GOOD) | {"X-Slack-Request-Timestamp": "yesterday!"}),
    "a signature in capitals": lambda: (
        GOOD,
        {k: v.upper() if k.endswith("ure") else v for k, v in signed(GOOD).items()},
    ),
    "another workspace": lambda: (FOREIGN_TEAM, signed(FOREIGN_TEAM)),
    "a click from another workspace": lambda: (FOREIGN_CLICK, signed(FOREIGN_CLICK)),
    "no form": lambda: (b"just words", signed(b"just words")),
    "no JSON": lambda: (b"{", signed(b"{", kind=JSON)),
    "no object": lambda: (b"[]", signed(b"[]", kind=JSON)),
    "another kind of body": lambda: (GOOD, signed(GOOD, kind="text/plain")),
    "not UTF-8": lambda: (b"payload=\xff\xfe", signed(b"payload=\xff\xfe")),
    "a payload that is no JSON": lambda: (b"payload=%7B", signed(b"payload=%7B")),
    "the unsigned check of certificates": lambda: (b"ssl_check=1", {"Content-Type": FORM}),
    "the signed check of certificates": lambda: (b"ssl_check=1", signed(b"ssl_check=1")),
    "an unsigned challenge": lambda: (b'{"type":"url_verification","challenge":"x"}', {"Content-Type": JSON}),
    "too deep": lambda: (b"[" * 20_000, signed(b"[" * 20_000, kind=JSON)),
    "too large": lambda: (b"x" * 150_000, signed(b"x" * 150_000)),
    "far too large": lambda: (b"x" * 300_000, signed(b"x" * 300_000)),
}


@pytest.mark.parametrize("name", NOT_SLACKS)
def test_what_is_not_slacks_is_refused_without_a_word_or_a_trace(door: Door, name: str) -> None:
    body, headers = NOT_SLACKS[name]()
    door.rest()
    before, log, refused = door.counts(), door.log(), door.refused()
    answer = door.send(body, headers)
    assert answer.status_code in {400, 401, 413}
    assert answer.content == b""
    assert door.counts() == before
    assert door.log() == log
    if name != "far too large":  # that is not even read
        assert door.refused() == refused + 1


def test_the_same_command_sent_twice_is_taken_once(door: Door) -> None:
    body = command_body(f"grant eu-jira-admins for {next(MINUTES)}m because the same payload twice")
    headers = signed(body)
    assert door.send(body, headers).status_code == 200
    door.rest()
    before, log, refused = door.counts(), door.log(), door.refused()
    again = door.send(body, headers)
    assert (again.status_code, again.content) == (401, b"")
    assert door.refused() == refused + 1
    assert door.log() == log
    after = door.counts()
    assert after["requests"] == before["requests"]


def test_a_signed_challenge_is_answered_with_itself(door: Door) -> None:
    body = json.dumps({"type": "url_verification", "token": "x", "challenge": "3eZbrw1aBm2rZgRNFdxV"}).encode()
    answer = door.send(body, signed(body, kind=JSON))
    assert (answer.status_code, answer.text) == (200, "3eZbrw1aBm2rZgRNFdxV")


def test_garbage_never_breaks_the_process(served: Door) -> None:
    """Two thousand of them; what the server says of a request's own fault (501, 505) is not a failure of ours."""
    served.rest()
    before, log = served.counts(), served.log()
    for data in garbage(2000):
        answer = served.raw(data)
        assert answer is None or answer[0] not in (500, 502, 503, 504), data[:300]
    assert served.get("/healthz").status_code == 200
    after = served.counts()
    assert after == before
    assert served.log() == log


def garbage(count: int) -> Iterator[bytes]:
    rng = random.Random(20261123)
    targets = [b"/slack/events", b"/", b"*", b"/slack/events?x=%ff", b"http://x/slack/events", b"/" + b"a" * 9000]
    methods = [b"POST", b"GET", b"post", b"\x00", b"PO ST", b"CONNECT", b"A" * 300]
    lines = [
        b"Host: x", b"Content-Length: 10", b"Content-Length: -1", b"Content-Length: 1e3", b"X_Slack_Signature: x",
        b"Content-Length: 10\r\nContent-Length: 11", b"Transfer-Encoding: chunked", b"Expect: 100-continue",
        b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding : chunked", b"Content-Type: application/json",
        b"Content-Type: " + FORM.encode(), b"X-Slack-Signature: v0=" + b"0" * 64, b": empty", b"No-Colon", b" folded",
        b"X-Slack-Request-Timestamp: %d" % time.time(), b"Nul: \x00", b"Umlaut: \xfc", b"Connection: keep-alive",
        b"Long: " + b"x" * 9000, b"Authorization: Bearer \xff",
    ]  # fmt: skip
    bodies = [
        b"", b"payload=", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"FFFFFFFFFFFFFFFFF\r\nx", b"-5\r\nhello", b"{}", GOOD,
        b"\xff" * 50, b'{"type":"event_callback"}', b"0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
    ]  # fmt: skip
    for number in range(count):
        if number % 4 == 0:
            yield rng.randbytes(rng.randrange(0, 400))
            continue
        if number % 4 == 1:  # well signed, and nothing inside
            body = rng.choice(
                [*bodies, rng.randbytes(60), json.dumps({"type": rng.choice(["event_callback", "x", 1])}).encode()]
            )
            head = signed(body, kind=rng.choice([FORM, JSON]))
            given = [f"{name}: {value}".encode() for name, value in head.items()]
            yield b"\r\n".join([b"POST /slack/events HTTP/1.1", b"Content-Length: %d" % len(body), *given, b"", body])
            continue
        version = rng.choice([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"HTTP/1.1\r\n", b"", b"http/1.1"])
        start = b" ".join([rng.choice(methods), rng.choice(targets), version])
        some = rng.sample(lines, rng.randrange(0, 6))
        yield rng.choice([b"\r\n", b"\n"]).join([start, *some, b"", rng.choice(bodies)])


# -- what is Slack's ------------------------------------------------------------------------------------------------


def test_a_body_in_chunks_is_read_whole(served: Door) -> None:
    body = command_body("status REQ-0000000000")
    lines = [f"{name}: {value}" for name, value in signed(body).items()]
    head = "\r\n".join(["POST /slack/events HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", *lines, "", ""])
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:90], body[90:]))
    answer = served.raw(head.encode() + chunks + b"0\r\n\r\n", then_hang_up=False)
    assert answer is not None
    assert answer[0] == 200
    assert b"no request REQ-0000000000" in answer[1]


def test_a_reason_with_the_word_payload_arrives_whole(door: Door) -> None:
    reason = "INC-42: the form says payload={x} & payload=%7B%7D"
    answer = door.send(*with_signature(command_body(f"grant eu-jira-admins for {next(MINUTES)}m because {reason}")))
    assert answer.status_code == 200
    assert "reading Atlassian" in answer.json()["text"]
    assert (reason,) in door.rows("SELECT reason FROM requests")


def with_signature(body: bytes) -> tuple[bytes, Headers]:
    return body, signed(body)


def test_the_request_is_written_down_before_the_answer_arrives(door: Door) -> None:
    for number in range(5):
        reason = f"written down before the answer {number}"
        answer = door.send(*with_signature(command_body(f"grant eu-jira-admins for {next(MINUTES)}m because {reason}")))
        found = door.rows("SELECT id FROM requests WHERE reason = ?", reason)
        assert len(found) == 1
        assert str(found[0][0]) in answer.json()["text"]


def test_what_can_not_be_written_down_is_not_acknowledged_as_done(served: Door) -> None:
    """The database refuses every new request, as a full disk would."""
    connection = sqlite3.connect(served.file, timeout=30)
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON requests BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    connection.commit()
    try:
        served.rest()
        before = served.counts()
        body = command_body(f"grant eu-jira-admins for {next(MINUTES)}m because the disk is full")
        answer = served.send(body, signed(body))
        assert answer.status_code == 500 or "could not write that down" in answer.json()["text"]
        assert "reading Atlassian" not in answer.text
        assert "disk full" not in answer.text
        assert served.counts() == before
        assert "not written down" in served.log()
    finally:
        connection.execute("DROP TRIGGER full")
        connection.commit()
        connection.close()
    again = served.send(body, signed(body))  # nothing of the first try is in the way, not even its signature
    assert "reading Atlassian" in again.json()["text"]


def test_a_click_that_can_not_be_written_down_shows_slacks_warning(served: Door) -> None:
    found = served.rows("SELECT id FROM requests LIMIT 1")
    if not found:
        served.send(
            *with_signature(command_body(f"grant eu-jira-admins for {next(MINUTES)}m because something to click on"))
        )
        found = served.rows("SELECT id FROM requests LIMIT 1")
    connection = sqlite3.connect(served.file, timeout=30)
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON votes BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    connection.commit()
    try:
        button = {"action_id": "approve", "block_id": "b", "value": f"{found[0][0]}:1"}
        answer = served.send(*with_signature(click_body(actions=[button])))
        assert (answer.status_code, answer.content) == (500, b"")
    finally:
        connection.execute("DROP TRIGGER full")
        connection.commit()
        connection.close()


def test_told_to_stop_with_work_in_hand_it_stops_and_loses_nothing(tmp_path: Path, migrated_file: Path) -> None:
    with between_sandboxes(tmp_path, copied(migrated_file, tmp_path)) as bot:
        furnish(bot)
        door = door_of(bot)
        bot.atlassian.fault(method="POST", path_regex="groups/search", delay=60, times=1)  # the plan's first read hangs
        request = bot.ask("ada", f"grant eu-jira-admins for {next(MINUTES)}m because of a stop with work in hand")
        running = "SELECT count(*) FROM jobs WHERE kind = 'plan' AND status = 'running'"
        bot.until(lambda: door.rows(running)[0][0])
        assert bot.process is not None
        os.killpg(bot.process.pid, signal.SIGTERM)
        assert bot.process.wait(timeout=10) == 0  # raises when it takes longer
        assert door.rows("SELECT key FROM jobs WHERE kind = 'plan'") == [(f"plan:{request}",)]
        bot.atlassian.clear_faults()
        bot.start()
        assert bot.card("grace", request)
        assert "Traceback" not in bot.log()


def test_a_port_in_use_is_a_sentence(process: Bot) -> None:
    done: subprocess.CompletedProcess[str] = process.gatehouse("serve")
    assert done.returncode == 2
    assert "PORT: 127.0.0.1:" in done.stderr
    assert "Traceback" not in done.stderr


# -- while the database is in trouble ---------------------------------------------------------------------------------


def away(*_: object) -> None:
    raise OperationalError("SELECT", {}, psycopg.OperationalError("the server closed the connection: password=secret"))


def test_while_the_database_is_away_a_command_reads_so_and_the_rest_is_503(
    in_process: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even whether it is new can be looked up; the signature has been checked by then."""
    monkeypatch.setattr(app, "known", away)
    said = in_process.send(*with_signature(command_body("grant eu-jira-admins because the database is away")))
    assert said.status_code == 200
    text = said.json()["text"]
    assert "it can't be reached" in text
    assert "nothing was asked and nothing was changed" in text
    assert "secret" not in text
    for body, kind in [(click_body(), FORM), (b'{"type":"event_callback","team_id":"T0HARBOUR"}', JSON)]:
        answer = in_process.send(body, signed(body, kind=kind))
        assert answer.status_code in (400, 503)
    assert in_process.send(*with_signature(click_body())).status_code == 503
    assert in_process.send(GOOD, {"Content-Type": FORM}).status_code == 401, "a stranger learns nothing"


def test_a_commit_whose_answer_was_lost_is_acknowledged_as_what_it_is(
    in_process: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction is there, and the connection broke before it could be said: asked again would be asked twice."""
    before, real = in_process.rows("SELECT count(*) FROM requests")[0][0], Store.write

    @contextmanager
    def write(self: Store) -> Iterator[Write]:
        with real(self) as w:
            yield w
        away()

    monkeypatch.setattr(Store, "write", write)
    said = in_process.send(
        *with_signature(command_body(f"grant eu-jira-admins for {next(MINUTES)}m because its answer was lost"))
    )
    monkeypatch.undo()
    assert said.status_code == 200
    assert "It is written down" in said.json()["text"]
    assert in_process.rows("SELECT count(*) FROM requests")[0][0] == before + 1


def test_a_commit_whose_server_was_lost_is_neither_acknowledged_nor_denied(
    in_process: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection broke in the middle of the commit, and the server can't be asked what became of it."""
    real = Store.write

    @contextmanager
    def write(self: Store) -> Iterator[Write]:
        with real(self) as w:
            yield w
        monkeypatch.setattr(app, "known", away)
        raise InDoubt(None, None, psycopg.OperationalError("the server closed the connection: password=secret"))

    monkeypatch.setattr(Store, "write", write)
    said = in_process.send(
        *with_signature(command_body(f"grant eu-jira-admins for {next(MINUTES)}m because its server was lost"))
    )
    monkeypatch.undo()
    assert said.status_code == 200
    text = said.json()["text"]
    assert "I can't tell whether it was" in text
    assert "nothing was asked" not in text
    assert "secret" not in text


def test_while_the_signing_secret_is_changed_both_are_accepted(tmp_path: Path, migrated_file: Path) -> None:
    more = {"SLACK_SIGNING_SECRET_NEXT": "the-secret-that-follows"}
    with living(copied(migrated_file, tmp_path), works=False, **more) as bot:
        door = Door(bot.url, tmp_path / "gatehouse.db", lambda: "")
        for secret, status in [(seed.SLACK_SIGNING_SECRET, 200), ("the-secret-that-follows", 200), ("a third", 401)]:
            body = command_body("help")
            assert door.send(body, signed(body, secret=secret)).status_code == status
