"""`gatehouse jobs`: what waits, runs and is dead, without a secret or a trick in it; and a dead one tried again."""

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import select

from approvals.database import Database
from approvals.models import AuditEntry, Job, News
from approvals.store import Store
from bot.sandbox import seed
from tests.support.house import ROOT, House

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def gatehouse(house: House, tmp_path: Path) -> Run:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **house.environ}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bot.cli", "jobs", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


def add(house: House, *jobs: Job) -> None:
    database = Database(house.environ["DATABASE_URL"])
    with Store(database).write() as w:
        for job in jobs:
            job.run_at = w.now
            w.add(job)
    database.close()


def dead(key: str, trouble: str = "Slack: invalid_blocks") -> Job:
    kind, _, about = key.partition(":")
    return Job(key=key, kind=kind, about=about, status="dead", attempts=8, trouble=trouble)  # type: ignore[call-arg]


def test_nothing_to_do_is_said(gatehouse: Run) -> None:
    done = gatehouse()
    assert (done.returncode, done.stdout) == (0, "0 waiting, 0 running, 0 dead.\n")


def test_each_job_has_its_line_and_the_dead_come_first(house: House, gatehouse: Run) -> None:
    waiting = Job(key="plan:REQ-23456789ab", kind="plan", about="REQ-23456789ab", attempts=2)  # type: ignore[call-arg]
    add(house, waiting, dead("apply:REQ-23456789cd"))
    done = gatehouse()
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "REQ-" in line]
    assert [(line[0], line[1], *line[3:]) for line in lines] == [
        ("apply:REQ-23456789cd", "dead", "8", "REQ-23456789cd", "Slack: invalid_blocks"),
        ("plan:REQ-23456789ab", "waiting", "2", "REQ-23456789ab", ""),
    ]
    assert "1 waiting, 0 running, 1 dead." in done.stdout
    assert "gatehouse jobs retry 'JOB'" in done.stdout
    only = gatehouse("--dead").stdout
    assert "apply:" in only
    assert "plan:" not in only


def test_what_others_said_is_shown_without_secrets_and_without_tricks(house: House, gatehouse: Run) -> None:
    add(house, dead("tell:1", f"\x1b[31mred [bold]x[/bold] {seed.SLACK_BOT_TOKEN}\nnext"))
    printed = gatehouse().stdout
    assert "red [bold]x[/bold]" in printed
    assert "\x1b" not in printed
    assert seed.SLACK_BOT_TOKEN not in printed


def test_a_dead_one_is_tried_again_in_the_record_and_told_to_security(house: House, gatehouse: Run) -> None:
    add(house, dead("bulk end:REQ-23456789cd"))
    done = gatehouse("retry", "bulk end:REQ-23456789cd")
    assert done.returncode == 0
    database = Database(house.environ["DATABASE_URL"])
    with Store(database).read() as session:
        job = session.exec(select(Job).where(Job.key == "bulk end:REQ-23456789cd")).one()
        body = json.loads(session.exec(select(AuditEntry.body).where(AuditEntry.event == "job.revived")).one())
        news = session.exec(select(News).where(News.kind == "shell_act")).one()
    database.close()
    assert (job.status, job.attempts) == ("ready", 0)
    assert (body["actor"], body["request"]) == (f"shell:{getpass.getuser()}", "REQ-23456789cd")
    assert news.place == "security"
    assert "bulk end:REQ-23456789cd" in news.facts


def test_what_is_not_dead_or_not_there_is_a_sentence(house: House, gatehouse: Run) -> None:
    add(house, Job(key="plan:REQ-23456789ab", kind="plan", about="REQ-23456789ab"))  # type: ignore[call-arg]
    for key, words in [("plan:REQ-23456789ab", "is waiting: only one that is dead"), ("plan:x", "There is no job")]:
        done = gatehouse("retry", key)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
