"""What comes again and again is known by name, so that nobody waits for its end: neither the tests nor a tool."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from approvals.jobs import RECURRING
from approvals.models import Job
from tests.bot.settled import settle
from tests.support.living import Living, living
from tests.support.outside import copied

EVERYTHING = {"AUDIT_TEXTS_KEPT_DAYS": "30", "HEARTBEAT_URL": "http://127.0.0.1:9/nobody"}  # what is asked for by name


def kinds(bot: Living) -> set[str]:
    with bot.store.read() as session:
        return set(session.exec(select(Job.kind)))


def test_all_that_a_house_begins_with_is_named_as_recurring_and_comes_to_rest(
    migrated_file: Path, tmp_path: Path
) -> None:
    with living(copied(migrated_file, tmp_path), works=False, **EVERYTHING) as bot:
        bot.house.worker.start = lambda: None  # type: ignore[method-assign]
        bot.house.start()
        begun = kinds(bot) - {"outside"}  # which is looked at once
        assert {"mirror", "events", "checkpoint", "texts"} <= begun <= RECURRING
        settle(bot)
        assert kinds(bot) >= begun, "each of them has asked for its next time"


def test_a_start_during_which_the_database_is_away_for_a_moment_asks_again(
    migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with living(copied(migrated_file, tmp_path), works=False) as bot:
        look, tries, begun = bot.house.loss.look, list[str](), list[str]()

        def away_at_first() -> None:
            tries.append("a look")
            if len(tries) == 1:
                raise OperationalError("SELECT", {}, psycopg.OperationalError("the connection was cut"))
            look()

        monkeypatch.setattr(bot.house.loss, "look", away_at_first)
        monkeypatch.setattr(bot.house.worker, "start", lambda: begun.append("the worker"))
        bot.house.start()
        assert (len(tries), begun) == (2, ["the worker"])
