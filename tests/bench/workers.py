"""How much more several workers do on one PostgreSQL, while Atlassian takes 200 ms for each answer.

python -m tests.bench.workers 80

So many requests, each with the vote that decides it; then the workers are started, one, two or four processes of them,
and the clock runs from the first call to Atlassian until the last request is done.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlmodel import col, func, select

from approvals import people
from approvals.database import Database
from approvals.models import AccessRequest, Call, Job
from approvals.policy import Person as Speaker
from approvals.policy import Policy
from approvals.policy_book import adopt_first
from approvals.store import Store
from approvals.workflow import Ask, Click
from bot.app import House, build
from bot.demo import gatehouse
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.settings import load_settings
from tests.bench import bench

SERVER = os.environ.get("GATEHOUSE_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
NAME = "gatehouse_bench"
ANSWERS_AFTER = 0.2  # seconds
CREWS = (1, 2, 4)


def measured(folder: Path, requests: int) -> dict[str, Any]:
    """Requests a second by how many workers there are, and how many times the one worker's that is."""
    try:
        psycopg.connect(SERVER, connect_timeout=5).close()
    except psycopg.OperationalError:
        return {"not measured": f"no PostgreSQL at {SERVER.rpartition('@')[2]}"}
    rates = {crew: _rate(folder, crew, requests) for crew in CREWS}
    return {
        "requests": requests,
        "a second, by workers": {str(crew): round(rate, 2) for crew, rate in rates.items()},
        "times one worker": {str(crew): round(rate / rates[1], 2) for crew, rate in rates.items()},
    }


def _rate(folder: Path, crew: int, requests: int) -> float:
    with _emptied() as url, bench.stage(folder) as (ports, environ):
        environ |= {"DATABASE_URL": url, "ATLASSIAN_CALLS_A_MINUTE": "100000"}
        gatehouse(environ, "migrate")
        gatehouse(environ, "people", "import", str(folder / "people.csv"))
        _adopted(url, folder / "policy.toml")
        with closing(build(load_settings(environ, env_file=None))) as house:
            _decided(house, requests)
            with AtlassianControl(f"http://127.0.0.1:{ports.atlassian}") as atlassian, ExitStack() as crews:
                atlassian.fault(delay=ANSWERS_AFTER, times=None)
                for number in range(crew):
                    crews.enter_context(_worker(folder, environ, number))
                return _done_a_second(house)


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
        yield f"{SERVER.rpartition('/')[0]}/{NAME}"
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _decided(house: House, requests: int) -> None:
    """Whoever has a manager asks in turn; the plans are made, and the votes are cast."""
    house.mirror.start()
    house.worker.run_until_idle()
    company = seed.company()
    asked = []
    askers = [p for p in company.people if p.slack_kind == "member" and p.manager and p.handle != seed.EMERGENCY]
    for n in range(requests):
        person = askers[n % len(askers)]
        length = timedelta(minutes=60 + n // len(askers))
        with house.store.read() as session:
            policy = house.policies.current(session)
            speaker = people.speaker(session, policy, seed.SLACK_TEAM, person.slack_id)
        assert isinstance(speaker, Speaker), speaker
        ask = Ask("grant", speaker.account, "eu-jira-admins", length, "INC-42: the database is down", f"bench {n}")
        asked.append((house.desk.workflow.ask(speaker, ask).id, company.person(str(person.manager)).slack_id))
    house.worker.run_until_idle()
    for request, manager in asked:
        click = Click(
            request_id=request, version=1, choice="approve", team=seed.SLACK_TEAM, user=manager, channel="D1",
            source=f"click {request}", reason="", typed="", changed="",
        )  # fmt: skip
        house.desk.workflow.vote(click)


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


def _done_a_second(house: House) -> float:
    """By the record: from the first call that was meant for Atlassian to the last request that was done."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        time.sleep(0.5)
        with house.store.read() as session:
            going = session.exec(select(Job.id).where(col(Job.kind).in_(("count", "apply"))).limit(1)).first()
            done = select(func.count(), func.max(AccessRequest.moved_at)).where(AccessRequest.status == "done")
            count, last = session.exec(done).one()
            first = session.exec(select(func.min(Call.intended_at))).one()
        if going is None and count:
            return float(count / (last - first).total_seconds())
    raise SystemExit(f"after ten minutes {count} requests were done, and there was more to do")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), int(sys.argv[1])), indent=2))
