"""What the benchmark's parts stand on: both sandboxes, a server in a process group of its own, its memory."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

from bot.demo import Ports, choose_ports, gatehouse, settings, until_it_answers
from bot.log import set_up_logging
from bot.sandbox import seed
from bot.sandbox.slack.control import SlackControl
from tests.support.policies import roomy


class Running(subprocess.Popen[bytes]):
    """A server's process group, and how long it took until it was ready."""

    cold: float = 0.0


@contextmanager
def server(folder: Path, environ: dict[str, str], name: str) -> Iterator[Running]:
    """The floor, or the bot with a fresh database."""
    database = folder / "gatehouse.db"
    for path in folder.glob("gatehouse.db*"):
        path.unlink()
    (folder / "floor.db").unlink(missing_ok=True)
    if name == "floor":
        words = ["-m", "tests.bench.bench_floor", environ["PORT"], str(folder / "floor.db")]
    else:
        gatehouse(environ, "people", "import", str(folder / "people.csv"))
        fill_mirror(database)
        words = ["-m", "bot.cli", name]
    begin = time.perf_counter()
    with (folder / f"{name}.log").open("ab") as log:
        command_line = [sys.executable, *words]
        process = Running(command_line, env=environ, stdout=log, stderr=log, start_new_session=True)
        try:
            until_it_answers(f"http://127.0.0.1:{environ['PORT']}/readyz")
            process.cold = round(time.perf_counter() - begin, 2)
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=20)


def fill_mirror(database: Path) -> None:
    """Who is a member of the workspace, as the mirror would know after its first minute; `web` alone reads nobody."""
    now = datetime.now(UTC).isoformat(sep=" ")
    with sqlite3.connect(database) as connection:
        connection.executemany(
            "INSERT INTO slack_users (team, user, name, mail, standing, read_at) VALUES (?, ?, ?, ?, ?, ?)",
            [(seed.SLACK_TEAM, p.slack_id, p.name, p.email, p.slack_kind, now) for p in seed.company().people],
        )
    connection.close()


@contextmanager
def stage(folder: Path) -> Iterator[tuple[Ports, dict[str, str]]]:
    """Both sandboxes, and the environment of the bot."""
    ports = choose_ports(3900)
    environ = {**settings(folder, ports), "PYTHONPATH": os.getcwd(), "LOG_LEVEL": "ERROR"}
    (folder / "policy.toml").write_text(roomy(), encoding="utf-8")  # nobody has asked enough
    with ExitStack() as started:
        events = f"http://127.0.0.1:{ports.bot}/slack/events"
        for words in (
            ["slack", "--port", str(ports.slack), "--events-url", events],
            ["atlassian", "--port", str(ports.atlassian)],
        ):
            process = subprocess.Popen(
                [sys.executable, "-m", "bot.cli", "sandbox", *words], env=environ, stdout=subprocess.DEVNULL
            )
            started.callback(process.wait)
            started.callback(process.terminate)
        until_it_answers(f"http://127.0.0.1:{ports.slack}/control/calls")
        until_it_answers(f"http://127.0.0.1:{ports.atlassian}/control/ledger")
        SlackControl(f"http://127.0.0.1:{ports.slack}").settings(rate_limits=False)
        yield ports, environ


def memory(group: int) -> float:
    """Proportional memory of a process group in MB, from the kernel's own sums."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) != group:
                continue
            sums = (folder / "smaps_rollup").read_text()
        except (OSError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in sums.splitlines() if line.startswith("Pss:"))
    return round(total / 1024, 1)


@contextmanager
def quiet() -> Iterator[None]:
    """What the bot's own parts say in this process is no figure: errors go to stderr, the rest nowhere."""
    set_up_logging("ERROR", ())
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield
