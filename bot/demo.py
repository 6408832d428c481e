"""`gatehouse demo`: both sandboxes and the bot as processes on loopback, the story, then an open door."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from approvals.database import Database
from approvals.store import Store
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.demo_policy import demo_policy
from bot.sandbox.slack.control import SlackControl
from bot.stage import Stage
from bot.story import tell

STARTS_WITHIN = 30.0  # seconds
HERE = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """Where the three listen."""

    bot: int
    slack: int
    atlassian: int


def play(*, once: bool, port: int, brief: bool = False) -> int:
    """Tell the story; the exit status is 0 when every expectation held."""
    folder = Path(".demo")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    ports = choose_ports(port)
    with ExitStack() as running:
        stage = running.enter_context(open_stage(folder, ports))
        failures = tell(stage, brief=brief)
        print(f"\n{'Everything held.' if not failures else f'{len(failures)} expectations did NOT hold:'}")
        for failure in failures:
            print(f"  ✗ {failure}")
        if not brief and not failures:
            print(f"The auditor's folder: open {stage.evidence / 'index.html'} in a browser.")
        if not once:
            _stay(ports, folder)
    return 1 if failures else 0


def _stay(ports: Ports, folder: Path) -> None:
    print(
        f"\nStill serving. Open the local Slack in a browser: http://{HERE}:{ports.slack}/?as=ada\n"
        f"Ask as Ada, then act as Grace and approve. The bot's log: {folder / 'serve.log'}. Ctrl-C stops everything.",
        flush=True,
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("Stopped.")


@contextmanager
def open_stage(folder: Path, ports: Ports) -> Iterator[Stage]:
    """Start everything and wait until it can be talked to; stop everything at the end."""
    environ = settings(folder, ports)
    slack_url, atlassian_url = f"http://{HERE}:{ports.slack}", f"http://{HERE}:{ports.atlassian}"
    events = f"http://{HERE}:{ports.bot}/slack/events"
    with ExitStack() as started:

        def run(name: str, *words: str) -> None:
            started.enter_context(process(folder, environ, name, *words))

        run(
            "slack",
            *("sandbox", "slack", "--port", str(ports.slack)),
            *("--events-url", events, "--atlassian-url", atlassian_url),
        )
        run("atlassian", "sandbox", "atlassian", "--port", str(ports.atlassian))
        until_it_answers(f"{slack_url}/control/calls")
        until_it_answers(f"{atlassian_url}/control/ledger")
        imported = gatehouse(environ, "people", "import", str(folder / "people.csv"))
        run("serve", "serve")
        until_it_answers(f"http://{HERE}:{ports.bot}/readyz")
        slack, atlassian = SlackControl(slack_url), AtlassianControl(atlassian_url)
        store = Store(Database(environ["DATABASE_URL"]), movable_time=True)
        started.callback(store.database.close)
        yield Stage(slack, atlassian, store, lambda *words: gatehouse(environ, *words), imported)


def settings(folder: Path, ports: Ports) -> dict[str, str]:
    """The environment of the demo, and the files it names."""
    (folder / "policy.toml").write_text(demo_policy(), encoding="utf-8")
    (folder / "people.csv").write_text(seed.people_csv(), encoding="utf-8")
    return {
        "PATH": os.environ.get("PATH", ""),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "SLACK_SIGNING_SECRET": seed.SLACK_SIGNING_SECRET,
        "SLACK_BOT_TOKEN": seed.SLACK_BOT_TOKEN,
        "SLACK_TEAM_ID": seed.SLACK_TEAM,
        "SLACK_API_URL": f"http://{HERE}:{ports.slack}/api/",
        "ATLASSIAN_API_URL": f"http://{HERE}:{ports.atlassian}",
        "ATLASSIAN_ORG_ID": seed.ORG_ID,
        "ATLASSIAN_ORG_API_KEY": seed.ORG_API_KEY,
        "ATLASSIAN_SCIM_DIRECTORY_ID": seed.OURS.id,
        "ATLASSIAN_SCIM_API_KEY": seed.OURS.key,
        "ATLASSIAN_SITE_URL": f"http://{HERE}:{ports.atlassian}",
        "ATLASSIAN_SITE_EMAIL": seed.SITE_EMAIL,
        "ATLASSIAN_SITE_API_TOKEN": seed.SITE_API_TOKEN,
        "DATABASE_URL": f"sqlite:///{(folder / 'gatehouse.db').resolve()}",
        "POLICY_FILE": str((folder / "policy.toml").resolve()),
        "HOST": HERE,
        "PORT": str(ports.bot),
    }


def gatehouse(environ: dict[str, str], *words: str) -> str:
    """Run a command to its end; returns what it printed."""
    command = [sys.executable, "-m", "bot.cli", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise SystemExit(f"gatehouse {' '.join(words)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


@contextmanager
def process(folder: Path, environ: dict[str, str], name: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process group of its own, its log in the folder, stopped at the end."""
    with (folder / f"{name}.log").open("wb") as log:
        command = [sys.executable, "-m", "bot.cli", *words]
        running = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
        try:
            yield running
        finally:
            os.killpg(running.pid, signal.SIGTERM)
            try:
                running.wait(timeout=12)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()


def until_it_answers(url: str) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{url} did not answer within {STARTS_WITHIN:.0f} s; look into .demo/*.log.")


def choose_ports(first: int) -> Ports:
    """The wanted ports, or free ones where something listens there already."""
    wanted = [first, first + 1, first + 2]
    return Ports(*(port if _free(port) else _any_free() for port in wanted))


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
        except OSError:
            return False
        return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])
