"""What is looked after without being asked: the last days of keys, keys that are refused, the record, the vendors."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from approvals.jobs import RECURRING
from approvals.models import Job, News
from bot.key_slots import WARN_AT
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from bot.watch import EVERY, skew, watched
from handlers.news import draw_news
from tests.support.living import Living, living, until
from tests.support.outside import copied

TODAY = datetime.now(UTC).date()


@pytest.fixture
def url(migrated_file: Path, tmp_path: Path) -> str:
    return copied(migrated_file, tmp_path)


@contextmanager
def bot_with(url: str, **more: str) -> Iterator[Living]:
    with living(url, works=False, **more) as bot:
        yield bot


def watch(bot: Living, *what: str) -> None:
    for each in what:
        with bot.store.write() as w:
            w.enqueue("watch", each)
    bot.house.worker.run_until_idle()


def told(bot: Living, kind: str) -> list[dict[str, Any]]:
    with bot.store.read() as session:
        rows = session.exec(select(News).where(News.kind == kind).order_by(col(News.id))).all()
        assert {row.place for row in rows} <= {"operators", "security"}
        for row in rows:
            draw_news(row, None, audit_log="https://admin.atlassian.com")
    return [json.loads(row.facts) for row in rows]


def in_days(days: int) -> str:
    return str(TODAY + timedelta(days=days))


# -- the last day of a key --------------------------------------------------------------------------------------------


def test_the_end_of_a_key_is_told_at_each_step_once_and_when_it_is_over(url: str) -> None:
    with bot_with(url, ATLASSIAN_ORG_API_KEY_EXPIRES=in_days(70), ATLASSIAN_SCIM_API_KEY_EXPIRES=in_days(900)) as bot:
        for day in (0, 1, *(70 - warned + near for warned in (60, 30, 14, 7, 3, 1) for near in (-1, 0, 1)), 71, 72):
            bot.store.move_time(timedelta(days=day))
            watch(bot, "keys")
            watch(bot, "keys")
        facts = told(bot, "key_expires")
    assert [one["days"] for one in facts] == [60, 30, 14, 7, 3, 1, -1]
    assert {one["setting"] for one in facts} == {"ATLASSIAN_ORG_API_KEY"}


def test_who_begins_late_is_told_once_and_not_of_each_step_that_is_past(url: str) -> None:
    with bot_with(url, ATLASSIAN_ORG_API_KEY_EXPIRES=in_days(5)) as bot:
        watch(bot, "keys")
        assert [one["days"] for one in told(bot, "key_expires")] == [5]
    assert 5 not in WARN_AT


def test_each_key_has_its_own_warnings_the_next_ones_too(url: str) -> None:
    days = {
        "ATLASSIAN_ORG_API_KEY_EXPIRES": in_days(3),
        "ATLASSIAN_ORG_API_KEY_NEXT": "another-key-4711",
        "ATLASSIAN_ORG_API_KEY_NEXT_EXPIRES": in_days(50),
        "ATLASSIAN_SCIM_API_KEY_EXPIRES": in_days(20),
        "ATLASSIAN_SITE_API_TOKEN_EXPIRES": in_days(300),
    }
    with living(url, works=False, site=True, **days) as bot:
        watch(bot, "keys")
        found = {one["setting"]: (one["days"], one["replaced"]) for one in told(bot, "key_expires")}
    assert found == {
        "ATLASSIAN_ORG_API_KEY": (3, True),
        "ATLASSIAN_ORG_API_KEY_NEXT": (50, False),
        "ATLASSIAN_SCIM_API_KEY": (20, False),
    }


def test_a_key_whose_day_nobody_wrote_down_is_the_doctors_to_tell(url: str) -> None:
    with bot_with(url) as bot:
        watch(bot, "keys")
        assert told(bot, "key_expires") == []


def test_the_warning_is_in_the_operators_channel_with_what_to_do(url: str) -> None:
    with living(url, ATLASSIAN_ORG_API_KEY_EXPIRES=in_days(14)) as bot:
        with bot.store.write() as w:
            w.enqueue("watch", "keys")
        until(lambda: "expires in" in said(bot))
        text = said(bot)
    assert f"ATLASSIAN_ORG_API_KEY expires in 14 days, on {in_days(14)}" in text
    assert "docs/runbooks/rotate-a-key.md" in text


def said(bot: Living) -> str:
    return "\n".join(text_of(message) for message in bot.slack.channel("#gatehouse-operators"))


# -- a key that is refused --------------------------------------------------------------------------------------------


def test_a_key_that_is_refused_gives_way_to_the_next_and_operators_hear_it_once(url: str) -> None:
    right = {"ATLASSIAN_ORG_API_KEY": "a-revoked-key-4711", "ATLASSIAN_ORG_API_KEY_NEXT": seed.ORG_API_KEY}
    with bot_with(url, **right) as bot:
        for _ in range(3):
            watch(bot, "atlassian")
        (one,) = told(bot, "key_next")
        assert (one["setting"], one["why"]) == ("ATLASSIAN_ORG_API_KEY", "it is refused")
        assert told(bot, "key_refused") == []
        with bot.store.read() as session:
            assert watched(session)["atlassian"]["ok"] is True
        with bot.store.read() as session:
            facts = "".join(session.exec(select(News.facts)).all()) + "".join(session.exec(select(News.key)).all())
        assert "a-revoked-key-4711" not in facts
        assert seed.ORG_API_KEY not in facts


def test_a_directory_has_two_keys_as_well(url: str) -> None:
    with bot_with(url, ATLASSIAN_SCIM_API_KEY="regenerated-4711", ATLASSIAN_SCIM_API_KEY_NEXT=seed.OURS.key) as bot:
        watch(bot, "atlassian")
        (one,) = told(bot, "key_next")
        assert one["setting"] == "ATLASSIAN_SCIM_API_KEY"


def test_where_no_key_works_operators_hear_it_once_a_day_and_the_look_goes_on(url: str) -> None:
    with bot_with(url, ATLASSIAN_SCIM_API_KEY="regenerated-4711") as bot:
        for hours in (0, 1, 25):
            bot.store.move_time(timedelta(hours=hours))
            watch(bot, "atlassian")
        facts = told(bot, "key_refused")
        assert 2 <= len(facts) <= 3, "once a day: an hour may be another day"
        assert {(one["setting"], one["both"]) for one in facts} == {("ATLASSIAN_SCIM_API_KEY", False)}
        with bot.store.read() as session:
            seen = watched(session)["atlassian"]
        assert seen["ok"] is False
        assert seen["each"]["organization"] == ""
        assert told(bot, "job_in_trouble") == []


def test_a_grant_goes_on_with_the_next_key_without_a_pause(url: str) -> None:
    """The key is regenerated, and the next one was put in before: nobody notices but the operators."""
    keys = {"ATLASSIAN_SCIM_API_KEY": "regenerated-4711", "ATLASSIAN_SCIM_API_KEY_NEXT": seed.OURS.key}
    with living(url, **keys) as bot:
        bot.slack.command("ada", "grant eu-jira-admins for 2h because INC-42: the database is down")
        card = bot.slack.wait_for("grace", "asks for")
        bot.slack.click("grace", "approve", ts=card["ts"], channel=card["channel"])
        ada = seed.company().person("ada").account_id
        until(lambda: ada in bot.atlassian.members("eu-jira-admins"))


# -- vendors and the record -------------------------------------------------------------------------------------------


def test_a_record_that_is_not_whole_is_told_to_operators_and_security_once(url: str) -> None:
    with bot_with(url) as bot:
        watch(bot, "record")
        assert told(bot, "record_broken") == []
        with bot.store.database.engine.begin() as connection:
            for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
                connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
            connection.exec_driver_sql("UPDATE audit SET body = body || ' ' WHERE seq = 2")
        watch(bot, "record")
        watch(bot, "record")
        facts = told(bot, "record_broken")
        assert len(facts) == 2
        assert all("entry 2" in one["problem"] for one in facts)


def test_every_look_comes_again_and_none_is_work_that_anybody_waits_for(url: str) -> None:
    with bot_with(url) as bot:
        bot.house.upkeep.start()
        bot.house.worker.run_until_idle()
        with bot.store.read() as session:
            due = dict(session.exec(select(Job.about, Job.run_at).where(Job.kind == "watch")).all())
            now = bot.store.time_in(session)
            seen = watched(session)
        assert set(due) == set(EVERY) == set(seen)
        assert all(run_at > now + EVERY[about] / 2 for about, run_at in due.items())
    assert "watch" in RECURRING


def test_calls_that_are_used_up_are_no_news_of_the_vendor(url: str) -> None:
    with bot_with(url, ATLASSIAN_CALLS_A_MINUTE="20") as bot:
        for _ in range(12):
            watch(bot, "atlassian")
        with bot.store.read() as session:
            assert watched(session)["atlassian"]["ok"] is True


@pytest.mark.parametrize(
    ("date_header", "seconds"),
    [("Mon, 23 Nov 2026 12:00:00 GMT", 0.0), ("Mon, 23 Nov 2026 12:00:40 GMT", -40.0), ("", None), ("soon", None)],
)
def test_how_far_our_clock_is_ahead(date_header: str, seconds: float | None) -> None:
    here = datetime(2026, 11, 23, 12, 0, 0, 500_000, tzinfo=UTC)
    assert skew(date_header, here) == seconds
