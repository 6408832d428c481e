"""/readyz: fails for database, schema and record; of vendors, mirror, clock, ends and jobs it tells."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from approvals.database import Database
from approvals.models import Job
from approvals.store import Store
from bot import health
from bot.health import Health, _clock
from bot.sandbox import seed
from tests.support.living import Living, living
from tests.support.outside import copied


@pytest.fixture
def bot(migrated_file: Path, tmp_path: Path) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path), works=False) as bot:
        yield bot


def look(bot: Living) -> dict[str, Any]:
    _, report = bot.house.health.look()
    return report


def watch(bot: Living, *what: str) -> None:
    """Have it looked at now."""
    for each in what:
        with bot.store.write() as w:
            w.enqueue("watch", each)
    bot.house.worker.run_until_idle()


def test_before_anybody_has_looked_it_is_ready_and_says_so(bot: Living) -> None:
    bot.house.mirror.start()
    bot.house.worker.run_until_idle()
    ready, report = bot.house.health.look()
    assert ready
    assert report["ready"] is True
    assert (report["database"]["ok"], report["schema"]["ok"], report["record"]["ok"]) == (True, True, True)
    assert (report["slack"]["ok"], report["atlassian"]["ok"]) == (False, False)
    assert "nobody has looked yet" in report["slack"]["says"]
    assert report["mirror"]["ok"], "it was filled a moment ago"


def test_while_one_try_to_write_gets_no_answer_the_others_say_so(bot: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while PostgreSQL waits for its standby: one thread waits, and not all of them."""
    tried, answered = threading.Event(), threading.Event()

    def wait(database: Database) -> None:
        tried.set()
        answered.wait(60)

    monkeypatch.setattr(health, "insist_room", wait)
    monkeypatch.setattr(health, "HANGS", 0.01)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(bot.house.health.look)
        assert tried.wait(60)
        ready, report = bot.house.health.look()
        answered.set()
        assert first.result()[0]
    assert not ready
    assert "has not answered a try to write" in report["database"]["says"]
    assert bot.house.health.look()[0]


def test_what_answers_is_reachable_until_nobody_has_looked_for_long(bot: Living) -> None:
    watch(bot, "slack", "atlassian", "record")
    report = look(bot)
    assert (report["slack"]["ok"], report["atlassian"]["ok"], report["whole record"]["ok"]) == (True, True, True)
    assert abs(report["clock"]["ahead"]["slack"]) < 5
    bot.store.move_time(timedelta(minutes=30))
    report = look(bot)
    assert report["ready"]
    assert (report["slack"]["ok"], report["atlassian"]["ok"], report["mirror"]["ok"]) == (False, False, False)
    assert "does a worker run?" in report["slack"]["says"]
    assert report["mirror"]["seconds"]["slack"] >= 1800


def test_vendors_that_are_away_are_told_and_hold_nothing_up(bot: Living) -> None:
    bot.slack.fault("auth.test", error="internal_error")
    bot.atlassian.fault(status=503, times=None)
    watch(bot, "slack", "atlassian")
    ready, report = bot.house.health.look()
    assert ready
    assert "internal_error" in report["slack"]["says"]
    assert "HTTP 503" in report["atlassian"]["says"]
    bot.atlassian.clear_faults()
    bot.slack.clear_faults()
    watch(bot, "slack", "atlassian")
    report = look(bot)
    assert (report["slack"]["ok"], report["atlassian"]["ok"]) == (True, True)


def test_a_record_whose_newest_entry_was_changed_is_not_ready(bot: Living) -> None:
    with bot.store.database.engine.begin() as connection:
        for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.exec_driver_sql("UPDATE audit SET body = body || ' ' WHERE seq = (SELECT max(seq) FROM audit)")
    ready, report = bot.house.health.look()
    assert not ready
    assert report["record"]["says"] == "it was changed; run gatehouse audit verify"


def test_ends_that_are_late_and_jobs_that_are_dead_are_told(bot: Living) -> None:
    with bot.store.write() as w:
        w.add(Job(key="tell:0", kind="tell", about="0", status="dead", run_at=w.now))
    report = look(bot)
    assert (report["ends"]["overdue"], report["jobs"]["dead"], report["ready"]) == (0, 1, True)
    assert "gatehouse jobs --dead" in report["jobs"]["says"]


def test_nobodys_name_and_no_secret_is_in_it(bot: Living) -> None:
    watch(bot, "slack", "atlassian", "record")
    text = json.dumps(look(bot))
    people = [word for person in seed.company().people[:30] for word in (person.name, person.email, person.account_id)]
    assert not [word for word in (*people, seed.ORG_API_KEY, seed.OURS.key, seed.SLACK_BOT_TOKEN) if word in text]


def test_it_is_tried_whether_the_database_can_be_written_but_not_at_each_request(
    bot: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    monkeypatch.setattr(health, "insist_room", tried.append)
    for _ in range(5):
        assert bot.house.health.look()[0]
    assert len(tried) == 1
    bot.house.health._written = float("-inf")
    assert bot.house.health.look()[0]
    assert len(tried) == 2


def test_a_machine_whose_clock_is_wrong_is_told(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Ahead":
            real = datetime.now(UTC) + timedelta(minutes=2)
            return cls(real.year, real.month, real.day, real.hour, real.minute, real.second, tzinfo=UTC)

    with living(postgresql_url, works=False) as bot:
        assert look(bot)["clock"]["ok"]
        monkeypatch.setattr(health, "datetime", Ahead)
        with bot.store.read() as session:
            part = _clock(session, None)
    assert not part["ok"]
    assert 110 < part["ahead"]["database"] < 130
    assert "NTP" in part["says"]


def test_a_server_that_is_away_is_not_ready_and_says_no_more() -> None:
    away = Database("postgresql+psycopg://nobody:secret@127.0.0.1:1/none")
    ready, report = Health(Store(away), None, lambda: "").look()
    away.close()
    assert (ready, report["ready"]) == (False, False)
    assert "it can't be reached" in report["database"]["says"]
    assert "secret" not in json.dumps(report)
