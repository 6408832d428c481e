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
    start = bot.atlassian.newest()
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


def test_the_whole_bot_makes_just_the_calls_that_a_grant_needs(bot: Living) -> None:
    """From the command to the end: five reads for the plan, then a read, a write and a read back, twice."""

    def since(number: int) -> list[str]:
        entries = bot.atlassian.ledger(after=number)
        return [f"{entry['method']} {entry['path'].split('?')[0].rstrip('0123456789abcdef-')}" for entry in entries]

    def now() -> int:
        return bot.atlassian.newest()

    scim = f"/scim/directory/{seed.OURS.id}"
    read, write = f"GET {scim}/Users/", f"PATCH {scim}/Groups/"
    settle(bot)
    list(bot.house.directory.everyone())  # as the mirror reads everybody, twice an hour
    start = now()
    request = ask(bot, "ada", "eu-jira-admins")
    settle(bot)
    planned = since(start)
    assert len(planned) == 5
    kinds = {"search", "role-assignments", "Groups", "get-scim-links", "record"}  # what the group gives, once a minute
    assert {line.rpartition("/")[2] or "record" for line in planned} == kinds
    start = now()
    press(bot, "grace", "approve", next(m for m in bot.slack.dms("grace") if f"{request} · asked" in text_of(m)))
    settle(bot)
    assert status_of(bot, request) == "done"
    assert since(start) == [read, write, read]
    start = now()
    bot.store.move_time(timedelta(hours=2, seconds=1))
    settle(bot)
    ended = [line for line in since(start) if line.startswith((read, write))]
    assert ended == [read, write, read]
