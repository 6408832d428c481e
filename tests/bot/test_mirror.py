"""The local copy of who people are: refreshed when old, never guessed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from approvals.models import Job, Person, SlackUser
from approvals.ports import PeopleError
from approvals.store import Store
from bot.mirror import EVERY, FRESH, Mirror, standing
from bot.sandbox import seed
from bot.slack_out import SlackError
from tests.support.living import Living, living
from tests.support.outside import copied

OURS = frozenset({"T0HARBOUR", "T0OTHER"})
GRACE = seed.company().person("grace").slack_id
ACCOUNT = "712020:1b2c"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, "member"),
        ({"team_id": "T0OTHER"}, "member"),
        ({"is_admin": True, "is_owner": True}, "member"),
        ({"deleted": True}, "deleted"),
        ({"deleted": True, "is_bot": True, "is_restricted": True}, "deleted"),
        ({"is_bot": True}, "bot"),
        ({"id": "USLACKBOT"}, "bot"),
        ({"is_restricted": True}, "guest"),
        ({"is_ultra_restricted": True}, "guest"),
        ({"is_stranger": True}, "stranger"),
        ({"team_id": "T0EVIL"}, "stranger"),
        ({"team_id": None}, "stranger"),
        ({"team_id": "T0EVIL", "is_restricted": True}, "stranger"),
        ({"team_id": "T0EVIL", "deleted": True}, "deleted"),
    ],
)
def test_what_kind_of_member_somebody_is(flags: dict[str, Any], expected: str) -> None:
    assert standing({"id": "U0ADA", "team_id": "T0HARBOUR", **flags}, OURS) == expected


def test_without_a_word_about_the_workspace_somebody_is_a_stranger() -> None:
    assert standing({"id": "U0ADA"}, OURS) == "stranger"


# -- against the sandbox --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path_factory.mktemp("mirror")), works=False) as bot:
        yield bot


@pytest.fixture
def bot(running: Living) -> Iterator[Living]:
    """Everybody was read a day ago, and nothing is wrong with Slack."""
    with running.store.write() as w:
        for row in w.session.exec(select(SlackUser)):
            row.read_at = w.now - timedelta(days=1)
            row.standing = "member"
    yield running
    running.slack.clear_faults()


def row(bot: Living) -> SlackUser:
    with bot.store.read() as session:
        found = session.get(SlackUser, (seed.SLACK_TEAM, GRACE))
    assert found is not None
    return found


def looks(bot: Living) -> int:
    return len(bot.slack.calls("users.info"))


def set_age(bot: Living, age: timedelta) -> None:
    with bot.store.write() as w:
        found = w.session.get(SlackUser, (seed.SLACK_TEAM, GRACE))
        assert found is not None
        found.read_at = w.now - age


def test_the_mirror_holds_everybody(running: Living) -> None:
    with running.store.read() as session:
        assert len(session.exec(select(SlackUser)).all()) >= 200
        assert len(session.exec(select(Person)).all()) >= 200
        due = session.exec(select(Job.run_at).where(Job.kind == "mirror")).all()
    assert len(due) == 2
    assert timedelta(minutes=1) <= EVERY


def test_a_fresh_copy_is_taken_as_it_is(bot: Living) -> None:
    set_age(bot, FRESH / 2)
    before = looks(bot)
    bot.house.mirror.refresh(seed.SLACK_TEAM, GRACE)
    assert looks(bot) == before


def test_an_old_copy_is_read_again(bot: Living) -> None:
    set_age(bot, FRESH + timedelta(seconds=1))
    before = looks(bot)
    bot.house.mirror.refresh(seed.SLACK_TEAM, GRACE)
    assert looks(bot) == before + 1
    bot.house.mirror.refresh(seed.SLACK_TEAM, GRACE)
    assert looks(bot) == before + 1


def test_a_copy_from_the_future_is_not_trusted(bot: Living) -> None:
    set_age(bot, -timedelta(hours=1))
    before = looks(bot)
    bot.house.mirror.refresh(seed.SLACK_TEAM, GRACE)
    assert looks(bot) == before + 1


def test_somebody_unknown_is_read(bot: Living) -> None:
    with bot.store.write() as w:
        w.session.delete(w.session.get_one(SlackUser, (seed.SLACK_TEAM, GRACE)))
    bot.house.mirror.refresh(seed.SLACK_TEAM, GRACE)
    assert row(bot).standing == "member"


@pytest.mark.parametrize("kind", ["guest", "deleted", "stranger"])
def test_who_became_something_else_is_noticed(bot: Living, kind: str) -> None:
    bot.slack.change_user("grace", kind=kind)
    try:
        bot.house.mirror.refresh(seed.SLACK_TEAM, GRACE)
        assert row(bot).standing == kind
    finally:
        bot.slack.change_user("grace", kind="member", team_id=seed.SLACK_TEAM)


@pytest.mark.parametrize("code", ["user_not_found", "user_not_visible"])
def test_who_slack_does_not_show_is_a_stranger(bot: Living, code: str) -> None:
    bot.slack.fault("users.info", error=code)
    bot.house.mirror.refresh(seed.SLACK_TEAM, GRACE)
    assert row(bot).standing == "stranger"


@pytest.mark.parametrize(
    ("fault", "retry"),
    [
        ({"status": 503}, True),
        ({"status": 429, "error": "ratelimited", "headers": {"Retry-After": "7"}}, True),
        ({"lost": True}, True),
        ({"error": "invalid_auth"}, True),
        ({"error": "access_denied"}, False),
    ],
)
def test_a_look_that_failed_is_an_error_and_never_no_such_person(
    bot: Living, fault: dict[str, Any], retry: bool
) -> None:
    before = row(bot)
    bot.slack.fault("users.info", **fault)
    with pytest.raises(PeopleError) as told:
        bot.house.mirror.refresh(seed.SLACK_TEAM, GRACE)
    assert told.value.retry is retry
    assert row(bot) == before


# -- names nobody expected ------------------------------------------------------------------------------------------


@dataclass
class Account:
    account_id: str
    name: str | None
    email: str | None


class Accounts:
    """An organization of one account."""

    def __init__(self, name: str | None, email: str | None) -> None:
        self.found = [Account(ACCOUNT, name, email)]

    def everyone(self) -> list[Account]:
        return self.found


class Workspace:
    """A workspace of one user; the methods the mirror asks."""

    def __init__(self, name: str) -> None:
        self.users_found = [{"id": "U0X", "team_id": "T0HARBOUR", "profile": {"display_name": name, "email": "A@X"}}]

    def users(self) -> list[dict[str, Any]]:
        return self.users_found

    def user(self, user: str) -> dict[str, Any]:
        raise SlackError("user_not_found", retry=False)


def refreshed(store: Store, name: str | None, mail: str | None = "Ada@Harbour.example") -> tuple[Person, SlackUser]:
    mirror = Mirror(store, Workspace(name or ""), Accounts(name, mail), OURS, None)  # type: ignore[arg-type]
    mirror.start()
    while (claim := store.claim()) is not None:
        mirror.run(claim)
        with store.database.writing() as session:
            session.delete(session.get_one(Job, claim.id))
    with store.read() as session:
        person, user = session.get(Person, ACCOUNT), session.get(SlackUser, ("T0HARBOUR", "U0X"))
    assert person is not None
    assert user is not None
    return person, user


@pytest.mark.parametrize("name", ["nul\x00byte", "half \ud83d pair", "\u202eright to left", "a" * 5000, "line\nbreak"])
def test_one_strange_name_does_not_stop_the_mirror(store: Store, name: str) -> None:
    person, user = refreshed(store, name)
    for shown in (person.name, user.name):
        assert 0 < len(shown) <= 300
        assert not set(shown) & set("\x00\n\u202e\ud83d")


def test_an_account_without_a_name_or_a_mail_is_known_by_its_id(store: Store) -> None:
    person, user = refreshed(store, None, None)
    assert (person.name, person.mail) == (ACCOUNT, "")
    assert user.name == "U0X"


def test_mails_are_kept_in_lower_case(store: Store) -> None:
    person, user = refreshed(store, "Ada")
    assert (person.mail, user.mail) == ("ada@harbour.example", "a@x")


def test_an_account_that_hides_its_mail_keeps_what_was_known(store: Store) -> None:
    with store.write() as w:
        w.add(Person(account=ACCOUNT, name="Ada", mail="ada@harbour.example", manager="712020:boss", read_at=w.now))
    person, _ = refreshed(store, None, None)
    assert (person.name, person.mail, person.manager) == ("Ada", "ada@harbour.example", "712020:boss")
    assert datetime.now(UTC) - person.read_at < timedelta(minutes=5)
