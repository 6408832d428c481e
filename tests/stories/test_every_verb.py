"""Each verb told from the signed command to the proof in the thread, against both sandboxes."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from approvals.models import AccessRequest, Person
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.bot.settled import COMPANY, copies, newcomers, press, settle, status_of, thread_of
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy

JIRA = f"ari:cloud:jira-software::site/{seed.SITE_CLOUD_ID}"
POLICY = (
    roomy()
    + f"""
[entitlements.jira-site-admin]
about = "Administer the Jira site"
role = {{name = "atlassian/admin", resource = "{JIRA}"}}
approvers = ["role:admin"]
longest = "8h"

[entitlements.legacy-reporters]
about = "A group that only the Jira site knows"
jira_group = "legacy-reporters"
longest = "30d"
"""
)
BECAUSE = "because HR-7: the contract is over"
_PEOPLE = iter(newcomers()[12:])


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    record = copied(migrated_file, tmp_path_factory.mktemp("every-verb"))
    with living(record, policy=POLICY, works=False, site=True) as bot:
        bot.atlassian.make_site_group("legacy-reporters", [])
        yield bot


@pytest.fixture
def bot(running: Living) -> Iterator[Living]:
    yield running
    running.slack.clear_faults()
    running.atlassian.clear_faults()
    for who in ("grace", "omar", "ingrid", "sade", "kofi"):
        while running.slack.open_view(who):
            running.slack.close_view(who)


@pytest.fixture
def who() -> str:
    return next(_PEOPLE)


def types(bot: Living, person: str, typed: str) -> str:
    """The request's id, or what is said instead; everything that is due is done."""
    answer = bot.slack.command(person, typed, force=True)
    text = str((answer["body"] or {}).get("text", ""))
    settle(bot)
    words = text.split()
    return words[1].rstrip(":") if len(words) > 1 and words[1].startswith("REQ-") else text


def card(bot: Living, person: str, request: str) -> dict[str, Any]:
    seen = [message for message in bot.slack.dms(person) if f"{request} · asked" in text_of(message)]
    assert seen, f"{person} has no card of {request}"
    return seen[-1]


def approve(bot: Living, person: str, request: str) -> None:
    """Press Approve, and type what the form wants to have typed."""
    press(bot, person, "approve", card(bot, person, request))
    view = bot.slack.open_view(person)
    if view is not None:
        named = any(block.get("block_id") == "name" for block in view["blocks"])
        answer = bot.slack.submit(person, view["id"], {"name": {"name": name_in(bot, request)}} if named else {})
        assert answer["errors"] == {}
    settle(bot)


def name_in(bot: Living, request: str) -> str:
    from approvals.planning import plan_of

    with bot.store.read() as session:
        row = session.get_one(AccessRequest, request)
        plan = plan_of(session, row)
    assert plan is not None
    return plan.subject_name


_MOVED = [timedelta(0)]


def later(bot: Living, by: timedelta = timedelta(minutes=6)) -> None:
    _MOVED[0] += by
    bot.store.move_time(_MOVED[0])
    bot.slack.set_clock(int(_MOVED[0].total_seconds()))
    bot.atlassian.set_clock(_MOVED[0].total_seconds())
    settle(bot)


def thread(bot: Living, request: str) -> list[str]:
    """What stands in the thread of its card, wherever that is."""
    for channel in ("#access-requests", "#security"):
        for message in bot.slack.channel(channel):
            if f"{request} · asked" in text_of(message):
                return [text.replace("\u2060", "") for text in thread_of(message)]
    raise AssertionError(f"{request} has no card in a channel")


def account(bot: Living, who: str) -> dict[str, Any]:
    return bot.atlassian.account(COMPANY.person(who).account_id)


def given(bot: Living, who: str, what: str, approver: str = "grace", length: str = "2h") -> str:
    request = types(bot, who, f"grant {what} for {length} because INC-42: the database is down, says {who}")
    approve(bot, approver, request)
    assert status_of(bot, request) == "done", thread(bot, request)
    return request


# -- offboard ----------------------------------------------------------------------------------------------------------


def test_a_person_leaves_completely_and_with_proof(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    held = given(bot, who, "eu-jira-admins")
    reporter = given(bot, who, "legacy-reporters", length="3 days")
    waiting = types(bot, who, "grant eu-confluence-admins for 2h because INC-43: I want to look into it")
    bot.atlassian.make_token(person.account_id, label="old laptop")
    bot.atlassian.make_token(person.account_id, label="made in the last moment", late=True)
    before = [text_of(message) for message in bot.slack.messages(who)]
    request = types(bot, "kofi", f"offboard {person.email} {BECAUSE}")
    shown = text_of(card(bot, "grace", request)).replace("\u2060", "")
    assert "asks for the offboarding of" in shown
    assert f"({held}), which ends with this" in shown
    assert f"{waiting} (grant eu-confluence-admins) is still open and is cancelled with this" in shown
    assert "Active in" in shown
    assert "harbour" in shown
    for approver in ("grace", "omar"):
        approve(bot, approver, request)
    assert status_of(bot, request) == "scheduled"
    assert [text_of(message) for message in bot.slack.messages(who)] == before
    later(bot)
    assert status_of(bot, request) == "done", thread(bot, request)
    there = account(bot, who)
    assert (there["active"], there["tokens"]) == (False, [])
    assert person.account_id not in bot.atlassian.members("eu-jira-admins")
    assert person.account_id not in bot.atlassian.members("legacy-reporters")
    assert status_of(bot, waiting) == "cancelled"
    proof = thread(bot, request)[-1]
    for words in ("Atlassian said", "read back", "`eu-jira-admins` ended", held, reporter, f"{waiting} was closed"):
        assert words in proof, words


def test_an_unmanaged_account_is_suspended_and_lives_on(bot: Living) -> None:
    person = COMPANY.person("person015")
    request = types(bot, "sade", f"offboard {person.email} {BECAUSE}")
    assert "instead of deactivated" in text_of(card(bot, "omar", request))
    for approver in ("omar", "ingrid"):
        approve(bot, approver, request)
    later(bot)
    assert status_of(bot, request) == "done", thread(bot, request)
    assert account(bot, "person015")["active"] is True
    assert "the Atlassian account lives on" in thread(bot, request)[-1]


def test_an_account_that_google_runs_is_refused_with_the_place_to_go(bot: Living) -> None:
    request = types(bot, "sade", f"offboard {COMPANY.person('person003').email} {BECAUSE}")
    assert status_of(bot, request) == "refused"
    assert "Google admin console" in "\n".join(text_of(m) for m in bot.slack.messages("sade"))


def test_refused_in_the_middle_it_is_done_in_part_and_can_be_continued(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    bot.atlassian.make_token(person.account_id, label="old laptop")
    request = types(bot, "kofi", f"deactivate {person.email} {BECAUSE}")
    for approver in ("grace", "omar"):
        approve(bot, approver, request)
    bot.atlassian.fault(method="PATCH", path_regex="/Users/", status=403, times=None)
    later(bot)
    assert status_of(bot, request) == "partly"
    said = thread(bot, request)[-1]
    assert "is done in part only" in said
    assert ":x:" in said
    assert ":white_check_mark:" in said
    bot.atlassian.clear_faults()
    press(bot, "grace", "continue", card(bot, "grace", request))
    settle(bot)
    assert status_of(bot, request) == "done"
    assert account(bot, who)["active"] is False


# -- the others --------------------------------------------------------------------------------------------------------


def test_tokens_are_deleted_and_nothing_else(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    bot.atlassian.make_token(person.account_id, label="old laptop")
    request = types(bot, "sade", f"tokens {person.email} delete because INC-9: a stolen laptop")
    approve(bot, "omar", request)
    assert status_of(bot, request) == "done", thread(bot, request)
    assert (account(bot, who)["active"], account(bot, who)["tokens"]) == (True, [])


def test_somebody_new_gets_an_account_and_what_they_are_to_have(bot: Living) -> None:
    typed = 'provision zoe@harbour.example "Zoë Lind" eu-confluence-admins release-managers because HR-12: starts today'
    request = types(bot, "kofi", typed)
    shown = text_of(card(bot, "omar", request)).replace("\u2060", "")
    assert "make a SCIM record for Zoë Lind in directory gatehouse" in shown
    approve(bot, "omar", request)
    assert status_of(bot, request) == "done", thread(bot, request)
    later(bot)
    (said,) = [line for line in thread(bot, request) if "Zoë Lind is here" in line]
    assert "can use" in said
    with bot.store.read() as session:
        found = session.get(Person, said.split("`")[1])
    assert found is not None
    assert found.mail == "zoe@harbour.example"
    assert "asks for `eu-confluence-admins`" in said
    assert "`release-managers`: Nobody is left to approve" in said, "no manager is known of somebody new"


def test_who_exists_is_adopted(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    request = types(bot, "grace", f'provision {person.email} "{person.name}" because HR-13: back from leave')
    assert "is used as it is" in text_of(card(bot, "omar", request))
    approve(bot, "omar", request)
    assert status_of(bot, request) == "done", thread(bot, request)


def test_outside_our_domains_the_card_says_so(bot: Living) -> None:
    request = types(bot, "grace", 'provision zoe@elsewhere.example "Zoë Lind" because HR-12: starts today')
    assert "is not a verified domain" in text_of(card(bot, "omar", request))


def test_an_address_is_changed_and_whose_it_is_can_stop_it(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    new = f"{who}.new@harbour.example"
    stopped = types(bot, "kofi", f"email {person.email} {new} because HR-14: they married")
    assert "All sessions of the account end" in text_of(card(bot, "grace", stopped))
    for approver in ("grace", "omar"):
        approve(bot, approver, stopped)
    assert any("change of address" in text_of(message) for message in bot.slack.messages(who)), "told at once"
    types(bot, who, f"cancel {stopped}")
    assert status_of(bot, stopped) == "cancelled"
    request = types(bot, "kofi", f"email {person.email} {new} because HR-14: they married indeed")
    for approver in ("grace", "omar"):
        approve(bot, approver, request)
    later(bot)
    assert status_of(bot, request) == "done", thread(bot, request)
    assert account(bot, who)["email"] == new


@pytest.mark.parametrize(
    ("new", "why"),
    [("x@elsewhere.example", "is not a verified domain"), ("ada@harbour.example", "Slack address of somebody else"),
     ("person019@harbour.example", "Slack address of somebody else")],
)  # fmt: skip
def test_an_address_that_can_not_be_is_refused(bot: Living, who: str, new: str, why: str) -> None:
    said = types(bot, "kofi", f"email {COMPANY.person(who).email} {new} because HR-14: they married")
    settle(bot)
    told = "\n".join(text_of(message) for message in bot.slack.messages("kofi"))
    assert why in said or why in told


def test_what_is_held_is_held_longer_within_the_longest(bot: Living, who: str) -> None:
    held = given(bot, who, "eu-jira-admins", length="6h")
    assert "can be extended by 2h more at most" in types(bot, who, f"extend {held} for 4h because INC-42: not yet over")
    longer = types(bot, who, f"extend {held} for 2h because INC-42: not yet over")
    approve(bot, "grace", longer)
    assert status_of(bot, longer) == "done"
    later(bot, timedelta(hours=6, minutes=1))
    assert COMPANY.person(who).account_id in bot.atlassian.members("eu-jira-admins")
    later(bot, timedelta(hours=2, minutes=1))
    assert COMPANY.person(who).account_id not in bot.atlassian.members("eu-jira-admins")


def test_what_is_held_for_the_longest_can_not_be_longer_and_no_form_says_otherwise(bot: Living, who: str) -> None:
    """The form that the button opened could never be sent."""
    held = given(bot, who, "eu-jira-admins", length="8h")
    said = f"`eu-jira-admins` may be held for 8 hours at a stretch, and with {held} it is."
    assert said in types(bot, who, f"extend {held} for 1h because INC-42: not yet over")
    (card,) = copies(bot, held)["channel"]
    press(bot, who, "extend", card, force=True)
    settle(bot)
    assert bot.slack.open_view(who) is None
    assert [message for message in bot.slack.messages(who) if said in text_of(message)]


# -- roles on the site -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "approver", "role"), [
    ("jira-basic", "grace", "atlassian/basic"), ("jira-site-admin", "omar", "atlassian/admin"),
])  # fmt: skip
def test_a_role_on_the_site_is_given_and_taken(bot: Living, who: str, what: str, approver: str, role: str) -> None:
    person = COMPANY.person(who)
    roles = bot.house.directory.clients.organization
    given(bot, who, what, approver)
    assert "direct" in ways(roles.user_roles(person.account_id), role)
    request = types(bot, "grace", f"revoke {what} from {person.email} because HR-15: another job")
    shown = text_of(card(bot, "omar", request)).replace("\u2060", "")
    assert f"the removal of `{what}` from" in shown
    approve(bot, "omar", request)
    assert status_of(bot, request) == "done", thread(bot, request)
    assert "direct" not in ways(roles.user_roles(person.account_id), role)


def ways(held: list[Any], role: str) -> set[str]:
    return {
        method for one in held if one.resource_id == JIRA for route in one.role_assignments if route.role == role
        for method in route.role_assignment_methods
    }  # fmt: skip


def test_what_is_taken_but_kept_by_another_way_is_said(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    bot.atlassian.add_by_hand("eu-jira-admins", person.account_id)
    request = types(bot, "grace", f"revoke eu-jira-admins from {person.email} because HR-15: another job")
    shown = text_of(card(bot, "omar", request)).replace("\u2060", "")
    assert "keeps jira-software" in shown
    assert "jira-software-users" in shown
    approve(bot, "omar", request)
    assert status_of(bot, request) == "done"


def test_an_offboarding_may_be_set_for_friday_evening(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    request = types(bot, "kofi", f"offboard {person.email} on friday 18:00 {BECAUSE}")
    for approver in ("grace", "omar"):
        approve(bot, approver, request)
    with bot.store.read() as session:
        at = session.get_one(AccessRequest, request).starts_at
    assert at is not None
    assert (at.weekday(), at.hour) == (4, 17), "18:00 in Berlin, in winter"
    later(bot, at - bot.store.now() + timedelta(minutes=1))
    assert status_of(bot, request) == "done", thread(bot, request)


def test_copies_of_the_quiet_stand_in_no_open_channel(bot: Living, who: str) -> None:
    request = types(bot, "kofi", f"offboard {COMPANY.person(who).email} {BECAUSE}")
    assert copies(bot, request)["channel"] == []
