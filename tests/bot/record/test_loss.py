"""At a start: a record that is older than what was said of it outside is recognised, before anything is given."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from approvals.models import AuditEntry, Meta, SafeMode, Stray
from approvals.outside import Note
from approvals.safe_mode import current, leave
from approvals.safety import UNKNOWN
from approvals.store import MACHINE
from bot.app import House, build
from bot.record.book import CHECKPOINT, GIVEN, LEFT, OVERLAP, Said, append, line_of
from bot.record.loss import COPY, differs
from bot.record.signing import new_key, signing_key
from bot.sandbox import seed
from bot.slack_budget import Budget
from tests.bot.settled import ask, copies, press, settle, status_of
from tests.support.living import Living, living
from tests.support.outside import copied

PRIVATE = new_key()[0]
KEY = signing_key(PRIVATE)
NOTE = Note("REQ-lost", "712020:ada", "eu-jira-admins", "scim:d1/groups/g1", None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outside.jsonl"


@pytest.fixture
def bot(migrated_file: Path, tmp_path: Path, file: Path) -> Iterator[Living]:
    url = copied(migrated_file, tmp_path)
    with living(url, works=False, CHECKPOINT_FILE=str(file), AUDIT_SIGNING_KEY=PRIVATE) as bot:
        yield bot


@pytest.fixture
def without_file(migrated_file: Path, tmp_path: Path) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path), works=False, AUDIT_SIGNING_KEY=PRIVATE) as bot:
        yield bot


def started(bot: Living, *given: Path) -> House:
    """Another start of the same bot, as far as it looks whether anything is missing."""
    house = build(bot.house.settings, budget=Budget({}), given=given)
    house.loss.look()
    return house


def safe(bot: Living) -> SafeMode | None:
    with bot.store.read() as session:
        return current(session)


def head(bot: Living) -> AuditEntry:
    with bot.store.read() as session:
        return session.exec(select(AuditEntry).order_by(AuditEntry.seq.desc())).first()  # type: ignore[attr-defined]


def say(file: Path, seq: int, hash: str, event: str = GIVEN, *notes: Note) -> None:
    four = {"organization": seed.ORG_ID, "seq": seq, "hash": hash, "at": "2026-11-28T09:00:00+00:00"}
    append(file, [line_of(four, event, KEY, grants=[note.written() for note in notes])])


def meta(bot: Living, key: str) -> bool:
    with bot.store.read() as session:
        return session.get(Meta, key) is not None


# -- the file ---------------------------------------------------------------------------------------------------------


def test_a_record_that_agrees_with_what_was_said_is_what_it_was(bot: Living, file: Path) -> None:
    newest = head(bot)
    say(file, newest.seq, newest.hash)
    started(bot)
    assert safe(bot) is None
    assert not meta(bot, UNKNOWN)


def test_a_record_that_is_behind_is_in_safe_mode_with_what_was_said_to_be_held(bot: Living, file: Path) -> None:
    newest = head(bot)
    say(file, newest.seq + 5, "f" * 64, GIVEN, NOTE)
    started(bot)
    mode = safe(bot)
    assert mode is not None
    assert f"the record ends at entry {newest.seq}" in mode.why
    assert f"saw entry {newest.seq + 5} at 2026-11-28 09:00 UTC" in mode.why
    assert "and the checkpoint file saw entry" in mode.why, "every employee reads it: no path of the machine"
    assert str(file.parent) not in mode.why
    with bot.store.read() as session:
        (row,) = session.exec(select(Stray)).all()
    assert (row.account, row.request, row.evidence) == (NOTE.account, NOTE.request, "outside")


def test_a_record_with_another_entry_at_that_place_is_in_safe_mode(bot: Living, file: Path) -> None:
    say(file, 3, "f" * 64)
    started(bot)
    mode = safe(bot)
    assert mode is not None
    assert "entry 3 of the record is not the one that was there" in mode.why


def test_an_empty_record_is_in_safe_mode(sqlite_url: str, file: Path) -> None:
    """Nothing but what the very first start writes."""
    say(file, 1000, "f" * 64)
    with living(sqlite_url, works=False, CHECKPOINT_FILE=str(file), AUDIT_SIGNING_KEY=PRIVATE) as bot:
        started(bot)
        assert safe(bot) is not None


def test_a_line_that_nobody_of_ours_signed_changes_nothing(bot: Living, file: Path) -> None:
    other = signing_key(new_key()[0])
    four = {"organization": seed.ORG_ID, "seq": 10_000, "hash": "f" * 64, "at": "2026-11-28T09:00:00+00:00"}
    append(file, [line_of(four, GIVEN, other, grants=[NOTE.written()])])
    started(bot)
    assert safe(bot) is None


def test_it_is_entered_once_however_often_the_bot_is_started(bot: Living, file: Path) -> None:
    say(file, head(bot).seq + 500, "f" * 64)
    for _ in range(3):
        started(bot)
    with bot.store.read() as session:
        assert len(session.exec(select(SafeMode)).all()) == 1


def test_after_it_was_left_the_same_lines_do_not_bring_it_back(bot: Living, file: Path) -> None:
    say(file, head(bot).seq + 500, "f" * 64)
    started(bot)
    house = started(bot)
    house.loss.book.say(LEFT)
    with bot.store.write() as w:
        mode = w.session.exec(select(SafeMode)).one()
        mode.read_at = w.now
        w.session.add(mode)
        w.session.flush()
        leave(w, mode.id or 0, "712020:omar")
    started(bot)
    assert safe(bot) is None


def test_while_somebody_is_not_settled_it_is_not_left_and_not_said_to_be(bot: Living, file: Path) -> None:
    """As when somebody was found between the click and the job."""
    say(file, head(bot).seq + 500, "f" * 64, GIVEN, NOTE)
    started(bot)
    mode = safe(bot)
    assert mode is not None
    with bot.store.write() as w:
        w.enqueue("safe mode over", f"{mode.id}/712020:omar")
    settle(bot)
    assert safe(bot) is not None
    assert LEFT not in file.read_text(encoding="utf-8")


def test_killed_after_it_was_said_and_before_it_was_written_down_it_is_still_on(bot: Living, file: Path) -> None:
    say(file, head(bot).seq + 500, "f" * 64)
    started(bot).loss.book.say(LEFT)
    started(bot)
    assert safe(bot) is not None


def test_a_file_that_can_not_be_read_is_said_to_be_and_slack_is_asked(bot: Living, file: Path) -> None:
    file.mkdir()
    house = started(bot)
    assert "CHECKPOINT_FILE" in house.loss.trouble
    assert meta(bot, UNKNOWN)


def test_a_file_that_is_named_at_the_start_counts_like_the_other(without_file: Living, tmp_path: Path) -> None:
    bot, named = without_file, tmp_path / "drained-from-the-log"
    say(named, head(bot).seq + 5, "f" * 64)
    started(bot, named)
    assert safe(bot) is not None


def test_what_the_book_has_said_already_is_not_said_again(bot: Living, file: Path) -> None:
    request = ask(bot, "ada", "eu-jira-admins")
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    with bot.store.write() as w:
        for _ in range(OVERLAP):
            w.audit("noted", actor=MACHINE)
    newest = head(bot)
    say(file, newest.seq, newest.hash, CHECKPOINT)
    before = file.read_text(encoding="utf-8")
    house = started(bot)
    house.loss.book.catch_up()
    assert file.read_text(encoding="utf-8") == before
    assert before.count(request) == 1


# -- Slack ------------------------------------------------------------------------------------------------------------


def posted(bot: Living, seq: int, hash: str, *notes: Note) -> None:
    """As a bot of yesterday posted it."""
    four = {"organization": seed.ORG_ID, "seq": seq, "hash": hash, "at": "2026-11-28T09:00:00+00:00"}
    line = line_of(four, GIVEN, KEY, grants=[note.written() for note in notes])
    bot.house.loss.slack._call("chat.postMessage", channel=channel(bot), text=f"```{line}```")


def channel(bot: Living) -> str:
    with bot.store.read() as session:
        channels = bot.house.policies.current(session).channels
    return channels.audit or channels.operators


def test_where_the_bot_may_read_its_audit_channel_that_tells_as_well(without_file: Living) -> None:
    bot = without_file
    bot.slack.scopes(add=["groups:history", "channels:history"])
    posted(bot, head(bot).seq + 5, "f" * 64, NOTE)
    started(bot)
    assert meta(bot, UNKNOWN)
    settle(bot)
    mode = safe(bot)
    assert mode is not None
    assert "the audit channel saw entry" in mode.why
    assert not meta(bot, UNKNOWN)
    with bot.store.read() as session:
        assert session.exec(select(Stray.request).where(Stray.evidence == "outside")).all() == ["REQ-lost"]


def test_a_file_that_was_put_back_with_the_database_is_overruled_by_the_channel(bot: Living, file: Path) -> None:
    bot.slack.scopes(add=["groups:history", "channels:history"])
    newest = head(bot)
    say(file, newest.seq, newest.hash)
    posted(bot, newest.seq + 500, "f" * 64, NOTE)
    started(bot)
    assert (safe(bot), meta(bot, UNKNOWN)) == (None, False), "nothing waits for Slack where the file agrees"
    settle(bot)
    mode = safe(bot)
    assert mode is not None
    assert "the audit channel saw entry" in mode.why


def test_what_people_write_in_the_channel_is_no_checkpoint(without_file: Living) -> None:
    bot = without_file
    bot.slack.scopes(add=["groups:history", "channels:history"])
    four = {"organization": seed.ORG_ID, "seq": 10_000, "hash": "f" * 64, "at": "2026-11-28T09:00:00+00:00"}
    bot.slack.say("omar", line_of(four, GIVEN, KEY, grants=[]), channel=channel(bot))
    started(bot)
    settle(bot)
    assert safe(bot) is None


def test_without_the_scope_nothing_waits(without_file: Living) -> None:
    bot = without_file
    started(bot)
    settle(bot)
    assert (safe(bot), meta(bot, UNKNOWN)) == (None, False)


def test_while_slack_is_away_nothing_is_given_and_then_it_is(without_file: Living) -> None:
    bot = without_file
    request = ask(bot, "ada", "eu-jira-admins")
    settle(bot)
    card = copies(bot, request)["grace"][0]
    bot.slack.fault("conversations.history", status=503, times=3)
    started(bot)
    press(bot, "grace", "approve", card)
    bot.house.worker.run_until_idle()
    assert status_of(bot, request) == "approved"
    assert bot.atlassian.ledger(writes=True) == []
    settle(bot)
    assert status_of(bot, request) == "done"


# -- a copy -----------------------------------------------------------------------------------------------------------


def mark_as_a_copy(bot: Living) -> None:
    with bot.store.write() as w:
        w.add(Meta(key=COPY, value="7"))


def test_a_copy_that_nothing_outside_speaks_for_is_in_safe_mode(without_file: Living) -> None:
    bot = without_file
    mark_as_a_copy(bot)
    started(bot)
    settle(bot)
    mode = safe(bot)
    assert mode is not None
    assert "a copy that was put back" in mode.why
    assert not meta(bot, COPY)


def test_a_copy_that_lost_nothing_goes_on(bot: Living, file: Path) -> None:
    """Moved to another machine: the file saw nothing that the copy does not have."""
    newest = head(bot)
    say(file, newest.seq, newest.hash)
    mark_as_a_copy(bot)
    started(bot)
    settle(bot)
    assert (safe(bot), meta(bot, COPY)) == (None, False)


# -- by hand ----------------------------------------------------------------------------------------------------------


def test_the_words_say_how_far_the_record_is_and_who_saw_more(bot: Living, file: Path) -> None:
    with bot.store.write() as w:
        w.audit("noted", actor=MACHINE)
    newest = head(bot)
    say(file, newest.seq, newest.hash)
    known = bot.house.loss
    assert known.book.file == file
    with bot.store.read() as session:
        agreeing = Said(seed.ORG_ID, newest.seq, newest.hash, "2026-11-28T09:00:00+00:00", "the disk")
        assert differs(session, agreeing) == ""
        ahead = Said(seed.ORG_ID, newest.seq + 1, newest.hash, "2026-11-28T09:00:00+00:00", "the disk")
        assert differs(session, ahead) == (
            f"the record ends at entry {newest.seq}, and the disk saw entry {newest.seq + 1} at 2026-11-28 09:00 UTC"
        )


def test_a_copied_file_is_the_same_record(bot: Living, file: Path, tmp_path: Path) -> None:
    newest = head(bot)
    say(file, newest.seq, newest.hash)
    shutil.copy(file, tmp_path / "again")
    started(bot, tmp_path / "again")
    assert safe(bot) is None
