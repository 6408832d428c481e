"""The bot as an operator runs it, a process group of its own, between both sandboxes; looked at from outside only."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
from sqlmodel import select

from approvals.database import Database
from approvals.jobs import RECURRING
from approvals.models import AccessRequest, Job
from approvals.store import Store
from bot.demo import Ports, settings
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running as atlassian_running
from bot.sandbox.slack.control import NotPossible, SlackControl, text_of
from bot.sandbox.slack.server import running as slack_running

Json = dict[str, Any]
Found = TypeVar("Found")
COMPANY = seed.company()
CRASHING = Path(__file__).with_name("crashing.py")
CHANNEL = "#access-requests"


@dataclass
class Bot:
    """A bot that may die and is started again, and what the outside world knows of it."""

    slack: SlackControl
    atlassian: AtlassianControl
    environ: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    moved: timedelta = field(default=timedelta(0))

    # -- the process ----------------------------------------------------------------------------------------------

    def start(self, *crashing: str) -> None:
        """Start it, with words for crashing.py or just as an operator would; wait until it can be talked to."""
        words = [str(CRASHING), *crashing] if crashing else ["-m", "bot.cli", "serve"]
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *words], env=self.environ, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while self.process.poll() is None and not self._answers():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.environ['PORT']}/readyz"
            return httpx.get(url, trust_env=False, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=12)
            except subprocess.TimeoutExpired:
                self.kill()

    def revive(self) -> None:
        """Start it again if it was killed; anything but a kill is a failure."""
        if self.process is not None and self.process.poll() is not None:
            assert self.process.returncode == -signal.SIGKILL, self.log()
            self.deaths += 1
            self.start()

    def gatehouse(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another process that opens the same record."""
        command = [sys.executable, "-m", "bot.cli", *words]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60, check=False)

    def log(self) -> str:
        """The end of what each process has logged."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}:\n{log.read_text(encoding='utf-8')[-8000:]}" for log in logs)

    # -- people ---------------------------------------------------------------------------------------------------

    def insist(self, act: Callable[[], Json]) -> Json:
        """Do something in Slack, again as long as Slack shows an error, as people do; but not for ever."""
        deadline = time.monotonic() + 180
        while (answer := act())["error"] is not None:
            assert time.monotonic() < deadline, f"{answer}\n{self.log()}"
            self.revive()
            time.sleep(0.05)
        return answer

    def press(self, who: str, request: str, action: str) -> None:
        """Press a button of their card of a request; what was approved meanwhile has none to press any more."""

        def once() -> Json:
            card = self.card(who, request)
            if action == "approve" and "Waiting for an answer" not in text_of(card):
                return {"error": None}
            try:
                return self.slack.click(who, action, ts=card["ts"], channel=card["channel"])
            except NotPossible:
                return {"error": "it was drawn anew between the look and the press"}

        self.insist(once)

    def until(self, look: Callable[[], Found | None], *, seconds: float = 60) -> Found:
        """Look until there is something to see, and start the bot again when it dies meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            self.revive()
            found = look()
            if found:
                return found
            assert time.monotonic() < deadline, f"{self.jobs()}\n{self.log()}"
            time.sleep(0.15)

    def ask(self, who: str, text: str) -> str:
        """Ask for something; the request's id. What Slack called an error is asked again unless it is in the record."""

        def act() -> Json:
            if self.newest():
                return {"error": None}
            return self.slack.command(who, text, channel=CHANNEL)

        self.insist(act)
        return self.until(self.newest)

    def card(self, who: str, request: str) -> Json:
        """The newest copy this person sees: one that was posted but not noted before a crash is posted again."""

        def look() -> Json | None:
            seen = (message for message in reversed(self.slack.messages(who)) if message.get("blocks"))
            return next((m for m in seen if request in text_of(m) and "asks for" in text_of(m)), None)

        return self.until(look)

    def thread(self, request: str) -> list[Json]:
        """All messages in threads of the request's cards in the channel, oldest first."""
        cards = [card for card in self.slack.channel(CHANNEL) if request in text_of(card)]
        return sorted((reply for card in cards for reply in card["replies"]), key=lambda m: float(m["ts"]))

    def told(self, request: str, words: str) -> Json:
        return self.until(lambda: next((m for m in self.thread(request) if words in text_of(m)), None))

    # -- what there is --------------------------------------------------------------------------------------------

    def move_time(self, to: timedelta) -> None:
        """Domain time, for the bot and both sandboxes."""
        self.moved = to
        with self._store() as store:
            store.move_time(to)
        self.slack.set_clock(int(to.total_seconds()))
        self.atlassian.set_clock(to.total_seconds())

    def newest(self) -> str | None:
        """The newest request in the record, over a connection of our own."""
        with self._store() as store, store.read() as session:
            found = session.exec(select(AccessRequest.id).order_by(AccessRequest.asked_at.desc())).first()  # type: ignore[attr-defined]
        return found

    def jobs(self) -> list[tuple[str, str]]:
        """What is still to be done, or was given up: key and status; the next rounds of those that read on apart."""
        with self._store() as store, store.read() as session:
            found = session.exec(select(Job.key, Job.status)).all()
        return [(key, status) for key, status in found if key.partition(":")[0] not in RECURRING or status == "dead"]

    def effects(self, account: str) -> list[Json]:
        """The ledger's writes that changed something and name this account's record."""
        person = next(p for p in COMPANY.people if p.account_id == account)
        writes = [entry for entry in self.atlassian.ledger(writes=True) if entry["applied"]]
        return [entry for entry in writes if str(person.scim_id) in str(entry["body"])]

    @contextmanager
    def _store(self) -> Iterator[Store]:
        database = Database(self.environ["DATABASE_URL"])
        try:
            yield Store(database, movable_time=True)
        finally:
            database.close()


@contextmanager
def between_sandboxes(folder: Path, database_url: str) -> Iterator[Bot]:
    """Both sandboxes in this process, and a bot that is not started yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with slack_running(rate_limits=False) as slack_url, atlassian_running() as atlassian_url:
        ports = Ports(free_port(), int(slack_url.rpartition(":")[2]), int(atlassian_url.rpartition(":")[2]))
        environ = settings(folder, ports) | {"DATABASE_URL": database_url}
        slack = SlackControl(slack_url)
        slack.connect(f"http://127.0.0.1:{ports.bot}/slack/events")
        with AtlassianControl(atlassian_url) as atlassian:
            bot = Bot(slack, atlassian, environ, folder)
            try:
                yield bot
            finally:
                bot.stop()
                slack.close()


def free_port() -> int:
    """Below those the system hands to callers, so that nobody takes it while the bot is dead."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def copied(file: Path, folder: Path) -> str:
    """A SQLite record of one's own, copied from a furnished one."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, folder / "gatehouse.db")
    return f"sqlite:///{folder / 'gatehouse.db'}"
