"""What the doctor says of the closed loop: which alarms are on, which are off and how to switch them on."""

import os
import subprocess
import sys

import pytest
from sqlmodel import select

from approvals.database import Database
from approvals.models import AuditEntry, EventKind
from approvals.store import Store
from bot.sandbox import seed
from tests.support.house import ROOT, House, by_check

ORGANIZATION = '[[audit_log.actor]]\nauth_type = "api-token"\ntoken_label = "Gatehouse"\n'
SCIM = f'[[audit_log.actor]]\ncredential = "scim:{seed.OURS.id}"\ntoken_label = "{seed.OURS.name}"\n'
PERSON = '[[audit_log.actor]]\nid = "712020:sade"\nauth_type = "password"\n'


@pytest.mark.parametrize(
    ("file", "off"),
    [
        ("", ["organization", f"scim:{seed.OURS.id}"]),
        (SCIM, ["organization"]),
        (ORGANIZATION, [f"scim:{seed.OURS.id}"]),
        (SCIM + PERSON, ["organization"]),  # who made the key works by hand as well
        (SCIM + ORGANIZATION, []),
    ],
)
def test_it_says_for_which_keys_the_alarm_is_off(house: House, file: str, off: list[str]) -> None:
    house.environ["AUDIT_LOG_FILE"] = str(house.policy.with_name("audit-log.toml"))
    house.policy.with_name("audit-log.toml").write_text(file, encoding="utf-8")
    found = by_check(house.look())["use of our keys"]
    if off:
        assert (found.state, found.found) == (
            "warn", f"the alarm is off for {', '.join(off)}: nobody has told how its events look",
        )  # fmt: skip
        assert "gatehouse doctor --probe" in found.mend
    else:
        assert (found.state, found.found) == ("ok", "whoever else uses one of them is an alarm")


def test_it_says_what_the_log_has_shown_so_far(house: House) -> None:
    assert by_check(house.look())["audit log"].found.endswith("it has shown none of our changes so far")
    store = Store(Database(f"sqlite:///{house.database}"))
    with store.write() as w:
        w.add(EventKind(kind="scim/add_member", action="user_added_to_group", first_seen_at=w.now))
    store.database.close()
    assert by_check(house.look())["audit log"].found.endswith("so far it has shown scim/add_member")


def test_a_probe_is_an_entry_of_the_record_and_what_it_prints_switches_the_alarm_on(house: House) -> None:
    words = ["doctor", "--probe", "breakglass-drill", "--account", seed.company().person("ada").account_id, "--yes"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **house.environ, "EFFECTS": "on"}
    done = subprocess.run(
        [sys.executable, "-m", "bot.cli", *words],
        cwd=house.policy.parent, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert house.atlassian.members("breakglass-drill") == set()
    store = Store(Database(f"sqlite:///{house.database}"))
    with store.read() as session:
        events = session.exec(select(AuditEntry.event)).all()
    store.database.close()
    assert events.count("doctor.probed") == 1
    file = house.policy.with_name("audit-log.toml")
    file.write_text(done.stdout.partition("audit-log.toml:")[2], encoding="utf-8")
    house.environ["AUDIT_LOG_FILE"] = str(file)
    assert by_check(house.look())["use of our keys"].found.startswith("the alarm is off for organization:")
    environ["AUDIT_LOG_FILE"] = str(file)
    again = subprocess.run(
        [sys.executable, "-m", "bot.cli", *words],
        cwd=house.policy.parent, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    whole = again.stdout.partition(f"This is the whole of {file}")[2].partition(":\n")[2]
    assert whole.strip() == file.read_text(encoding="utf-8").strip(), "the same key once more teaches nothing new"
