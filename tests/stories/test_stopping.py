"""SIGTERM in the middle of a slow call to Atlassian: nothing is begun, the step is finished or given back, and soon."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from approvals.database import Database
from approvals.models import Call, Job
from tests.support.living import living
from tests.support.outside import COMPANY, Bot, between_sandboxes, copied

ADA = COMPANY.person("ada").account_id
MOST = 10  # seconds, of which a host that stops processes gives thirty


@pytest.fixture(params=["sqlite", "postgresql"])
def bot(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> Iterator[Bot]:
    """Web and worker are processes of their own; neither is started yet."""
    if request.param == "sqlite":
        url = copied(migrated_file, tmp_path / "bot")
    else:
        url = request.getfixturevalue("postgresql_url")
    with living(url, works=False):
        pass
    with between_sandboxes(tmp_path / "bot", url) as bot:
        yield bot


@contextmanager
def process(bot: Bot, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`gatehouse …` with the bot's settings, in a process group of its own."""
    with (bot.folder / f"{words[0]}.log").open("ab") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", *words], env=bot.environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def jobs(bot: Bot, kind: str) -> list[tuple[str, str]]:
    database = Database(bot.environ["DATABASE_URL"])
    with database.reading() as session:
        found = session.exec(select(Job.key, Job.status).where(Job.kind == kind)).all()
    database.close()
    return [(key, status) for key, status in found]


def answers(bot: Bot) -> list[str | None]:
    database = Database(bot.environ["DATABASE_URL"])
    with database.reading() as session:
        found = session.exec(select(Call.answer).order_by(Call.id)).all()  # type: ignore[arg-type]
    database.close()
    return list(found)


def approved(bot: Bot) -> str:
    request = bot.ask("ada", "grant eu-jira-admins for 2h because INC-42: the database is down")
    bot.press("grace", request, "approve")
    return request


def test_a_step_that_ends_in_time_is_finished_and_one_that_does_not_is_another_workers(bot: Bot) -> None:
    with process(bot, "web") as web:
        bot.until(bot._answers)
        with process(bot, "worker") as first:
            bot.atlassian.fault(method="PATCH", delay=20)  # the effect is there, its answer is not
            request = approved(bot)
            bot.until(lambda: bot.effects(ADA))
            first.send_signal(signal.SIGTERM)
            assert first.wait(timeout=MOST) == 0
        assert jobs(bot, "apply") == [(f"apply:{request}", "ready")], "given back, not left to its lease"
        bot.atlassian.clear_faults()

        with process(bot, "worker") as second:
            bot.told(request, "is given")
            assert len(bot.effects(ADA)) == 1, "it was read before it was called again"
            bot.atlassian.fault(method="PATCH", delay=3)
            bot.move_time(timedelta(hours=2, seconds=1))
            bot.until(lambda: len(bot.effects(ADA)) == 2)
            second.send_signal(signal.SIGTERM)
            assert second.wait(timeout=MOST) == 0
        assert (answers(bot)[-1] or "").startswith("200"), "the answer was waited for and written down"
        assert "running" not in [status for _, status in jobs(bot, "end")]
        web.send_signal(signal.SIGTERM)
        assert web.wait(timeout=MOST) == 0
