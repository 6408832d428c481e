"""What `mine`, `status` and `who` cost with a thousand requests in the record, and with a million.

python -m tests.bench.questions 1000 1000000

A grant that was played to its end is written down again and again, as if everybody in the company had asked for it in
turn. Each question goes over the wire to the whole bot, which answers from the same file.
"""

import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from approvals.database import Database
from approvals.migrations import migrate
from bot.sandbox import seed
from tests.bench.stage import quiet
from tests.support.living import Living, living
from tests.support.policies import roomy

ROUNDS = 60
OPEN = 5  # requests that wait for an answer, in the small record and in the large one
ASKED = "asked_at", "moved_at", "lapses_at"
# What stands in each column of the n-th copy; all others are as they were.
COPIES = {
    "requests": {
        "id": "printf('REQ-%010d', n)", "source": "'copy ' || n", "requester": "who", "subject": "who",
        "user": "slack", **{name: f"datetime({name}, '-' || n || ' minutes') || '.000000'" for name in ASKED},
    },
    "plans": {"request_id": "printf('REQ-%010d', n)"},
    "steps": {"id": "id + 1000 * n", "request_id": "printf('REQ-%010d', n)"},
    "calls": {"id": "id + 1000 * n", "step_id": "step_id + 1000 * n"},
    "votes": {"id": "id + 1000 * n", "request_id": "printf('REQ-%010d', n)", "source": "'copy ' || n || source"},
    "grants": {"id": "id + 1000 * n", "request_id": "printf('REQ-%010d', n)", "account": "who"},
    "news": {"id": "id + 1000 * n", "key": "'copy ' || n || ' ' || key", "request_id": "printf('REQ-%010d', n)"},
}  # fmt: skip


def measured(folder: Path, small: int, large: int) -> dict[str, Any]:
    """The middle of the rounds at both sizes, in turn, and how many times the small one's the large one's is."""
    took: dict[int, dict[str, list[float]]] = {}
    with quiet(), ExitStack() as bots:
        asks = {size: bots.enter_context(_asked(folder / f"{size}.db", size)) for size in (small, large)}
        for _ in range(ROUNDS):
            for size, questions in asks.items():
                for name, ask in questions.items():
                    begin = time.perf_counter()
                    ask()
                    took.setdefault(size, {}).setdefault(name, []).append((time.perf_counter() - begin) * 1000)
    at = {
        size: {name: round(statistics.median(times), 2) for name, times in found.items()}
        for size, found in took.items()
    }
    times = {name: round(at[large][name] / at[small][name], 2) for name in at[small]}
    return {"ms at": {str(size): found for size, found in at.items()}, "times as long": times}


@contextmanager
def _asked(path: Path, size: int) -> Iterator[dict[str, Callable[[], object]]]:
    """The questions to a whole bot with so many requests in its record."""
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    with living(database.url, policy=roomy(), works=False) as bot:
        request = _played(bot)
        _copied(path, request, size - 1 - OPEN)
        for n in range(OPEN):
            bot.slack.command("tomas", f"grant eu-jira-admins for {n + 1}h because INC-{n}: it is down")
        bot.house.worker.run_until_idle()
        yield {
            "mine": lambda: _said(bot, "tomas", "mine", "REQ-"),
            "mine, of who answers": lambda: _said(bot, "grace", "mine", "REQ-"),
            "status": lambda: _said(bot, "ada", f"status {request}", request),
            "who, window filled": lambda: _who(bot),
        }
    path.unlink()


def _played(bot: Living) -> str:
    """Ada's grant from the asking to its end."""
    bot.slack.command("ada", "grant eu-jira-admins for 1h because INC-42: the queue is stuck")
    bot.house.worker.run_until_idle()
    with closing(sqlite3.connect(bot.store.database.file)) as connection:
        ((request,),) = connection.execute("SELECT id FROM requests").fetchall()
    card = bot.slack.wait_for("grace", f"{request} · asked", timeout=20)
    bot.slack.click("grace", "approve", ts=card["ts"], channel=card["channel"])
    bot.house.worker.run_until_idle()
    bot.store.move_time(timedelta(hours=2))
    bot.house.worker.run_until_idle()
    bot.store.move_time(timedelta(0))
    return str(request)


def _copied(path: Path, request: str, copies: int) -> None:
    """As many more of it, of everybody in turn, one each minute back from now."""
    people = [(n, p.account_id, p.slack_id) for n, p in enumerate(seed.company().people)]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        ask = connection.execute
        ask("PRAGMA synchronous = OFF")
        ask("CREATE TEMP TABLE everybody (k INTEGER PRIMARY KEY, who TEXT, slack TEXT)")
        connection.executemany("INSERT INTO everybody VALUES (?, ?, ?)", people)
        ask("BEGIN")
        for table, values in COPIES.items():
            columns = [row[1] for row in ask(f"PRAGMA table_info({table})")]
            of_it = f"step_id IN (SELECT id FROM steps WHERE request_id = '{request}')" if table == "calls" else (
                f"{'id' if table == 'requests' else 'request_id'} = '{request}'")  # fmt: skip
            names = ", ".join(f'"{name}"' for name in columns)
            drawn = ", ".join(values.get(name, f'"{name}"') for name in columns).replace(
                "account_of_n", "everybody.account"
            )
            ask(
                f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {copies})"
                f" INSERT INTO {table} ({names}) SELECT {drawn} FROM numbers"
                f" JOIN (SELECT {names} FROM {table} WHERE {of_it}) JOIN everybody ON k = n % {len(people)}"
            )
        ask("COMMIT")


def _said(bot: Living, who: str, words: str, expected: str) -> None:
    answer = json.dumps(bot.slack.command(who, words, force=True))
    assert expected in answer, answer[:500]


def _who(bot: Living) -> None:
    answer = bot.slack.command("omar", "who eu-jira-admins", force=True)
    bot.house.worker.run_until_idle()
    view = json.dumps(bot.slack.open_view("omar"))
    assert "Reading" not in view, view[:500]
    assert "eu-jira-admins" in view, answer
    bot.slack.close_view("omar", all=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), *map(int, sys.argv[1:3])), indent=2))
