"""`gatehouse policy explain`: the verdict and the rule that made it, and who would answer."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.sandbox import seed
from tests.support.house import ROOT, SOUND, House

ADA, GRACE, ORLA = (seed.company().person(handle) for handle in ("ada", "grace", "orla"))


Explained = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def explained(house: House, tmp_path: Path) -> Explained:
    """As a process of its own: the command line sets up the logging of the process it runs in."""
    house.sql(  # the mirror has seen her
        "INSERT INTO slack_users (team, user, name, mail, standing, read_at) VALUES "
        f"('{seed.SLACK_TEAM}', '{GRACE.slack_id}', 'grace', '{GRACE.email}', 'member', '2026-11-25 12:00:00')"
    )
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **house.environ}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bot.cli", "policy", "explain", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_who_may_ask_and_who_would_answer(explained: Explained) -> None:
    done = explained("--who", ADA.email, "--wants", "eu-jira-admins")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Ada Ferreira may ask for eu-jira-admins: everyone may ask for eu-jira-admins "
        "(entitlements.eu-jira-admins.who_may_ask).",
        "At most 8 hours; the question stays open 1 day.",
        "Grace Okafor may answer, as the person's manager.",
    ]


@pytest.mark.parametrize("who", [ADA.account_id, f"{seed.SLACK_TEAM}/{ADA.slack_id}"])
def test_a_person_by_any_of_three_names(explained: Explained, who: str) -> None:
    assert "Ada Ferreira may ask" in explained("--who", who, "--wants", "EU-Jira-Admins").stdout


def test_for_somebody_else_and_with_nobody_to_answer(explained: Explained) -> None:
    other = explained("--who", ADA.email, "--wants", "eu-jira-admins", "--for", GRACE.email).stdout
    assert "Ada Ferreira may not ask for eu-jira-admins for Grace Okafor: " in other
    alone = explained("--who", ORLA.email, "--wants", "eu-jira-admins").stdout
    assert "Not counted: no manager is known for the person." in alone
    assert "So nobody could answer" in alone


def test_a_changed_file_before_it_counts(explained: Explained, tmp_path: Path) -> None:
    changed = tmp_path / "changed.toml"
    changed.write_text(SOUND.replace('who_may_ask = ["everyone"]', 'who_may_ask = ["role:security"]'))
    done = explained("--who", ADA.email, "--wants", "eu-jira-admins", "--file", str(changed))
    assert "Ada Ferreira may not ask" in done.stdout


@pytest.mark.parametrize(
    ("who", "wants", "says"),
    [(ADA.email, "eu-jira-admin", "Did you mean eu-jira-admins"), ("nobody@x.example", "eu-jira-admins", "Nobody is")],
)
def test_what_is_not_known_is_a_sentence(explained: Explained, who: str, wants: str, says: str) -> None:
    done = explained("--who", who, "--wants", wants)
    assert done.returncode == 2
    assert says in done.stderr


def test_before_the_first_start_the_file_answers_and_that_slack_was_not_read_is_said(
    explained: Explained, house: House
) -> None:
    """As docs/setup.md has it typed: no policy is in force, and nobody's standing is known."""
    house.sql("DELETE FROM policies")
    house.sql("DELETE FROM slack_users")
    done = explained("--who", ADA.email, "--wants", "eu-jira-admins")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"No policy is in force yet; this is by {house.policy}, which the first start takes.",
        "Ada Ferreira may ask for eu-jira-admins: everyone may ask for eu-jira-admins "
        "(entitlements.eu-jira-admins.who_may_ask).",
        "At most 8 hours; the question stays open 1 day.",
        "Grace Okafor may answer, as the person's manager.",
        "Slack was not read yet, so whether they are full members of the workspace is not known.",
    ]


def test_who_is_no_full_member_can_not_be_asked(explained: Explained, house: House) -> None:
    house.sql("UPDATE slack_users SET standing = 'guest'")
    said = explained("--who", ADA.email, "--wants", "eu-jira-admins").stdout
    assert "the person's manager, who can't be asked: no full member of the workspace." in said
    assert "So nobody could answer" in said


def test_a_simulation_before_the_first_start_says_what_to_do(house: House, tmp_path: Path) -> None:
    house.sql("DELETE FROM policies")
    done = subprocess.run(
        [sys.executable, "-m", "bot.cli", "policy", "simulate", str(house.policy)], cwd=tmp_path, text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **house.environ}, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "No policy is in force yet, so nothing was asked by one: start Gatehouse once.\n"


def test_the_page_explains_the_entitlement_that_it_has_written() -> None:
    page = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")
    for wanted in re.findall(r"policy explain .*--wants (\S+)", page):
        assert f"[entitlements.{wanted}]" in page


def test_steps_levels_tier_and_pause_are_said(explained: Explained, tmp_path: Path) -> None:
    changed = tmp_path / "changed.toml"
    stages = (
        'stages = [{approvers = ["manager"]}, {approvers = ["role:admin", "role:security"], different_groups = true}]'
    )
    more = f'{stages}\nescalation = [["role:admin"]]\nescalate_after = "2h"\ntier = "high"\npause = "7m"'
    changed.write_text(SOUND.replace('group = "eu-jira-admins"', f'group = "eu-jira-admins"\n{more}'))
    said = explained("--who", ADA.email, "--wants", "eu-jira-admins", "--file", str(changed)).stdout
    assert "Of the high tier: 2 approvals, then a pause of 7 minutes." in said
    assert "Step 1: 1 of the person's manager." in said
    assert "Step 2: 1 of the role admin, the role security from different groups." in said
    assert "After 2 hours without enough answers also the role admin." in said
