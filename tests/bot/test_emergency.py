"""The emergency administrators: how they stand is said once a day, and whatever one of them does at once and once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from approvals import crash
from approvals.models import AuditEntry, Meta, News
from bot.event_reading import CURSOR
from bot.sandbox import seed
from bot.sandbox.demo_policy import demo_policy
from bot.sandbox.slack.control import text_of
from tests.bot.test_events import pass_time
from tests.bot.test_metrics import figures
from tests.stories.test_kill import OF_THE_LOOP, OF_THE_WATCH
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy

COMPANY = seed.company()
EMERGENCY, SADE, ADA = (COMPANY.person(who).account_id for who in (seed.EMERGENCY, "sade", "ada"))
OK = "gatehouse_emergency_admins_ok"


def listing(account: str) -> str:
    """The demo's policy with somebody else as its emergency administrator."""
    return roomy(demo_policy().replace(f'account = "{EMERGENCY}"\nwhy', f'account = "{account}"\nwhy'))


@pytest.fixture
def bot(tmp_path: Path, migrated_file: Path) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path), works=False) as bot:
        yield bot


def look(bot: Living) -> None:
    bot.house.watch.start()
    bot.house.worker.run_until_idle()


def told(bot: Living, kind: str) -> list[News]:
    with bot.store.read() as session:
        return list(session.exec(select(News).where(News.kind == kind)))


def said(bot: Living, words: str, channel: str = "#security") -> list[str]:
    texts = [text_of(message).replace("\u2060", "") for message in bot.slack.channel(channel)]
    return [text for text in texts if words in text]


def entries(bot: Living, event: str) -> list[AuditEntry]:
    with bot.store.read() as session:
        return list(session.exec(select(AuditEntry).where(AuditEntry.event == event)))


# -- how they stand ---------------------------------------------------------------------------------------------------


def test_one_that_is_as_it_should_be_is_no_news(bot: Living) -> None:
    assert figures(bot)[OK] == 0, "nobody has looked yet"
    look(bot)
    assert told(bot, "emergency_trouble") == []
    assert figures(bot)[OK] == 1
    pass_time(bot, 3 * 24 * 60)
    assert figures(bot)[OK] == 1, "it is looked at every day"


def test_a_look_that_is_old_says_nothing(bot: Living) -> None:
    look(bot)
    bot.store.move_time(timedelta(days=3))
    assert figures(bot)[OK] == 0


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({"active": False}, "the account is inactive"),
        ({"google": True}, "an identity provider runs it (externalDirectory.google)"),
        ({"closed": True}, "the account is closed"),
    ],
)
def test_what_is_wrong_is_said_to_security_and_operators_once_a_day(
    bot: Living, states: dict[str, bool], words: str
) -> None:
    bot.atlassian.change_account(EMERGENCY, **states)
    look(bot)
    look(bot)
    assert len(said(bot, words)) == len(said(bot, words, "#gatehouse-operators")) == 1
    assert figures(bot)[OK] == 0
    pass_time(bot, 24 * 60 + 1)
    assert len(said(bot, words)) == 2
    bot.atlassian.change_account(EMERGENCY, **(dict.fromkeys(states, False) | {"active": True}))
    pass_time(bot, 24 * 60 + 1)
    assert len(said(bot, words)) == 2
    assert figures(bot)[OK] == 1


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ("712020:nobody", "the organization has no such account"),
        (SADE, f"the SCIM directory {seed.OURS.id} runs it"),
        (COMPANY.person("nadia").account_id, "it is no organization administrator"),
    ],
)
def test_one_that_is_not_there_is_fed_or_is_no_admin_is_said_with_the_mend(
    tmp_path: Path, migrated_file: Path, account: str, words: str
) -> None:
    with living(copied(migrated_file, tmp_path), policy=listing(account), works=False) as bot:
        look(bot)
        (text,) = said(bot, words)
        assert account in text
        assert any(mend in text for mend in ("[[protected]]", "Take it out of that directory", "Make it one"))
        assert f'"account":"{account}"' in entries(bot, "emergency.trouble")[0].body


def test_without_one_that_is_marked_nothing_is_looked_at(tmp_path: Path, migrated_file: Path) -> None:
    policy = roomy(demo_policy().replace("emergency = true\n", ""))
    with living(copied(migrated_file, tmp_path), policy=policy, works=False) as bot:
        bot.atlassian.clear_ledger()
        look(bot)
        assert bot.atlassian.ledger() == []
        assert figures(bot)[OK] == 0
        bot.atlassian.happens(EMERGENCY, "user_login")
        pass_time(bot, 1)
        assert told(bot, "emergency_event") == []


def test_nothing_of_theirs_is_ever_written(bot: Living) -> None:
    bot.atlassian.change_account(EMERGENCY, active=False)
    bot.atlassian.clear_ledger()
    look(bot)
    assert bot.atlassian.ledger()
    assert bot.atlassian.ledger(writes=True) == []


def test_atlassian_that_is_away_is_asked_again(bot: Living) -> None:
    bot.atlassian.change_account(EMERGENCY, active=False)
    bot.atlassian.fault(path_regex="users/search", status=503, times=2)
    look(bot)
    assert told(bot, "emergency_trouble") == []
    pass_time(bot, 6)
    pass_time(bot, 6)
    assert len(said(bot, "the account is inactive")) == 1


def test_a_key_that_may_not_read_them_is_said_to_operators(bot: Living) -> None:
    bot.atlassian.fault(path_regex="get-scim-links", status=403, times=1)
    look(bot)
    assert len(said(bot, "How the emergency administrators stand can't be read", "#gatehouse-operators")) == 1
    bot.atlassian.change_account(EMERGENCY, active=False)
    pass_time(bot, 61)
    assert len(said(bot, "the account is inactive")) == 1


# -- what they do -----------------------------------------------------------------------------------------------------


def test_whatever_they_do_or_is_done_to_them_security_hears_at_once_and_nobody_elses_doings(bot: Living) -> None:
    pass_time(bot, 0.1)
    id = bot.atlassian.happens(EMERGENCY, "user_login", "Logged in <!channel> from *afar*")
    bot.atlassian.happens(ADA, "user_login", "Logged in")
    bot.atlassian.happens(ADA, "managed_account_updated", "Changed it", about=EMERGENCY)
    pass_time(bot, 1)
    (login,) = said(bot, "did something")
    assert id in login
    assert "user_login" in login
    assert "<!channel>" not in login
    assert len(said(bot, "was changed")) == 1
    assert len(told(bot, "emergency_event")) == 2
    assert len(entries(bot, "emergency.event")) == 2
    assert bot.store.verify().ok


def test_doubled_late_and_out_of_order_each_event_is_announced_once(bot: Living) -> None:
    bot.atlassian.switch(event_repeats=True, event_page_limit=1)
    pass_time(bot, 0.1)
    ids = [bot.atlassian.happens(EMERGENCY, "user_login", delay=late) for late in (200, 0, 90, 30)]
    for _ in range(6):
        pass_time(bot, 1)
    with bot.store.write() as w:
        w.session.merge(Meta(key=CURSOR, value="of yesterday"))  # thrown away: an hour is read again
    pass_time(bot, 1)
    texts = said(bot, "did something")
    assert len(texts) == len(ids)
    assert {id for id in ids for text in texts if id in text} == set(ids)
    assert len(entries(bot, "emergency.event")) == len(ids)


class Killed(BaseException):
    """Nothing after it runs."""


@pytest.fixture
def kill() -> Iterator[Any]:
    def at(wanted: str) -> None:
        def hook(label: str) -> None:
            if label == wanted:
                crash.set_hook(lambda label: None)
                raise Killed(label)

        crash.set_hook(hook)

    yield at
    crash.set_hook(lambda label: None)


@pytest.mark.parametrize("label", [label for label in OF_THE_LOOP if label != "events: matched"])
def test_killed_while_the_log_is_read_each_is_announced_once(bot: Living, kill: Any, label: str) -> None:
    pass_time(bot, 0.1)
    bot.atlassian.happens(EMERGENCY, "user_login")
    kill(label)
    with pytest.raises(Killed):
        pass_time(bot, 1)
    bot.store.take_over()
    pass_time(bot, 1)
    assert len(said(bot, "did something")) == 1
    assert len(entries(bot, "emergency.event")) == 1


@pytest.mark.parametrize("label", OF_THE_WATCH)
def test_killed_after_a_look_what_was_seen_is_said(bot: Living, kill: Any, label: str) -> None:
    bot.atlassian.change_account(EMERGENCY, active=False)
    kill(label)
    with pytest.raises(Killed):
        look(bot)
    bot.store.take_over()
    look(bot)
    assert len(said(bot, "the account is inactive")) == 1
