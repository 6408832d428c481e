"""Processes of ours that need not import everything anew: forked from one that has, and real in every other way.

A start costs a second of processor, nearly all of it imports, and the suite starts hundreds. `python -m bot.cli …`, as
tests call it, is a fork of a process that stands ready instead: with its own process id and group, environment, folder
and files, and a child of the test's process, which waits for it. Whatever else is started is started as ever; so is
everything within `started_anew`, for tests that measure a process.

The child is handed over by the kernel: its parent ends, and the nearest ancestor that adopts orphans gets it
(https://man7.org/linux/man-pages/man2/pr_set_child_subreaper.2const.html).
"""

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CRASHING = str(Path(__file__).with_name("crashing.py"))
PACKAGES = "approvals", "handlers", "bot"
MIGRATIONS = "approvals.migrations."  # are run by Alembic, not imported
PR_SET_CHILD_SUBREAPER = 36
MOST = 1 << 20  # bytes of a message: an environment and some words
# What an interpreter looks at when it starts: a child that must see another value is started as ever.
LOOKED_AT = "PYTHON", "LC_", "LANG", "LD_", "MALLOC_"
ARGUMENTS = (  # of Popen's own, in Python 3.11 to 3.13
    *("args", "executable", "preexec_fn", "close_fds", "pass_fds", "cwd", "env", "startupinfo", "creationflags"),
    *("shell", "p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite", "restore_signals", "gid", "gids"),
    *("uid", "umask", "start_new_session", "process_group"),
)
PIPES = slice(ARGUMENTS.index("p2cread"), ARGUMENTS.index("errwrite") + 1)


# -- the test's side --------------------------------------------------------------------------------------------------


class ForkServer:
    """The process that stands ready; started when it is first wanted, and gone with the one that wanted it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._pid = 0

    def fork(
        self, words: Sequence[str], environ: Mapping[str, str], folder: str, files: Sequence[int], own: bool
    ) -> int:
        """Start ``words`` on these three files, in a session of its ``own`` or not; its process id."""
        message = json.dumps({"words": words, "environ": dict(environ), "folder": folder, "own": own}).encode()
        with self._lock:
            wire = self._ready()
            _adopting(True)
            try:
                socket.send_fds(wire, [message], list(files))
                return int(wire.recv(20))
            finally:
                _adopting(False)

    def _ready(self) -> socket.socket:
        if self._socket is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._socket, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST)
            with there:
                words = [sys.executable, "-m", "tests.support.fork_server", str(there.fileno())]
                # nobody waits for it: it ends with its socket, and is nobody's business then
                self._server = subprocess.Popen(
                    words, cwd=ROOT, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
                )
            self._socket.recv(1)
        return self._socket


_server = ForkServer()
_anew = threading.local()
_execute = subprocess.Popen._execute_child  # type: ignore[attr-defined]


@contextmanager
def started_anew() -> Iterator[None]:
    """Within this each process is started as an operator's is, with all its imports."""
    _anew.on = True
    try:
        yield
    finally:
        _anew.on = False


def fork_what_is_ours() -> None:
    """From now on in this process."""
    if sys.platform == "linux":
        subprocess.Popen._execute_child = _execute_child  # type: ignore[attr-defined]


def _execute_child(process: Any, *values: Any) -> None:
    """In the place of Popen's own: what may be forked is, the rest is handed on."""
    asked = SimpleNamespace(**dict(zip(ARGUMENTS, values, strict=True)))
    environ = {os.fsdecode(name): os.fsdecode(value) for name, value in (asked.env or os.environ).items()}
    if getattr(_anew, "on", False) or not (_is_usual(asked) and _is_ours(asked.args, environ)):
        _execute(process, *values)
        return
    files = [file if file != -1 else n for n, file in enumerate((asked.p2cread, asked.c2pwrite, asked.errwrite))]
    words, folder = [str(word) for word in asked.args[1:]], os.fspath(asked.cwd or Path.cwd())
    try:
        process.pid = _server.fork(words, environ, folder, files, bool(asked.start_new_session))
        process._child_created = True
    finally:
        process._close_pipe_fds(*values[PIPES])


def _is_usual(asked: SimpleNamespace) -> bool:
    owners = (asked.gid, asked.gids, asked.uid, asked.umask, asked.process_group)
    special = asked.executable or asked.preexec_fn or asked.shell or asked.pass_fds or not asked.close_fds
    return not special and owners == (None, None, None, -1, -1)


def _is_ours(args: Any, environ: Mapping[str, str]) -> bool:
    words = [str(word) for word in args] if isinstance(args, list | tuple) else []
    known = words[:3] == [sys.executable, "-m", "bot.cli"] or words[:2] == [sys.executable, CRASHING]
    other = [name for name in environ if name.startswith(LOOKED_AT) and environ[name] != os.environ.get(name)]
    return known and set(other) <= {"PYTHONPATH"}  # ours is found already


def _adopting(on: bool) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


# -- the process that stands ready ------------------------------------------------------------------------------------


def stand_ready(wire: socket.socket) -> list[str]:
    """Import everything, and fork on each message; returns in a child only, with the words it is to run."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not module.name.startswith(MIGRATIONS):
                importlib.import_module(module.name)
    importlib.import_module("alembic.command")
    gc.collect()
    gc.freeze()  # what is shared stays shared
    wire.send(b"1")
    while True:
        message, files, _, _ = socket.recv_fds(wire, MOST, 3)
        if not message:
            os._exit(0)
        told, tells = os.pipe()
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child == 0:
                wire.detach()
                return _become(json.loads(message), files)
            os.write(tells, str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)  # from now on the child is adopted
        wire.send(os.read(told, 20))
        for file in (*files, told, tells):
            os.close(file)


def _become(asked: dict[str, Any], files: Sequence[int]) -> list[str]:
    if asked["own"]:
        os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, 1024)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    time.tzset()
    random.seed()
    signal.set_wakeup_fd(-1)
    sys.modules.pop("bot.cli")  # is run, and would be twice there
    return list(asked["words"])


def run(words: Sequence[str]) -> None:
    """As the interpreter does: a module, or a script."""
    if words[0] == "-m":
        sys.argv[:] = words[1:]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = words
        sys.path[0] = str(Path(words[0]).parent)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    run(stand_ready(socket.socket(fileno=int(sys.argv[1]))))
