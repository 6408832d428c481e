"""Several machines on one PostgreSQL: web and worker processes of their own, and a server that loses connections."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
from sqlalchemy import make_url

from tests.conftest import SERVER
from tests.support.outside import Bot, free_port


@dataclass
class Machine:
    """One process; its log is a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""  # of a web side

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def has_begun(self) -> bool:
        return '"event": "working"' in self.text()


@dataclass
class Machines:
    """The processes beside each other; ``bot`` knows the world outside."""

    bot: Bot
    webs: list[Machine] = field(default_factory=list)
    workers: list[Machine] = field(default_factory=list)

    def speak_to(self, web: Machine) -> None:
        """From now on Slack sends to this one."""
        self.bot.slack.connect(f"{web.url}/slack/events")


@contextmanager
def machines(bot: Bot, *, webs: int = 2, workers: int = 2) -> Iterator[Machines]:
    """All of them started, every web side ready and every worker at work."""
    found = Machines(bot)
    with ExitStack() as stack:
        for number in range(webs):
            port = free_port()
            machine = stack.enter_context(_started(bot, f"web{number}", "web", PORT=str(port)))
            machine.url = f"http://127.0.0.1:{port}"
            found.webs.append(machine)
        for number in range(workers):
            # of reads that go well there is a line at DEBUG only, and a test wants to know who reads what
            found.workers.append(stack.enter_context(_started(bot, f"worker{number}", "worker", LOG_LEVEL="DEBUG")))
        for web in found.webs:
            bot.until(web.answers)
        for worker in found.workers:
            bot.until(worker.has_begun)
        yield found


@contextmanager
def _started(bot: Bot, name: str, word: str, **more: str) -> Iterator[Machine]:
    log = bot.folder / f"{name}.log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", word], env=bot.environ | more, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield Machine(name, process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


JUDGE = "judge"  # the name of connections that are never cut


def as_judge(url: str) -> str:
    """The address of a database for whoever looks on: the server leaves their connections alone."""
    return make_url(url).update_query_dict({"application_name": JUDGE}).render_as_string(hide_password=False)


@contextmanager
def losing_connections(url: str, every: float) -> Iterator[list[int]]:
    """The server ends every connection to this database, but a judge's, again and again, as when it is restarted.

    Gives how many it ended each time.
    """
    name, ended, over = make_url(url).database, [], threading.Event()
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name <> %s"

    def go_on() -> None:
        with psycopg.connect(SERVER, autocommit=True) as server:
            while not over.wait(every):
                ended.append(len(server.execute(cut, [name, JUDGE]).fetchall()))

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        over.set()
        thread.join()
