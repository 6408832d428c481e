"""The story every release must be able to tell, told by the product itself; and what it says when it can't."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bot.record.evidence import COLUMNS
from bot.sandbox import seed
from bot.stage import Stage
from bot.story import tell
from tests.support.living import living, until
from tests.support.outside import free_port

ROOT = Path(__file__).parents[2]
FACTS = (
    "the request is written down before it is acknowledged",
    "the reason arrived whole and harmless",
    "Grace, who is not in the channel, is asked directly",
    "self-approval is refused",
    "the thread says that it was read back",
    "with the link to the organization's audit log",
    "by one call",
    "Atlassian says that Ada is out of the group",
    "Mei, who was in it before, still is",
    "what she is to have is asked for by its own rule",
    "Atlassian has the new address",
    "Tomáš has seen nothing of it",
    "and that he has no API token any more, the one made meanwhile included",
    "the proof names the grant that ended with it",
    "both are deactivated, the wrong line is left out",
    "an admin is neither suspended nor deactivated",
    "the chain is whole",
    "Atlassian's event of a call is found and linked",
    "nothing is missing there that was to be expected",
    "checked elsewhere, against checkpoints from Slack, the record is whole",
)


def played(folder: Path) -> tuple[str, Path]:
    """What the demo says, and the folder it was played in. CI is just playing it from this tree: once is enough."""
    already = os.environ.get("GATEHOUSE_PLAYED")
    if already:
        status = Path(f"{already}.status")
        until(lambda: status.exists() and status.read_text().strip() != "", seconds=300)
        told = Path(already).read_text(encoding="utf-8")
        assert status.read_text().strip() == "0", told
        return told, ROOT
    told = subprocess.run(demo(free_port()), cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout, folder


def test_the_demo_tells_the_story_and_everything_in_it_holds(tmp_path: Path) -> None:
    told, where = played(tmp_path)
    assert [fact for fact in FACTS if f"✓ {fact}" not in told] == []
    assert "✗" not in told
    assert told.rstrip().endswith("open .demo/evidence/index.html in a browser.")
    folder = where / ".demo" / "evidence"
    for name in COLUMNS:
        with (folder / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
            assert list(csv.DictReader(file)), f"{name} has what the story tells of it"
        assert "None in this time." not in (folder / f"{name}.html").read_text(encoding="utf-8")
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert index.count("<svg") == 3
    assert "its chain was whole" in index
    assert "they are the same" in index


def test_the_demo_ends_with_status_1_when_something_does_not_hold(tmp_path: Path) -> None:
    """While it is told, somebody else gives Ada by hand what she asks for."""
    port = free_port()
    atlassian = f"http://127.0.0.1:{port + 2}/control/group/eu-jira-admins/members"
    with subprocess.Popen([*demo(port), "--brief"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as telling:
        while telling.poll() is None:
            try:
                httpx.post(atlassian, json={"add": [account("ada")]}, trust_env=False).raise_for_status()
                break
            except httpx.TransportError:
                continue
        assert telling.stdout is not None
        printed = telling.stdout.read()
    assert telling.returncode == 1, printed
    assert "✗ nothing has changed in Atlassian" in printed
    assert "expectations did NOT hold" in printed


def test_a_story_that_can_t_go_on_says_what_nobody_saw(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Atlassian refuses the change for good: the end is never told, and what was told instead is printed."""
    with living(sqlite_url) as bot:
        bot.atlassian.fault(method="PATCH", status=403, times=None)
        stage = Stage(bot.slack, bot.atlassian, bot.store, lambda *words: "whole.", "200 new", patience=5.0)
        failures = tell(stage)
    assert any(failure.startswith("the story could go on: nothing came") for failure in failures)
    assert "✗ the story could go on" in capsys.readouterr().out


def demo(port: int) -> list[str]:
    return [sys.executable, "-m", "bot.cli", "demo", "--once", "--port", str(port)]


def account(handle: str) -> str:
    return seed.company().person(handle).account_id
