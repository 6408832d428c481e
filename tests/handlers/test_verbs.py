"""The verbs that take away, typed in Slack, answered with buttons, done in Atlassian and read back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.bot.settled import COMPANY, ask, copies, newcomers, press, settle, status_of, thread_of
from tests.support.living import Living, living
from tests.support.outside import copied

_PEOPLE = iter(newcomers()[30:])
BECAUSE = "because HR-7: the contract is over"


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path_factory.mktemp("verbs")), works=False) as bot:
        yield bot


@pytest.fixture
def bot(running: Living) -> Iterator[Living]:
    yield running
    running.slack.clear_faults()
    running.atlassian.clear_faults()
    for who in ("grace", "omar", "ingrid", "sade"):
        while running.slack.open_view(who):
            running.slack.close_view(who)


@pytest.fixture
def who() -> str:
    return next(_PEOPLE)


def types(bot: Living, person: str, typed: str) -> str:
    """The request's id, or what is said instead."""
    text = str(bot.slack.command(person, typed, force=True)["body"]["text"])
    return text.split()[1].rstrip(":") if "REQ-" in text.split()[1] else text


def card(bot: Living, person: str, request: str) -> dict[str, Any]:
    seen = [message for message in bot.slack.dms(person) if f"{request} · asked" in text_of(message)]
    assert seen, f"{person} has no card of {request}"
    return seen[-1]


def approve(bot: Living, person: str, request: str, name: str = "") -> None:
    press(bot, person, "approve", card(bot, person, request))
    view = bot.slack.open_view(person)
    if name or view:
        assert view is not None
        answer = bot.slack.submit(person, view["id"], {"name": {"name": name}} if name else {})
        assert answer["errors"] == {}
    settle(bot)


_MOVED = [timedelta(0)]


def after_the_pause(bot: Living) -> None:
    _MOVED[0] += timedelta(minutes=6)
    bot.store.move_time(_MOVED[0])
    settle(bot)


def seen_by(bot: Living, person: str) -> str:
    return "\n".join(text_of(message) for message in bot.slack.messages(person))


def test_a_revoke_takes_it_and_the_thread_says_what_stays(bot: Living, who: str) -> None:
    request = ask(bot, who, "eu-jira-admins")
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    account = COMPANY.person(who).account_id
    assert account in bot.atlassian.members("eu-jira-admins")
    taken = types(bot, "grace", f"revoke eu-jira-admins from {COMPANY.person(who).email} {BECAUSE}")
    settle(bot)
    shown = text_of(card(bot, "omar", taken))
    assert "the removal of `eu-jira-admins` from *" in shown
    assert "take" in shown
    assert "out of the group eu-jira-admins by SCIM" in shown
    approve(bot, "omar", taken)
    assert status_of(bot, taken) == "done"
    assert account not in bot.atlassian.members("eu-jira-admins")
    said = thread_of(copies(bot, taken)["channel"][0])
    assert "is done" in said[-1]
    assert "read back" in said[-1]


def test_an_account_is_deactivated_with_its_tokens_and_hears_nothing_before(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    bot.atlassian.make_token(person.account_id, label="old laptop")
    bot.atlassian.make_token(person.account_id, label="made in the last moment", late=True)
    before = seen_by(bot, who)
    request = types(bot, "kofi", f"deactivate {person.email} {BECAUSE}")
    settle(bot)
    assert not [m for m in bot.slack.channel("#access-requests") if request in text_of(m)]
    assert [m for m in bot.slack.channel("#security") if request in text_of(m)]
    approve(bot, "grace", request, person.name)
    approve(bot, "omar", request, person.name)
    assert status_of(bot, request) == "scheduled"
    assert seen_by(bot, who) == before
    assert "no request" in str(bot.slack.command(who, f"status {request}", force=True)["body"]["text"])
    assert request not in str(bot.slack.command(who, "mine", force=True)["body"]["text"])
    after_the_pause(bot)
    assert status_of(bot, request) == "done"
    assert bot.house.directory.facts.tokens(person.account_id) == []
    back = types(bot, "sade", f"reactivate {person.email} because HR-8: it was a mistake")
    settle(bot)
    approve(bot, "grace", back, person.name)
    approve(bot, "omar", back, person.name)
    after_the_pause(bot)
    assert status_of(bot, back) == "done"


def test_suspended_and_restored(bot: Living, who: str) -> None:
    mail = COMPANY.person(who).email
    for verb in ("suspend", "restore"):
        request = types(bot, "sade", f"{verb} {mail} because INC-9: a stolen laptop, {verb}")
        settle(bot)
        approve(bot, "omar", request)
        assert status_of(bot, request) == "done", verb


def test_what_is_only_asked_for_others_is_said_so(bot: Living) -> None:
    """The policy does let people restore: nobody themselves."""
    said = types(bot, "ada", "restore me because INC-9: it was found again")
    assert "nobody may ask it for themselves" in said
    assert "lets nobody do it" not in said


def test_what_is_taken_from_oneself_is_taken_from_you(bot: Living) -> None:
    said = str(
        bot.slack.command("omar", "revoke me eu-jira-admins because INC-9: no longer", force=True)["body"]["text"]
    )
    assert "take `eu-jira-admins` from you." in said


def test_an_organization_admin_goes_by_the_one_road(bot: Living) -> None:
    subject = COMPANY.person("linnea")
    bot.house.directory.clients.organization.assign_org_role(subject.account_id)
    admins = bot.house.directory.org_admins()
    assert subject.account_id in admins
    refused = types(bot, "sade", f"suspend {subject.email} because INC-10: let us see")
    settle(bot)
    assert status_of(bot, refused) == "refused"
    assert any("There is one road: `/access revoke @who org-admin`" in text_of(m).replace("\u2060", "")
               for m in bot.slack.messages("sade"))  # fmt: skip
    request = types(bot, "sade", f"revoke {subject.email} org-admin because HR-11: another job")
    settle(bot)
    assert "stops being an organization admin" in text_of(card(bot, "omar", request))
    approve(bot, "omar", request, subject.name)
    approve(bot, "ingrid", request, subject.name)
    after_the_pause(bot)
    assert status_of(bot, request) == "done", bot.slack.messages("sade")[-1]
    assert bot.house.directory.org_admins() == admins - {subject.account_id}


def test_a_protected_account_is_refused_at_once(bot: Living) -> None:
    mail = COMPANY.person(seed.EMERGENCY).email
    for typed in (f"deactivate {mail}", f"suspend {mail}", f"revoke {mail} eu-jira-admins", f"revoke {mail} org-admin"):
        assert "protected" in types(bot, "sade", f"{typed} {BECAUSE}")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("deactivate nobody@harbour.example because x", "I know no Atlassian account"),
        ("revoke @ada eu-jira-admin because HR-7: over", "Did you mean"),
        ("revoke @ada eu-jira-admins for 2h because x", "for no length of time"),
        ("deactivate @ada eu-jira-admins because x", "too much here"),
        ("offboard @ada on 2020-01-01 because x", "2020-01-01 18:00 is over already"),
        ("offboard @ada on 2190-01-01 because x", "more than ten years away"),
        ("revoke @ada eu-jira-admins at 6 because x", "or 6pm"),
        ('revoke @ada "eu jira admins" because HR-7: over', "Did you mean `eu-jira-admins`"),
        ("deactivate 712020:00000000-0000-0000-0000-000000000000 because x", "I know no Atlassian account"),
        ('provision n@harbour.example "Nia Obi" with eu-jira-admin because x', "Did you mean `eu-jira-admins`"),
        ("extend REQ-23456789ab", "no such request that you may see"),
        ("extend REQ-23456789ab until Friday", "There is no request"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_said(bot: Living, typed: str, said: str) -> None:
    assert said in types(bot, "sade", typed)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("revoke", "What is to be taken?"), ("deactivate", "Whose account?"),
        ("email @ada", "What is the new address?"), ("suspend @ada", "Why? Whoever answers reads it"),
        ("provision x@y.example because x", "What is their name?"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_when_slack_does_not_open_the_form(bot: Living, typed: str, said: str) -> None:
    bot.slack.fault("views.open", error="internal_error", times=1)
    assert said in types(bot, "omar", typed)


@pytest.mark.parametrize("verb", ["deactivate", "suspend"])
def test_who_may_not_ask_hears_for_whom_it_is(bot: Living, verb: str) -> None:
    assert "You may not ask for" in types(bot, "nadia", f"{verb} @ada {BECAUSE}")
