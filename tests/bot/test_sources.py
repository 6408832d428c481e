"""Sources of approvers that are looked up: what was read decides, for a minute; what can't be read gives nobody."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from approvals.models import AuditEntry, Binding, SourceMember, SourceState
from bot import sources
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.bot.settled import COMPANY, ask, newcomers, press, settle, status_of, thread_of
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy

GROUP = "S0GROUP001"
_PEOPLE = iter(newcomers())


def policy(rota: Path) -> str:
    text = roomy().replace("[organization]\n", '[organization]\nuser_groups = "admins"\n', 1)
    text = text.replace('approvers = ["owner"]\nlongest = "until', 'approvers = ["oncall:primary"]\nlongest = "until')
    text = text.replace('group = "eu-jira-admins"\n', f'group = "eu-jira-admins"\napprovers = ["usergroup:{GROUP}"]\n')
    text = text.replace('approvers = ["manager", "owner"]\nlongest = "30d"',
                        'approvers = ["group:confluence-reviewers"]\nlongest = "30d"')  # fmt: skip
    return text + f'\n[oncall.primary]\nfile = "{rota}"\n'


@pytest.fixture
def rota(tmp_path: Path) -> Path:
    return tmp_path / "rota.toml"


@pytest.fixture
def bot(migrated_file: Path, tmp_path: Path, rota: Path) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path / "bot"), policy=policy(rota), works=False) as bot:
        bot.slack.set_group(GROUP, ["mei", "tomas"])
        settle(bot)
        yield bot


def asked(bot: Living, what: str = "eu-jira-admins") -> str:
    request = ask(bot, next(_PEOPLE), what)
    settle(bot)
    assert status_of(bot, request) == "pending"
    return request


def card(bot: Living, request: str) -> dict[str, Any]:
    return next(m for m in bot.slack.channel("#access-requests") if f"{request} · asked" in text_of(m))


def answers(bot: Living, who: str, request: str) -> None:
    press(bot, who, "approve", card(bot, request), force=True)
    settle(bot)


def approved_and_not_begun(bot: Living, who: str, request: str) -> None:
    press(bot, who, "approve", card(bot, request), force=True)
    claim = bot.store.claim()
    while claim is not None and claim.kind != "count":
        bot.house.worker.run(claim)
        claim = bot.store.claim()
    assert claim is not None
    bot.house.worker.run(claim)
    assert status_of(bot, request) == "approved"


def heard(bot: Living, who: str) -> str:
    return "\n".join(text_of(m) for m in bot.slack.messages(who)).replace("\u2060", "")


def older(bot: Living, by: timedelta) -> None:
    bot.store.move_time(by)


def test_whoever_is_in_the_group_is_asked_and_counts(bot: Living) -> None:
    request = asked(bot)
    assert "*Mei Tanaka* may answer: one of the Slack group" in text_of(card(bot, request)).replace("\u2060", "")
    answers(bot, "grace", request)
    assert "answered by the Slack group" in heard(bot, "grace")
    answers(bot, "mei", request)
    assert status_of(bot, request) == "done"


def test_whoever_was_put_in_counts_after_ten_minutes(bot: Living) -> None:
    request = asked(bot)
    bot.slack.event("subteam_members_changed", group=GROUP, added=["kofi"], removed=[])
    settle(bot)
    assert "has changed. In it now: Kofi Mensah" in "\n".join(map(text_of, bot.slack.channel("#security")))
    answers(bot, "kofi", request)
    assert "answered by the Slack group" in heard(bot, "kofi")
    older(bot, timedelta(minutes=9, seconds=50))
    answers(bot, "kofi", request)
    assert status_of(bot, request) == "pending"
    older(bot, timedelta(minutes=10, seconds=5))
    answers(bot, "kofi", request)
    assert status_of(bot, request) == "done"
    with bot.store.read() as session:
        assert [e.event for e in session.exec(select(AuditEntry).where(AuditEntry.event == "source.changed"))]


def test_whoever_was_taken_out_between_the_click_and_the_deed_gives_nothing(bot: Living) -> None:
    request = asked(bot)
    approved_and_not_begun(bot, "mei", request)
    bot.slack.set_group(GROUP, ["tomas"])
    older(bot, timedelta(seconds=50))
    settle(bot)
    assert status_of(bot, request) == "refused"
    assert "no longer counts" in thread_of(card(bot, request))[-1]


def test_a_group_that_can_not_be_read_gives_nobody_and_the_same_person_may_answer_later(bot: Living) -> None:
    request = asked(bot)
    older(bot, timedelta(seconds=70))
    bot.slack.fault("usergroups.users.list", error="internal_error", status=500, times=-1)
    answers(bot, "mei", request)
    assert status_of(bot, request) == "pending"
    assert "Who may answer can't be read completely" in heard(bot, "mei")
    assert "can't be read, so its people can't answer now: Slack: internal_error" in text_of(
        card(bot, request)
    ).replace("\u2060", "")
    bot.slack.clear_faults()
    answers(bot, "mei", request)
    assert status_of(bot, request) == "done"


def test_a_slow_group_holds_nobody_up_and_gives_nobody(bot: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    request = asked(bot)
    monkeypatch.setattr(sources, "PATIENCE", 0.2)
    older(bot, timedelta(seconds=70))
    bot.slack.fault("usergroups.users.list", delay=3, times=1)
    answers(bot, "mei", request)
    assert status_of(bot, request) == "pending"
    assert "no answer within" in heard(bot, "mei")


def test_an_empty_group_leaves_the_question_open_until_it_lapses(bot: Living) -> None:
    bot.slack.set_group(GROUP, [])
    older(bot, timedelta(seconds=70))
    request = asked(bot)
    assert "Nobody is asked by this: the Slack group" in text_of(card(bot, request)).replace("\u2060", "")
    older(bot, timedelta(hours=25))
    settle(bot)
    assert status_of(bot, request) == "lapsed"


def test_an_atlassian_group_is_read_from_atlassian(bot: Living) -> None:
    organization = bot.house.directory.clients.organization
    organization.create_group("confluence-reviewers", directory=seed.ORG_DIRECTORY_ID)
    (group,) = organization.groups_by_name(["confluence-reviewers"])
    organization.add_member(group.id, COMPANY.person("tomas").account_id, directory=seed.ORG_DIRECTORY_ID)
    older(bot, timedelta(seconds=70))
    request = asked(bot, "eu-confluence-admins")
    answers(bot, "mei", request)
    assert "the Atlassian group confluence-reviewers" in heard(bot, "mei")
    answers(bot, "tomas", request)
    assert status_of(bot, request) == "done"


def test_whoever_is_suspended_answers_for_no_atlassian_group_until_restored(bot: Living) -> None:
    tomas = COMPANY.person("tomas").account_id
    organization = bot.house.directory.clients.organization
    organization.create_group("confluence-reviewers", directory=seed.ORG_DIRECTORY_ID)
    (group,) = organization.groups_by_name(["confluence-reviewers"])
    organization.add_member(group.id, tomas, directory=seed.ORG_DIRECTORY_ID)
    organization.suspend(tomas, directory=seed.ORG_DIRECTORY_ID)
    assert bot.house.directory.members("confluence-reviewers") == frozenset()
    older(bot, timedelta(seconds=70))
    request = asked(bot, "eu-confluence-admins")
    answers(bot, "tomas", request)
    assert status_of(bot, request) == "pending"
    organization.restore(tomas, directory=seed.ORG_DIRECTORY_ID)
    older(bot, timedelta(minutes=3))
    settle(bot)  # he is seen to be in it again, and counts ten minutes later, as whoever is put in
    older(bot, timedelta(minutes=14))
    answers(bot, "tomas", request)
    assert status_of(bot, request) == "done"


def test_a_yes_of_whoever_is_suspended_before_the_deed_no_longer_counts(bot: Living) -> None:
    tomas = COMPANY.person("tomas").account_id
    organization = bot.house.directory.clients.organization
    organization.create_group("confluence-reviewers", directory=seed.ORG_DIRECTORY_ID)
    (group,) = organization.groups_by_name(["confluence-reviewers"])
    organization.add_member(group.id, tomas, directory=seed.ORG_DIRECTORY_ID)
    older(bot, timedelta(seconds=70))
    request = asked(bot, "eu-confluence-admins")
    approved_and_not_begun(bot, "tomas", request)
    organization.suspend(tomas, directory=seed.ORG_DIRECTORY_ID)
    older(bot, timedelta(seconds=140))
    settle(bot)
    assert status_of(bot, request) == "refused"
    assert "no longer counts" in thread_of(card(bot, request))[-1]


def test_who_is_on_call_by_the_rota_answers_and_a_rota_that_is_gone_gives_nobody(bot: Living, rota: Path) -> None:
    request = asked(bot, "breakglass-drill")
    assert "whoever is on call (primary) can't be read" in text_of(card(bot, request)).replace("\u2060", "")
    rota.write_text(
        'zone = "UTC"\n[[shift]]\n'
        f'who = ["{COMPANY.person("tomas").account_id}", "{COMPANY.person("sade").email}"]\n'
        "from = 2020-01-01T00:00:00\nuntil = 2099-01-01T00:00:00\n"
    )
    answers(bot, "mei", request)
    assert "whoever is on call (primary)" in heard(bot, "mei")
    older(bot, timedelta(seconds=70))
    answers(bot, "sade", request)
    assert status_of(bot, request) == "done"


def test_only_bound_people_are_behind_a_group_and_the_mirror_keeps_them(bot: Living) -> None:
    bot.slack.set_group(GROUP, ["mei", "tomas", "gus"])
    with bot.store.write() as w:
        w.session.delete(w.session.get_one(Binding, (seed.SLACK_TEAM, COMPANY.person("gus").slack_id)))
    older(bot, timedelta(seconds=70))
    asked(bot)
    with bot.store.read() as session:
        members = session.exec(select(SourceMember).where(SourceMember.source == f"usergroup:{GROUP}")).all()
        states = session.exec(select(SourceState)).all()
    assert {member.account for member in members} == {COMPANY.person(who).account_id for who in ("mei", "tomas")}
    assert {state.source for state in states} >= {f"usergroup:{GROUP}"}
