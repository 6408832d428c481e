"""How late the ends are when thousands of single grants are due in the same minute, beside the bare calls of the run.

python -m tests.bench.ends 10000 60         so many grants, due within so many seconds (0: at once); prints JSON
python -m tests.bench.ends atlassian 10000  the stand-in with those who hold them; prints its address
python -m tests.bench.ends slack 10000      the workspace they are members of; prints its address

Each grant was asked for by the person who holds it: a request, its steps and its entries in the chain, written as the
bot writes them, by the store. A whole `serve` is started before they are due, with its call budget lifted, and has
nothing else to do when they are. The grants have no cards, so what is said of each goes to its holder alone.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import delete, func, insert
from sqlmodel import col, select

from approvals import jobs
from approvals.calls import steps_of, write_steps
from approvals.database import Database
from approvals.models import AccessRequest, Binding, Call, Grant, Job, News, Person, SlackUser
from approvals.plan import Step
from approvals.policy import Policy
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import MACHINE, Store, Write, new_request_id
from bot.atlassian.directory import AtlassianDirectory
from bot.clients import build_clients
from bot.demo import choose_ports, gatehouse, settings, until_it_answers
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import create_app, running
from bot.sandbox.slack.control import SlackControl
from bot.sandbox.slack.server import create_app as create_workspace
from bot.settings import load_settings
from tests.bench.bulk import DRILL, PORTION, SCIM, many
from tests.bench.stage import memory, quiet
from tests.support.policies import roomy

GROUPS = tuple(f"due-{n}" for n in range(4))
BARE = tuple(f"bare-{n}" for n in range(len(GROUPS)))  # the same people, for the bare calls
WITHIN = 0.0  # seconds: they are due at once, as whatever is held "until 18:00" is
LIFTED = {"ATLASSIAN_CALLS_A_MINUTE": "100000"}
HELD_FOR = timedelta(hours=2)
AT_A_TIME = 250  # grants in a transaction
SETTLES = timedelta(minutes=20)  # before they are due the bot is started, by its own clock
LEAD = timedelta(seconds=3)  # what is left of that when it has nothing to do any more
PATIENCE = 900.0  # seconds, and two more for each grant


# -- both sides of the world ------------------------------------------------------------------------------------------


def company_of(grants: int) -> seed.Company:
    """The seeded company with as many people more, each of whom holds one group, in turn."""
    small, more = seed.company(), list(islice(many(), grants))
    like, holders = small.group(DRILL), [person.handle for person in more]
    groups = [
        replace(
            like, name=name, members=tuple(holders[n % len(GROUPS) :: len(GROUPS)]),
            org_id=str(uuid.UUID(int=2 * n + 1, version=4)), scim_id=_scim_id(n),
        )
        for n, name in enumerate((*GROUPS, *BARE))
    ]  # fmt: skip
    people = (*small.people, *more)
    return seed.Company(people, (*small.groups, *groups), small.channels, {p.handle: p for p in people})


def _scim_id(n: int) -> str:
    return str(uuid.UUID(int=2 * n + 2, version=4))


def serve(app: Any) -> None:
    with running(app) as url:
        print(url, flush=True)
        sys.stdin.read()


@contextmanager
def _stand_in(*words: str) -> Iterator[str]:
    me = [sys.executable, "-m", "tests.bench.ends", *words]
    with subprocess.Popen(me, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


# -- the record -------------------------------------------------------------------------------------------------------


def _policy() -> str:
    rules = [f'\n[entitlements.{name}]\nabout = "One of several"\ngroup = "{name}"\n' for name in GROUPS]
    return roomy() + "".join(rules)


def written(environ: dict[str, str], grants: int, within: float) -> datetime:
    """Everybody's grant, given an hour ago; gives when the first is due."""
    text = Path(environ["POLICY_FILE"]).read_text(encoding="utf-8")
    policy, known = Policy.parse(text), load_settings(environ, env_file=None)
    with closing(Database(environ["DATABASE_URL"])) as database:
        store = Store(database, movable_time=True)
        with closing(AtlassianDirectory(build_clients(known, policy, database), policy)) as directory:
            first = next(many())
            steps = {name: _giving(directory, policy, name, first) for name in GROUPS}
        holders = list(islice(many(), grants))
        _known(store, holders)
        due = store.now() + HELD_FOR
        for start in range(0, grants, AT_A_TIME):
            with store.write() as w:
                for n in range(start, min(grants, start + AT_A_TIME)):
                    name, ends_at = GROUPS[n % len(GROUPS)], due + timedelta(seconds=within * n / grants)
                    _give(w, policy, name, _for(steps[name], first, holders[n]), holders[n], ends_at)
        with store.write() as w:  # nobody was shown a card, so there is nothing to draw
            w.connection.execute(delete(Job).where(col(Job.kind) == "draw"))
        store.move_time(due - SETTLES - datetime.now(UTC))
        return due


def _giving(directory: AtlassianDirectory, policy: Policy, name: str, person: seed.Person) -> Step:
    entitlement = policy.entitlement(name)
    assert entitlement is not None
    (step,) = directory.survey_grant(person.account_id, entitlement).steps
    return step


def _for(step: Step, first: seed.Person, person: seed.Person) -> Step:
    words = step.words.replace(first.name, person.name).replace(first.email, person.email)
    return step.model_copy(update={"account": person.account_id, "member": person.scim_id, "words": words})


def _known(store: Store, people: list[seed.Person]) -> None:
    """As the mirror and the import would have them."""
    now = store.now()
    team = seed.SLACK_TEAM
    with store.write() as w:
        w.connection.execute(
            insert(Person),
            [{"account": p.account_id, "name": p.name, "mail": p.email, "read_at": now} for p in people],
        )
        w.connection.execute(
            insert(SlackUser),
            [
                {"team": team, "user": p.slack_id, "name": p.name, "mail": p.email, "standing": "member", "zone": "",
                 "read_at": now}
                for p in people
            ],
        )  # fmt: skip
        bound = {"how": "import", "bound_at": now, "votes_from": now, "confirmed": True, "mail": ""}
        w.connection.execute(
            insert(Binding),
            [{"team": team, "user": p.slack_id, "account": p.account_id, **bound} for p in people],
        )


def _give(w: Write, policy: Policy, name: str, step: Step, person: seed.Person, ends_at: datetime) -> None:
    """One grant, from the approval on, in the moves that the bot makes."""
    rule = policy.rule("grant", name)
    assert rule is not None
    given = w.now - timedelta(hours=1)
    request = w.add(
        AccessRequest(
            id=new_request_id(), verb="grant", subject=person.account_id, requester=person.account_id,
            team=seed.SLACK_TEAM, user=person.slack_id, entitlement=name,
            duration=int((HELD_FOR + timedelta(hours=1)).total_seconds()), reason="INC-42: everybody helps",
            status=Status.APPROVED, rule_hash=rule.rule_hash, policy_hash=policy.hash,
            source=f"bench {name} {person.handle}", asked_at=given, lapses_at=given + timedelta(days=1),
            approver=seed.company().person("grace").account_id, moved_at=given,
        )
    )  # fmt: skip
    grant = w.add(
        Grant(
            request_id=request.id, account=person.account_id, entitlement=name, holding=step.holding,
            status=GrantStatus.PROMISED, held_before=False, promised_at=given, ends_at=ends_at,
        )
    )  # fmt: skip
    digests = write_steps(w, request.id, "apply", [step])
    applying = w.move(request, "apply", actor=MACHINE, data={"steps": digests})
    w.audit(
        "grant.promised", actor=MACHINE, request=request.id,
        data={"account": grant.account, "holding": grant.holding, "held_before": False,
              "ends_at": ends_at.isoformat()},
    )  # fmt: skip
    w.enqueue("end", grant.id or 0, at=ends_at, priority=jobs.ENDS)
    _called(w, request.id, step, given)
    w.move_grant(grant, "confirm", actor=MACHINE, active_at=given)
    w.move(applying, "finish", actor=MACHINE, data={"read_back": True})


def _called(w: Write, request_id: str, step: Step, at: datetime) -> None:
    """That the step was called, answered and read back."""
    (row,) = steps_of(w.session, request_id, "apply")
    row.status, row.true_at = "true", at
    call = Call(
        step_id=row.id or 0, method=step.method, path=step.path, intended_at=at, answered_at=at, answer="200"
    )  # fmt: skip
    w.add(call)


# -- measuring --------------------------------------------------------------------------------------------------------


def measured(folder: Path, grants: int, within: float = WITHIN) -> dict[str, Any]:
    """For `make bench`: the bot and the bare calls at one stand-in."""
    with quiet(), _stand_in("atlassian", str(grants)) as atlassian, _stand_in("slack", str(grants)) as slack:
        environ = _environ(folder, atlassian, slack)
        gatehouse(environ, "people", "import", str(folder / "people.csv"))  # the first of all, so nobody is told
        due = written(environ, grants, within)
        with closing(Database(environ["DATABASE_URL"])) as database, AtlassianControl(atlassian) as control:
            store = Store(database, movable_time=True)
            with _serving(folder, environ) as process:
                ours = _ends(store, control, SlackControl(slack), grants, due)
                ours["memory of serve after it, MB"] = memory(process.pid)
            assert store.verify().ok
        seconds = bare(atlassian, grants)
    beside = {"bare calls alone, s": round(seconds, 2), "times the bare calls": round(ours.pop("s") / seconds, 1)}
    return {"grants": grants, "due within, s": within, **ours, **beside}


def _environ(folder: Path, atlassian: str, slack: str) -> dict[str, str]:
    environ = {**settings(folder, choose_ports(3950)), "PYTHONPATH": os.getcwd(), "LOG_LEVEL": "ERROR", **LIFTED}
    Path(environ["POLICY_FILE"]).write_text(_policy(), encoding="utf-8")
    environ |= {"SLACK_API_URL": f"{slack}/api/", "ATLASSIAN_API_URL": atlassian, "ATLASSIAN_SITE_URL": atlassian}
    return environ | {"DATABASE_URL": f"sqlite:///{(folder / 'ends.db').resolve()}"}


@contextmanager
def _serving(folder: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "ends.log").open("wb") as log, ExitStack() as stack:
        words = [sys.executable, "-m", "bot.cli", "serve"]
        process = subprocess.Popen(words, env=environ, stdout=log, stderr=log, start_new_session=True)
        stack.callback(process.wait, timeout=60)
        stack.callback(os.killpg, process.pid, signal.SIGTERM)
        until_it_answers(f"http://127.0.0.1:{environ['PORT']}/readyz")
        yield process


def _ends(
    store: Store, atlassian: AtlassianControl, slack: SlackControl, grants: int, due: datetime
) -> dict[str, Any]:  # fmt: skip
    """From the moment when the bot has nothing else to do until none of them is held any more."""
    _until(lambda: not _at_work(store), PATIENCE, "the bot does not come to rest")
    before, told, said = atlassian.newest(), _news(store), _newest(slack)
    store.move_time(due - LEAD - datetime.now(UTC))
    _until(lambda: not _held(store), PATIENCE + 2 * grants, "not every grant was ended")
    with store.read() as session:
        times = session.exec(select(Grant.ends_at, Grant.ended_at)).all()
    late = sorted((over - ends).total_seconds() for ends, over in times if over is not None and ends is not None)
    assert not any(atlassian.members(name) for name in GROUPS), "somebody is still in a group"
    last = max(over for _, over in times if over is not None)
    calls, least = atlassian.ledger(after=before), sum(-(-len(part) // PORTION) for part in _parts(grants))
    writes = sum(call["method"] not in ("GET", "HEAD") and "/Groups/" in call["path"] for call in calls)
    return {
        "s": (last.replace(tzinfo=UTC) - due).total_seconds(),
        "later than due, s, median": round(statistics.median(late), 2),
        "later than due, s, 99 of 100 below": round(late[min(grants - 1, grants * 99 // 100)], 2),
        "later than due, s, worst": round(late[-1], 2),
        "write calls": writes,
        "write calls per 100 members": round(writes * 100 / grants, 2),
        "least possible write calls": least,
        "all calls": len(calls),
        "messages that say it": _news(store) - told,
        "of them sent when the last had ended": len(slack.calls("chat.postMessage", after=said)),
    }


def _parts(grants: int) -> list[range]:
    """Which of the grants are of the same group."""
    return [range(n, grants, len(GROUPS)) for n in range(len(GROUPS))]


def _held(store: Store) -> bool:
    with store.read() as session:
        return session.exec(select(Grant.id).where(Grant.status != GrantStatus.ENDED).limit(1)).first() is not None


def _news(store: Store) -> int:
    with store.read() as session:
        return int(session.exec(select(func.count()).select_from(News)).one())


def _newest(slack: SlackControl) -> int:
    return int(max((call["number"] for call in slack.calls()), default=0))


def _at_work(store: Store) -> bool:
    """Whether anything is done now, or is due at once."""
    with store.read() as session:
        due = (col(Job.status) == "ready") & (col(Job.run_at) <= store.time_in(session) + timedelta(seconds=1))
        return session.exec(select(Job.id).where(due | (col(Job.status) == "running")).limit(1)).first() is not None


def _until(so: Any, seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        if time.monotonic() > deadline:
            raise SystemExit(f"after {seconds:.0f} s: {otherwise}")
        time.sleep(0.5)


def bare(url: str, grants: int) -> float:
    """The same people out of groups like these, a hundred with a call, and each group read afterwards; in seconds."""
    ids = [str(person.scim_id) for person in islice(many(), grants)]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {seed.OURS.key}"}, trust_env=False) as http:
        begin = time.perf_counter()
        for n in range(len(BARE)):
            group, members = _scim_id(len(GROUPS) + n), ids[n :: len(BARE)]
            for start in range(0, len(members), PORTION):
                out = [{"op": "remove", "path": f'members[value eq "{id}"]'} for id in members[start : start + PORTION]]
                body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": out}
                http.patch(f"{SCIM}/Groups/{group}", json=body).raise_for_status()
            left = http.get(f"{SCIM}/Groups/{group}").raise_for_status().json()
            assert not left.get("members"), left
        return time.perf_counter() - begin


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["atlassian", grants]:
            serve(create_app(company_of(int(grants))))
        case ["slack", grants]:
            serve(create_workspace(company_of(int(grants)), events_url=None, rate_limits=False))
        case [grants, *within]:
            with tempfile.TemporaryDirectory() as folder:
                seconds = float(within[0]) if within else WITHIN
                print(json.dumps(measured(Path(folder), int(grants), seconds), indent=2))
