"""Forked or started anew, a process of the suite is the same to whoever starts it and to whoever it is for."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import httpx
import pytest

from tests.support.fork_server import started_anew
from tests.support.living import until
from tests.support.outside import CRASHING, free_port

Way = Callable[[], AbstractContextManager[None]]
WAYS: dict[str, Way] = {"fork_server": nullcontext, "bot.cli": started_anew}  # by what the system knows them as


def gatehouse(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **environ}
    command = [sys.executable, "-m", "bot.cli", *words]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("words", [["--help"], ["serve"], ["policy", "check"], ["nonsense"]], ids=" ".join)
def test_both_say_the_same_and_end_the_same(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "policy.toml").write_text("[asking]\nopen_at_once = 0\n", encoding="utf-8")
    forked = gatehouse(tmp_path, *words, SLACK_TEAM_ID="X", POLICY_FILE="policy.toml")
    with started_anew():
        anew = gatehouse(tmp_path, *words, SLACK_TEAM_ID="X", POLICY_FILE="policy.toml")
    assert (forked.returncode, forked.stdout, forked.stderr) == (anew.returncode, anew.stdout, anew.stderr)
    assert forked.stdout or forked.stderr


@pytest.mark.parametrize(("known_as", "way"), WAYS.items(), ids=WAYS)
@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGKILL])
def test_it_is_a_child_with_a_group_of_its_own_that_ends_by_a_signal(known_as: str, way: Way, ends: int) -> None:
    port = free_port()
    command = [sys.executable, "-m", "bot.cli", "sandbox", "slack", "--port", str(port)]
    with way():
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
    assert process.poll() is None
    until(lambda: answers(port))
    told = Path(f"/proc/{process.pid}")
    assert known_as in (told / "cmdline").read_text()
    assert f"PPid:\t{os.getpid()}\n" in (told / "status").read_text()
    assert (os.getpgid(process.pid), os.getsid(process.pid)) == (process.pid, process.pid)
    os.killpg(process.pid, ends)
    assert process.wait(timeout=20) == -ends
    assert not told.exists()


def test_a_script_of_ours_is_forked_with_its_words(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(CRASHING), "kill"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "not enough values to unpack" in done.stderr


def test_what_an_interpreter_looks_at_when_it_starts_is_not_forked(tmp_path: Path) -> None:
    """A fork would keep the value of the process it comes from."""
    done = gatehouse(tmp_path, "--help", PYTHONVERBOSE="1")
    assert "import 'bot.cli_bulk'" in done.stderr


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/control/calls", trust_env=False, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
