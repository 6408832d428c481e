"""The daily job that erases old texts, and `gatehouse forget` from a shell."""

import json
import sqlite3
from datetime import timedelta

import pytest
from sqlmodel import select

from approvals.jobs import Claim
from approvals.models import AuditDetail, Job
from approvals.store import Actor, Store
from bot.record.retention import DAILY, Retention
from bot.sandbox import seed
from bot.worker import Worker
from tests.bot.test_cli import Shell, shell

__all__ = ["shell"]  # the fixture
ADA = seed.company().person("ada")


@pytest.mark.parametrize(("kept", "left"), [(timedelta(days=30), 0), (None, 1)])
def test_old_texts_go_daily_where_it_is_wanted(store: Store, kept: timedelta | None, left: int) -> None:
    store = Store(store.database, movable_time=True)
    with store.write() as w:
        w.audit("noted", actor=Actor("712020:x"), details={"reason": "old"})
    retention = Retention(store, kept)
    ran: list[str] = []

    def run(claim: Claim) -> None:
        ran.append(claim.key)
        retention.run(claim)

    worker = Worker(store, {"texts": run})
    retention.start()
    worker.run_until_idle()
    store.move_time(timedelta(days=31))
    worker.run_until_idle()
    with store.read() as session:
        assert len(session.exec(select(AuditDetail)).all()) == left
        again = session.exec(select(Job.run_at).where(Job.kind == "texts")).all()
    assert len(ran) == (2 if kept else 0)
    assert len(again) == (1 if kept else 0)
    assert store.verify().ok
    assert timedelta(days=1) == DAILY


def test_forgetting_from_a_shell(shell: Shell) -> None:
    assert shell.run("people", "import", "people.csv").returncode == 0
    (sentence,) = shell.refused("forget", "no/account", "--yes")
    assert sentence.startswith("That is no Atlassian account id")
    done = shell.run("forget", ADA.account_id, "--yes")
    assert done.returncode == 0
    assert "1 texts of the record were erased" in done.stdout
    assert "delete them there first" in done.stdout
    assert ADA.name not in done.stdout
    with sqlite3.connect(shell.folder / "gatehouse.db") as connection:
        everything = " ".join(connection.iterdump())
        body = connection.execute("SELECT body FROM audit ORDER BY seq DESC LIMIT 1").fetchone()[0]
    connection.close()
    assert ADA.email not in everything
    assert json.loads(body)["event"] == "person.forgotten"
    assert json.loads(body)["actor"].startswith("shell:")
    assert shell.run("audit", "verify").returncode == 0
