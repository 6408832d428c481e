"""The doctor as a whole, over real sockets: what is wrong is a line of the table, and no secret is in it."""

import os
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from bot.doctor.examination import CHECKS, show
from bot.doctor.findings import Finding
from bot.sandbox import seed
from tests.support.house import ROOT, House, by_check

# What a sound house is warned of: the disk of the test, that no probe was run, that only one is for emergencies, and
# that no file outside remembers the record.
UNLEARNED = ("database", "use of our keys", "emergency administrators", "lost records")


def run(house: House) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "COLUMNS": "400", "PYTHONPATH": str(ROOT), **house.environ}
    command = [sys.executable, "-m", "bot.cli", "doctor"]
    where = house.policy.parent  # no .env of somebody's lies there
    return subprocess.run(command, cwd=where, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_when_all_is_well_every_check_says_so_and_the_status_is_zero(house: House) -> None:
    done = run(house)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("┏"), "nothing stands before the table"
    assert "FAIL" not in done.stdout
    findings = by_check(house.look())
    assert {finding.state for finding in findings.values()} <= {"ok", "warn"}
    assert [name for name, finding in findings.items() if finding.state == "warn" and name not in UNLEARNED] == []
    assert findings["Slack"].found == f"workspace {seed.ORG_NAME} ({seed.SLACK_TEAM}), as gatehouse"
    assert findings["groups"].found == "3 of 3 entitlements can be given"
    for channel in ("channel operators", "channel security", "channel requests"):
        assert findings[channel].state == "ok"


def test_nothing_is_written_anywhere(house: House) -> None:
    before = house.database.read_bytes()
    house.look()
    assert house.database.read_bytes() == before
    assert house.atlassian.ledger(writes=True) == []
    assert {call["method"] for call in house.slack.calls()} == {
        "auth.test", "conversations.info", "usergroups.list", "users.profile.get",
    }  # fmt: skip


def test_what_is_wrong_is_a_line_of_the_table_and_the_status_is_one(house: House) -> None:
    house.environ["ATLASSIAN_ORG_API_KEY"] = "canary-0f3d-wrong"
    done = run(house)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "canary-0f3d" not in done.stdout + done.stderr
    assert done.stdout.startswith("┏"), "a call that was refused is in the table, and in no line before it"
    (line,) = (line for line in done.stdout.splitlines() if "FAIL" in line and "│" in line)
    assert "the API key was refused" in line
    assert "Create an API key without scopes" in line


@pytest.mark.parametrize(
    ("setting", "value", "found", "not_tried"),
    [
        ("SLACK_BOT_TOKEN", "", "SLACK_BOT_TOKEN is missing", {"Slack", "Slack scopes", "channels", "clock"}),
        ("SLACK_TEAM_ID", "", "SLACK_TEAM_ID is missing", {"Slack", "channels"}),
        ("SLACK_SIGNING_SECRET", "", "SLACK_SIGNING_SECRET is missing", set()),
        ("ATLASSIAN_ORG_API_KEY", "", "ATLASSIAN_ORG_API_KEY is missing", {"organization key", "groups"}),
        ("EFFECTS", "canary-0f3d", "EFFECTS can't be used as it is", {"database", "Slack", "organization key"}),
        ("SLACK_BOT_TOKEN", "canary-0f3d two", "SLACK_BOT_TOKEN can't be used as it is", {"Slack", "groups"}),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named_and_the_rest_is_still_looked_at(
    house: House, setting: str, value: str, found: str, not_tried: set[str]
) -> None:
    house.environ[setting] = value
    (wrong,) = house.wrong()
    assert (wrong.check, wrong.found) == ("settings", found)
    skipped = {finding.check for finding in house.look() if finding.state == "not tried"}
    assert not_tried <= skipped
    assert bool(skipped) == bool(not_tried)


def test_a_hostile_name_of_a_channel_stays_text(house: House) -> None:
    printed = StringIO()
    show([Finding("channel", "FAIL", "[bold]#evil[/bold]", "Mend it.")], Console(file=printed))
    assert "[bold]#evil[/bold]" in printed.getvalue()


def test_every_check_is_named_once(house: House) -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
