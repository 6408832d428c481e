"""What is said outside about the record: when, where, signed, and read by the stand-alone verifier."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from approvals.models import Job, News
from approvals.store import Actor
from bot.record.checkpoints import AFTER, ENTRIES, LOOK, is_due, last_sent, made
from bot.record.signing import new_key, public_part, signing_key
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy
from tests.support.verifier import load

verifier = load()
PRIVATE, PUBLIC = new_key()
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def bot(migrated_file: Path, tmp_path: Path) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path), works=False, AUDIT_SIGNING_KEY=PRIVATE) as bot:
        yield bot


def note(bot: Living, count: int) -> None:
    with bot.store.write() as w:
        for n in range(count):
            w.audit("noted", actor=Actor("account-ada"), data={"n": n})


def look(bot: Living, later: timedelta = timedelta(0)) -> None:
    global moved
    moved += later
    bot.store.move_time(moved)
    bot.house.worker.run_until_idle()


moved = timedelta(0)


@pytest.fixture(autouse=True)
def start_of_time() -> None:
    global moved
    moved = timedelta(0)


def lines(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in found if line.get("event") == "checkpoint"]


def in_channel(bot: Living) -> list[str]:
    said = [message["text"] for message in bot.slack.channel("gatehouse-operators")]
    return [text for text in said if "The record has" in text]


# -- when ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seq", "ago", "due"),
    [
        (7, timedelta(days=9), False),  # nothing new
        (8, AFTER - timedelta(seconds=1), False),
        (8, AFTER, True),
        (7 + ENTRIES - 1, timedelta(0), False),
        (7 + ENTRIES, timedelta(0), True),
        (6, timedelta(0), True),  # shorter than it was: that is worth saying
        (8, -AFTER, True),  # the clock was set back
    ],
)
def test_one_is_due_after_a_hundred_entries_or_five_minutes_when_there_is_anything_new(
    seq: int, ago: timedelta, due: bool
) -> None:
    assert is_due(seq, NOW, {"seq": 7, "at": (NOW - ago).isoformat()}) is due


def test_the_first_is_due_at_once_and_none_of_an_empty_record() -> None:
    assert is_due(1, NOW, None)
    assert not is_due(0, NOW, None)


# -- where ----------------------------------------------------------------------------------------------------------


def test_they_go_to_the_channel_and_the_log_and_the_verifier_takes_both(
    bot: Living, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bot.house.checkpoints.start()
    look(bot)
    note(bot, ENTRIES)
    look(bot, LOOK)
    note(bot, 1)
    look(bot, LOOK)  # too soon
    look(bot, AFTER)
    look(bot, AFTER)  # nothing new
    said, shown = lines(capsys.readouterr().out), in_channel(bot)
    assert len(said) == len(shown) == 3
    assert [later["seq"] - earlier["seq"] for earlier, later in itertools.pairwise(said)] == [ENTRIES, 1]
    assert said[0]["organization"] == bot.house.settings.atlassian_org_id
    (tmp_path / "log").write_text("\n".join(json.dumps(line) for line in said))
    (tmp_path / "copied").write_text("\n".join(shown))
    database = bot.house.settings.database_url.get_secret_value().removeprefix("sqlite:///")
    words = [database, "--checkpoint", str(tmp_path / "log"), str(tmp_path / "copied"), "--key", PUBLIC]
    assert verifier.main(words) == 0
    out = capsys.readouterr().out
    assert "compared with 6 of" in out
    assert "checked, 6 of 6 are of this key." in out
    assert PRIVATE not in "".join(shown) + json.dumps(said)


def test_they_go_to_the_audit_channel_where_the_policy_names_one(migrated_file: Path, tmp_path: Path) -> None:
    policy = roomy().replace("[channels]\n", '[channels]\naudit = "C0AUDIT001"\n', 1)
    with living(copied(migrated_file, tmp_path), policy=policy, works=False) as bot:
        posted: list[str] = []
        bot.house.checkpoints.slack.post = lambda channel, drawing, **_: posted.append(channel) or "1.0"  # type: ignore[method-assign, func-returns-value]
        bot.house.checkpoints.start()
        look(bot)
        assert posted == ["C0AUDIT001"]


def test_without_a_key_it_says_that_it_is_not_signed(
    migrated_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with living(copied(migrated_file, tmp_path), works=False) as bot:
        bot.house.checkpoints.start()
        look(bot)
        (said,) = lines(capsys.readouterr().out)
        assert said.keys() == {"event", "organization", "seq", "hash", "at", "open"}
        (shown,) = in_channel(bot)
        assert "It is not signed: no AUDIT_SIGNING_KEY is set." in shown


@contextmanager
def hook(statuses: list[int]) -> Iterator[tuple[str, list[bytes]]]:
    """A place that takes checkpoints, with the statuses it answers in turn; the last one stays."""
    taken: list[bytes] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if status < 300:
                taken.append(self.path.encode() + b" " + body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/in/take?token=secret", taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_webhook_that_is_away_holds_no_other_place_back_and_gets_it_later(
    migrated_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        hook([503, 302, 204]) as (address, taken),
        living(copied(migrated_file, tmp_path), works=False, CHECKPOINT_WEBHOOK_URL=address) as bot,
    ):
        bot.house.checkpoints.start()
        look(bot)
        assert (len(in_channel(bot)), len(lines(capsys.readouterr().out)), taken) == (1, 1, [])
        with bot.store.read() as session:
            trouble = session.exec(select(Job.trouble).where(Job.key == "checkpoint:webhook")).one()
        assert trouble == "CHECKPOINT_WEBHOOK_URL: HTTP 503"
        look(bot, AFTER)
        look(bot, AFTER)
        (one,) = taken
        path, _, body = one.partition(b" ")
        assert (path, json.loads(body)["event"]) == (b"/in/take?token=secret", "checkpoint")
        assert len(in_channel(bot)) == 1


def test_a_webhook_that_is_no_longer_set_is_asked_for_no_more(bot: Living) -> None:
    with bot.store.write() as w:
        w.enqueue("checkpoint", "webhook")
    look(bot)
    with bot.store.read() as session:
        assert session.exec(select(Job).where(Job.key == "checkpoint:webhook")).all() == []


# -- the key --------------------------------------------------------------------------------------------------------


def test_what_is_signed_is_exactly_what_is_said() -> None:
    key = signing_key(PRIVATE)
    assert public_part(key) == PUBLIC
    checkpoint = made("harbour", 7, "ab" * 32, NOW, key)
    read = verifier._checkpoint(f"noise {checkpoint.line()} noise")
    assert verifier.signatures([read], PUBLIC)[1] == []
    for change in ({"seq": 8}, {"hash": "cd" * 32}, {"at": "2026-11-24"}, {"organization": "other"}):
        false = verifier.Checkpoint(**{**vars(read), **change})
        assert len(verifier.signatures([false], PUBLIC)[1]) == 1


# -- a file that takes nothing ----------------------------------------------------------------------------------------


def test_a_file_that_takes_nothing_holds_no_other_place_back_and_everybody_who_runs_it_hears_of_it(
    migrated_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "unmounted" / "elsewhere.jsonl"
    url = copied(migrated_file, tmp_path)
    with living(url, works=False, AUDIT_SIGNING_KEY=PRIVATE, CHECKPOINT_FILE=str(file)) as bot:
        bot.house.loss.look()
        assert bot.house.health.look()[1]["checkpoints"]["ok"] is False
        assert "so nothing is given" in bot.house.health.look()[1]["checkpoints"]["says"]
        bot.house.checkpoints.start()
        note(bot, ENTRIES)
        capsys.readouterr()
        look(bot)
        assert len(lines(capsys.readouterr().out)) == 1
        with bot.store.read() as session:
            sent = last_sent(session)
            (told,) = session.exec(select(News).where(News.kind == "job_in_trouble")).all()
        assert set(sent) == {"log", "slack"}
        assert (told.place, "so nothing is given" in told.facts) == ("operators", True)
        file.parent.mkdir()
        look(bot, timedelta(minutes=10))
        assert bot.house.health.look()[1]["checkpoints"]["ok"] is True
        assert lines(file.read_text(encoding="utf-8"))
