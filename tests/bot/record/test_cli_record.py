"""`gatehouse audit …` from a shell: the verifier it prints, the keys it makes, the checkpoints."""

import json
import sqlite3
import subprocess
import sys

from bot.record.signing import public_part, signing_key
from tests.bot.test_cli import Shell, shell, tamper
from tests.support.verifier import FILE

__all__ = ["shell"]  # the fixture


def verified(shell: Shell, *words: str) -> subprocess.CompletedProcess[str]:
    """By the file that the command printed, in a Python that sees nothing else."""
    return subprocess.run(
        [sys.executable, "-I", "gatehouse_verify.py", *words],
        cwd=shell.folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_verifier_is_printed_and_checks_what_the_bot_has_said(shell: Shell) -> None:
    printed = shell.run("audit", "verifier")
    assert printed.stdout == FILE.read_text(encoding="utf-8")
    (shell.folder / "gatehouse_verify.py").write_text(printed.stdout)
    key = shell.run("audit", "key").stdout.splitlines()
    private, public = (line.split()[1] for line in key)
    assert public_part(signing_key(private)) == public
    assert shell.run("people", "import", "people.csv").returncode == 0
    said = shell.run("audit", "checkpoint", AUDIT_SIGNING_KEY=private)
    assert (said.returncode, said.stderr) == (0, "")
    assert private not in said.stdout
    (shell.folder / "said.log").write_text(said.stdout)
    words = ("gatehouse.db", "--checkpoint", "said.log", "--key", public)
    assert verified(shell, *words).returncode == 0
    tamper(shell.folder / "gatehouse.db")
    tampered = verified(shell, *words)
    assert (tampered.returncode, "entry 7 was changed" in tampered.stderr) == (1, True)


def test_a_checkpoint_without_a_key_is_one_and_says_so(shell: Shell) -> None:
    (sentence,) = shell.refused("audit", "checkpoint")
    assert sentence == "The record is empty: there is nothing to say about it."
    assert shell.run("people", "import", "people.csv").returncode == 0
    said = shell.run("audit", "checkpoint")
    assert json.loads(said.stdout)["seq"] > 0
    assert "AUDIT_SIGNING_KEY is not set" in said.stderr


def test_an_export_is_an_entry_of_its_own_and_told_to_security(shell: Shell) -> None:
    assert shell.run("people", "import", "people.csv").returncode == 0
    (shell.folder / "gatehouse_verify.py").write_text(FILE.read_text(encoding="utf-8"))
    done = shell.run("audit", "export", "--format", "jsonl", "--from", "2020-01-01")
    assert (done.returncode, done.stderr) == (0, "")
    (shell.folder / "record.jsonl").write_text(done.stdout)
    assert verified(shell, "record.jsonl").returncode == 0
    last = json.loads(json.loads(done.stdout.splitlines()[-1])["body"])
    assert (last["event"], last["actor"].startswith("shell:")) == ("record.exported", True)
    assert last["data"] == {"format": "jsonl", "since": "2020-01-01"}
    with sqlite3.connect(shell.folder / "gatehouse.db") as connection:
        ((facts,),) = connection.execute("SELECT facts FROM news WHERE kind = 'shell_act'").fetchall()
    connection.close()
    assert "exported the record as jsonl" in facts
    for format in ("csv", "ocsf"):
        assert shell.run("audit", "export", "--format", format).returncode == 0
    assert shell.run("audit", "export", "--format", "xml").returncode == 2
    assert shell.run("audit", "export", "--from", "yesterday").returncode == 2


def test_a_request_that_is_not_there_is_a_sentence(shell: Shell) -> None:
    (sentence,) = shell.refused("audit", "show", "REQ-nothing")
    assert sentence == "The record has no entry of 'REQ-nothing'."


def test_a_copy_that_is_behind_is_whole_in_itself_and_that_is_said(shell: Shell) -> None:
    """Whoever put one back read that it is not whole, where the page says that it is as it must be."""
    shell.run("people", "import", "people.csv")
    line = json.loads(shell.run("audit", "checkpoint").stdout)
    said = shell.folder / "said.jsonl"
    said.write_text(json.dumps({**line, "seq": line["seq"] + 5}) + "\n", encoding="utf-8")
    done = shell.run("audit", "verify", "--checkpoint", str(said))
    assert done.returncode == 1
    assert done.stdout.endswith(": whole in itself, and NOT what was said outside.\n")
    assert f"the record ends at entry {line['seq']}, and {said} saw entry {line['seq'] + 5}" in done.stderr
    said.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert shell.run("audit", "verify", "--checkpoint", str(said)).stdout.endswith(": whole.\n")


def test_that_safe_mode_is_off_says_nothing_of_the_record(shell: Shell) -> None:
    """An old copy that was put back a minute ago, before any start, is no record that is what it was."""
    assert shell.run("safe-mode").stdout == (
        "Safe mode is not on. Each start compares the record with what was said of it outside.\n"
    )
