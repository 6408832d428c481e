"""`gatehouse backup`: a copy that is whole whatever is written meanwhile, and a sentence where there can be none."""

import contextlib
import hashlib
import re
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from sqlmodel import select

from approvals.database import Database
from approvals.models import AuditEntry, Meta
from approvals.store import Actor, Store
from bot.record import backup
from bot.record.backup import POSTGRESQL, NoBackup, back_up
from bot.record.loss import COPY
from tests.bot.test_cli import Shell, shell

__all__ = ["shell"]  # the fixture


@pytest.fixture
def record(sqlite_url: str) -> Store:
    return Store(Database(sqlite_url))


def write(store: Store, count: int, words: str = "x") -> None:
    with store.write() as w:
        for n in range(count):
            w.audit("noted", actor=Actor("account-ada"), data={"n": n}, details={"words": words})


def entries_of(file: Path) -> int:
    """What a copy has, once its chain has been walked."""
    database = Database(f"sqlite:///{file}")
    try:
        found = Store(database).verify()
        assert found.ok, found.problems
        return found.entries
    finally:
        database.close()


def test_the_copy_opens_its_chain_is_whole_and_it_says_that_it_is_one(record: Store, tmp_path: Path) -> None:
    write(record, 50)
    file = tmp_path / "copy.db"
    made = back_up(record.database, file)
    assert entries_of(file) == made.entries == 50
    with record.read() as session:
        newest = session.exec(select(AuditEntry).order_by(AuditEntry.seq.desc())).first()  # type: ignore[attr-defined]
        assert newest is not None
        assert made.head == newest.hash
        assert session.get(Meta, COPY) is None, "the record itself is none"
    copy = Database(f"sqlite:///{file}")
    with copy.reading() as session:
        assert session.get(Meta, COPY) is not None
    copy.close()
    content = file.read_bytes()
    assert (made.size, made.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy.db*")) == ["copy.db"]


def test_what_is_written_meanwhile_is_in_it_or_not_and_never_half(
    record: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transactions of three entries, one after the other, while it is copied in the smallest of steps."""
    write(record, 600, "y" * 2000)
    monkeypatch.setattr(backup, "PAGES", 8)
    monkeypatch.setattr(backup, "PAUSE", 0.001)
    stop, written = threading.Event(), [0]

    def go_on() -> None:
        other = Store(Database(record.database.url))
        while not stop.is_set():
            write(other, 3)
            written[0] += 3
        other.database.close()

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        for number in range(3):
            file = tmp_path / f"copy-{number}.db"
            made = back_up(record.database, file)
            assert entries_of(file) == made.entries
            assert made.entries % 3 == 0
    finally:
        stop.set()
        writer.join()
    assert written[0] > 0
    assert record.verify().entries == 600 + written[0]


def test_nothing_is_ever_overwritten(record: Store, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    file.write_text("somebody's letters")
    with pytest.raises(NoBackup, match="is there already, and nothing is ever overwritten"):
        back_up(record.database, file)
    assert file.read_text() == "somebody's letters"
    other = tmp_path / "other.db"
    part = tmp_path / "other.db.part"
    part.write_text("half of one")
    with pytest.raises(NoBackup, match=re.escape(f"{part} is there already: a copy is being made, or one was stopped")):
        back_up(record.database, other)
    assert (part.read_text(), other.exists()) == ("half of one", False)


def test_a_place_that_can_not_be_written_is_a_sentence(record: Store, tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "copy.db"
    with pytest.raises(NoBackup, match=re.escape(f"{file} can't be written (No such file or directory).")):
        back_up(record.database, file)


def test_a_record_that_was_changed_is_not_copied_as_if_it_were_sound(record: Store, tmp_path: Path) -> None:
    write(record, 20)
    with contextlib.closing(sqlite3.connect(record.database.file)) as somebody, somebody:
        somebody.execute("DROP TRIGGER audit_no_update")
        somebody.execute("UPDATE audit SET body = body || ' ' WHERE seq = 7")
    file = tmp_path / "copy.db"
    with pytest.raises(NoBackup, match="The chain of the record is not whole"):
        back_up(record.database, file)
    assert list(tmp_path.glob("copy.db*")) == []


def test_postgresql_copies_itself_and_that_is_what_is_said(postgresql_url: str, tmp_path: Path) -> None:
    database = Database(postgresql_url)
    with pytest.raises(NoBackup) as refused:
        back_up(database, tmp_path / "copy")
    database.close()
    assert str(refused.value) == POSTGRESQL
    assert "pg_dump" in POSTGRESQL
    assert list(tmp_path.glob("copy*")) == []


# -- from a shell -----------------------------------------------------------------------------------------------------


def test_it_is_an_entry_of_the_record_and_told_to_security(shell: Shell) -> None:
    assert shell.run("people", "import", "people.csv").returncode == 0
    done = shell.run("backup", "copy.db")
    assert (done.returncode, done.stderr) == (0, "")
    entries = entries_of(shell.folder / "copy.db")
    assert done.stdout.startswith(f"copy.db: {entries} entries, the chain is whole, ")
    assert hashlib.sha256((shell.folder / "copy.db").read_bytes()).hexdigest() in done.stdout
    with contextlib.closing(sqlite3.connect(shell.folder / "gatehouse.db")) as record:
        ((event, number),) = record.execute("SELECT event, seq FROM audit ORDER BY seq DESC LIMIT 1").fetchall()
        ((facts,),) = record.execute("SELECT facts FROM news WHERE kind = 'shell_act' ORDER BY id DESC LIMIT 1")
    assert (event, number) == ("backup.made", entries + 1), "so a copy is always behind what it was made of"
    assert f"made a copy of the record, up to entry {entries}" in facts


def test_what_is_wrong_is_one_sentence_and_status_2(shell: Shell) -> None:
    (shell.folder / "copy.db").write_text("x")
    (sentence,) = shell.refused("backup", "copy.db")
    assert "copy.db is there already" in sentence
    (sentence,) = shell.refused("backup", "nowhere/copy.db")
    assert sentence == "nowhere/copy.db can't be written (No such file or directory)."
