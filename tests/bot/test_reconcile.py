"""Reconciliation on real sockets: what somebody changes by hand in Atlassian is seen, told, shown and ended."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.sandbox.slack.control import text_of
from tests.bot.settled import COMPANY, ask, copies, newcomers, press, settle, thread_of
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy

ROOT = Path(__file__).parents[2]
GROUP = "eu-confluence-admins"
REPAIR = '\n[reconciliation]\ndrift = "repair"\n'
_PEOPLE = iter(newcomers()[30:])


@pytest.fixture
def url(tmp_path: Path, migrated_file: Path) -> str:
    return copied(migrated_file, tmp_path)


@pytest.fixture
def bot(url: str) -> Iterator[Living]:
    with living(url, works=False) as bot:
        yield bot


@pytest.fixture
def repairing(url: str) -> Iterator[Living]:
    with living(url, works=False, policy=roomy() + REPAIR) as bot:
        yield bot


def give(bot: Living, who: str) -> str:
    request = ask(bot, who, GROUP)
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    assert account(who) in bot.atlassian.members(GROUP)
    return request


def account(who: str) -> str:
    return COMPANY.person(who).account_id


def later(bot: Living, by: timedelta) -> None:
    """Domain time, for everybody; what comes again and again is done as well."""
    bot.store.move_time(by)
    bot.atlassian.set_clock(by.total_seconds())
    bot.slack.set_clock(int(by.total_seconds()))


def look(bot: Living, *, times: int = 2, begin: timedelta = timedelta(0)) -> None:
    """As the minutes go by."""
    for number in range(times):
        later(bot, begin + timedelta(seconds=61 * number))
        with bot.store.write() as w:
            w.enqueue("reconcile", "all")
        bot.house.worker.run_until_idle()


def told(bot: Living, channel: str) -> list[str]:
    return [
        text_of(m).replace("\u2060", "") for m in bot.slack.channel(channel) if "differs from the record" in text_of(m)
    ]


def test_what_is_taken_by_hand_is_told_and_shown_and_gone_when_it_is_put_back(bot: Living) -> None:
    who = next(_PEOPLE)
    request = give(bot, who)
    bot.atlassian.remove_by_hand(GROUP, account(who))
    look(bot)
    for channel in ("gatehouse-operators", "security"):
        (said,) = told(bot, channel)
        assert f"missing: `{GROUP}`" in said
        assert COMPANY.person(who).name in said
        assert request in said
        assert "report only" in said
    settle(bot)
    card = copies(bot, request)["channel"][0]
    assert "Atlassian does not show it any more" in text_of(card)
    assert any("differs from the record" in line for line in thread_of(card))
    assert 'gatehouse_drift{kind="missing"} 1.0' in bot.house.metrics.text(bot.house.refresh_gauges).decode()
    bot.slack.command("omar", f"who {GROUP}", force=True)
    settle(bot)
    view = bot.slack.open_view("omar")
    assert view is not None
    assert f"*{COMPANY.person(who).name}* should hold it ({request})" in text_of(view).replace("\u2060", "")
    bot.atlassian.add_by_hand(GROUP, account(who))
    look(bot, times=1, begin=timedelta(minutes=5))
    settle(bot)
    assert "does not show it any more" not in text_of(copies(bot, request)["channel"][0])
    assert 'gatehouse_drift{kind="missing"} 0.0' in bot.house.metrics.text(bot.house.refresh_gauges).decode()
    assert len(told(bot, "security")) == 1


def put_back_after_its_end(bot: Living, who: str) -> str:
    request = give(bot, who)
    later(bot, timedelta(hours=2, seconds=1))
    settle(bot)
    assert account(who) not in bot.atlassian.members(GROUP)
    bot.atlassian.add_by_hand(GROUP, account(who))
    return request


def test_what_is_there_again_and_nothing_explains_it_is_taken_away_once_more_where_the_policy_says_so(
    repairing: Living,
) -> None:
    bot, who = repairing, next(_PEOPLE)
    bot.atlassian.fault(method="GET", path_regex="events-stream", status=503, times=None)
    request = put_back_after_its_end(bot, who)
    since = bot.atlassian.newest()
    look(bot, begin=timedelta(hours=2, minutes=1))
    settle(bot)
    assert account(who) not in bot.atlassian.members(GROUP)
    writes = [entry for entry in bot.atlassian.ledger(after=since, writes=True) if entry["applied"]]
    assert len(writes) == 1
    said = thread_of(copies(bot, request)["channel"][0])
    assert any("was taken away once more" in line for line in said)


def test_what_somebody_else_gave_again_is_left_though_the_policy_says_to_repair(repairing: Living) -> None:
    """Atlassian's own audit log has their event, so it is no drift: nobody is told, and the card says it."""
    bot, who = repairing, next(_PEOPLE)
    request = put_back_after_its_end(bot, who)
    later(bot, timedelta(hours=2, minutes=1))
    with bot.store.write() as w:
        w.enqueue("events", "stream")
    bot.house.worker.run_until_idle()
    look(bot, times=3, begin=timedelta(hours=2, minutes=2))
    settle(bot)
    assert account(who) in bot.atlassian.members(GROUP)
    assert told(bot, "security") == []
    assert "Somebody else has given it again since" in text_of(copies(bot, request)["channel"][0])


def test_who_holds_it_again_is_marked_for_whoever_lists_the_holders(bot: Living) -> None:
    who = next(_PEOPLE)
    request = give(bot, who)
    later(bot, timedelta(hours=2, seconds=1))
    settle(bot)
    bot.atlassian.add_by_hand(GROUP, account(who))
    look(bot, begin=timedelta(hours=2, minutes=1))
    assert account(who) in bot.atlassian.members(GROUP), "the policy says report"
    bot.slack.command("sade", f"who {GROUP}", force=True)
    settle(bot)
    view = bot.slack.open_view("sade")
    assert view is not None
    assert f"its time is over ({request})" in text_of(view)


def test_an_admin_asks_for_a_look_and_hears_directly_what_differs(bot: Living) -> None:
    who = next(_PEOPLE)
    give(bot, who)
    answer = bot.slack.command("sade", "reconcile", force=True)
    assert "I hold the record against Atlassian now" in answer["body"]["text"]
    settle(bot)
    assert any("Atlassian agrees with the record" in text_of(m) for m in bot.slack.dms("sade"))
    bot.atlassian.remove_by_hand(GROUP, account(who))
    look(bot)
    bot.slack.command("omar", "reconcile", force=True)
    settle(bot)
    assert any("differs from the record* in 1 of it" in text_of(m) for m in bot.slack.dms("omar"))


def test_nobody_else_may_ask_for_a_look(bot: Living) -> None:
    for who in ("ada", "kofi"):
        body = bot.slack.command(who, "reconcile", force=True)["body"]
        assert "You may not reconcile" in body["text"]


def test_a_group_that_can_not_be_read_is_named_to_who_asked(bot: Living) -> None:
    give(bot, next(_PEOPLE))
    bot.atlassian.fault(method="GET", path_regex="/Groups/", status=503, times=None)
    bot.slack.command("omar", "reconcile", force=True)
    settle(bot)
    assert any(f"`{GROUP}` could not be read" in text_of(m) for m in bot.slack.dms("omar"))


def shell(bot: Living, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    settings = bot.house.settings
    environ = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATABASE_URL": url,
        "SLACK_API_URL": settings.slack_api_url, "ATLASSIAN_API_URL": settings.atlassian_api_url,
        "ATLASSIAN_ORG_ID": settings.atlassian_org_id,
        "ATLASSIAN_ORG_API_KEY": settings.atlassian_org_api_key.get_secret_value(),
        "ATLASSIAN_SCIM_DIRECTORY_ID": settings.atlassian_scim_directory_id,
        "ATLASSIAN_SCIM_API_KEY": settings.atlassian_scim_api_key.get_secret_value(),
    }  # fmt: skip
    command = [sys.executable, "-m", "bot.cli", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


def test_a_shell_compares_and_prints_and_security_hears_of_it(bot: Living, url: str) -> None:
    who = next(_PEOPLE)
    request = give(bot, who)
    done = shell(bot, url, "reconcile")
    assert (done.returncode, done.stdout.strip()) == (0, "1 group or role was read, with 1 person: 0 differences.")
    bot.atlassian.remove_by_hand(GROUP, account(who))
    once = shell(bot, url, "reconcile")
    assert (once.returncode, "1 was seen once" in once.stdout) == (0, True)
    later(bot, timedelta(seconds=61))
    twice = shell(bot, url, "reconcile")
    assert twice.returncode == 1
    line = twice.stdout.splitlines()[0]
    assert line.split() == ["missing", GROUP, *COMPANY.person(who).name.split(), f"({account(who)})", request]
    settle(bot)
    acts = [text_of(m) for m in bot.slack.channel("security") if "From a shell" in text_of(m)]
    assert len(acts) == 3
    assert all("holds the record against Atlassian" in act for act in acts)
    assert shell(bot, url, "audit", "verify").returncode == 0
