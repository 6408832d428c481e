"""What stands outside of the record: each grant and its end, before it is given; and how it is read again."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from approvals.models import Grant
from approvals.outside import Note, digest_of
from approvals.ports import OutsideError
from approvals.provisioning import Provisioning
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import MACHINE, Store
from bot.record.book import (
    CANDIDATES,
    ENDED,
    GIVEN,
    LEFT,
    Book,
    BookError,
    append,
    line_of,
    read_file,
    read_lines,
    why_not_writable,
)
from bot.record.checkpoints import head, made
from bot.record.loss import Loss
from bot.record.signing import new_key, signing_key
from tests.support.bulk import approve, bulk_policy, line, planned
from tests.support.verifier import load
from tests.support.world import World, account

verifier = load()
ORGANIZATION = "0b1d7a52-6c38-4b57-9a3e-1f5a4d2c9e01"
KEY, OTHER_KEY = (signing_key(new_key()[0]) for _ in range(2))
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Kept:
    """A world whose promises go into a file and a log."""

    def __init__(
        self, store: Store, file: Path | None, policy: str | None = None, *, after: World | None = None
    ) -> None:
        self.world = after.restarted() if after else World(store, policy)
        store = self.world.store
        self.log: list[str] = []
        self.file = file
        self.book = Book(store, ORGANIZATION, KEY, file, self.log.append)
        self.book.begin_at(0)
        world = self.world
        world.provisioning = Provisioning(
            store, world.directory, world.people, world.policies, world.provisioning.effects, self.book
        )
        world.worker.kinds |= {
            "apply": world.provisioning.apply, "end": world.provisioning.ending.end,
            "bulk end": world.provisioning.bulk_ending.end,
            "group end": world.provisioning.ending_together.end,
        }  # fmt: skip

    def lines(self) -> list[dict[str, Any]]:
        assert self.file is not None
        text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        return [json.loads(one) for one in text.splitlines()]

    def knows(self) -> dict[tuple[str, str, str], Note]:
        assert self.file is not None
        return dict(read_file(self.file, ORGANIZATION, KEY).notes)


@pytest.fixture
def kept(store: Store, tmp_path: Path) -> Kept:
    return Kept(store, tmp_path / "elsewhere.jsonl")


def give(kept: Kept, who: str = "ada") -> Grant:
    world = kept.world
    request = world.ask(who)
    world.run()
    world.click("grace", request)
    world.run()
    found = world.grant(request)
    assert found is not None
    return found


# -- before it is given -----------------------------------------------------------------------------------------------


def test_a_grant_and_its_end_stand_outside_before_the_call_that_gives_it(kept: Kept) -> None:
    seen: list[int] = []
    kept.world.directory.on_perform = lambda step: seen.append(len(kept.lines()))
    grant = give(kept)
    assert grant.status == GrantStatus.ACTIVE
    assert seen == [1]
    (said,) = kept.lines()
    assert said["event"] == GIVEN
    assert grant.ends_at is not None
    assert said["grants"] == [
        [grant.request_id, account("ada"), "eu-jira-admins", grant.holding, grant.ends_at.isoformat()]
    ]
    assert [json.loads(text) for text in kept.log] == kept.lines()


def test_it_says_ids_and_times_only(kept: Kept) -> None:
    give(kept)
    assert kept.file is not None
    text = kept.file.read_text(encoding="utf-8")
    assert not [word for word in ("Ada", "Ferreira", "@", "INC-42", "database is down") if word in text]
    assert kept.file.stat().st_mode & 0o077 == 0


def test_where_it_can_not_be_said_nothing_is_given_until_it_can(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "unmounted"
    kept = Kept(store, folder / "elsewhere.jsonl")
    assert give(kept).status == GrantStatus.PROMISED
    assert kept.world.directory.calls == []
    folder.mkdir()
    kept.world.later(timedelta(minutes=10))
    kept.world.run()
    assert kept.world.holds("ada")
    assert len(kept.knows()) == 1


def test_what_could_never_be_said_is_given_up_and_says_why(store: Store, tmp_path: Path) -> None:
    kept = Kept(store, tmp_path / "unmounted" / "elsewhere.jsonl")
    give(kept)
    for minutes in range(10, 130, 10):
        kept.world.later(timedelta(minutes=minutes))
        kept.world.run()
    (news,) = [news for news in kept.world.news("failed") if news.place == "thread"]
    assert "CHECKPOINT_FILE" in news.facts
    assert kept.world.directory.calls == []


def test_an_end_waits_for_nothing_outside(kept: Kept) -> None:
    give(kept)
    assert kept.file is not None
    kept.file.unlink()
    kept.file.mkdir()  # nothing can be written there any more
    kept.world.later(3 * HOUR)
    kept.world.run()
    assert not kept.world.holds("ada")


def test_after_a_crash_between_the_promise_and_the_line_it_is_said_before_the_call(
    store: Store, tmp_path: Path
) -> None:
    kept = Kept(store, tmp_path / "elsewhere.jsonl")

    class Died(Exception):
        pass

    def die() -> None:
        raise Died

    kept.book.catch_up = die  # type: ignore[method-assign]
    give(kept)
    assert kept.world.directory.calls == []
    assert kept.lines() == []
    again = Kept(store, kept.file, after=kept.world)
    again.world.later(timedelta(minutes=5))
    again.world.run()
    assert len(again.knows()) == 1


def test_a_line_about_a_newer_entry_does_not_stand_for_what_was_not_said_yet(store: Store, tmp_path: Path) -> None:
    """The promise was committed, another place wrote its checkpoint of it, and the process died before its line."""
    kept = Kept(store, tmp_path / "elsewhere.jsonl")
    kept.book.catch_up = unwritable  # type: ignore[method-assign]
    give(kept)
    with store.read() as session:
        seq, hash = head(session)
    assert kept.file is not None
    append(kept.file, [made(ORGANIZATION, seq, hash, store.now(), KEY).line()])
    again = Kept(store, kept.file, after=kept.world)
    Loss(again.world.store, again.book, None, again.world.policies).look()  # type: ignore[arg-type]
    knew: list[int] = []
    again.world.directory.on_perform = lambda step: knew.append(len(again.knows()))
    again.world.later(timedelta(minutes=5))
    again.world.worker.kinds["outside"] = lambda claim: None
    again.world.run()
    assert knew == [1]
    assert again.world.holds("ada")


def unwritable() -> None:
    raise BookError("CHECKPOINT_FILE: it can't be written", retry=True)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("I/O operation on closed file")])
def test_a_log_that_takes_nothing_stops_no_gift(kept: Kept, error: Exception) -> None:
    def full(line: str) -> None:
        raise error

    kept.book.write = full
    assert give(kept).status == GrantStatus.ACTIVE
    assert len(kept.knows()) == 1
    kept.book.catch_up()
    kept.book.say(LEFT)
    assert len(kept.lines()) == 2, "the file has each line once"


def test_what_can_not_be_written_is_known_before_anybody_is_given_anything(kept: Kept, tmp_path: Path) -> None:
    assert kept.file is not None
    assert why_not_writable(kept.file) == ""
    assert not kept.file.exists(), "whoever looks makes none"
    kept.file.mkdir()
    for file in (kept.file, tmp_path / "unmounted" / "elsewhere.jsonl"):
        assert why_not_writable(file).startswith(f"CHECKPOINT_FILE: {file} can't be written (")
        assert why_not_writable(file).endswith("), so nothing is given")


def test_a_list_stands_outside_before_its_first_call(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.record.book.IN_A_LINE", 2)
    kept = Kept(store, tmp_path / "elsewhere.jsonl", bulk_policy())
    seen: list[int] = []
    kept.world.directory.on_perform = lambda step: seen.append(len(kept.knows()))
    lines = [line(n, who) for n, who in enumerate(("ada", "tomas", "kofi"), 2)]
    request = approve(kept.world, planned(kept.world, lines))
    assert request.status == Status.DONE
    assert seen == [3]
    assert [len(said["grants"]) for said in kept.lines()] == [2, 1]
    kept.world.later(3 * HOUR)
    kept.world.run()
    kept.book.catch_up()
    assert kept.knows() == {}


def test_what_ended_is_not_known_as_held_any_more(kept: Kept) -> None:
    give(kept)
    give(kept, "tomas")
    kept.world.later(2 * HOUR + timedelta(seconds=1))
    kept.world.run()
    kept.book.catch_up()
    assert kept.lines()[-1]["event"] == ENDED
    assert kept.knows() == {}


def test_longer_is_another_grant_with_its_own_end(kept: Kept) -> None:
    first, second = give(kept), give(kept)
    assert {note.request for note in kept.knows().values()} == {first.request_id, second.request_id}


def test_an_end_that_comes_sooner_is_said_again(kept: Kept) -> None:
    grant = give(kept)
    sooner = kept.world.store.now() + timedelta(minutes=10)
    with kept.world.store.write() as w:
        row = w.session.get_one(Grant, grant.id)
        row.ends_at = sooner
        w.audit("glass.unheard", actor=MACHINE, request=grant.request_id)
    kept.book.catch_up()
    (note,) = kept.knows().values()
    assert note.ends_at == sooner


def test_everything_that_is_held_is_said_again_so_that_older_lines_may_go(kept: Kept) -> None:
    for who in ("ada", "tomas", "kofi"):
        give(kept, who)
    assert kept.file is not None
    before = kept.knows()
    kept.file.write_text("", encoding="utf-8")
    kept.book.say_all()
    assert kept.knows() == before


# -- what is read -----------------------------------------------------------------------------------------------------


def said(seq: int = 7, hash: str = "a" * 64, at: datetime = NOW) -> dict[str, Any]:
    return {"organization": ORGANIZATION, "seq": seq, "hash": hash, "at": at.isoformat()}


def note(request: str = "REQ-1", who: str = "712020:ada", ends_at: datetime | None = NOW) -> Note:
    return Note(request, who, "eu-jira-admins", "scim:d1/groups/g1", ends_at)


def given(seq: int, *notes: Note, event: str = GIVEN, key: Any = KEY) -> str:
    return line_of(said(seq), event, key, grants=[one.written() for one in notes])


def read(*lines: str, key: Any = KEY, organization: str = ORGANIZATION) -> Any:
    return read_lines(lines, organization, key, "there")


def test_the_newest_is_the_one_that_saw_most_whatever_the_order() -> None:
    known = read(given(9, note()), given(12, note("REQ-2")), given(10, note("REQ-3")))
    assert known.newest is not None
    assert (known.newest.seq, known.newest.where) == (12, "there")
    assert len(known.notes) == 3


def test_the_last_word_about_a_grant_counts() -> None:
    longer = note(ends_at=NOW + HOUR)
    assert read(given(1, note()), given(2, longer)).notes[longer.key].ends_at == NOW + HOUR
    assert read(given(1, note()), given(2, note(), event=ENDED)).notes == {}
    assert read(given(1, note()), given(2, note(), event=ENDED), given(3, note())).notes != {}


def test_a_line_that_nobody_of_ours_signed_is_not_believed() -> None:
    known = read(given(9, note()), given(99, note("REQ-2"), key=OTHER_KEY), given(98, note("REQ-3"), key=None))
    assert known.newest is not None
    assert known.newest.seq == 9
    assert set(known.notes) == {note().key}
    assert known.unbelieved == 4


@pytest.mark.parametrize("name", ["seq", "hash", "at", "grants", "event"])
def test_a_line_that_was_changed_is_not_believed(name: str) -> None:
    line = json.loads(given(9, note()))
    line[name] = {"seq": 10, "hash": "b" * 64, "at": (NOW + HOUR).isoformat(), "event": "checkpoint",
                  "grants": [note(ends_at=NOW + HOUR).written()]}[name]  # fmt: skip
    known = read(json.dumps(line))
    assert (known.newest, known.notes) == (None, {})


def test_without_a_key_what_stands_there_is_believed() -> None:
    known = read(given(9, note(), key=None), given(10, note("REQ-2"), key=OTHER_KEY), key=None)
    assert known.newest is not None
    assert known.newest.seq == 10


def test_of_another_organization_nothing_counts() -> None:
    assert read(given(9, note()), organization="another").newest is None


def test_after_a_record_was_restored_only_what_comes_later_counts() -> None:
    lines = [given(1000, note()), line_of(said(960), LEFT, KEY), given(961, note("REQ-2"))]
    known = read(*lines)
    assert known.newest is not None
    assert (known.newest.seq, set(known.notes)) == (961, {note("REQ-2").key})
    forged = read(lines[0], line_of(said(960), LEFT, OTHER_KEY), lines[2])
    assert forged.newest is not None
    assert (forged.newest.seq, len(forged.notes)) == (1000, 2)


def test_a_checkpoint_is_read_whatever_stands_around_it() -> None:
    checkpoint = made(ORGANIZATION, 5, "c" * 64, NOW, KEY, [note()], naming=10)
    known = read("noise", f"2026 app[web.1]: {checkpoint.line()}", "{", '{"hash": 1}', f"```{checkpoint.line()}```")
    assert known.newest is not None
    assert (known.newest.seq, set(known.notes)) == (5, {note().key})


def test_many_forged_lines_do_not_hide_the_right_one() -> None:
    forged = [given(10_000 + n, note(), key=OTHER_KEY) for n in range(CANDIDATES - 1)]
    known = read(given(9), *forged)
    assert known.newest is not None
    assert known.newest.seq == 9


@pytest.mark.parametrize(
    "written",
    [
        [],
        ["REQ-1"],
        [1, 2, 3, 4, 5],
        ["REQ-1", "a", "e", "h", "yesterday"],
        ["REQ-1", "a", "e", "h", 5],
        "text",
        None,
        {},
    ],
)
def test_a_grant_that_is_none_is_passed_over(written: object) -> None:
    known = read(line_of(said(), GIVEN, KEY, grants=[written, note().written()]))
    assert set(known.notes) == {note().key}


def test_a_file_that_is_not_there_knows_nothing_and_one_that_can_not_be_read_says_so(tmp_path: Path) -> None:
    missing = read_file(tmp_path / "none", ORGANIZATION, KEY)
    assert (missing.newest, missing.trouble) == (None, "")
    unreadable = read_file(tmp_path, ORGANIZATION, KEY)
    assert "CHECKPOINT_FILE" in unreadable.trouble


def test_a_line_that_a_crash_cut_off_is_closed_and_loses_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    append(file, [given(1, note())])
    with file.open("ab") as stream:
        stream.write(given(2, note("REQ-2")).encode()[:90])
    append(file, [given(3, note("REQ-3"))])
    known = read_file(file, ORGANIZATION, KEY)
    assert set(known.notes) == {note().key, note("REQ-3").key}


def test_a_file_that_can_not_be_written_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(BookError, match="can't be written") as error:
        append(tmp_path, ["x"])
    assert isinstance(error.value, OutsideError)
    assert error.value.retry


def test_of_a_long_file_only_its_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.record.book.TAIL", 4000)
    file = tmp_path / "lines"
    append(file, [given(n, note(f"REQ-{n}")) for n in range(1, 60)])
    known = read_file(file, ORGANIZATION, KEY)
    assert known.newest is not None
    assert known.newest.seq == 59
    assert 1 <= len(known.notes) < 20


def test_several_processes_write_into_one_file_and_no_line_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    code = (
        "import sys; from pathlib import Path; from bot.record.book import append\n"
        "for n in range(200): append(Path(sys.argv[1]), [sys.argv[2] * 300, sys.argv[2] * 200])\n"
    )
    root = Path(__file__).parents[3]
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(file), letter], cwd=root, env={**os.environ})
        for letter in "abcd"
    ]
    assert [one.wait() for one in running] == [0] * 4
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4 * 400
    assert all(len(set(one)) == 1 and len(one) in (300, 200) for one in lines)


def test_each_line_is_a_checkpoint_that_the_stand_alone_verifier_takes(kept: Kept, tmp_path: Path) -> None:
    give(kept)
    assert kept.file is not None
    checkpoints = verifier.checkpoints_of(kept.file)
    said_of, wrong = verifier.signatures(checkpoints, kept.lines()[0]["key"])
    assert (len(checkpoints), wrong) == (1, [])
    assert "checked, 1 of 1" in said_of


def test_the_digest_of_a_checkpoint_is_over_all_that_is_held_in_any_order() -> None:
    notes = [note(f"REQ-{n}") for n in range(12)]
    assert digest_of(notes) == digest_of(reversed(notes)) != digest_of(notes[1:])
    checkpoint = made(ORGANIZATION, 5, "c" * 64, NOW, KEY, notes, naming=10)
    assert (checkpoint.open, checkpoint.digest, checkpoint.grants) == (12, digest_of(notes), ())
