"""What a command and a click ask the database: few statements, and none whose text is written anew each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.support.living import Living, living

# Statements until the answer is out; one more is a choice, and these figures are where it is made. On SQLite
# whoever writes with others has a savepoint besides.
OF_A_COMMAND = 17
OF_A_CLICK = 10
OF_ITS_JUDGEMENT = 26
OF_ITS_DEED = 69


@pytest.fixture
def bot(sqlite_url: str) -> Iterator[Living]:
    with living(sqlite_url, works=False) as bot:
        yield bot


def test_a_command_and_a_click_ask_little_and_nothing_that_is_written_anew_each_time(bot: Living) -> None:
    bot.slack.command("ada", "grant eu-jira-admins for 1h because INC-1: it is down")  # the policy is read and proven
    with statements(bot) as asked:
        answer = bot.slack.command("ada", "grant eu-jira-admins for 2h because INC-2: it is down")
    assert "REQ-" in answer["body"]["text"]
    assert len(asked) <= OF_A_COMMAND, asked
    request = answer["body"]["text"].split()[1].rstrip(":")
    bot.house.worker.run_until_idle()
    for who in ("grace", "ada"):  # whom the mirror has read within a minute is not read
        bot.house.mirror.refresh(seed.SLACK_TEAM, seed.company().person(who).slack_id)
    card = next(message for message in bot.slack.dms("grace") if f"{request} · asked" in text_of(message))
    with statements(bot) as asked:
        bot.slack.click("grace", "approve", ts=card["ts"], channel=card["channel"])
    assert len(asked) <= OF_A_CLICK, asked
    claim = bot.store.claim()
    assert claim is not None
    with statements(bot) as asked:
        bot.house.worker.run(claim)
    assert claim.kind == "count"
    assert len(asked) <= OF_ITS_JUDGEMENT, asked
    deed = bot.store.claim()
    assert deed is not None
    with statements(bot) as asked:
        bot.house.worker.run(deed)
    assert deed.kind == "apply"
    assert len(asked) <= OF_ITS_DEED, asked


@contextmanager
def statements(bot: Living) -> Iterator[list[str]]:
    """The statements that are sent meanwhile; none of them may have a list that is written anew."""
    sent: list[str] = []
    anew: list[str] = []

    def look(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if "FROM meta" not in statement:  # where time was moved to, which only local stand-ins ask
            sent.append(statement)
        if context.compiled is not None and context.compiled.post_compile_params:
            anew.append(statement)

    event.listen(bot.store.database.engine, "before_cursor_execute", look)
    try:
        yield sent
    finally:
        event.remove(bot.store.database.engine, "before_cursor_execute", look)
    assert anew == []
