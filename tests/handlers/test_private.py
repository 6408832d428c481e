"""Private answers: a window only whoever asked sees, filled from Atlassian and the record, and only for who may."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from approvals.models import AuditEntry, Preview
from bot.atlassian.plans.facts import MOST_LOOKED_INTO
from bot.private_answers import A_PAGE
from bot.sandbox import seed
from bot.sandbox.atlassian.roles import ADMIN, CONFLUENCE, JIRA
from bot.sandbox.slack.control import text_of
from bot.sandbox.slack.limits import problems_of_view
from handlers.private import BLOCKS, draw_private
from tests.bot.settled import COMPANY, ask, copies, newcomers, press, settle
from tests.support.living import Living, living, until
from tests.support.outside import copied
from tests.support.policies import roomy

_PEOPLE = iter(newcomers()[20:])
POLICY = f"""{roomy()}
[entitlements.jira-by-default]
about = "Use Jira"
group = "jira-software-users"
removal_only = true

[entitlements.confluence-role]
about = "Administer Confluence by a role of one's own"
role = {{name = "{ADMIN}", resource = "{CONFLUENCE}"}}
"""
NOBODY = "There is nobody of that name whose account you may look at."


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path_factory.mktemp("private")), policy=POLICY, works=False) as bot:
        yield bot


@pytest.fixture
def bot(running: Living) -> Iterator[Living]:
    yield running
    running.slack.clear_faults()
    running.atlassian.clear_faults()
    for who in ("ada", "grace", "mei", "omar", "sade", "kofi"):
        while running.slack.open_view(who):
            running.slack.close_view(who)


@pytest.fixture
def who() -> str:
    return next(_PEOPLE)


def looks(bot: Living, person: str, typed: str) -> str:
    """What stands in the window at last."""
    answer = bot.slack.command(person, typed, force=True)
    assert not answer["body"], answer["body"]
    view = bot.slack.open_view(person)
    assert view is not None
    assert f"Reading {'the record' if typed.startswith('audit') else 'Atlassian'}" in text_of(view)
    settle(bot)
    view = bot.slack.open_view(person)
    assert view is not None
    return text_of(view).replace("\u2060", "")


def told(bot: Living, person: str, typed: str) -> str:
    """What is said instead of a window."""
    body: dict[str, Any] = bot.slack.command(person, typed, force=True)["body"]
    assert bot.slack.open_view(person) is None
    return str(body["text"])


def test_an_admin_sees_the_state_of_an_account_and_what_gatehouse_gave(bot: Living, who: str) -> None:
    request = ask(bot, who, "eu-confluence-admins", "3h")
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    person = COMPANY.person(who)
    shown = looks(bot, "omar", f"whois {person.email}")
    assert f"*{person.name}* · {person.email}" in shown
    assert "owned by the SCIM directory gatehouse, which Gatehouse writes" in shown
    assert "`eu-confluence-admins` until" in shown
    assert request in shown
    assert "*API tokens:* 0" in shown or "*API tokens:* 1" in shown
    assert "• eu-confluence-admins: synced from a directory" in shown


@pytest.mark.parametrize(
    ("person", "whom", "allowed"),
    [("ada", "me", True), ("grace", "@ada", True), ("kofi", "@ada", True), ("sade", "@grace", True),
     ("ada", "@grace", False), ("tomas", "@ada", False), ("mei", "@ada", False)],
)  # fmt: skip
def test_oneself_ones_reports_and_for_the_roles_everybody(bot: Living, person: str, whom: str, allowed: bool) -> None:
    if allowed:
        assert "*Groups*" in looks(bot, person, f"whois {whom}")
        bot.slack.close_view(person)
    else:
        assert told(bot, person, f"whois {whom}") == NOBODY


def test_who_is_not_there_answers_like_who_may_not_be_seen(bot: Living) -> None:
    assert told(bot, "ada", "whois nobody@harbour.example") == NOBODY
    assert told(bot, "ada", f"whois {COMPANY.person('grace').email}") == NOBODY


def test_a_protected_account_is_shown_as_what_it_is(bot: Living) -> None:
    shown = looks(bot, "omar", f"whois {COMPANY.person(seed.EMERGENCY).email}")
    assert "Protected: emergency administrator" in shown


def test_the_owner_and_the_roles_see_who_holds_it_and_why(bot: Living, who: str) -> None:
    request = ask(bot, who, "eu-confluence-admins", "2h")
    settle(bot)
    press(bot, "mei", "approve", copies(bot, request)["mei"][0])
    settle(bot)
    shown = looks(bot, "mei", "who eu-confluence-admins")
    line = next(line for line in shown.splitlines() if COMPANY.person(who).name in line)
    assert request in line
    assert "not through Gatehouse" in shown or shown.count("•") == shown.count("REQ-")
    assert "whose holders you may see" in told(bot, "ada", "who eu-confluence-admins")
    assert "whose holders you may see" in told(bot, "ada", "who no-such-thing")


def test_labels_of_tokens_are_shown_and_kept_nowhere(bot: Living) -> None:
    ada = COMPANY.person("ada")
    bot.atlassian.make_token(ada.account_id, label="laptop of Ada: *do not* keep")
    shown = looks(bot, "omar", "tokens @ada")
    assert "laptop of Ada: *do not* keep" in shown
    with bot.store.read() as session:
        assert session.exec(select(Preview)).all() == []
        bodies = [entry.body for entry in session.exec(select(AuditEntry))]
    assert not [body for body in bodies if "laptop of Ada" in body]
    assert '"looked at"' in bodies[-1] or any('"looked at"' in body and ada.account_id in body for body in bodies)


def test_the_record_of_a_request_is_for_who_may_see_it(bot: Living, who: str) -> None:
    request = ask(bot, who, "eu-confluence-admins", "2h")
    settle(bot)
    shown = looks(bot, "sade", f"audit {request}")
    assert "*request.asked* by" in shown
    assert "*request.pending* by gatehouse" in shown
    assert "that you may see" in told(bot, "tomas", f"audit {request}")
    assert "that you may see" in told(bot, "tomas", "audit REQ-23456789ab")
    assert "*request.asked*" in looks(bot, "omar", f"audit {COMPANY.person(who).email}")


def test_atlassian_in_trouble_is_said_in_the_window(bot: Living) -> None:
    bot.atlassian.fault(status=503, times=20)
    assert "can't be read just now" in looks(bot, "omar", "whois @ada")


def test_a_window_that_was_closed_is_left_alone_and_one_that_did_not_open_is_said(bot: Living) -> None:
    bot.slack.command("omar", "whois @ada", force=True)
    while bot.slack.open_view("omar"):
        bot.slack.close_view("omar")
    settle(bot)
    with bot.store.read() as session:
        assert session.exec(select(Preview)).all() == []
    bot.slack.fault("views.open", error="expired_trigger_id")
    assert "did not open the window" in told(bot, "omar", "whois @ada")
    settle(bot)


def test_a_window_that_slack_opens_later_than_it_could_be_filled_is_filled_all_the_same(bot: Living) -> None:
    bot.slack.fault("views.open", delay=1)
    with ThreadPoolExecutor(1) as somebody:
        typing = somebody.submit(bot.slack.command, "omar", "audit @ada", force=True)
        until(lambda: _asked_for(bot))
        bot.house.worker.run_until_idle()
        assert bot.slack.open_view("omar") is None
        assert _asked_for(bot), "it is not given up"
        assert not typing.result()["body"]
    settle(bot)
    assert "has nothing about it" in text_of(bot.slack.open_view("omar") or {})
    assert not _asked_for(bot)


def _asked_for(bot: Living) -> bool:
    with bot.store.read() as session:
        return session.exec(select(Preview)).first() is not None


def test_nothing_of_it_is_in_a_channel(bot: Living) -> None:
    before = sum(len(bot.slack.channel(name)) for name in ("#access-requests",))
    looks(bot, "omar", "whois @ada")
    assert sum(len(bot.slack.channel(name)) for name in ("#access-requests",)) == before


@pytest.mark.parametrize(
    ("typed", "said"),
    [("whois", "Whose account?"), ("who", "Who holds what?"), ("tokens", "Whose tokens?"), ("audit", "Of what?"),
     ("whois @ada eu-jira-admins", "too much here"), ("who @ada", "Only the name"), ("audit REQ-1", "too much here")],
)  # fmt: skip
def test_what_is_missing_or_too_much_is_said(bot: Living, typed: str, said: str) -> None:
    assert said in told(bot, "omar", typed)


def test_very_much_keeps_within_a_windows_limits() -> None:
    view = draw_private("who", "private:x", [f"• line {number} " + "x" * 60 for number in range(20_000)])
    assert problems_of_view(view, "modal") == []
    assert len(view["blocks"]) == BLOCKS + 1
    assert "more lines" in str(view["blocks"][-1])


def test_the_record_is_read_page_by_page(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    for minutes in range(31, 52):
        ask(bot, who, "eu-confluence-admins", f"{minutes}m")
    settle(bot)
    newest = looks(bot, "omar", f"audit {person.email}")
    view = bot.slack.open_view("omar")
    assert view is not None
    assert person.account_id not in view["private_metadata"].replace(f'"account": "{person.account_id}"', "")
    seen = [int(number) for number in re.findall(r"`(\d+)` <!date", newest)]
    assert len(seen) == A_PAGE
    bot.slack.click("omar", "private_older", view_id=view["id"])
    settle(bot)
    shown = bot.slack.open_view("omar")
    assert shown is not None
    assert problems_of_view({key: shown[key] for key in ("type", "title", "close", "blocks")}, "modal") == []
    older = [int(number) for number in re.findall(r"`(\d+)` <!date", text_of(shown))]
    assert older
    assert max(older) < min(seen)
    assert f"by {person.name}" in text_of(shown).replace("\u2060", "")
    bot.slack.click("omar", "private_newest", view_id=view["id"])
    settle(bot)
    again = bot.slack.open_view("omar")
    assert again is not None
    assert [int(number) for number in re.findall(r"`(\d+)` <!date", text_of(again))] == seen


def test_a_page_is_only_for_who_may_still_look(bot: Living, who: str) -> None:
    mail = COMPANY.person(who).email
    looks(bot, "omar", f"audit {mail}")
    view = bot.slack.open_view("omar")
    assert view is not None
    bot.slack.click("tomas", "private_older", view_id=view["id"], value="9999", force=True)
    settle(bot)
    shown = bot.slack.open_view("omar")
    assert shown is not None
    assert "by " not in text_of(shown)


def test_who_may_ask_for_it_reads_how_to_delete_tokens(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    bot.atlassian.make_token(person.account_id, label="laptop")
    assert f"`/access tokens {person.email} delete because …`" in looks(bot, "omar", f"tokens {person.email}")
    bot.slack.close_view("omar")
    assert "delete because" not in looks(bot, who, "tokens me")  # the policy lets nobody ask it for themselves
    bot.slack.close_view(who)


def test_a_default_group_says_who_is_in_it_for_no_other_reason(bot: Living) -> None:
    shown = looks(bot, "omar", "who jira-by-default")
    marked = [line for line in shown.splitlines() if "by default with the product only" in line]
    others = [line for line in shown.splitlines() if "through the group" in line or "directly" in line]
    assert [line for line in others if COMPANY.person("mei").name in line and "the group eu-jira-admins" in line]
    assert [line for line in marked if COMPANY.person("ada").name in line]
    assert shown.count("other ways were not looked for") == len(COMPANY.people) - MOST_LOOKED_INTO
    assert f"{len(marked)} of them only because Atlassian puts people" in shown


def test_who_has_a_role_and_how(bot: Living) -> None:
    kofi, mei, ada = (COMPANY.person(name) for name in ("kofi", "mei", "ada"))
    organization = bot.house.directory.lookups.organization
    organization.assign_role(kofi.account_id, ADMIN, CONFLUENCE)
    organization.assign_role(ada.account_id, ADMIN, JIRA)  # the same role elsewhere
    lines = looks(bot, "omar", "who confluence-role").splitlines()
    assert [line for line in lines if kofi.name in line and line.endswith("not through Gatehouse · directly")]
    assert [line for line in lines if mei.name in line and line.endswith("through the group eu-confluence-admins")]
    assert not [line for line in lines if ada.name in line]
    assert "because of another role" in "".join(line for line in lines if COMPANY.person("ingrid").name in line)
    organization.revoke_role(kofi.account_id, ADMIN, CONFLUENCE)
    organization.revoke_role(ada.account_id, ADMIN, JIRA)


def test_moving_time_does_not_matter(bot: Living) -> None:
    bot.store.move_time(timedelta(days=1))
    assert "*Groups*" in looks(bot, "omar", "whois @ada")
    bot.store.move_time(timedelta(0))
