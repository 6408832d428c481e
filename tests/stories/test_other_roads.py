"""A group that no SCIM directory feeds is given and taken by the Organizations API, and the people see which."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.bot.settled import ask, copies, press, settle, status_of, thread_of
from tests.support.living import Living, living
from tests.support.outside import copied

GROUP = "release-managers"
NADIA = seed.company().person("nadia").account_id


@pytest.fixture
def bot(migrated_file: Path, tmp_path: Path) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path), works=False) as bot:
        yield bot


def test_a_local_group_is_given_for_a_while(bot: Living) -> None:
    """Nadia has no record in any SCIM directory: by SCIM nothing could be given to her."""
    before = set(bot.atlassian.members(GROUP))
    start = bot.atlassian.ledger()[-1]["number"]
    request = ask(bot, "nadia", GROUP)
    settle(bot)
    manager = seed.company().person("nadia").manager
    assert manager is not None
    card = next(m for m in bot.slack.dms(manager) if f"{request} · asked" in text_of(m))
    assert "by the Organizations API, because no directory feeds the group" in text_of(card)
    press(bot, manager, "approve", card)
    settle(bot)
    assert status_of(bot, request) == "done"
    assert set(bot.atlassian.members(GROUP)) == before | {NADIA}
    bot.store.move_time(timedelta(hours=2, seconds=1))
    settle(bot)
    assert set(bot.atlassian.members(GROUP)) == before
    (channel,) = copies(bot, request)["channel"]
    told = "\n".join(thread_of(channel))
    assert "is given" in told
    assert "is over" in told
    writes = [entry for entry in bot.atlassian.ledger(after=start, writes=True) if entry["applied"]]
    assert [entry["method"] for entry in writes] == ["POST", "DELETE"]
    assert all("/memberships" in entry["path"] for entry in writes)
