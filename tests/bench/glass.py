"""Break-glass beside a slow Atlassian: how long from the confirmation to the effect, and who is told first.

python -m tests.bench.glass ROUNDS WAITING     prints JSON
"""

import json
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from approvals.database import Database
from approvals.store import Store
from bot.demo import Ports
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.slack.control import SlackControl, text_of
from tests.bench.stage import server, stage

GROUP = "eu-jira-admins"
TYPED = f"{GROUP} incident INC-42 because the release is stuck"
SLOW = 0.3  # seconds until Atlassian answers
LONG_AGO = "2020-01-01 00:00:00.000000"
TOMAS = seed.company().person("tomas")


class Emergency:
    """Somebody who breaks glass again and again, at a running bot."""

    def __init__(self, ports: Ports, database: Path) -> None:
        self.slack = SlackControl(f"http://127.0.0.1:{ports.slack}")
        self.atlassian = AtlassianControl(f"http://127.0.0.1:{ports.atlassian}")
        self.database = database

    def confirm(self) -> float:
        """Type it, fill in the form and send it; gives the time at which it was sent."""
        self.slack.command("tomas", TYPED, command="/breakglass", channel="#general")
        view = self.slack.wait_for(lambda: self.slack.open_view("tomas"))
        inputs = [block for block in view["blocks"] if block["type"] == "input"]
        values = {one["block_id"]: {one["block_id"]: one["element"].get("initial_value", "")} for one in inputs}
        sent = time.time()
        answer = self.slack.submit("tomas", view["id"], values | {"name": {"name": GROUP}})
        assert not answer["errors"], answer
        self.slack.close_view("tomas", all=True)
        return sent

    def given(self, after: int) -> dict[str, Any]:
        """The call that gave it, once Atlassian has taken it."""
        return self.slack.wait_for(
            lambda: next((call for call in self.atlassian.ledger(after=after, writes=True)), None), timeout=60
        )

    def over(self) -> None:
        """Give it back, and let the record forget that it was an emergency, so that there can be another."""
        with closing(sqlite3.connect(self.database, timeout=30)) as connection, connection:
            (request,) = connection.execute("SELECT request_id FROM reviews ORDER BY opened_at DESC").fetchone()
        self.slack.wait_for("tomas", "is given")
        self.slack.command("tomas", f"end {request}")
        self.slack.wait_for(lambda: {} if self._held() else {"ok": True}, timeout=60)
        self.slack.wait_for(lambda: {"ok": True} if self._settled(request) else None, timeout=60)

    def _held(self) -> bool:
        return TOMAS.account_id in self.atlassian.members(GROUP)

    def _settled(self, request: str) -> bool:
        with closing(sqlite3.connect(self.database, timeout=30)) as connection, connection:
            ended = connection.execute("SELECT 1 FROM grants WHERE request_id = ? AND status = 'ended'", (request,))
            if ended.fetchone() is None:
                return False
            moved = "UPDATE reviews SET status = 'settled', opened_at = ?, due_at = ?"
            connection.execute(moved, (LONG_AGO, LONG_AGO))
        return True


def confirmed_to_given(one: Emergency, rounds: int) -> dict[str, Any]:
    """Of each round: from the confirmation until the call that gives arrives, less the answers waited for till then."""
    one.atlassian.fault(path_regex=".*", delay=SLOW, times=None)
    beside, calls = [], []
    for _ in range(rounds):
        before = one.atlassian.newest()
        sent = one.confirm()
        write = one.given(before)
        waited = sum(call["number"] < write["number"] for call in one.atlassian.ledger(after=before))
        beside.append(datetime.fromisoformat(write["time"]).timestamp() - sent - SLOW * waited)
        calls.append(waited + 1)
        one.over()
    one.atlassian.clear_faults()
    beside.sort()
    return {
        "rounds": rounds, "calls until it is given": statistics.median(calls),
        "beside the answers, s, median": round(statistics.median(beside), 3),
        "beside the answers, s, 99 of 100 below": round(beside[min(rounds - 1, rounds * 99 // 100)], 3),
    }  # fmt: skip


def leave_waiting(database: Path, results: int) -> None:
    """So many results that nobody was told of yet: half for the security channel, half for one person each."""
    people = [person for person in seed.company().people if person.slack_kind == "member"]
    opened = Database(f"sqlite:///{database}")
    store = Store(opened)
    for start in range(0, results, 500):
        with store.write() as w:
            for n in range(start, min(results, start + 500)):
                user, place = people[n % len(people)].slack_id, ("security", "person")[n % 2]
                w.tell("shell_act", place=place, team=seed.SLACK_TEAM, user=user, by="bench", did=f"does {n}")
    opened.close()


def told_first(one: Emergency) -> dict[str, Any]:
    """Between the decision and the first notice: how many other messages were sent, and how long it took."""
    before = one.slack.calls()[-1]["number"]
    one.confirm()
    one.slack.wait_for(lambda: next((c for c in _sent(one, before) if _is_notice(c)), None), timeout=120)
    with closing(sqlite3.connect(one.database, timeout=30)) as connection:
        (at,) = connection.execute("SELECT opened_at FROM reviews ORDER BY opened_at DESC").fetchone()
        (left,) = connection.execute("SELECT count(*) FROM jobs WHERE kind = 'tell'").fetchone()
    decided = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    after = [call for call in _sent(one, before) if call["time"] > decided]
    first = next(n for n, call in enumerate(after) if _is_notice(call))
    return {
        "messages still waiting": left, "sent between decision and notice": first,
        "from decision to notice, s": round(after[first]["time"] - decided, 3),
    }  # fmt: skip


def _sent(one: Emergency, after: int) -> list[dict[str, Any]]:
    return one.slack.calls("chat.postMessage", after=after)


def _is_notice(call: dict[str, Any]) -> bool:
    return "breaks glass for" in text_of(call["args"])


def measured(ports: Ports, folder: Path, rounds: int, waiting: int) -> dict[str, Any]:
    """For `make bench`, at a bot that serves with the database of the folder."""
    one = Emergency(ports, folder / "gatehouse.db")
    figures = confirmed_to_given(one, rounds)
    leave_waiting(one.database, waiting)
    return figures | told_first(one)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with stage(folder) as (ports, environ), server(folder, environ, "serve"):
            print(json.dumps(measured(ports, folder, *map(int, sys.argv[1:])), indent=2))
