"""Admins in Slack and at a shell: freezing, letting go on, and a policy that counts when they agree."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from approvals.models import AuditEntry, Grant, News
from bot.sandbox.slack.control import text_of
from bot.sandbox.slack.limits import problems_of_message
from tests.bot.settled import ask, copies, newcomers, press, settle, status_of
from tests.support.house import ROOT
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy

_PEOPLE = iter(newcomers())


@pytest.fixture
def url(migrated_file: Path, tmp_path: Path) -> str:
    return copied(migrated_file, tmp_path / "record")


@pytest.fixture
def bot(url: str) -> Iterator[Living]:
    with living(url, works=False) as bot:
        settle(bot)
        yield bot


def types(bot: Living, who: str, text: str) -> str:
    return str(bot.slack.command(who, text, force=True)["body"]["text"]).replace("\u2060", "")


def card(bot: Living, words: str) -> dict[str, Any]:
    return [m for m in bot.slack.channel("#security") if words in text_of(m)][-1]


def shell(bot: Living, url: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Another process that opens the same record, as the operator does."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATABASE_URL": url,
               "SLACK_API_URL": bot.house.settings.slack_api_url,
               "ATLASSIAN_API_URL": bot.house.settings.atlassian_api_url, **more}  # fmt: skip
    command = [sys.executable, "-m", "bot.cli", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


def test_frozen_by_one_and_let_go_by_two_others(bot: Living) -> None:
    assert "Frozen" in types(bot, "omar", "freeze because INC-42: the key may have leaked")
    settle(bot)
    assert "Frozen by Omar Haddad: INC-42" in text_of(card(bot, "Frozen by")).replace("\u2060", "")
    who = next(_PEOPLE)
    assert "stands still since" in types(bot, who, "grant eu-jira-admins for 2h because INC-1: it is down")
    assert "stands still since" in types(bot, "ada", "status")
    assert "PRO-" in types(bot, "omar", "unfreeze")
    settle(bot)
    shown = card(bot, "Let everything go on")
    assert problems_of_message(shown["blocks"]) == []
    assert any("waits for your answer in the security channel" in text_of(m) for m in bot.slack.messages("ingrid"))
    for person in ("omar", "sade"):
        press(bot, person, "agree", card(bot, "Let everything go on"), force=True)
        settle(bot)
    assert "Agreed, and it counts" in text_of(card(bot, "Let everything go on"))
    assert "Nothing is frozen" in types(bot, "ada", "status")
    request = ask(bot, who)
    settle(bot)
    assert status_of(bot, request) == "pending"


@pytest.mark.parametrize(
    ("who", "typed", "said"),
    [
        ("ada", "freeze because I want to see", "You may not freeze: that is for the role admin or the role security"),
        ("kofi", "unfreeze", "You may not unfreeze"),
        ("omar", "freeze", "Why?"),
        ("omar", "unfreeze", "Nothing is frozen"),
        ("omar", "freeze now because x", "too much here"),
    ],
)
def test_what_is_missing_or_not_for_them_is_said(bot: Living, who: str, typed: str, said: str) -> None:
    assert said in types(bot, who, typed)


def test_status_without_an_id_shows_what_holds_people_back(bot: Living) -> None:
    shown = types(bot, "sade", "status")
    assert "10 times an hour by one person (0 by you) and 25 times a day (0 now)" in shown
    assert "is protected: emergency administrator" in shown
    assert "`/access revoke @who org-admin` only" in shown
    assert "1 account is protected" in types(bot, "ada", "status")


def test_the_shell_freezes_without_slack_and_it_is_in_the_record_and_told(bot: Living, url: str) -> None:
    bot.slack.fault("chat.postMessage", error="internal_error", status=500, times=-1)
    done = shell(bot, url, "freeze", "--because", "INC-42: Slack is down")
    assert done.returncode == 0, done.stderr
    assert "nothing is given" in done.stdout
    bot.slack.clear_faults()
    settle(bot)
    assert ", from a shell: INC-42: Slack is down" in text_of(card(bot, "Frozen by"))
    with bot.store.read() as session:
        (entry,) = session.exec(select(AuditEntry).where(AuditEntry.event == "frozen"))
    assert '"actor":"shell:' in entry.body


def test_a_shell_asks_for_a_drill_that_somebody_begins(bot: Living, url: str) -> None:
    done = shell(bot, url, "drill")
    assert done.returncode == 0, done.stderr
    settle(bot)
    asked = card(bot, "asks for a drill of break-glass")
    bot.slack.click("sade", "glass_drill", ts=asked["ts"], channel=asked["channel"])
    view = bot.slack.open_view("sade")
    assert view is not None
    assert "A drill" in text_of(view)
    bot.slack.close_view("sade")
    no_drill = bot.slack.click("omar", "glass_drill", ts=asked["ts"], channel=asked["channel"])
    assert no_drill["error"] is None
    bot.slack.close_view("omar", all=True)


def test_a_shell_ends_what_was_given_and_security_hears_of_it(bot: Living, url: str) -> None:
    request = ask(bot, next(_PEOPLE), "eu-jira-admins")
    settle(bot)
    refused = shell(bot, url, "end", request, "--because", "INC-42: Slack is down")
    assert (refused.returncode, "gives nothing at the moment" in refused.stderr) == (2, True)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0], force=True)
    settle(bot)
    assert status_of(bot, request) == "done"
    done = shell(bot, url, "end", request, "--because", "INC-42: Slack is down")
    assert done.returncode == 0, done.stderr
    assert f"Look: gatehouse audit show {request}." in done.stdout
    settle(bot)
    with bot.store.read() as session:
        assert session.exec(select(Grant.status).where(Grant.request_id == request)).one() == "ended"
    assert f"ends {request}: INC-42" in text_of(card(bot, f"ends {request}")).replace("\u2060", "")


def test_a_policy_from_a_shell_counts_when_admins_agree(bot: Living, url: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(roomy().replace('approvers = ["manager", "owner"]', 'approvers = ["owner"]'))
    done = shell(bot, url, "policy", "apply", str(file))
    assert done.returncode == 0, done.stderr
    assert "~ eu-confluence-admins: answered by" in done.stdout
    assert "nothing has changed yet" in done.stdout
    assert "two admins agree" in done.stdout
    settle(bot)
    shown = card(bot, "Another policy")
    assert problems_of_message(shown["blocks"]) == []
    request = ask(bot, next(_PEOPLE))
    settle(bot)
    assert "grace" in {place for place, seen in copies(bot, request).items() if seen}
    for person in ("omar", "ingrid"):
        press(bot, person, "agree", card(bot, "Another policy"), force=True)
        settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0], force=True)
    settle(bot)
    assert any("planned anew" in text_of(m) for m in bot.slack.messages("grace"))
    assert "is the policy in force" in shell(bot, url, "policy", "apply", str(file)).stdout
    with bot.store.read() as session:
        told = session.exec(select(News).where(News.kind == "shell_act")).all()
    assert len(told) == 1


def test_a_policy_that_is_wrong_is_not_even_proposed(bot: Living, url: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(roomy().replace('approvers = ["manager", "owner"]', "approvers = []"))
    done = shell(bot, url, "policy", "apply", str(file))
    assert done.returncode == 2
    assert "nobody may approve" in done.stderr


# What each command of the shell is. None of them may ever be "approves" or "gives".
COMMANDS = {
    "reads": {
        "doctor",
        "manifest",
        "docs commands",
        "docs readme",
        "policy check",
        "policy explain",
        "policy simulate",
        "policy test",
        "audit verify",
        "audit checkpoint",
        "audit export",
        "audit key",
        "audit show",
        "audit verifier",
        "evidence",
        "healthy",
    },
    "has what was given up tried again": {"jobs retry"},
    "erases what is not proof": {"forget"},
    "asks admins": {"policy apply"},
    "holds back": {"freeze", "safe-mode"},
    "copies the record": {"backup"},
    "takes away": {"end"},
    "compares, and at most takes away": {"reconcile"},
    "writes down what was given by hand, and ends it": {"record-manual"},
    "asks for what somebody begins in Slack": {"drill"},
    "hands in what somebody confirms in Slack": {"bulk"},
    "says who is who": {"people import"},
    "runs": {"serve", "web", "worker", "migrate", "demo", "sandbox slack", "sandbox atlassian", "sandbox oncall"},
}


def test_no_command_of_the_shell_approves_or_gives() -> None:
    import typer

    from bot.cli import app

    def names(one: typer.Typer, before: str = "") -> set[str]:
        own = {before + (c.name or c.callback.__name__) for c in one.registered_commands if c.callback}
        return own.union(
            *(names(g.typer_instance, f"{before}{g.name} ") for g in one.registered_groups if g.typer_instance)
        )

    assert names(app) == set().union(*COMMANDS.values())


# -- trying a policy before it is proposed ----------------------------------------------------------------------------


def test_what_a_changed_policy_would_have_done_to_last_months_requests(bot: Living, url: str, tmp_path: Path) -> None:
    who = next(_PEOPLE)
    asked = ask(bot, who)
    other = ask(bot, next(_PEOPLE), "eu-jira-admins")
    settle(bot)
    press(bot, "grace", "approve", copies(bot, asked)["grace"][0])
    settle(bot)
    file = tmp_path / "policy.toml"
    file.write_text(
        roomy()
        .replace('approvers = ["manager", "owner"]', 'approvers = ["owner", "role:admin"]\napprovals = 2')
        .replace('group = "eu-jira-admins"\nlongest = "8h"', 'group = "eu-jira-admins"\nlongest = "1h"')
    )
    done = shell(bot, url, "policy", "simulate", str(file))
    assert done.returncode == 0, done.stderr
    assert f"{asked} (grant eu-confluence-admins, done): would need 2 approvals, not 1" in done.stdout
    assert f"{asked} (grant eu-confluence-admins, done): the approvals it got would not be enough" in done.stdout
    assert f"{other} (grant eu-jira-admins, pending): would be refused when asked" in done.stdout
    assert "1 hour at most" in done.stdout
    assert "2 requests of the last 30 days; 2 would have gone otherwise." in done.stdout
    file.write_text(roomy() + "\n# the same\n")
    same = shell(bot, url, "policy", "simulate", str(file))
    assert same.stdout.strip() == "2 requests of the last 30 days; 0 would have gone otherwise."


def test_the_cases_beside_a_policy(bot: Living, url: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text((ROOT / "policy.example.toml").read_text())
    beside = tmp_path / "policy.cases.toml"
    beside.write_text((ROOT / "policy.example.cases.toml").read_text())
    done = shell(bot, url, "policy", "test", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 cases, 0 of them otherwise than expected." in done.stdout
    beside.write_text(beside.read_text().replace('expect = "refused"', 'expect = "allowed"', 1))
    wrong = shell(bot, url, "policy", "test", str(file))
    assert wrong.returncode == 1
    assert "✗ line 44: ada grant eu-jira-admins: expected allowed, and it is refused" in wrong.stdout
    beside.unlink()
    assert "can't be read" in shell(bot, url, "policy", "test", str(file)).stderr


def test_live_asks_slack_and_atlassian_for_all_a_policy_names(bot: Living, url: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(roomy().replace('group = "eu-jira-admins"', 'group = "no-such-group"'))
    done = shell(bot, url, "policy", "check", str(file), "--live", **secrets(bot))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no-such-group" in done.stdout
    assert "1 FAIL." in done.stdout
    file.write_text(roomy())
    well = shell(bot, url, "policy", "check", str(file), "--live", **secrets(bot))
    assert "FAIL" not in well.stdout, well.stdout


def secrets(bot: Living) -> dict[str, str]:
    found = bot.house.settings
    return {
        "SLACK_BOT_TOKEN": found.slack_bot_token.get_secret_value(), "SLACK_TEAM_ID": ",".join(found.slack_team_id),
        "SLACK_SIGNING_SECRET": found.slack_signing_secret.get_secret_value(),
        "ATLASSIAN_ORG_ID": found.atlassian_org_id,
        "ATLASSIAN_ORG_API_KEY": found.atlassian_org_api_key.get_secret_value(),
        "ATLASSIAN_SCIM_DIRECTORY_ID": found.atlassian_scim_directory_id,
        "ATLASSIAN_SCIM_API_KEY": found.atlassian_scim_api_key.get_secret_value(),
    }  # fmt: skip
