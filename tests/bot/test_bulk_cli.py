"""`gatehouse bulk`: a list from a shell, of which nothing is asked before whoever is named says that it is theirs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import select

from approvals.models import AccessRequest, AuditEntry, News, Preview
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.bot.settled import settle
from tests.support.bulk import bulk_policy
from tests.support.living import Living, living

COMPANY = seed.company()
LIST = "person,action,entitlement,until\nada@harbour.example,grant,eu-jira-admins,2h\n"


@pytest.fixture
def bot(sqlite_url: str) -> Iterator[Living]:
    with living(sqlite_url, policy=bulk_policy(), works=False) as bot:
        yield bot


@pytest.fixture
def shell(bot: Living, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell of the operator, with a file in it."""
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    file = tmp_path / "list.csv"
    file.write_text(LIST, encoding="utf-8")
    return file


def run(file: Path, who: str = "kofi@harbour.example", *more: str) -> tuple[int, str]:
    words = ["bulk", str(file), "--as", who, "--reason", "INC-42: many at once", *more]
    command = [sys.executable, "-m", "bot.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def requests(bot: Living) -> list[AccessRequest]:
    with bot.store.read() as session:
        return list(session.exec(select(AccessRequest)))


def asked_whether_theirs(bot: Living) -> dict[str, object]:
    settle(bot)
    found = [m for m in bot.slack.dms("kofi") if "in your name from a shell" in text_of(m)]
    assert found
    return found[-1]


@pytest.mark.parametrize("who", ["kofi@harbour.example", COMPANY.person("kofi").slack_id])
def test_nothing_is_asked_before_it_is_confirmed_in_slack(bot: Living, shell: Path, who: str) -> None:
    status, said = run(shell, who)
    assert (status, "1 row is handed in" in said) == (0, True)
    message = asked_whether_theirs(bot)
    assert requests(bot) == []
    bot.slack.click("kofi", "bulk_confirm", ts=message["ts"], channel=message["channel"])
    settle(bot)
    (request,) = requests(bot)
    assert (request.status, request.requester) == ("pending", COMPANY.person("kofi").account_id)
    bot.slack.click("kofi", "bulk_confirm", ts=message["ts"], channel=message["channel"])
    settle(bot)
    assert len(requests(bot)) == 1


def test_it_is_in_the_record_with_the_user_of_the_machine_and_told_to_security(bot: Living, shell: Path) -> None:
    run(shell)
    with bot.store.read() as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.event == "bulk.handed_in")).one()
        news = session.exec(select(News).where(News.kind == "shell_act")).one()
    assert json.loads(entry.body)["actor"].startswith("shell:")
    assert (news.place, "handed in a list of 1 row in" in news.facts) == ("security", True)
    assert bot.store.verify().ok


def test_what_is_dropped_is_gone(bot: Living, shell: Path) -> None:
    run(shell)
    message = asked_whether_theirs(bot)
    bot.slack.click("kofi", "bulk_drop", ts=message["ts"], channel=message["channel"])
    bot.slack.click("kofi", "bulk_confirm", ts=message["ts"], channel=message["channel"])
    settle(bot)
    assert requests(bot) == []
    assert "not waiting any more" in text_of(bot.slack.dms("kofi")[-1]) or bot.slack.seen("kofi")["ephemerals"]


def test_what_nobody_confirms_for_a_day_is_forgotten(bot: Living, shell: Path) -> None:
    run(shell)
    asked_whether_theirs(bot)
    bot.store.move_time(timedelta(days=1, minutes=1))
    settle(bot)
    assert "has lapsed" in text_of(bot.slack.dms("kofi")[-1])
    with bot.store.read() as session:
        assert session.exec(select(Preview)).all() == []


def test_somebody_else_cannot_confirm_it(bot: Living, shell: Path) -> None:
    run(shell)
    message = asked_whether_theirs(bot)
    bot.slack.click("omar", "bulk_confirm", ts=message["ts"], channel=message["channel"], force=True)
    settle(bot)
    assert requests(bot) == []


def test_a_list_changed_in_the_database_is_not_asked_for(bot: Living, shell: Path) -> None:
    run(shell)
    message = asked_whether_theirs(bot)
    with bot.store.write() as w:
        w.connection.execute(text("UPDATE previews SET form = replace(form, 'ada@', 'mei@')"))
    bot.slack.click("kofi", "bulk_confirm", ts=message["ts"], channel=message["channel"])
    settle(bot)
    assert requests(bot) == []
    assert "not the one that was handed in" in text_of(bot.slack.dms("kofi")[-1])


def test_all_or_nothing_goes_along(bot: Living, shell: Path) -> None:
    shell.write_text(LIST + "nobody@x.example,grant,eu-jira-admins,2h\n", encoding="utf-8")
    run(shell, "kofi@harbour.example", "--all-or-nothing")
    message = asked_whether_theirs(bot)
    bot.slack.click("kofi", "bulk_confirm", ts=message["ts"], channel=message["channel"])
    settle(bot)
    assert [request.status for request in requests(bot)] == ["refused"]


@pytest.mark.parametrize(
    ("content", "who", "said"),
    [
        ("", "kofi@harbour.example", "The file is empty"),
        ("a,b\n1,2", "kofi@harbour.example", "does not name the column person"),
        (LIST, "nobody@harbour.example", "nobody bound is known by that"),
        (LIST, "U0NOBODY99", "nobody bound is known by that"),
        (LIST, "gus@harbour.example", "nobody bound is known by that"),
    ],
)
def test_what_cannot_be_is_a_sentence(bot: Living, shell: Path, content: str, who: str, said: str) -> None:
    shell.write_text(content, encoding="utf-8")
    status, output = run(shell, who)
    assert status == 2
    assert said in output
    with bot.store.read() as session:
        assert session.exec(select(Preview)).all() == []


def test_a_reason_is_wanted_where_the_policy_wants_one(bot: Living, shell: Path) -> None:
    status, said = run(shell, "kofi@harbour.example", "--reason", "why")
    assert (status, "at least 10 characters" in said) == (2, True)


def test_a_file_that_is_not_there(bot: Living, shell: Path) -> None:
    assert run(shell.with_name("nothing.csv"))[0] == 2
