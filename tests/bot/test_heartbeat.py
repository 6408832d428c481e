"""The heartbeat on real sockets: each minute while the work is done, at once when nobody hears of broken glass."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from approvals import crash
from approvals.models import AuditEntry, Job
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.bot.test_metrics import figures
from tests.stories.test_glass import breaks
from tests.stories.test_kill import OF_THE_HEART
from tests.support.listening import Listening, listening
from tests.support.living import Living, living, until
from tests.support.outside import copied
from tests.support.wire import raw_server

COMPANY = seed.company()
PATH = "/ping/canary-heartbeat?from=here"
FAILURES, SENT = "gatehouse_heartbeat_failures_total", "gatehouse_heartbeat_timestamp_seconds"


@pytest.fixture
def monitor() -> Iterator[Listening]:
    with listening() as ear:
        yield ear


@contextmanager
def watched(folder: Path, file: Path, base: str, **more: Any) -> Iterator[Living]:
    with living(copied(file, folder), HEARTBEAT_URL=f"{base}{PATH}", **more) as bot:
        yield bot


@pytest.fixture
def bot(tmp_path: Path, migrated_file: Path, monitor: Listening) -> Iterator[Living]:
    with watched(tmp_path, migrated_file, monitor.base, works=False) as bot:
        yield bot


def beats(monitor: Listening) -> list[dict[str, Any]]:
    return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in monitor.heard]


def run(bot: Living, **later: float) -> None:
    bot.store.move_time(timedelta(**later))
    bot.house.worker.run_until_idle()


def test_it_is_told_every_minute_that_all_is_well(bot: Living, monitor: Listening) -> None:
    assert figures(bot)[SENT] == 0
    bot.house.heartbeat.start()
    run(bot)
    run(bot, seconds=30)
    assert beats(monitor) == [{"status": "ok", "troubles": []}]
    assert monitor.lines() == [f"POST {PATH}"]
    run(bot, seconds=61)
    run(bot, seconds=130)
    assert beats(monitor) == [{"status": "ok", "troubles": []}] * 3
    assert figures(bot)[SENT] > 0
    assert figures(bot)[FAILURES] == 0


def test_without_an_address_nobody_is_told(tmp_path: Path, migrated_file: Path) -> None:
    with living(copied(migrated_file, tmp_path), works=False) as bot:
        bot.house.heartbeat.start()
        run(bot)
        with bot.store.read() as session:
            assert session.exec(select(Job).where(Job.kind == "heartbeat")).all() == []
        with bot.store.write() as w:
            w.enqueue("heartbeat", "trouble")
        run(bot)
        with bot.store.read() as session:
            assert session.exec(select(Job).where(Job.kind == "heartbeat")).all() == []


def test_a_worker_that_does_no_job_sends_none(tmp_path: Path, migrated_file: Path, monitor: Listening) -> None:
    """It is one of the jobs: with nobody to run it there is silence, on which the monitor alarms."""
    with watched(tmp_path, migrated_file, monitor.base) as bot:
        bot.house.heartbeat.start()
        until(lambda: len(monitor.heard) == 1)
        bot.house.worker.stop(patience=10)
        bot.store.move_time(timedelta(minutes=10))
        bot.house.refresh_gauges()
        assert len(monitor.heard) == 1


def test_a_record_that_was_changed_is_trouble(bot: Living, monitor: Listening) -> None:
    with bot.store.write() as w:
        for number in range(2):
            w.audit("noted", actor=crash_actor(), data={"number": number})
    with bot.store.database.writing() as session:
        head = session.exec(select(AuditEntry).order_by(AuditEntry.seq.desc())).first()  # type: ignore[attr-defined]
        connection = session.connection()
        triggers = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
        for name in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql("UPDATE audit SET body = '{}' WHERE seq = ?", (head.seq,))  # type: ignore[union-attr]
    bot.house.heartbeat.start()
    run(bot)
    (beat,) = beats(monitor)
    assert beat["status"] == "trouble"
    assert beat["troubles"] == [
        "The newest entry of the record was changed after it was written: run gatehouse audit verify."
    ]


def crash_actor() -> Any:
    from approvals.store import Actor

    return Actor("account-ada")


def test_broken_glass_of_which_nobody_hears_is_told_at_once(bot: Living, monitor: Listening) -> None:
    """Out of turn: here the beat of each minute is not even asked for."""
    bot.slack.fault("chat.postMessage", error="channel_not_found", times=-1)
    request = breaks(bot)
    run(bot, seconds=1)
    assert monitor.heard == []
    run(bot, seconds=62)
    said = "1 break-glass is not heard of by anybody: Slack takes no message about it."
    assert beats(monitor) == [{"status": "trouble", "troubles": [said]}]
    assert request.id.encode() not in b"".join(monitor.heard)
    bot.house.heartbeat.start()
    run(bot, seconds=63)
    assert beats(monitor)[-1]["troubles"] == [said]
    bot.slack.clear_faults()
    for minutes in range(2, 6):
        run(bot, minutes=minutes)
    assert beats(monitor)[-1] == {"status": "ok", "troubles": []}


# -- a monitor that does not answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("says", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"garbage\r\n\r\n", b""])
def test_a_monitor_in_trouble_is_logged_and_counted_and_told_again(
    tmp_path: Path, migrated_file: Path, says: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(says)

    with raw_server(answer) as base, watched(tmp_path, migrated_file, base, works=False) as bot:
        bot.house.heartbeat.start()
        run(bot)
        run(bot, seconds=61)
        assert figures(bot)[FAILURES] == 2
        assert figures(bot)[SENT] == 0
        out = capsys.readouterr().out
        assert out.count("the heartbeat was not taken") == 2
        assert "canary-heartbeat" not in out


def test_a_monitor_that_is_not_there_holds_nothing_up(tmp_path: Path, migrated_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        base = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with watched(tmp_path, migrated_file, base, works=False) as bot:
        bot.house.heartbeat.start()
        run(bot)
        assert figures(bot)[FAILURES] == 1
        bot.slack.command("ada", "help")


def test_while_a_monitor_keeps_silent_what_is_given_is_given_and_ends(tmp_path: Path, migrated_file: Path) -> None:
    over = threading.Event()

    def silent(connection: socket.socket) -> None:
        over.wait(60)

    with raw_server(silent) as base, watched(tmp_path, migrated_file, base) as bot:
        bot.house.heartbeat.start()
        bot.store.move_time(timedelta(0))
        breaks(bot)
        tomas = COMPANY.person("tomas").account_id
        until(lambda: tomas in bot.atlassian.members("eu-jira-admins"))
        bot.store.move_time(timedelta(hours=1, seconds=1))
        until(lambda: tomas not in bot.atlassian.members("eu-jira-admins"))
        until(lambda: any("is over" in text_of(message) for message in bot.slack.messages("tomas")))
        over.set()


# -- kill -9 ----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Nothing after it runs."""


@pytest.fixture
def kill() -> Iterator[Any]:
    def at(wanted: str) -> None:
        def hook(label: str) -> None:
            if label == wanted:
                crash.set_hook(lambda label: None)
                raise Killed(label)

        crash.set_hook(hook)

    yield at
    crash.set_hook(lambda label: None)


@pytest.mark.parametrize("label", OF_THE_HEART)
def test_killed_around_the_call_it_goes_on(bot: Living, monitor: Listening, kill: Any, label: str) -> None:
    bot.house.heartbeat.start()
    kill(label)
    with pytest.raises(Killed):
        run(bot)
    bot.store.take_over()
    run(bot)
    before = len(monitor.heard)
    assert before >= 1
    run(bot, seconds=61)
    assert len(monitor.heard) == before + 1
