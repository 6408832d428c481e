"""The request form by hand: opened, searched, its plan filled in, sent, and what is wrong said at its field."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from sqlmodel import select

from approvals import people
from approvals.models import AccessRequest, AuditEntry, Person
from bot.sandbox import seed
from bot.sandbox.demo_policy import demo_policy
from bot.sandbox.slack.control import text_of
from handlers.moments import zone_of
from tests.support.living import Living, living

COMPANY = seed.company()
MANY = """
[entitlements.generated-{n:03d}]
about = "One of very many"
group = "generated-{n:03d}"
"""


@pytest.fixture(scope="module")
def bot(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    path = tmp_path_factory.mktemp("asking") / "gatehouse.db"
    copy(migrated_file, path)
    text = demo_policy() + "".join(MANY.format(n=n) for n in range(150))
    with living(f"sqlite:///{path}", policy=text) as bot:
        yield bot


@pytest.fixture(autouse=True)
def closed_forms(bot: Living) -> Iterator[None]:
    yield
    for handle in ("ada", "grace", "kofi", "nadia"):
        if bot.slack.open_view(handle) is not None:
            bot.slack.close_view(handle, all=True)


def form(bot: Living, who: str) -> dict[str, Any]:
    view = bot.slack.open_view(who)
    assert view is not None
    return view


def fill(who: str, what: str, length: str = "2h", reason: str = "INC-42: db down: “need” <!channel> & failover") -> Any:
    person = COMPANY.person(who)
    return {
        "subject": {"subject": option(person.account_id, f"{person.name} · {person.email}")},
        "entitlement": {"entitlement": option(what, what)},
        "length": {"length": length},
        "reason": {"reason": reason},
    }


def option(value: str, text: str) -> Any:
    return {
        "type": "external_select",
        "selected_option": {"text": {"type": "plain_text", "text": text}, "value": value},
    }


def listed(answer: dict[str, Any]) -> list[str]:
    return [choice["value"] for choice in answer["options"]]


def newest(bot: Living) -> AccessRequest | None:
    with bot.store.read() as session:
        return session.exec(select(AccessRequest).order_by(AccessRequest.asked_at.desc())).first()  # type: ignore[attr-defined]


def test_a_bare_command_opens_the_form_for_oneself(bot: Living) -> None:
    answer = bot.slack.command("ada", "")
    assert answer["status"] == 200
    view = form(bot, "ada")
    assert view["title"]["text"] == "Request access"
    assert COMPANY.person("ada").account_id in str(view["blocks"])


def test_what_is_missing_opens_the_form_with_what_is_known(bot: Living) -> None:
    bot.slack.command("ada", "grant eu-jira-admins because INC-42: the database is down")
    shown = str(form(bot, "ada")["blocks"])
    assert "eu-jira-admins" in shown
    assert "INC-42: the database is down" in shown
    assert "at most 8 hours" in shown


def test_when_slack_does_not_open_the_form_the_sentence_says_what_to_type(bot: Living) -> None:
    bot.slack.fault("views.open", error="internal_error", times=1)
    answer = bot.slack.command("ada", "grant eu-jira-admins because INC-42: the database is down")
    assert "For how long? At most 8 hours." in answer["body"]["text"]
    assert bot.slack.open_view("ada") is None


def test_the_form_sent_is_a_request_with_its_reason_whole(bot: Living) -> None:
    bot.slack.command("ada", "")
    answer = bot.slack.submit("ada", form(bot, "ada")["id"], fill("ada", "eu-jira-admins"))
    assert answer["body"]["response_action"] == "update"
    request = newest(bot)
    assert request is not None
    assert request.reason == "INC-42: db down: “need” <!channel> & failover"
    assert request.duration == 7200
    assert request.id in text_of(form(bot, "ada"))
    bot.slack.wait_for("grace", request.id, timeout=20)


def two_hours_on(bot: Living, person: str) -> tuple[str, datetime]:
    """The clock on somebody's wall in two hours, and when that is."""
    who = COMPANY.person(person)
    with bot.store.read() as session:
        zone = people.zone_of(session, seed.SLACK_TEAM, who.slack_id)
        there = bot.store.time_in(session).astimezone(zone_of(zone)) + timedelta(hours=2)
    assert zone
    return f"{there:%H:%M}", there.replace(second=0, microsecond=0).astimezone(UTC)


def test_a_grant_until_a_moment_ends_then_in_the_zone_of_whoever_asks(bot: Living) -> None:
    clock, moment = two_hours_on(bot, "mei")
    said = str(bot.slack.command("mei", f"grant eu-jira-admins until {clock} because INC-42: the db is down")["body"])
    assert f"until <!date^{int(moment.timestamp())}^" in said
    request = newest(bot)
    assert request is not None
    assert request.ends_by == moment
    assert request.duration in (7140, 7200)  # whole minutes, rounded up
    over = str(bot.slack.command("mei", "grant eu-jira-admins until 2020-01-01 because INC-42: the db is down")["body"])
    assert "2020-01-01 18:00 is over already" in over
    far = str(bot.slack.command("mei", "grant eu-jira-admins until 2190-01-01 because INC-42: the db is down")["body"])
    assert "more than ten years away" in far
    assert newest(bot).id == request.id


def test_the_form_until_a_moment_carries_it_through(bot: Living) -> None:
    clock, moment = two_hours_on(bot, "nadia")
    bot.slack.command("nadia", f"grant eu-jira-admins until {clock}")
    view = form(bot, "nadia")
    assert f"until {clock}" in str(view)
    bot.slack.submit("nadia", view["id"], fill("nadia", "eu-jira-admins", f"until {clock}"))
    request = newest(bot)
    assert request is not None
    assert request.subject == COMPANY.person("nadia").account_id
    assert request.ends_by == moment


@pytest.mark.parametrize(
    ("what", "length", "reason", "field", "words"),
    [
        ("eu-jira-admins", "two moons", "a good reason", "length", "length of time"),
        ("eu-jira-admins", "0h", "a good reason", "length", "0"),
        ("eu-jira-admins", "until 2020-01-01", "a good reason", "length", "is over already"),
        ("eu-jira-admins", "until 31 february", "a good reason", "length", "There is no 31 February"),
        ("eu-jira-admins", "9h", "a good reason", "length", "8 hours at most"),
        ("eu-jira-admins", "until revoked", "a good reason", "length", "8 hours at most"),
        ("eu-jira-admins", "2h", "why", "reason", "at least 10 characters"),
        ("no-such-thing", "2h", "a good reason", "entitlement", "no entitlement"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_stored(
    bot: Living, what: str, length: str, reason: str, field: str, words: str
) -> None:
    before = newest(bot)
    bot.slack.command("ada", "")
    answer = bot.slack.submit("ada", form(bot, "ada")["id"], fill("ada", what, length, reason), force=True)
    assert words in answer["body"]["errors"][field]
    assert newest(bot) == before


def test_nobody_to_answer_is_said_at_the_field(bot: Living) -> None:
    bot.slack.command("orla", "")
    answer = bot.slack.submit("orla", form(bot, "orla")["id"], fill("orla", "eu-jira-admins"), force=True)
    assert "Nobody is left to approve" in answer["body"]["errors"]["entitlement"]
    bot.slack.close_view("orla", all=True)


def test_an_engineer_may_choose_nobody_but_herself(bot: Living) -> None:
    bot.slack.command("ada", "")
    view = form(bot, "ada")
    found = listed(bot.slack.suggestions("ada", "subject", view_id=view["id"], value=""))
    assert found == [COMPANY.person("ada").account_id]


def test_a_manager_may_choose_her_people(bot: Living) -> None:
    bot.slack.command("grace", "", channel="#general")
    view = form(bot, "grace")
    found = listed(bot.slack.suggestions("grace", "subject", view_id=view["id"], value="ferreira"))
    assert found == [COMPANY.person("ada").account_id]
    assert listed(bot.slack.suggestions("grace", "subject", view_id=view["id"], value="omar")) == []


@pytest.mark.parametrize(
    ("name", "typed"), [("Özlem Ferreira", "özl"), ("ИВАН Ferreira", "иван"), ("Иван Ferreira", "ИВАН")]
)
def test_a_name_is_found_whatever_its_alphabet(bot: Living, name: str, typed: str) -> None:
    bot.slack.command("grace", "", channel="#general")
    ada = COMPANY.person("ada")
    with bot.store.write() as w:
        w.session.get_one(Person, ada.account_id).name = name
    found = listed(bot.slack.suggestions("grace", "subject", view_id=form(bot, "grace")["id"], value=typed))
    with bot.store.write() as w:
        w.session.get_one(Person, ada.account_id).name = ada.name
    assert found == [ada.account_id]


def test_more_than_a_hundred_people_are_announced_and_found_by_search(bot: Living) -> None:
    bot.slack.command("kofi", "")
    view = form(bot, "kofi")
    answer = bot.slack.suggestions("kofi", "subject", view_id=view["id"], value="")
    assert len(listed(answer)) == 100
    assert answer["body"]["option_groups"][0]["label"]["text"].startswith("100 of 199")  # one is protected
    person = COMPANY.person("person150")
    assert listed(bot.slack.suggestions("kofi", "subject", view_id=view["id"], value=person.email)) == [
        person.account_id
    ]


def test_more_than_a_hundred_entitlements_are_announced_and_found_by_search(bot: Living) -> None:
    bot.slack.command("ada", "")
    view = form(bot, "ada")
    answer = bot.slack.suggestions("ada", "entitlement", view_id=view["id"], value="generated")
    assert answer["body"]["option_groups"][0]["label"]["text"].startswith("100 of 150")
    assert listed(bot.slack.suggestions("ada", "entitlement", view_id=view["id"], value="generated-149")) == [
        "generated-149"
    ]


def test_the_plan_appears_in_the_form_and_what_was_typed_stays(bot: Living) -> None:
    bot.slack.command("ada", "")
    view = form(bot, "ada")
    values = fill("ada", "eu-jira-admins", length="77m", reason="typed before the plan came")
    choice = values["entitlement"]["entitlement"]["selected_option"]["value"]
    bot.slack.suggestions("ada", "entitlement", view_id=view["id"], value="eu-jira")
    bot.slack.click("ada", "entitlement", view_id=view["id"], value=choice, values={"reason": values["reason"]})
    bot.slack.wait_for(lambda: view if "What would happen" in text_of(form(bot, "ada")) else None, timeout=20)
    shown = text_of(form(bot, "ada"))
    assert "add Ada Ferreira to the group eu-jira-admins by SCIM" in shown
    assert "Would be answered by *Grace Okafor*" in shown
    del values["subject"]
    answer = bot.slack.submit("ada", view["id"], values)
    assert answer["body"] is not None, answer["errors"]
    assert answer["body"]["response_action"] == "update"
    request = newest(bot)
    assert request is not None
    assert request.reason == "typed before the plan came"


def test_a_plan_that_can_not_be_is_said_in_the_form(bot: Living) -> None:
    """Nadia has no record in the directory that owns the group."""
    bot.slack.command("nadia", "")
    view = form(bot, "nadia")
    bot.slack.suggestions("nadia", "entitlement", view_id=view["id"], value="eu-jira")
    bot.slack.click("nadia", "entitlement", view_id=view["id"], value="eu-jira-admins")
    bot.slack.wait_for(lambda: view if "has no record in" in text_of(form(bot, "nadia")) else None, timeout=20)


def test_a_refused_form_leaves_one_audit_entry(bot: Living) -> None:
    def refusals() -> int:
        with bot.store.read() as session:
            return len(session.exec(select(AuditEntry).where(AuditEntry.event == "ask.refused")).all())

    before = refusals()
    bot.slack.command("nadia", "")
    bot.slack.submit(
        "nadia", form(bot, "nadia")["id"], fill("nadia", "eu-jira-admins", "9h", "a good reason"), force=True
    )
    assert refusals() == before + 1
