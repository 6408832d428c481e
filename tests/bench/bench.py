"""`make bench`: how fast the main path is, beside the floor measured in the same run. Prints a table and JSON."""

import argparse
import json
import os
import platform
import socket
import sqlite3
import statistics
import tempfile
import time
from dataclasses import asdict, astuple
from datetime import datetime, timedelta
from pathlib import Path

from approvals import authority
from approvals.authority import Case, Facts
from approvals.policy import Person, Policy
from bot.demo import Ports
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.slack.control import SlackControl, text_of
from tests.bench import bulk, ends, glass, questions, record, tables, workers
from tests.bench.floor import Floor
from tests.bench.load import Figures, accepted, read_answer, signed
from tests.bench.stage import memory, server, stage
from tests.support.policies import roomy

CONNECTIONS = (1, 8, 64)
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=1000, help="a line of the table sends so many")
    parser.add_argument("--clicks", type=int, default=30)
    parser.add_argument("--rows", type=int, default=10_000, help="of a list into one group")
    parser.add_argument("--glasses", type=int, default=100, help="so often glass is broken")
    parser.add_argument("--waiting", type=int, default=10_000, help="results that nobody was told of yet meanwhile")
    parser.add_argument("--ends", type=int, default=10_000, help="single grants that are due in the same minute")
    parser.add_argument("--within", type=float, default=ends.WITHIN, help="seconds in which they are due")
    parser.add_argument("--decisions", type=int, default=96, help="requests for one, two and four workers each")
    parser.add_argument("--few", type=int, default=1000, help="requests in the small record")
    parser.add_argument("--many", type=int, default=1_000_000, help="requests in the large one")
    parser.add_argument("--entries", type=int, default=200_000, help="of the record that is verified")
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = measure(folder, given)
        figures["a list into one group"] = bulk.measured(folder, given.rows)
        figures["single ends in one minute"] = ends.measured(folder, given.ends, given.within)
        figures["several workers"] = workers.measured(folder, given.decisions)
        figures["questions to a large record"] = questions.measured(folder, given.few, given.many)
        figures["verifying the record"] = record.measured(folder, given.entries)
    figures["bars"] = tables.judged(figures)
    tables.show(figures)
    given.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nWritten to {given.json}.")


def measure(folder: Path, given: argparse.Namespace) -> dict[str, object]:
    """What one bot and both stand-ins are enough for, on fresh databases."""
    figures: dict[str, object] = {"machine": machine(), "requests a line": given.requests, "rounds": ROUNDS}
    figures["deciding, µs"] = deciding()
    commit = durable_commit(folder)
    with stage(folder) as (ports, environ):
        with server(folder, environ, "serve") as process:
            figures["cold start s"] = process.cold
            idle = memory(process.pid)
            figures["click to first call"] = click_to_call(ports, given.clicks, commit)
            figures["break-glass"] = glass.measured(ports, folder, given.glasses, given.waiting)
            figures["memory MB"] = {"serve, idle": idle, **after_work(ports, process.pid, given.requests)}
        taken = {
            name: {str(n): asdict(middle) for n, middle in lines.items()}
            for name, lines in accepted_lines(folder, ports, environ, given.requests).items()
        }
    return {**figures, "accepted": taken, tables.AT_EIGHT: tables.at_eight(taken)}


def after_work(ports: Ports, group: int, requests: int) -> dict[str, float]:
    """Once glass was broken and so many commands more were taken: the middle of ten looks, while it still plans."""
    accepted(ports.bot, 8, requests, b"REQ-")
    looks = []
    for _ in range(10):
        time.sleep(1)
        looks.append(memory(group))
    return {"serve, after work": round(statistics.median(looks), 1), "serve, the most of it": max(looks)}


def accepted_lines(folder: Path, ports: Ports, environ: dict[str, str], requests: int) -> dict[str, dict[int, Figures]]:
    """The middle of several rounds, floor and bot in turn: what else the machine does changes from second to second."""
    lines: dict[str, dict[int, Figures]] = {"floor": {}, "web": {}, "serve": {}}
    for connections in CONNECTIONS:
        rounds: dict[str, list[Figures]] = {name: [] for name in lines}
        for _ in range(ROUNDS):
            for name in ("floor", "web"):
                rounds[name].append(_line(name, folder, ports, environ, connections, requests))
        rounds["serve"].append(_line("serve", folder, ports, environ, connections, requests))
        for name, found in rounds.items():
            columns = zip(*map(astuple, found), strict=True)
            lines[name][connections] = Figures(*map(statistics.median, columns))
    return lines


def _line(name: str, folder: Path, ports: Ports, environ: dict[str, str], connections: int, requests: int) -> Figures:
    expected = b"ok" if name == "floor" else b"REQ-"
    with server(folder, environ, name):
        accepted(ports.bot, connections, 100, expected)  # warm: imports, pools, statement caches
        return accepted(ports.bot, connections, requests, expected)


def deciding(entitlements: int = 1000, rounds: int = 2000) -> dict[str, float]:
    """How long one evaluation of a policy of a thousand entitlements takes: may it be asked, may it be approved."""
    rules = [f'[entitlements.team-{n}]\nabout = "x"\ngroup = "team-{n}"\n' for n in range(entitlements)]
    policy = Policy.parse(roomy() + "\n".join(rules))
    asker = Person("712020:asker", seed.SLACK_TEAM, "U0ASKER")
    took = []
    for n in range(rounds):
        begin = time.perf_counter()
        rule = policy.rule("grant", f"team-{n % entitlements}")
        assert rule is not None
        case = Case(policy, rule, "grant", asker.account, asker.account, Facts("712020:manager"))
        asked = authority.may_ask(case, asker, timedelta(hours=1), "a reason that is long enough")
        assert asked
        assert authority.may_approve(case, "712020:manager")
        took.append((time.perf_counter() - begin) * 1e6)
    return {
        "median": round(statistics.median(took), 1),
        "99 of 100 below": round(sorted(took)[len(took) * 99 // 100], 1),
    }


def durable_commit(folder: Path) -> float:
    """The median of one row committed durably, in milliseconds: the unit the click is measured in."""
    floor = Floor(str(folder / "commit.db"), "unused")
    took = []
    for _ in range(300):
        begin = time.perf_counter()
        floor.commit("U1", "one row")
        took.append((time.perf_counter() - begin) * 1000)
    return statistics.median(took)


def click_to_call(ports: Ports, clicks: int, commit: float) -> dict[str, float]:
    """From the click's last byte to the entry in the Atlassian sandbox's ledger, idle and with a fresh mirror."""
    slack = SlackControl(f"http://127.0.0.1:{ports.slack}")
    took = []
    with AtlassianControl(f"http://127.0.0.1:{ports.atlassian}") as atlassian:
        slack.wait_for(lambda: {"ok": True} if not _unknown(slack) else None, timeout=30)
        for number in range(clicks):
            card = _card(slack, number)
            seen = atlassian.ledger()[-1]["number"]
            sent = _click(ports.bot, slack, card)
            entry = slack.wait_for(lambda seen=seen: next(iter(atlassian.ledger(after=seen)), None), timeout=20)
            took.append((datetime.fromisoformat(entry["time"]).timestamp() - sent) * 1000)
            slack.wait_for("ada", f"{card['request']} ·", timeout=20)
    middle = statistics.median(took)
    return {
        "ms, median": round(middle, 2),
        "ms, worst": round(max(took), 2),
        "one durable commit, ms": round(commit, 2),
        "commits": round(middle / commit, 1),
    }


def _unknown(slack: SlackControl) -> bool:
    return "don't know" in str(slack.command("ada", "mine")["body"])


def _card(slack: SlackControl, number: int) -> dict[str, str]:
    """A question to Grace that nobody has answered, and nothing else going on."""
    answer = slack.command("ada", f"grant eu-jira-admins for {30 + number}m because INC-{number}: it is down")
    request = answer["body"]["text"].split()[1].rstrip(":")
    seen = slack.wait_for(
        lambda: next((m for m in slack.dms("grace") if f"{request} · asked" in text_of(m)), None), timeout=20
    )
    time.sleep(0.5)  # let the last drawing finish: the figure is that of an idle bot
    return {"request": request, "ts": seen["ts"], "channel": seen["channel"]}


def _click(port: int, slack: SlackControl, card: dict[str, str]) -> float:
    """The click as Slack sends it, over a socket of our own so that its last byte is known; gives the time of it."""
    grace = seed.company().person("grace")
    payload = {
        "type": "block_actions",
        "team": {"id": seed.SLACK_TEAM, "domain": seed.SLACK_TEAM_DOMAIN},
        "user": {"id": grace.slack_id, "username": grace.handle, "name": grace.handle, "team_id": seed.SLACK_TEAM},
        "api_app_id": seed.SLACK_APP_ID,
        "token": "t",
        "container": {"type": "message", "message_ts": card["ts"], "channel_id": card["channel"]},
        "trigger_id": f"{time.time_ns()}.click",
        "channel": {"id": card["channel"], "name": "directmessage"},
        "message": {"type": "message", "ts": card["ts"]},
        "actions": [
            {"type": "button", "action_id": "approve", "block_id": "decide", "value": f"{card['request']}:1",
             "action_ts": card["ts"], "text": {"type": "plain_text", "text": "Approve"}}
        ],
    }  # fmt: skip
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.sendall(signed("/slack/events", {"payload": json.dumps(payload)}))
        sent = time.time()
        answer = read_answer(wire)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"the click was not taken: {answer[:300]!r}")
    return sent


def machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.system(),
    }


if __name__ == "__main__":
    main()
