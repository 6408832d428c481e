"""What can be wrong at home: the database, the record, the policy, the people in it."""

import contextlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from approvals.database import Database
from approvals.models import AuditEntry, SlackUser
from bot.doctor.examination import is_well
from bot.record.book import line_of
from bot.record.signing import signing_key
from bot.sandbox import seed
from tests.support.house import MEI, SADE, SOUND, House, by_check


def test_a_policy_that_names_somebody_unbound(house: House) -> None:
    house.sql(f"DELETE FROM bindings WHERE user = '{SADE.slack_id}'")
    (wrong,) = house.wrong()
    assert wrong.found == f"{seed.SLACK_TEAM}/{SADE.slack_id} (role security) is bound to no Atlassian account"
    assert f"{seed.SLACK_TEAM}/{SADE.slack_id}" in wrong.mend


def test_a_policy_that_names_another_account_than_the_record(house: House) -> None:
    house.sql(f"UPDATE bindings SET account = '712020:somebody-else' WHERE user = '{SADE.slack_id}'")
    (wrong,) = house.wrong()
    assert wrong.found.endswith(f"(role security) is bound to 712020:somebody-else, not to {SADE.account_id}")


def test_a_policy_that_names_a_guest(house: House) -> None:
    database = Database(f"sqlite:///{house.database}")
    with database.writing() as session:
        row = SlackUser(
            team=seed.SLACK_TEAM, user=SADE.slack_id, name="Sade", standing="guest", read_at=datetime.now(UTC)
        )
        session.merge(row)
    database.close()
    (wrong,) = house.wrong()
    assert wrong.found.endswith("(role security) is no full member of Slack (guest)")


def test_approvers_nobody_of_whom_can_be_asked(house: House) -> None:
    house.sql(f"DELETE FROM bindings WHERE user = '{MEI.slack_id}'")
    house.sql("UPDATE people SET manager = NULL")
    wrong = {finding.check: finding.found for finding in house.wrong()}
    managers = "they are answered by managers, and no manager is in the record"
    assert wrong["approvers of eu-jira-admins"] == managers
    assert wrong["approvers of eu-confluence-admins"] == "of its owner nobody can be asked"


def test_checkpoints_that_are_not_signed_are_said_to_be(house: House) -> None:
    assert by_check(house.look())["checkpoints"].found == "signed; none was sent yet"
    del house.environ["AUDIT_SIGNING_KEY"]
    house.sql("""INSERT INTO meta (key, value) VALUES ('checkpoint log', '{"seq": 3, "at": "x"}')""")
    found = by_check(house.look())["checkpoints"]
    assert found.state == "warn"
    assert found.found.startswith("not signed; the newest is about entry 3 (log), none (slack), of ")
    assert "gatehouse audit key" in found.mend
    assert is_well(house.look())


def test_a_record_that_is_behind_what_was_said_outside(house: House, tmp_path: Path) -> None:
    found = by_check(house.look())["lost records"]
    assert (found.state, "Set CHECKPOINT_FILE" in found.mend) == ("warn", True)
    file = tmp_path / "outside.jsonl"
    house.environ["CHECKPOINT_FILE"] = str(file)
    assert by_check(house.look())["lost records"].found == f"nothing stands in {file} yet; the bot writes into it"
    key = signing_key(house.environ["AUDIT_SIGNING_KEY"])
    with contextlib.closing(sqlite3.connect(house.database)) as record:
        seq, hash = record.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    four = {"organization": seed.ORG_ID, "seq": seq, "hash": hash, "at": "2026-11-28T09:00:00+00:00"}
    file.write_text(line_of(four, "checkpoint", key) + "\n", encoding="utf-8")
    assert by_check(house.look())["lost records"].found == f"the record agrees with {file}, which saw entry {seq}"
    file.write_text(line_of(four | {"seq": seq + 5}, "checkpoint", key) + "\n", encoding="utf-8")
    (wrong,) = house.wrong()
    assert (wrong.check, wrong.found) == (
        "lost records",
        f"the record ends at entry {seq}, and {file} saw entry {seq + 5} at 2026-11-28 09:00 UTC",
    )


def test_safe_mode_and_a_file_that_can_not_be_read_are_said(house: House, tmp_path: Path) -> None:
    house.environ["CHECKPOINT_FILE"] = str(tmp_path)
    (wrong,) = house.wrong()
    assert wrong.found == f"CHECKPOINT_FILE: {tmp_path} can't be read (Is a directory)"
    del house.environ["CHECKPOINT_FILE"]
    house.sql("INSERT INTO safe_modes (at, why, lost_from, unread, left_by) "
              "VALUES ('2026-11-28 09:00:00', 'a dump was put back', '2026-11-28 08:00:00', '[]', '')")  # fmt: skip
    (wrong,) = house.wrong()
    assert "safe mode is on since 2026-11-28 09:00 UTC: a dump was put back" in wrong.found
    assert "/access safe-mode" in wrong.mend


def test_a_database_without_schema(house: House) -> None:
    house.database.unlink()
    house.database.touch()
    (wrong,) = house.wrong()
    assert (wrong.check, wrong.mend) == ("schema", "Run gatehouse migrate.")
    assert {f.check for f in house.look() if f.state == "not tried"} == {
        *("record", "checkpoints", "lost records", "people of the policy", "approvers", "sources of approvers"),
    }


def test_a_database_that_is_not_there_is_not_made(house: House) -> None:
    house.database.unlink()
    (wrong,) = house.wrong()
    assert wrong.found == f"there is no file {house.database}"
    assert not house.database.exists()


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///{policy}",
        "postgresql://canary-0f3d:canary-0f3d@127.0.0.1:9/x",
        "postgresql://a:b:c",
    ],
)
def test_a_database_that_can_not_be_opened(house: House, address: str) -> None:
    house.environ["DATABASE_URL"] = address.format(policy=house.policy)
    (wrong,) = house.wrong()
    assert wrong.check == "database"
    assert "DATABASE_URL" in wrong.mend


def test_a_record_on_postgresql_is_looked_at_too(house: House, postgresql_url: str) -> None:
    house.environ["DATABASE_URL"] = postgresql_url
    findings = by_check(house.look())
    assert [findings[name].state for name in ("database", "schema", "record")] == ["ok", "ok", "ok"]
    assert findings["database"].found == "postgresql"


def test_a_record_that_was_changed_by_hand(house: House) -> None:
    house.sql("DROP TRIGGER audit_no_update")
    house.sql(f"UPDATE {AuditEntry.__tablename__} SET body = body || ' ' WHERE seq = 1")
    (wrong,) = house.wrong()
    assert (wrong.check, wrong.found) == (
        "record",
        "the chain is not whole: entry 1 was changed after it was written",
    )


def test_a_policy_file_with_a_mistake_while_the_one_in_force_is_sound(house: House) -> None:
    house.policy.write_text(SOUND.replace("[reason]", "[raeson]"), encoding="utf-8")
    wrong = house.wrong()
    assert {finding.check for finding in wrong} == {"policy file"}
    assert by_check(house.look())["groups"].state == "ok"


def test_a_policy_file_that_is_not_the_policy_in_force_is_a_warning(house: House) -> None:
    house.policy.write_text(SOUND + "\n# a thought\n", encoding="utf-8")
    findings = house.look()
    assert is_well(findings)
    assert by_check(findings)["policy in force"].found == "it is not the one of the file"


def test_a_policy_file_that_is_not_there_when_none_is_in_force(house: House) -> None:
    house.sql("DELETE FROM policies")
    house.policy.unlink()
    (wrong,) = house.wrong()
    assert wrong.check == "policy file"
    skipped = {finding.check for finding in house.look() if finding.state == "not tried"}
    assert {"channels", "directories", "groups", "people of the policy"} <= skipped


def test_that_nobody_outside_hears_when_it_stops_is_a_warning(house: House) -> None:
    assert by_check(house.look())["heartbeat"].state == "ok"
    del house.environ["HEARTBEAT_URL"]
    found = by_check(house.look())["heartbeat"]
    assert found.state == "warn"
    assert "Set HEARTBEAT_URL" in found.mend
