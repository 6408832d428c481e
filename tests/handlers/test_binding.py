"""Who is who: matched, bound by an admin, confirmed by another, announced, and not a judge before a day is over."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from approvals.models import AuditEntry, Binding, Manager, SlackUser
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from bot.sandbox.slack.people import MANAGER_FIELD
from tests.bot.settled import COMPANY, ask, copies, press, settle, status_of
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy

TEAM = seed.SLACK_TEAM
MATCHED = "I don't know which Atlassian account is yours"


@pytest.fixture
def bot(migrated_file: Path, tmp_path: Path) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path / "bot"), works=False) as bot:
        settle(bot)
        yield bot


def types(bot: Living, who: str, text: str) -> str:
    return str(bot.slack.command(who, text, force=True)["body"]["text"]).replace("\u2060", "")


def forget(bot: Living, *handles: str) -> None:
    with bot.store.write() as w:
        for handle in handles:
            w.session.delete(w.session.get_one(Binding, (TEAM, COMPANY.person(handle).slack_id)))


def bound(bot: Living, handle: str) -> Binding | None:
    with bot.store.read() as session:
        return session.get(Binding, (TEAM, COMPANY.person(handle).slack_id))


def heard(bot: Living, who: str) -> str:
    return "\n".join(text_of(m) for m in bot.slack.messages(who)).replace("\u2060", "")


def security(bot: Living) -> str:
    return "\n".join(text_of(m) for m in bot.slack.channel("#security")).replace("\u2060", "")


def card(bot: Living, words: str) -> dict[str, Any]:
    return [m for m in bot.slack.channel("#security") if words in text_of(m)][-1]


def test_whoever_speaks_unbound_is_matched_by_a_confirmed_address_and_may_ask(bot: Living) -> None:
    forget(bot, "ada")
    assert MATCHED in types(bot, "ada", "mine")
    settle(bot)
    row = bound(bot, "ada")
    assert row is not None
    assert (row.how, row.confirmed, row.mail) == ("match", False, COMPANY.person("ada").email)
    assert "You are *Ada Ferreira*" in heard(bot, "ada")
    assert "is *Ada Ferreira*" in security(bot)
    request = ask(bot, "ada", "eu-jira-admins")
    settle(bot)
    assert status_of(bot, request) == "pending"


def test_a_matched_person_answers_nothing_until_an_admin_confirms(bot: Living) -> None:
    forget(bot, "grace")
    types(bot, "grace", "mine")
    settle(bot)
    request = ask(bot, "ada", "eu-jira-admins")
    settle(bot)
    bot.store.move_time(timedelta(hours=22))
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    assert "enough to ask and not to answer" in heard(bot, "grace")
    assert status_of(bot, request) == "pending"


def agreed_to_and_used(bot: Living) -> str:
    """A second admin confirms Grace, who then approves something: which request."""
    press(bot, "ingrid", "agree", card(bot, "A new binding"), force=True)
    settle(bot)
    row = bound(bot, "grace")
    assert row is not None
    assert row.confirmed
    request = ask(bot, "ada", "eu-jira-admins")
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    return request


def test_a_matched_person_is_confirmed_by_two_admins_and_answers_count_then(bot: Living) -> None:
    forget(bot, "grace")
    types(bot, "grace", "mine")
    settle(bot)
    bot.store.move_time(timedelta(hours=24, minutes=1))
    assert "PRO-" in types(bot, "omar", f"bind @grace {COMPANY.person('grace').account_id}")
    settle(bot)
    request = agreed_to_and_used(bot)
    assert status_of(bot, request) == "done"
    assert "already; unbind them first" in types(bot, "omar", f"bind @grace {COMPANY.person('grace').email}")


@pytest.mark.parametrize("doubt", ["domain", "twin", "no account", "guest", "account taken"])
def test_nobody_is_guessed(bot: Living, doubt: str) -> None:
    forget(bot, "ada")
    ada, slack = COMPANY.person("ada"), COMPANY.person("ada").slack_id
    with bot.store.write() as w:
        if doubt == "twin":
            w.add(SlackUser(team=TEAM, user="U0TWIN", name="twin", mail=ada.email, standing="member", read_at=w.now))
        if doubt == "account taken":
            w.add(Binding(team=TEAM, user="U0OTHER", account=ada.account_id, how="import", bound_at=w.now,
                          votes_from=w.now))  # fmt: skip
    if doubt == "domain":
        bot.slack.change_user(slack, email="ada@elsewhere.example")
    if doubt == "no account":
        bot.slack.change_user(slack, email="somebody.else@harbour.example")
    if doubt == "guest":
        bot.slack.change_user(slack, kind="guest")
    types(bot, "ada", "mine")
    settle(bot)
    assert bound(bot, "ada") is None


def test_another_address_unbinds_who_was_matched_and_nobody_else(bot: Living) -> None:
    forget(bot, "ada")
    types(bot, "ada", "mine")
    settle(bot)
    for handle in ("ada", "mei"):
        bot.slack.change_user(COMPANY.person(handle).slack_id, email=f"{handle}.new@harbour.example")
    with bot.store.write() as w:
        w.enqueue("mirror", "slack")
    settle(bot)
    assert bound(bot, "ada") is None
    assert bound(bot, "mei") is not None
    assert "e-mail address that they were found by has changed" in security(bot)


def test_an_admin_binds_another_confirms_and_a_day_later_answers_count(bot: Living) -> None:
    forget(bot, "grace")
    grace = COMPANY.person("grace")
    assert "PRO-" in types(bot, "omar", f"bind @grace {grace.account_id}")
    settle(bot)
    row = bound(bot, "grace")
    assert row is not None
    assert (row.how, row.confirmed) == ("bind", False)
    press(bot, "omar", "agree", card(bot, "A new binding"), force=True)
    settle(bot)
    assert "somebody else must agree" in heard(bot, "omar")
    agreed_to_and_used(bot)
    assert "Your binding to an Atlassian account is new" in heard(bot, "grace")
    bot.store.move_time(timedelta(hours=24, minutes=1))
    settle(bot)
    later = ask(bot, "ada", "eu-jira-admins", "3h")
    settle(bot)
    press(bot, "grace", "approve", copies(bot, later)["grace"][0])
    settle(bot)
    assert status_of(bot, later) == "done"


def test_bound_uniquely_both_ways_and_unbound_at_once(bot: Living) -> None:
    mei = COMPANY.person("mei")
    assert "is bound to *" not in types(bot, "omar", f"bind @kofi {mei.email}")
    assert "bound to Kofi Mensah already" in types(bot, "omar", f"bind @kofi {mei.email}")
    assert "Kofi Mensah* no more" in types(bot, "omar", "unbind @kofi")
    assert "is bound to <@" in types(bot, "omar", f"bind @kofi {mei.email}")
    settle(bot)
    assert MATCHED in types(bot, "kofi", "mine")
    assert "is *Kofi Mensah* here no more: unbound by Omar Haddad" in security(bot)
    with bot.store.read() as session:
        assert session.exec(select(AuditEntry).where(AuditEntry.event == "person.unbound")).all()


@pytest.mark.parametrize(
    ("who", "typed", "said"),
    [
        ("sade", "bind @kofi x@harbour.example", "You may not bind or unbind anybody: that is for the role admin"),
        ("omar", "bind", "Type `/access bind @who`"), ("omar", "bind @kofi", "Type `/access bind @who`"),
        ("omar", "bind @omar {mei}", "Nobody binds themselves"),
        ("omar", "bind @kofi nobody@harbour.example", "no account"),
        ("omar", "bind @gus {vera}", "no full member"), ("omar", "unbind", "Whom?"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_said(bot: Living, who: str, typed: str, said: str) -> None:
    mails = {handle: COMPANY.person(handle).email for handle in ("mei", "vera")}
    assert said in types(bot, who, typed.format(**mails))


@pytest.mark.parametrize("kind", ["guest", "single_channel_guest", "deleted", "bot", "stranger"])
def test_whoever_is_no_full_member_any_more_is_refused_at_the_next_click(bot: Living, kind: str) -> None:
    request = ask(bot, "ada", "eu-jira-admins")
    settle(bot)
    shown = copies(bot, request)["grace"][0]
    bot.slack.change_user(COMPANY.person("grace").slack_id, kind=kind)
    bot.store.move_time(timedelta(seconds=70))
    press(bot, "grace", "approve", shown, force=True)
    settle(bot)
    assert status_of(bot, request) == "pending"


# -- managers ---------------------------------------------------------------------------------------------------------

IN_SLACK = roomy().replace(
    'sources = ["file"]', f'sources = ["slack_profile", "map"]\nfield = "{MANAGER_FIELD}"\nfield_is = "scim"\n'
    f'[manager.map]\n"{COMPANY.person("nadia").account_id}" = "{COMPANY.person("mei").account_id}"'
)  # fmt: skip


@pytest.fixture
def by_profile(migrated_file: Path, tmp_path: Path) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path / "profile"), policy=IN_SLACK, works=False) as bot:
        settle(bot)
        yield bot


def test_the_manager_is_who_the_profile_names_now(by_profile: Living) -> None:
    bot = by_profile
    bot.slack.change_user(COMPANY.person("ada").slack_id, manager=COMPANY.person("tomas").slack_id)
    request = ask(bot, "ada", "eu-jira-admins")
    settle(bot)
    assert status_of(bot, request) == "pending"
    with bot.store.read() as session:
        (row,) = session.exec(select(Manager)).all()
    assert (row.account, row.manager) == (COMPANY.person("ada").account_id, COMPANY.person("tomas").account_id)
    bot.slack.change_user(COMPANY.person("ada").slack_id, manager=COMPANY.person("grace").slack_id)
    bot.store.move_time(timedelta(seconds=70))
    press(bot, "tomas", "approve", bot.slack.channel("#access-requests")[-1], force=True)
    settle(bot)
    assert status_of(bot, request) == "pending"
    press(bot, "grace", "approve", bot.slack.channel("#access-requests")[-1], force=True)
    settle(bot)
    assert status_of(bot, request) == "done"


def test_a_profile_that_can_not_be_read_names_nobody(by_profile: Living) -> None:
    bot = by_profile
    request = ask(bot, "ada", "eu-jira-admins")
    settle(bot)
    assert status_of(bot, request) == "pending"
    bot.store.move_time(timedelta(seconds=70))
    bot.slack.fault("users.profile.get", error="internal_error", status=500, times=-1)
    press(bot, "grace", "approve", bot.slack.channel("#access-requests")[-1], force=True)
    settle(bot)
    assert status_of(bot, request) == "pending"
    bot.slack.clear_faults()
    press(bot, "grace", "approve", bot.slack.channel("#access-requests")[-1], force=True)
    settle(bot)
    assert status_of(bot, request) == "done"
