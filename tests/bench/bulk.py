"""Ten thousand rows into one group, beside the bare calls of the same run; each part in a process of its own.

python -m tests.bench.bulk serve                 the Atlassian stand-in with twelve thousand people; prints its address
python -m tests.bench.bulk run URL FOLDER ROWS   the bot's own code, from the file to the last read-back; prints JSON
python -m tests.bench.bulk bare URL ROWS         the calls alone, without any of our code; prints JSON
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from sqlalchemy import func, insert
from sqlmodel import select

from approvals.bulk_rows import digest_of_lines, judge
from approvals.database import Database
from approvals.migrations import migrate
from approvals.models import Grant, News, Person
from approvals.policy import Policy
from approvals.store import Store
from approvals.workflow import Ask
from bot.atlassian.directory import AtlassianDirectory
from bot.clients import build_clients
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from handlers.bulk_file import read_list
from tests.bench.stage import quiet
from tests.support.bulk import DRILL, bulk_policy
from tests.support.settings import settings_for
from tests.support.world import MemoryIncidents, World

PEOPLE = 12_000
PAGE = PORTION = 100
BARE_GROUP = "all-of-the-bare-calls"
BARE_ID = "00000000-0000-4000-a000-000000000001"
SCIM = f"/scim/directory/{seed.OURS.id}"


def many() -> Iterator[seed.Person]:
    """Those who make the directory of ours twelve thousand, one by one: whoever wants a list of them makes it."""
    small = seed.company()
    like = next(p for p in small.people if p.directory is seed.OURS and p.handle.startswith("person") and not p.state)
    for n in range(PEOPLE - sum(person.directory is seed.OURS for person in small.people)):
        yield replace(
            like, handle=f"many{n:05d}", given="Many", family=f"Person {n}", email=f"many{n:05d}@{seed.DOMAIN}",
            account_id=f"712020:00000000-0000-4000-8000-{n:012d}", slack_id=f"U0MANY{n:05d}",
            scim_id=f"00000000-0000-4000-9000-{n:012d}",
        )  # fmt: skip


def large_company() -> seed.Company:
    """The seeded company grown to twelve thousand people in the directory of ours, and a second empty group."""
    small = seed.company()
    people = (*small.people, *many())
    bare = replace(small.group(DRILL), name=BARE_GROUP, org_id=BARE_ID.replace("a", "b"), scim_id=BARE_ID)
    return seed.Company(people, (*small.groups, bare), small.channels, {p.handle: p for p in people})


def serve() -> None:
    from bot.sandbox.atlassian.server import create_app, running  # not in the process whose memory is measured

    with running(create_app(large_company())) as url:
        print(url, flush=True)
        sys.stdin.read()


def bare(url: str, rows: int) -> dict[str, Any]:
    """Every page of the directory, every portion, and a reading of the group after ten of them: no line of ours."""
    group, ids = BARE_ID, [person.scim_id for person in islice(many(), rows)]
    calls = 0
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {seed.OURS.key}"}, trust_env=False) as http:
        begin = time.perf_counter()
        total, start = 1, 1
        while start <= total:
            page = http.get(f"{SCIM}/Users", params={"startIndex": start, "count": PAGE}).raise_for_status().json()
            total, start, calls = page["totalResults"], start + len(page["Resources"]), calls + 1
        for number, at in enumerate(range(0, rows, PORTION), 1):
            value = [{"value": id} for id in ids[at : at + PORTION]]
            body = {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "add", "path": "members", "value": value}],
            }
            http.patch(f"{SCIM}/Groups/{group}", json=body).raise_for_status()
            calls += 1
            if number % 10 == 0:
                http.get(f"{SCIM}/Groups/{group}").raise_for_status()
                calls += 1
        http.get(f"{SCIM}/Groups/{group}").raise_for_status()
    return {"s": time.perf_counter() - begin, "calls": calls + 1}


def run(url: str, folder: Path, rows: int) -> dict[str, Any]:
    """From the bytes of the file to the request that is done: read, judged, planned, approved by two, applied."""
    import_module("bot.app")  # all of the bot stands in memory, as it does where it serves
    database = Database(f"sqlite:///{folder / 'bulk.db'}")
    migrate(database)
    store = Store(database, movable_time=True)
    policy = Policy.parse(bulk_policy())
    settings = settings_for("http://127.0.0.1:9", url, database.url, ATLASSIAN_CALLS_A_MINUTE="100000")
    directory = AtlassianDirectory(build_clients(settings, policy, database), policy)
    world = World(store, after=SimpleNamespace(directory=directory, incidents=MemoryIncidents(), clicks=0))  # type: ignore[arg-type]
    world.set_policy(bulk_policy())
    world.import_people()
    _mirror(store)
    seen = sum(1 for _ in directory.everyone())  # as the mirror does it: whoever it read is remembered
    data = _file(rows)
    with AtlassianControl(url) as atlassian:
        before = len(atlassian.ledger())
        took = _from_file_to_done(world, data)
        calls = atlassian.ledger()[before:]
        members = len(atlassian.members(DRILL))
        ends = _all_end(world, atlassian, rows)
    directory.close()
    verified = store.verify()
    database.close()
    assert members == rows, f"{members} are in the group"
    assert verified.ok, verified.problems
    return {
        "accounts in the mirror": seen, "calls": len(calls), **took, "s": sum(took.values()), **ends,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def _all_end(world: World, atlassian: AtlassianControl, rows: int) -> dict[str, float]:
    """Two days later all of them are due in the same moment: what it takes, how late the last is, what is said."""
    before, told = len(atlassian.ledger()), _news(world)
    with world.store.read() as session:
        due = session.exec(select(func.max(Grant.ends_at))).one()
    assert due is not None
    begin = time.perf_counter()
    world.store.move_time(due - datetime.now(UTC))
    world.run()
    seconds = time.perf_counter() - begin
    with world.store.read() as session:
        last = session.exec(select(func.max(Grant.ended_at)).where(Grant.status == "ended")).one()
        still = session.exec(select(func.count()).select_from(Grant).where(Grant.status != "ended")).one()
    calls = atlassian.ledger()[before:]
    assert (still, len(atlassian.members(DRILL))) == (0, 0), f"{still} grants go on"
    return {
        "ended, s": seconds, "calls to end": len(calls), "news of the ends": _news(world) - told,
        "writes to end": sum(1 for call in calls if call["method"] not in ("GET", "HEAD")),
        "rows a write": rows / max(1, sum(1 for call in calls if call["method"] not in ("GET", "HEAD"))),
        "last end later than due, s": (last - due).total_seconds(),
    }  # fmt: skip


def _news(world: World) -> int:
    with world.store.read() as session:
        return int(session.exec(select(func.count()).select_from(News)).one())


def _from_file_to_done(world: World, data: bytes) -> dict[str, float]:
    took: dict[str, float] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        took[f"{name}, s"] = round(time.perf_counter() - begin, 2)

    with part("read and asked"):
        speaker = world.speaker("kofi")
        lines = read_list(data, world.store.now(), "")
        with world.store.read() as session:
            policy = world.policies.current(session)
            judged = tuple(judge(session, policy, speaker, lines, world.store.time_in(session), "INC-42: everybody"))
        ask = Ask(
            "bulk", speaker.account, "", None, "INC-42: everybody", "s", value=digest_of_lines(lines), rows=judged
        )
        request = world.request(world.workflow.ask(speaker, ask))
    with part("planned"):
        world.run()
    with part("approved by two"):
        for who in ("omar", "sade"):
            world.click(who, request, typed=str(len(lines)))
            world.run()
    world.later(timedelta(minutes=6))
    with part("applied and read back"):
        world.run()
    assert world.request(request).status == "done", world.request(request)
    return took


def _mirror(store: Store) -> None:
    now = datetime.now(UTC)
    known = {person.account_id for person in seed.company().people[: len(seed.STORY)]}
    rows = [
        {"account": p.account_id, "name": p.name, "mail": p.email, "manager": None, "read_at": now}
        for p in (*seed.company().people, *many())
        if p.account_id not in known
    ]
    with store.write() as w:
        w.connection.execute(insert(Person), rows)


def _file(rows: int) -> bytes:
    lines = [f"{person.email},grant,{DRILL},2 days," for person in islice(many(), rows)]
    return ("person,action,entitlement,until,reason\n" + "\n".join(lines)).encode()


def measured(folder: Path, rows: int) -> dict[str, Any]:
    """For `make bench`: both in turn at one stand-in, each in a process of its own."""
    me = [sys.executable, "-m", "tests.bench.bulk"]
    with subprocess.Popen([*me, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().strip()
            ours, alone = (
                json.loads(subprocess.run([*me, *words], stdout=subprocess.PIPE, text=True, check=True).stdout)
                for words in (["run", url, str(folder), str(rows)], ["bare", url, str(rows)])
            )
        finally:
            server.terminate()
    least = -(-PEOPLE // PAGE) + -(-rows // PORTION) + 1
    ours = {name: round(value, 2) for name, value in ours.items()}
    beside = {"bare calls alone, s": round(alone["s"], 2), "times the bare calls": round(ours["s"] / alone["s"], 1)}
    counted = {"least possible calls": least, "times the least": round(ours["calls"] / least, 2)}
    return {"rows": rows, **ours, **beside, "bare calls": alone["calls"], **counted}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["run", url, folder, rows]:
            with quiet():
                found = run(url, Path(folder), int(rows))
            print(json.dumps(found))
        case ["bare", url, rows]:
            print(json.dumps(bare(url, int(rows))))
        case [rows]:
            import tempfile

            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(measured(Path(folder), int(rows)), indent=2))
