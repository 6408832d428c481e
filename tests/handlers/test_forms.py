"""The form of each verb by hand: opened with what was typed, its plan filled in, sent; what is wrong at its field."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from approvals.models import AccessRequest, Preview
from approvals.plan import Newcomer
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.bot.settled import COMPANY, ask, copies, newcomers, press, settle, status_of
from tests.support.living import Living, living
from tests.support.outside import copied

REASON = "HR-7: the contract is over"
_PEOPLE = iter(newcomers())


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path_factory.mktemp("forms")), works=False) as bot:
        yield bot


@pytest.fixture
def bot(running: Living) -> Iterator[Living]:
    yield running
    running.slack.clear_faults()
    running.atlassian.clear_faults()
    for who in ("ada", "grace", "kofi", "nadia", "omar", "sade"):
        if running.slack.open_view(who):
            running.slack.close_view(who, all=True)
    settle(running)


@pytest.fixture
def who() -> str:
    return next(_PEOPLE)


def opens(bot: Living, person: str, typed: str) -> dict[str, Any]:
    """Type it; the form that is open then."""
    answer = bot.slack.command(person, typed, force=True)
    assert answer["body"] is None, answer["body"]
    view = bot.slack.open_view(person)
    assert view is not None
    return view


def shown(bot: Living, person: str) -> str:
    """What the form says once every job is done."""
    settle(bot)
    view = bot.slack.open_view(person)
    assert view is not None
    return text_of(view).replace("\u2060", "")


def sends(bot: Living, person: str, **fields: object) -> AccessRequest:
    """Fill in and send; the request it became."""
    view = bot.slack.open_view(person)
    assert view is not None
    answer = bot.slack.submit(person, view["id"], {field: {field: value} for field, value in fields.items()})
    assert answer["errors"] == {}, answer
    said = text_of(bot.slack.open_view(person) or {})
    with bot.store.read() as session:
        return session.get_one(AccessRequest, f"REQ-{said.split('REQ-')[1].split()[0]}")


def errors(bot: Living, person: str, **fields: object) -> dict[str, str]:
    view = bot.slack.open_view(person)
    assert view is not None
    answer = bot.slack.submit(person, view["id"], {f: {f: v} for f, v in fields.items()}, force=True)
    return dict(answer["body"]["errors"])


def chosen(person: str) -> dict[str, Any]:
    found = COMPANY.person(person)
    return {"selected_option": {"text": {"type": "plain_text", "text": found.name}, "value": found.account_id}}


def listed(bot: Living, person: str, field: str, typed: str = "") -> list[str]:
    view = bot.slack.open_view(person)
    assert view is not None
    return [str(option["value"]) for option in bot.slack.suggest(person, field, typed, view_id=view["id"])]


# -- done to an account -----------------------------------------------------------------------------------------------

DONE_TO = {
    "deactivate": ("Deactivate an account", "kofi", "delete the api tokens of"),
    "offboard": ("Offboard somebody", "kofi", "delete the api tokens of"),
    "suspend": ("Suspend an account", "sade", "suspend"),
}


@pytest.mark.parametrize("verb", DONE_TO)
def test_a_verb_without_a_reason_opens_its_form_and_the_plan_comes_by_itself(bot: Living, who: str, verb: str) -> None:
    title, asker, step = DONE_TO[verb]
    person = COMPANY.person(who)
    view = opens(bot, asker, f"{verb} {person.email}")
    assert view["title"]["text"] == title
    assert person.name in text_of(view)
    said = shown(bot, asker)
    assert "What would happen" in said
    assert step in said.casefold()
    assert "Would be answered by" in said
    request = sends(bot, asker, reason=REASON)
    assert (request.verb, request.subject, request.reason) == (verb, person.account_id, REASON)


def test_the_form_says_how_many_must_approve_and_how_long_it_waits_then(bot: Living, who: str) -> None:
    opens(bot, "kofi", f"deactivate {COMPANY.person(who).email}")
    assert "Two people must approve, each typing the name of the person it is about; then it waits 5 minutes" in shown(
        bot, "kofi"
    )
    opens(bot, "sade", f"suspend {COMPANY.person(who).email}")
    assert "One person must approve, after a look at the plan." in shown(bot, "sade")


def test_nobody_is_chosen_yet_and_then_the_plan_is_of_whoever_is(bot: Living, who: str) -> None:
    opens(bot, "kofi", "deactivate")
    assert "Choose the person" in shown(bot, "kofi")
    person = COMPANY.person(who)
    assert listed(bot, "kofi", "subject", person.email) == [person.account_id]
    view = bot.slack.open_view("kofi")
    assert view is not None
    bot.slack.click(
        "kofi", "subject", view_id=view["id"], value=person.account_id, values={"reason": {"reason": "typed"}}
    )
    said = shown(bot, "kofi")
    assert "What would happen" in said
    assert person.name in said
    assert bot.slack.open_view("kofi")["id"] == view["id"]  # type: ignore[index]


def test_of_two_choices_the_last_one_is_shown(bot: Living) -> None:
    first, last = COMPANY.person(next(_PEOPLE)), COMPANY.person(next(_PEOPLE))
    view = opens(bot, "kofi", f"deactivate {first.email}")
    bot.slack.suggestions("kofi", "subject", view_id=view["id"], value=last.email)
    bot.slack.click("kofi", "subject", view_id=view["id"], value=last.account_id)
    said = shown(bot, "kofi")
    assert last.account_id in said or last.name in said.split("What would happen")[1]
    assert first.name not in said.split("What would happen")[1]


def test_whoever_may_not_ask_is_told_at_once_and_nothing_of_the_account(bot: Living) -> None:
    for typed in ("deactivate @ada", "deactivate", "revoke @ada org-admin"):
        answer = bot.slack.command("nadia", typed)
        assert "You may not ask for " in answer["body"]["text"]
        assert " for somebody else" in answer["body"]["text"]
        assert bot.slack.open_view("nadia") is None


def test_of_those_who_are_not_theirs_nobody_is_listed_or_shown(bot: Living) -> None:
    """Grace may deactivate her own people only; Mei is not one of them."""
    view = opens(bot, "grace", "deactivate")
    assert listed(bot, "grace", "subject", "mei.tanaka") == []
    assert COMPANY.person("ada").account_id in listed(bot, "grace", "subject", "ferreira")
    bot.slack.click("grace", "subject", view_id=view["id"], value=COMPANY.person("mei").account_id, force=True)
    said = shown(bot, "grace")
    assert "You may not ask for deactivate for somebody else" in said
    assert "What would happen" not in said
    assert "Would be answered" not in said


def test_a_protected_account_is_refused_before_any_form(bot: Living) -> None:
    mail = COMPANY.person(seed.EMERGENCY).email
    assert "protected" in bot.slack.command("sade", f"deactivate {mail}")["body"]["text"]


def test_a_protected_account_that_is_chosen_all_the_same_is_refused_at_the_person(bot: Living) -> None:
    opens(bot, "sade", "deactivate")
    found = errors(bot, "sade", subject=chosen(seed.EMERGENCY), reason=REASON)
    assert "protected" in found["subject"]


def test_what_atlassian_refuses_is_said_in_the_form(bot: Living) -> None:
    """Whoever is blocked by export control can't be let in by anybody."""
    opens(bot, "sade", f"reactivate {COMPANY.person('person007').email}")
    assert ":no_entry:" in shown(bot, "sade")


def test_when_atlassian_can_not_be_read_the_form_says_so_and_can_be_sent(bot: Living, who: str) -> None:
    bot.atlassian.fault(status=503, times=50)
    opens(bot, "kofi", f"deactivate {COMPANY.person(who).email}")
    assert "Atlassian can't be read just now" in shown(bot, "kofi")
    assert sends(bot, "kofi", reason=REASON).verb == "deactivate"
    bot.atlassian.clear_faults()


def test_the_one_who_leaves_hears_nothing_of_an_open_form(bot: Living, who: str) -> None:
    before = [message["ts"] for message in bot.slack.messages(who)]
    opens(bot, "kofi", f"deactivate {COMPANY.person(who).email}")
    shown(bot, "kofi")
    assert [message["ts"] for message in bot.slack.messages(who)] == before


def test_reactivate_keeps_the_tokens_when_the_box_is_ticked(bot: Living, who: str) -> None:
    box = [{"text": {"type": "plain_text", "text": "Keep the API tokens"}, "value": "yes"}]
    view = opens(bot, "sade", f"reactivate {COMPANY.person(who).email}")
    assert "Keep the API tokens" in text_of(view)
    assert sends(bot, "sade", reason=REASON, keep_tokens={"selected_options": box}).value == "keep tokens"
    opens(bot, "sade", f"reactivate {COMPANY.person(who).email}")
    assert sends(bot, "sade", reason=REASON + " again").value == ""


@pytest.mark.parametrize("verb", ["restore", "tokens"])
def test_the_other_verbs_have_their_forms(bot: Living, who: str, verb: str) -> None:
    typed = "tokens delete" if verb == "tokens" else verb
    view = opens(bot, "sade", f"{typed} {COMPANY.person(who).email}")
    assert COMPANY.person(who).name in text_of(view)
    request = sends(bot, "sade", reason=REASON)
    assert (request.verb, request.subject) == (verb, COMPANY.person(who).account_id)


# -- offboarding at a time --------------------------------------------------------------------------------------------


def test_offboard_waits_for_the_moment_that_was_typed(bot: Living, who: str) -> None:
    opens(bot, "kofi", f"offboard {COMPANY.person(who).email}")
    request = sends(bot, "kofi", reason=REASON, when="tomorrow 18:00")
    assert request.starts_at is not None
    assert timedelta(0) < request.starts_at - bot.store.now() < timedelta(days=2)
    assert f"{request.starts_at.astimezone(ZoneInfo(COMPANY.person('kofi').timezone)):%H:%M}" == "18:00"
    assert "It is done" in text_of(bot.slack.open_view("kofi") or {})


@pytest.mark.parametrize(("typed", "words"), [("next blue moon", "Type it like"), ("2020-01-01 09:00", "over already")])
def test_a_moment_that_can_not_be_is_said_at_its_field(bot: Living, who: str, typed: str, words: str) -> None:
    opens(bot, "kofi", f"offboard {COMPANY.person(who).email}")
    assert words in errors(bot, "kofi", reason=REASON, when=typed)["when"]


def test_offboard_names_what_is_held_and_asked_for(bot: Living, who: str) -> None:
    ask(bot, who, "eu-jira-admins")
    opens(bot, "kofi", f"offboard {COMPANY.person(who).email}")
    assert "Open requests about them: 1" in shown(bot, "kofi")


# -- taking away ------------------------------------------------------------------------------------------------------


def test_revoke_asks_what_and_shows_the_plan(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    opens(bot, "grace", f"revoke {person.email}")
    names = listed(bot, "grace", "entitlement")
    assert "eu-jira-admins" in names
    assert "org-admin" not in names, "that is for admins and security only"
    view = bot.slack.open_view("grace")
    assert view is not None
    bot.slack.click("grace", "entitlement", view_id=view["id"], value="eu-jira-admins")
    said = shown(bot, "grace")
    assert "does not hold it, so nothing would change" in said
    request = sends(bot, "grace", entitlement="eu-jira-admins", reason=REASON)
    assert (request.verb, request.subject, request.entitlement) == ("revoke", person.account_id, "eu-jira-admins")


def test_org_admin_is_listed_for_those_who_may_ask_for_it(bot: Living, who: str) -> None:
    opens(bot, "sade", f"revoke {COMPANY.person(who).email}")
    assert "org-admin" in listed(bot, "sade", "entitlement", "org")


def test_what_is_unknown_is_said_before_any_form(bot: Living) -> None:
    said = bot.slack.command("sade", "revoke @ada eu-jira-admin")["body"]["text"]
    assert "Did you mean `eu-jira-admins`" in said


def test_a_revoke_of_nothing_is_said_at_its_fields(bot: Living) -> None:
    opens(bot, "sade", "revoke @ada")
    assert set(errors(bot, "sade", reason=REASON, subject={"selected_option": None})) == {"subject", "entitlement"}


# -- addresses and newcomers ------------------------------------------------------------------------------------------


def test_an_address_is_typed_and_the_plan_comes_at_enter(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    view = opens(bot, "omar", f"email @{who}")
    assert "press Enter after the new address" in text_of(view)
    bot.slack.click("omar", "mail", view_id=view["id"], value=f"New.{who}@harbour.example")
    assert "What would happen" in shown(bot, "omar")
    request = sends(bot, "omar", mail=f"New.{who}@harbour.example", reason=REASON)
    assert (request.subject, request.value) == (person.account_id, f"new.{who}@harbour.example")


@pytest.mark.parametrize("typed", ["ada", "ada@", "two@words.example x", "<mailto:a@b.example>"])
def test_what_is_no_address_is_said_at_its_field(bot: Living, who: str, typed: str) -> None:
    opens(bot, "omar", f"email @{who}")
    assert "no e-mail address" in errors(bot, "omar", mail=typed, reason=REASON)["mail"]


def test_a_newcomer_is_asked_for_with_all_that_is_known(bot: Living) -> None:
    view = opens(bot, "omar", 'provision Zoe@harbour.example "Zoë van Dijk" eu-confluence-admins')
    assert view["title"]["text"] == "Make an account"
    starts = {b["block_id"]: b["element"].get("initial_value") for b in view["blocks"] if b["type"] == "input"}
    assert (starts["name"], starts["given"], starts["family"]) == ("Zoë van Dijk", "Zoë van", "Dijk")
    said = shown(bot, "omar")
    assert "make a SCIM record for Zoë van Dijk" in said
    assert "Once there is an account, `eu-confluence-admins` is asked for." in said
    request = sends(bot, "omar", given="Zoë", family="van Dijk", reason=REASON)
    assert request.subject == "zoe@harbour.example"
    assert Newcomer.model_validate_json(request.value) == Newcomer(
        mail="zoe@harbour.example", name="Zoë van Dijk", given="Zoë", family="van Dijk", also=("eu-confluence-admins",)
    )


def test_a_newcomer_needs_an_address_and_a_name_and_the_rest_is_taken_from_them(bot: Living) -> None:
    opens(bot, "omar", "provision")
    assert set(errors(bot, "omar", reason=REASON, name="")) == {"mail", "name"}
    assert listed(bot, "omar", "also", "confl") == ["eu-confluence-admins"]
    request = sends(bot, "omar", mail="yann@harbour.example", name="Yann Le Goff", reason=REASON)
    made = Newcomer.model_validate_json(request.value)
    assert (made.given, made.family, made.also, made.by_site) == ("Yann Le", "Goff", (), False)


def test_a_newcomer_by_the_site_is_planned_there(bot: Living) -> None:
    box = [{"text": {"type": "plain_text", "text": "Make it at the Jira site (legacy)"}, "value": "yes"}]
    view = opens(bot, "omar", 'provision xena@harbour.example "Xena Ito"')
    bot.slack.click("omar", "by_site", view_id=view["id"], value={"selected_options": box})
    assert ":no_entry: Gatehouse has no access to a Jira site" in shown(bot, "omar"), "as this one has none"
    request = sends(bot, "omar", by_site={"selected_options": box}, reason=REASON)
    assert Newcomer.model_validate_json(request.value).by_site


# -- granting, and holding longer -------------------------------------------------------------------------------------


def test_a_grant_until_a_moment_ends_then(bot: Living) -> None:
    opens(bot, "ada", "grant eu-confluence-admins")
    request = sends(bot, "ada", length="until tomorrow 09:00", reason=REASON)
    assert request.ends_by is not None
    assert request.duration is not None
    late = timedelta(seconds=request.duration) - (request.ends_by - request.asked_at)
    assert timedelta(0) <= late <= timedelta(minutes=1)


def test_a_moment_too_far_away_is_said_at_the_length(bot: Living) -> None:
    opens(bot, "ada", "grant eu-jira-admins")
    assert "8 hours at most" in errors(bot, "ada", length="until 2099-01-01", reason=REASON)["length"]
    assert "over already" in errors(bot, "ada", length="until 2020-01-01", reason=REASON)["length"]
    assert "Type 2h" in errors(bot, "ada", length="until doomsday", reason=REASON)["length"]


def given(bot: Living, who: str, what: str = "eu-jira-admins", length: str = "2h") -> tuple[str, dict[str, Any]]:
    """Somebody holds something; the request and its card."""
    request = ask(bot, who, what, length)
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    assert status_of(bot, request) == "done"
    return request, copies(bot, request)["channel"][0]


def test_the_card_asks_for_how_much_longer(bot: Living, who: str) -> None:
    request, card = given(bot, who)
    press(bot, who, "extend", card, force=True)
    said = shown(bot, who)
    assert "Hold it longer" in said
    assert "It can be held 6 hours longer at most." in said
    assert "can be extended by" in errors(bot, who, length="7h", reason=REASON)["length"]
    asked = sends(bot, who, length="3h", reason=REASON)
    with bot.store.read() as session:
        first = session.get_one(AccessRequest, request)
    assert asked.ends_by is not None
    assert (asked.verb, asked.entitlement, asked.subject) == ("grant", first.entitlement, first.subject)
    assert (asked.home_channel, asked.home_thread) == (first.home_channel, first.home_thread)
    bot.slack.close_view(who, all=True)


def test_extend_without_a_length_opens_the_form(bot: Living, who: str) -> None:
    request, _ = given(bot, who, length="1h")
    view = opens(bot, who, f"extend {request}")
    assert view["title"]["text"] == "Hold it longer"
    assert "until revoked is asked for anew" in errors(bot, who, length="until revoked", reason=REASON)["length"]
    bot.slack.close_view(who, all=True)


def test_what_is_not_held_can_not_be_held_longer(bot: Living, who: str) -> None:
    request = ask(bot, who, "eu-jira-admins")
    assert "gives nothing at the moment" in bot.slack.command(who, f"extend {request}", force=True)["body"]["text"]
    assert "no such request" in bot.slack.command("nadia", f"extend {request}", force=True)["body"]["text"]


# -- the form itself --------------------------------------------------------------------------------------------------


def test_a_form_that_was_sent_is_not_drawn_over_by_its_plan(bot: Living, who: str) -> None:
    opens(bot, "kofi", f"deactivate {COMPANY.person(who).email}")
    request = sends(bot, "kofi", reason=REASON)
    assert request.id in shown(bot, "kofi")
    with bot.store.read() as session:
        assert session.exec(select(Preview)).all() == []


def test_without_a_verb_the_form_asks_which_and_becomes_its_form(bot: Living) -> None:
    view = opens(bot, "grace", "")
    menu = next(block for block in view["blocks"] if block["block_id"] == "verb")["element"]["options"]
    assert {choice["value"] for choice in menu} >= {"grant", "revoke", "deactivate", "offboard", "email", "provision"}
    assert "extend" not in {choice["value"] for choice in menu}
    typed = {"reason": {"reason": REASON}}
    bot.slack.click("grace", "verb", view_id=view["id"], value="deactivate", values=typed)
    pending = {**typed, "verb": {"verb": "deactivate"}}
    answer = bot.slack.submit("grace", view["id"], pending, force=True)
    assert "is being drawn" in answer["body"]["errors"]["verb"]
    assert "Deactivate an account" in shown(bot, "grace")
    assert "For how long?" not in shown(bot, "grace")
    assert sends(bot, "grace", subject=chosen("tomas"), reason=REASON).verb == "deactivate"


def test_a_verb_that_is_not_in_the_menu_is_not_chosen(bot: Living) -> None:
    view = opens(bot, "ada", "")
    menu = next(block for block in view["blocks"] if block["block_id"] == "verb")["element"]["options"]
    assert "deactivate" not in {choice["value"] for choice in menu}, "she manages nobody"
    forged = {"selected_option": {"text": {"type": "plain_text", "text": "x"}, "value": "deactivate"}}
    bot.slack.click("ada", "verb", view_id=view["id"], value=forged, force=True)
    assert "Request access" in shown(bot, "ada")


def test_the_very_same_question_is_joined(bot: Living, who: str) -> None:
    for _ in range(2):
        opens(bot, "sade", f"suspend {COMPANY.person(who).email}")
        sends(bot, "sade", reason=REASON)
    assert "You have asked for that already" in text_of(bot.slack.open_view("sade") or {})
