"""How much more several workers do on one PostgreSQL, while Atlassian takes 200 ms for each answer.

python -m tests.bench.workers 80

So many requests, each with the vote that decides it. No two are about the same person and the same thing, so that none
has to wait for another. Then one, two or four processes of workers are started; once all of them have nothing else to
do the votes are let go, and the clock runs from there until Atlassian has shown the last grant. Without that gate the
first process would be half done while the others still load their modules.

Each process does one job at a time (``WORKER_THREADS=1``): what is compared is how processes add up, and several
threads of one process share one interpreter.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlmodel import col, func, select, update

from approvals import jobs, people
from approvals.database import Database
from approvals.models import AccessRequest, Job
from approvals.policy import Person as Speaker
from approvals.policy import Policy
from approvals.policy_book import adopt_first
from approvals.states import OPEN
from approvals.store import Store
from approvals.workflow import Ask, Click
from bot.app import House, build
from bot.demo import gatehouse
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.settings import load_settings
from tests.bench.stage import quiet, stage

SERVER = os.environ.get("GATEHOUSE_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
NAME = f"gatehouse_bench_{os.getpid()}"
ANSWERS_AFTER = 0.2  # seconds
CREWS = (1, 2, 4)
WANTED = "eu-jira-admins", "eu-confluence-admins"
PATIENCE = 600.0  # seconds
READY = 600.0  # seconds; the cards of the questions come at one a second


def measured(folder: Path, requests: int) -> dict[str, Any]:
    """Requests a second by how many workers there are, and how many times the one worker's that is."""
    try:
        psycopg.connect(SERVER, connect_timeout=5).close()
    except psycopg.OperationalError:
        return {"not measured": f"no PostgreSQL at {SERVER.rpartition('@')[2]}"}
    with quiet():
        found = {crew: _of_a_crew(folder, crew, requests) for crew in CREWS}
    alone = found[CREWS[0]][0]
    return {
        "requests": requests,
        "Atlassian answers after, s": ANSWERS_AFTER,
        "a second, by workers": {str(crew): round(rate, 2) for crew, (rate, _) in found.items()},
        "times one worker": {str(crew): round(rate / alone, 2) for crew, (rate, _) in found.items()},
        "of the machine's time busy meanwhile": {str(crew): round(busy, 2) for crew, (_, busy) in found.items()},
    }


def _of_a_crew(folder: Path, crew: int, requests: int) -> tuple[float, float]:
    """Requests a second, and how busy the machine was with them and with everything else."""
    with _emptied() as url, stage(folder) as (ports, environ):
        environ |= {"DATABASE_URL": url, "ATLASSIAN_CALLS_A_MINUTE": "100000", "WORKER_THREADS": "1"}
        gatehouse(environ, "migrate")
        gatehouse(environ, "people", "import", str(folder / "people.csv"))
        _adopted(url, folder / "policy.toml")
        with closing(build(load_settings(environ, env_file=None))) as house:
            _decided(house, requests)
            _hold(house)
            with AtlassianControl(f"http://127.0.0.1:{ports.atlassian}") as atlassian, ExitStack() as crews:
                for number in range(crew):
                    crews.enter_context(_worker(folder, environ, number))
                _until(lambda: _listening(url) == crew and not _at_work(house), READY, f"{crew} workers are not ready")
                atlassian.fault(delay=ANSWERS_AFTER, times=None)
                return _done_a_second(house, requests)


def _adopted(url: str, policy: Path) -> None:
    with closing(Database(url)) as database:
        text = policy.read_text(encoding="utf-8")
        adopt_first(Store(database), text, Policy.parse(text))


@contextmanager
def _emptied() -> Iterator[str]:
    """A database of its own, gone afterwards."""
    name = sql.Identifier(NAME)
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield f"{SERVER.rpartition('/')[0]}/{NAME}"
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _wishes() -> Iterator[tuple[seed.Person, str]]:
    """Who could ask for what: members with a manager whose accounts are ours, and what they do not hold."""
    company = seed.company()
    for wanted in WANTED:
        members = company.group(wanted).members
        for person in company.people:
            ours = person.directory is seed.OURS and person.slack_kind == "member" and not person.state
            if ours and person.manager and person.handle not in members:
                yield person, wanted


def _decided(house: House, requests: int) -> None:
    """Everybody asks; the plans are made, and the votes are cast."""
    house.mirror.start()
    house.worker.run_until_idle()
    company, asked = seed.company(), []
    for person, wanted in islice(_wishes(), requests):
        with house.store.read() as session:
            policy = house.policies.current(session)
            speaker = people.speaker(session, policy, seed.SLACK_TEAM, person.slack_id)
        assert isinstance(speaker, Speaker), speaker
        source = f"bench {person.handle} {wanted}"
        ask = Ask("grant", speaker.account, wanted, timedelta(hours=1), "INC-42: the database is down", source)
        asked.append((house.desk.workflow.ask(speaker, ask).id, company.person(str(person.manager)).slack_id))
    assert len(asked) == requests, f"{requests} requests are more than there are people to ask"
    house.worker.run_until_idle()
    for request, manager in asked:
        click = Click(
            request_id=request, version=1, choice="approve", team=seed.SLACK_TEAM, user=manager, channel="D1",
            source=f"click {request}", reason="", typed="", changed="",
        )  # fmt: skip
        house.desk.workflow.vote(click)


def _hold(house: House) -> None:
    """No vote is counted before the gate opens."""
    with house.store.write() as w:
        w.connection.execute(update(Job).where(col(Job.kind) == "count").values(run_at=w.now + timedelta(days=1)))


def _open_the_gate(house: House) -> datetime:
    with house.store.write() as w:
        w.connection.execute(update(Job).where(col(Job.kind) == "count").values(run_at=w.now))
        w.connection.execute(select(func.pg_notify(jobs.CHANNEL, "")))
        return w.now


@contextmanager
def _worker(folder: Path, environ: dict[str, str], number: int) -> Iterator[None]:
    with (folder / f"worker-{number}.log").open("wb") as log:
        words = [sys.executable, "-m", "bot.cli", "worker"]
        process = subprocess.Popen(words, env=environ, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _listening(url: str) -> int:
    """How many workers have said that they want to hear of work."""
    with psycopg.connect(url) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gatehouse listens'"
        row = connection.execute(asked + " AND datname = current_database()").fetchone()
    return int(row[0]) if row else 0


def _at_work(house: House) -> bool:
    """Whether anything is done now, or is to be: what each start brings, and the cards of the questions."""
    with house.store.read() as session:
        going = col(Job.status) == "running"
        due = (col(Job.status) == "ready") & (col(Job.run_at) <= house.store.time_in(session) + timedelta(seconds=2))
        return session.exec(select(Job.id).where(going | due).limit(1)).first() is not None


def _done_a_second(house: House, requests: int) -> tuple[float, float]:
    """By the record: from the gate to the last request that was done. All of them must be."""
    before = _busy()
    opened = _open_the_gate(house)

    def all_over() -> bool:
        with house.store.read() as session:
            going = select(AccessRequest.id).where(col(AccessRequest.status).in_(OPEN)).limit(1)
            return session.exec(going).first() is None

    _until(all_over, PATIENCE, "not every request was done")
    busy = [now - then for now, then in zip(_busy(), before, strict=True)]
    with house.store.read() as session:
        over = select(AccessRequest.status, func.count(), func.max(AccessRequest.moved_at)).group_by(
            col(AccessRequest.status)
        )
        rows = session.exec(over).all()
    assert [(status, count) for status, count, _ in rows] == [("done", requests)], rows
    last = rows[0][2].replace(tzinfo=UTC)
    return requests / (last - opened).total_seconds(), busy[0] / sum(busy)


def _busy() -> tuple[int, int]:
    """What the processors did so far, and how long they had nothing to do, in the kernel's ticks. See proc(5)."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, idle


def _until(so: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        if time.monotonic() > deadline:
            raise SystemExit(f"after {seconds:.0f} s: {otherwise}")
        time.sleep(0.25)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), int(sys.argv[1])), indent=2))
