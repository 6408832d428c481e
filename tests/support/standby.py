"""Two PostgreSQL servers of a test's own, one following the other, so that one can be lost and the other take over.

Made with the installed binaries, in a folder that is thrown away, on loopback. The follower is synchronous: what the
first one says is committed has been written to the disk of both.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.support.outside import free_port

HERE = "127.0.0.1"
NAME = "gatehouse"  # the database that the test uses
FOLLOWER = "follower"
LONG = 60  # seconds after which a server that does nothing is given up
# No socket files, little memory, and none of it outside of the folder; all else is as PostgreSQL is installed.
CONFIGURATION = f"""
listen_addresses = '{HERE}'
unix_socket_directories = ''
dynamic_shared_memory_type = 'mmap'
shared_buffers = '16MB'
max_connections = 120
max_wal_senders = 4
wal_keep_size = '64MB'
wal_receiver_status_interval = '1s'
"""


class NoBinaries(Exception):
    """PostgreSQL's programs are not on this machine."""


def binaries() -> Path:
    """The folder of initdb, pg_basebackup, pg_ctl and postgres: the newest that is complete."""
    named = shutil.which("pg_config")
    said = subprocess.run([named, "--bindir"], capture_output=True, text=True, check=True).stdout if named else ""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    for folder in [Path(said.strip()), *reversed(installed)]:
        if all((folder / name).is_file() for name in ("initdb", "pg_basebackup", "pg_ctl", "postgres")):
            return folder
    raise NoBinaries("initdb, pg_basebackup, pg_ctl and postgres are not installed")


def whoever_may() -> Mapping[str, Any]:
    """As whom the servers run: PostgreSQL refuses to run as root, and has a user of its own where it is installed."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise NoBinaries("there is no user postgres, and PostgreSQL does not run as root") from None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@dataclass
class Server:
    """One server, running or not."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """As an address names it."""
        return f"{HERE}:{self.port}"

    def connect(self, name: str = NAME) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=HERE, port=self.port, user="postgres", dbname=name, autocommit=True, connect_timeout=5,
            application_name="judge",
        )  # fmt: skip

    def asked(self, question: str, name: str = NAME) -> Any:
        """The first value of the first row; None when there is none."""
        with self.connect(name) as connection:
            row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None

    def answers(self) -> bool:
        try:
            return bool(self.asked("SELECT 1", "postgres"))
        except psycopg.OperationalError:
            return False

    def start(self) -> None:
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [binaries() / "postgres", "-D", self.folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, start_new_session=True, **whoever_may(),
            )  # fmt: skip
        wait_until(self.answers, self)

    def set(self, *lines: str) -> None:
        """Lines of its configuration; the last one about a setting counts."""
        configure(self, *lines)
        self.asked("SELECT pg_reload_conf()", "postgres")

    def lose(self) -> None:
        """As when its machine is gone: the server and each of its processes are killed, and nobody is told why."""
        assert self.process is not None
        children = children_of(self.process.pid)
        for pid in (self.process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        self._forget_memory()

    def _forget_memory(self) -> None:
        """What nobody takes away who was killed: the file that the server leaves as well has its number.

        https://www.postgresql.org/docs/current/storage-file-layout.html
        """
        for line in (self.folder / "postmaster.pid").read_text(encoding="utf-8").splitlines():
            words = line.split()
            if len(words) == 2 and all(word.isdigit() for word in words):
                subprocess.run(["ipcrm", "-m", words[1]], capture_output=True, check=False)

    def promote(self) -> None:
        """From now on it may be written; back when it can be."""
        run("pg_ctl", "promote", "-w", "-t", str(LONG), "-D", self.folder)

    def stop(self) -> None:
        if self.process is None:
            return
        for pid in (self.process.pid, *children_of(self.process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)  # one that a test has stopped would hear nothing
        self.process.send_signal(
            signal.SIGQUIT
        )  # at once: https://www.postgresql.org/docs/current/server-shutdown.html
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.lose()
        self.process = None

    def text(self) -> str:
        return (self.folder.parent / f"{self.folder.name}.log").read_text(encoding="utf-8", errors="replace")


@dataclass
class Pair:
    """The first is written, the second follows it until it is promoted."""

    first: Server
    second: Server

    @property
    def url(self) -> str:
        """Both in one address, as https://docs.sqlalchemy.org/en/21/dialects/postgresql.html writes it."""
        hosts = f"host={self.first.host}&host={self.second.host}"
        return f"postgresql+psycopg://postgres@/{NAME}?{hosts}&target_session_attrs=read-write"

    def together(self) -> bool:
        """Whether what is committed now is on both."""
        return bool(self.first.asked("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """The follower takes nothing meanwhile, so whoever commits waits. It catches up with what was sent to it."""
        pid = self.second.asked("SELECT pid FROM pg_stat_wal_receiver")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def pair() -> Iterator[Pair]:
    """Both of them, running, together, with an empty database; gone afterwards, and their folder too."""
    binaries()  # before anything is made
    root = Path(tempfile.mkdtemp(prefix="gatehouse-pair-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    who = whoever_may()
    if who:
        os.chown(root, who["user"], who["group"])
    both = Pair(Server(root / "first", free_port()), Server(root / "second", free_port()))
    try:
        _make(both)
        yield both
    finally:
        both.first.stop()
        both.second.stop()
        shutil.rmtree(root, ignore_errors=True)


def _make(both: Pair) -> None:
    first, second = both.first, both.second
    run(
        "initdb",
        "--no-sync",
        "--auth=trust",
        "--username=postgres",
        "--encoding=UTF8",
        "--locale=C",
        "-D",
        first.folder,
    )
    configure(first, CONFIGURATION, f"port = {first.port}")
    first.start()
    with first.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {NAME}".encode())
    run(
        "pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-D", second.folder,
        "-d", f"host={HERE} port={first.port} user=postgres application_name={FOLLOWER}",
    )  # fmt: skip
    configure(second, f"port = {second.port}")
    second.start()
    # After the copy was made: a follower that took this over would, once promoted, wait at each commit for itself.
    first.set(f"synchronous_standby_names = '{FOLLOWER}'", "synchronous_commit = on")
    wait_until(both.together, first)


def configure(server: Server, *lines: str) -> None:
    with (server.folder / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("\n".join(("", *lines, "")))


def run(program: str, *words: object) -> None:
    """One of PostgreSQL's programs; what it complains of is shown."""
    command = [str(binaries() / program), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False, cwd="/", **whoever_may())
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")


def children_of(pid: int) -> list[int]:
    """Of a process that may be ending: each of a server's processes is a child of its first one."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if listed.exists():
        said = listed.read_text(encoding="ascii")
    else:  # no Linux
        said = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(word) for word in said.split()]


def wait_until(so: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + LONG
    while not so():
        assert time.monotonic() < deadline, server.text()
        assert server.process is None or server.process.poll() is None, server.text()
        time.sleep(0.05)
