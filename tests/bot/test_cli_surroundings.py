"""What a command meets around it: another one at once, a newer database, nobody's uid, odd bytes, the end of time."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bot.addresses import listening_at
from tests.bot.test_cli import Shell, shell
from tests.support.fork_server import started_anew

__all__ = ["shell"]  # the fixture
NEWER = "was made by a newer Gatehouse: install that one, or put back the copy made before."


def rows(shell: Shell, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(shell.folder / "gatehouse.db")
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


# -- the schema -------------------------------------------------------------------------------------------------------

MEETS = """
import sys, threading
from pathlib import Path
from alembic import command
from approvals.database import Database
from approvals.migrations import migrate

upgrade, here = command.upgrade, Path(sys.argv[1])

def slowly(*given):
    (here / f"in it {sys.argv[2]}").touch()
    upgrade(*given)

command.upgrade = slowly
print("ready", flush=True)
sys.stdin.readline()
migrate(Database(f"sqlite:///{here / 'new.db'}"))
"""


def test_two_processes_that_start_at_once_on_a_new_file_both_find_it_made(tmp_path: Path) -> None:
    for round in range(3):
        folder = tmp_path / str(round)
        folder.mkdir()
        both = [
            subprocess.Popen(
                [sys.executable, "-c", MEETS, str(folder), name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for name in ("one", "two")
        ]  # fmt: skip
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in both:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in both:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said
        assert len(list(folder.glob("in it *"))) == 1, "the second one looks again, and finds it done"
        assert not list(folder.glob("*migrating*"))


@pytest.mark.parametrize("words", [["migrate"], ["audit", "verify"], ["serve"], ["worker"]], ids=" ".join)
def test_a_database_that_a_newer_release_has_migrated_is_a_sentence(shell: Shell, words: list[str]) -> None:
    connection = sqlite3.connect(shell.folder / "gatehouse.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    sentences = shell.refused(*words)
    assert sentences[-1] == f"DATABASE_URL: it {NEWER}"


# -- whoever runs it --------------------------------------------------------------------------------------------------


def test_a_uid_that_has_no_name_can_stop_everything(shell: Shell) -> None:
    (shell.folder / "sitecustomize.py").write_text(
        "import os, pwd\ndef nobody(uid):\n    raise KeyError(uid)\npwd.getpwuid, os.getuid = nobody, lambda: 54321\n"
    )
    path = f"{shell.folder}{os.pathsep}{shell.environ['PYTHONPATH']}"
    nobody = dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME"))
    with started_anew():
        done = shell.run("freeze", "--because", "somebody is in", PYTHONPATH=path, **nobody)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Frozen: nothing is given and nothing is destroyed.")
    assert '"actor":"shell:uid 54321"' in str(rows(shell, "SELECT body FROM audit WHERE event = 'frozen'"))


ODD = os.fsdecode(b"somebody is in \xff\xfe \xe9t\xe9")


@pytest.mark.parametrize("words", [["freeze", "--because", ODD], ["safe-mode", "--because", ODD]], ids=lambda w: w[0])
def test_a_reason_in_another_alphabet_is_taken(shell: Shell, words: list[str]) -> None:
    with started_anew():
        done = shell.run(*words)
    assert done.returncode == 0, done.stderr
    assert "somebody is in \ufffd" in str(rows(shell, "SELECT text FROM audit_details"))


def test_a_name_in_another_alphabet_is_answered(shell: Shell) -> None:
    with started_anew():
        (sentence,) = shell.refused("jobs", "retry", f"apply:{ODD}")
    assert "somebody is in" in sentence


# -- the end of time --------------------------------------------------------------------------------------------------


def test_the_last_day_there_is_may_be_the_last_one_that_is_asked_for(shell: Shell) -> None:
    assert shell.run("audit", "export", "--from", "2020-01-01", "--to", "9999-12-31").returncode == 0
    for begin in ("2020-01-01", "9999-12-31"):
        assert shell.run("evidence", f"from {begin}", "--from", begin, "--to", "9999-12-31").returncode == 0


def test_nobody_looks_back_further_than_there_are_days(shell: Shell) -> None:
    done = shell.run("policy", "simulate", "policy.toml", "--days", "99999999999")
    assert done.returncode == 2
    assert "--days" in done.stderr
    assert shell.run("policy", "simulate", "policy.toml", "--days", "36500").returncode in (0, 2)


# -- where it listens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "written"), [("127.0.0.1", "127.0.0.1:3000"), ("::", "[::]:3000"), ("localhost", "localhost:3000")]
)
def test_an_address_of_ipv6_stands_in_brackets(host: str, written: str) -> None:
    assert listening_at(host, 3000) == written
