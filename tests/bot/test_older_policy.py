"""A policy in force that this release would refuse: its ends come all the same, and a new text has to be without it."""

from pathlib import Path

import pytest
import typer
from sqlmodel import select

from approvals.database import Database
from approvals.models import AuditEntry, PolicyVersion
from approvals.policy import Policy, PolicyProblem, mistakes_in
from approvals.policy_book import PolicyBook, is_in_force
from approvals.rules.parts import sha256
from approvals.store import MACHINE, Store
from bot.cli import furnish
from tests.support.outside import copied
from tests.support.policies import roomy
from tests.support.settings import settings_for

ROLE = """[entitlements.more]
about = "Administer everything"
role = {name = "atlassian/org-admin", resource = "ari:cloud:platform::org/1"}

"""
OLDER = roomy().replace("[verbs.", ROLE + "[verbs.", 1)


@pytest.fixture
def url(migrated_file: Path, tmp_path: Path) -> str:
    """A record in which an earlier release has taken that text."""
    url = copied(migrated_file, tmp_path / "older")
    database = Database(url)
    with Store(database).write() as w:
        w.add(PolicyVersion(hash=sha256(OLDER), text=OLDER, applied_at=w.now, applied_by="the first file"))
        w.audit("policy.applied", actor=MACHINE, data={"policy_hash": sha256(OLDER), "first": True})
    database.close()
    return url


def test_what_is_in_force_is_gone_on_with_and_no_new_text_is_taken_so(url: str) -> None:
    with pytest.raises(PolicyProblem, match="organization admins"):
        Policy.parse(OLDER)
    assert mistakes_in(OLDER) == 1
    assert mistakes_in(roomy()) == 0
    database = Database(url)
    with database.reading() as session:
        assert PolicyBook().current(session).entitlement("more") is not None
    assert is_in_force(Store(database), OLDER)
    assert not is_in_force(Store(database), OLDER + "\n# and more")
    database.close()


def test_a_start_with_that_very_file_goes_on_and_with_a_changed_one_says_what_is_wrong(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(OLDER, encoding="utf-8")
    settings = settings_for("http://127.0.0.1:1", "http://127.0.0.1:1", url, POLICY_FILE=str(file))
    house = furnish(settings)
    house.close()
    assert "policy check says which" in capsys.readouterr().out
    file.write_text(OLDER + "\n# and more", encoding="utf-8")
    with pytest.raises(typer.Exit):
        furnish(settings)
    assert "would make organization admins" in capsys.readouterr().err
    with house.store.read() as session:
        assert [row.hash for row in session.exec(select(PolicyVersion))] == [sha256(OLDER)]
        assert len(list(session.exec(select(AuditEntry).where(AuditEntry.event == "policy.applied")))) == 1
