"""The chain: whatever is done to it afterwards is seen, and it gives nothing away."""

import hashlib
import json
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlmodel import Session, select

from approvals import audit, gatehouse_verify
from approvals.database import Database
from approvals.models import AuditDetail, AuditEntry
from approvals.ports import DirectoryError
from approvals.store import Actor, Store
from approvals.workflow import Refused
from tests.support.world import COMPANY, World, at_once

ADA = Actor("account-ada", "T1", "U1")


def write_some(store: Store, number: int = 10) -> None:
    with store.write() as w:
        for n in range(number):
            w.audit("noted", actor=ADA, request=f"REQ-{n + 1}", data={"n": n}, details={"reason": f"because of {n}"})


def drop_the_guards(database: Database) -> None:
    with database.writing() as session:
        if database.is_sqlite:
            for trigger in ("audit_no_update", "audit_no_delete", "audit_no_gap"):
                session.execute(text(f"DROP TRIGGER {trigger}"))
        else:
            session.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))


def run(database: Database, *statements: str) -> None:
    with database.writing() as session:
        for statement in statements:
            session.execute(text(statement))


# -- the formula ------------------------------------------------------------------------------------------------------


def test_a_link_is_exactly_the_documented_formula() -> None:
    body = '{"actor":"gatehouse","event":"é"}'.encode()
    by_hand = hashlib.sha256()
    by_hand.update(b"gatehouse-audit-v1\x00")
    by_hand.update(b"a" * 64)
    by_hand.update((7).to_bytes(8, "big"))
    by_hand.update(len(body).to_bytes(8, "big"))
    by_hand.update(body)
    assert audit.link("a" * 64, 7, body) == by_hand.hexdigest()
    assert audit.link("0" * 64, 1, b"{}") == "11b6b0ccf50451500b65589c4d5c2670c05c82bcb04b95a6d3c3c8883df52c94"
    assert audit.digest("salt", "text") == hashlib.sha256(b"salt\x00text").hexdigest()


def test_the_first_entry_follows_sixty_four_zeros_and_each_follows_the_one_before(store: Store) -> None:
    write_some(store)
    with store.read() as session:
        entries = session.exec(select(AuditEntry).order_by(AuditEntry.seq)).all()  # type: ignore[arg-type]
    head = "0" * 64
    for number, entry in enumerate(entries, 1):
        assert (entry.seq, entry.prev) == (number, head)
        head = hashlib.sha256(
            b"gatehouse-audit-v1\0" + head.encode() + struct.pack(">QQ", number, len(entry.body.encode()))
            + entry.body.encode()
        ).hexdigest()  # fmt: skip
        assert entry.hash == head
    found = store.verify()
    assert (found.ok, found.entries, found.head, found.erased) == (True, 10, head, 0)


def test_an_empty_record_is_whole(store: Store) -> None:
    found = store.verify()
    assert (found.ok, found.entries, found.head) == (True, 0, audit.GENESIS)


def test_a_record_of_many_pages_is_walked_to_its_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatehouse_verify, "PAGE", 7)
    write_some(store, 50)
    assert (store.verify().entries, store.verify().ok) == (50, True)
    drop_the_guards(store.database)
    run(store.database, "UPDATE audit SET body = body || ' ' WHERE seq = 48")
    assert store.verify().problems == ["entry 48 was changed after it was written"]


def test_nobody_who_writes_waits_for_the_walk(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rollback journal a reader that had not finished would keep every commit away."""
    monkeypatch.setattr(gatehouse_verify, "PAGE", 7)
    store = Store(Database(sqlite_url))
    write_some(store, 50)
    path, written = store.database.file, 0
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        for _ in gatehouse_verify.pages_of(Path(path), []):
            other.execute("INSERT INTO meta (key, value) VALUES (?, '')", [f"meanwhile {written}"])
            written += 1
    assert written == 8
    store.database.close()


# -- tampering --------------------------------------------------------------------------------------------------------

COLUMNS = "seq, prev, hash, body, event, request_id"
TAMPERINGS = {
    "a body edited": ("UPDATE audit SET body = replace(body, 'noted', 'nosed') WHERE seq = 5",),
    "one space more": ("UPDATE audit SET body = body || ' ' WHERE seq = 5",),
    "the newest body edited": ("UPDATE audit SET body = replace(body, 'noted', 'nosed') WHERE seq = 10",),
    "the first body edited": ("UPDATE audit SET body = replace(body, 'noted', 'nosed') WHERE seq = 1",),
    "a hash edited": (f"UPDATE audit SET hash = '{'e' * 64}' WHERE seq = 5",),
    "the newest hash edited": (f"UPDATE audit SET hash = '{'e' * 64}' WHERE seq = 10",),
    "a prev edited": (f"UPDATE audit SET prev = '{'e' * 64}' WHERE seq = 5",),
    "deleted in the middle": ("DELETE FROM audit WHERE seq = 5",),
    "the first deleted": ("DELETE FROM audit WHERE seq = 1",),
    "all but the newest deleted": ("DELETE FROM audit WHERE seq < 10",),
    "inserted before the first": (
        f"INSERT INTO audit ({COLUMNS}) SELECT 0, '{'f' * 64}', hash, body, event, request_id FROM audit WHERE seq = 1",
    ),
    "inserted behind the newest": (
        f"INSERT INTO audit ({COLUMNS}) SELECT 11, '{'f' * 64}', '{'d' * 64}', body, event, request_id"
        " FROM audit WHERE seq = 5",
    ),
    "two swapped": (
        "UPDATE audit SET seq = 99 WHERE seq = 5",
        "UPDATE audit SET seq = 5 WHERE seq = 6",
        "UPDATE audit SET seq = 6 WHERE seq = 99",
    ),
    "two bodies swapped": (
        "UPDATE audit SET body = (SELECT b.body FROM audit b WHERE b.seq = 11 - audit.seq) WHERE seq IN (5, 6)",
    ),
    "a number changed": ("UPDATE audit SET seq = 42 WHERE seq = 10",),
    "what it is found by edited": ("UPDATE audit SET event = 'nosed' WHERE seq = 5",),
    "whose it is edited": ("UPDATE audit SET request_id = 'REQ-9' WHERE seq = 5",),
    "nobody's made somebody's": ("UPDATE audit SET request_id = NULL WHERE seq = 10",),
    "a detail of no entry": ("INSERT INTO audit_details (seq, name, salt, text) VALUES (11, 'reason', 's', 't')",),
    "a detail before the first": ("INSERT INTO audit_details (seq, name, salt, text) VALUES (0, 'reason', 's', 't')",),
    "a detail edited": ("UPDATE audit_details SET text = 'because of nothing' WHERE seq = 5",),
    "a salt edited": ("UPDATE audit_details SET salt = 'none' WHERE seq = 5",),
    "a detail made up": (
        "INSERT INTO audit_details (seq, name, salt, text) VALUES (5, 'approved by', 's', 'the chief')",
    ),
    "a detail moved": ("UPDATE audit_details SET seq = 11, name = 'x' WHERE seq = 5",
                       "UPDATE audit_details SET seq = 5, name = 'reason' WHERE seq = 6"),
}  # fmt: skip


@pytest.mark.parametrize("statements", TAMPERINGS.values(), ids=TAMPERINGS)
def test_tampering_is_found_by_who_walks_the_chain(store: Store, statements: tuple[str, ...]) -> None:
    write_some(store)
    assert store.verify().ok
    drop_the_guards(store.database)
    run(store.database, *statements)
    found = store.verify()
    assert not found.ok
    assert all(problem for problem in found.problems)


def test_a_body_rewritten_with_its_own_hash_breaks_the_next_link(store: Store) -> None:
    write_some(store)
    drop_the_guards(store.database)
    with store.database.writing() as session:
        row = session.get(AuditEntry, 5)
        assert row is not None
        row.body = row.body.replace("noted", "nosed")
        row.hash = audit.link(row.prev, row.seq, row.body.encode())
    assert store.verify().problems[0] == "entry 6 does not follow the one before it"


@pytest.mark.parametrize("body", ["not json", "[]", "{}", '{"details": 7}', "null"])
def test_a_newest_entry_that_gatehouse_never_wrote_is_named(store: Store, body: str) -> None:
    """Whoever can append can hash as well; what is no entry at all must not stop the walk."""
    write_some(store)
    with store.database.writing() as session:
        head = session.get(AuditEntry, 10)
        assert head is not None
        session.add(
            AuditEntry(seq=11, prev=head.hash, hash=audit.link(head.hash, 11, body.encode()), body=body, event="x")
        )
    assert store.verify().problems == ["entry 11 was not written by Gatehouse"]


def test_insert_or_replace_is_seen_on_sqlite(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    store = Store(database)
    write_some(store)
    drop_the_guards(database)
    run(database, f"INSERT OR REPLACE INTO audit ({COLUMNS}) SELECT 5, prev, hash, 'x', event, 'r' FROM audit"
                  " WHERE seq = 5")  # fmt: skip
    assert store.verify().problems[0] == "entry 5 was changed after it was written"
    database.close()


def test_a_cut_tail_is_not_seen_without_a_checkpoint(store: Store) -> None:
    """Documented: a chain alone can't know its own end. Compare ``head`` and ``entries`` with what was sent outside."""
    write_some(store)
    before = store.verify()
    drop_the_guards(store.database)
    run(store.database, "DELETE FROM audit WHERE seq > 7", "DELETE FROM audit_details WHERE seq > 7")
    found = store.verify()
    assert found.ok
    assert (found.entries, found.head) != (before.entries, before.head)


def test_a_newest_entry_that_was_changed_is_seen_at_a_glance(store: Store) -> None:
    assert store.head_is_whole()
    write_some(store)
    assert store.head_is_whole()
    drop_the_guards(store.database)
    run(store.database, "UPDATE audit SET body = body || ' ' WHERE seq = 10")
    assert not store.head_is_whole()


# -- the guards -------------------------------------------------------------------------------------------------------

CARELESS = {
    "update": "UPDATE audit SET body = 'x' WHERE seq = 5",
    "update of a number": "UPDATE audit SET seq = 42 WHERE seq = 10",
    "delete": "DELETE FROM audit WHERE seq = 5",
    "delete of all": "DELETE FROM audit",
    "delete of the tail": "DELETE FROM audit WHERE seq = 10",
}
SQLITE_ONLY = {
    "replace": f"INSERT OR REPLACE INTO audit ({COLUMNS}) SELECT 5, prev, hash, 'x', event, 'r' FROM audit WHERE seq=5",
    "replace of the newest": f"REPLACE INTO audit ({COLUMNS}) SELECT 10, prev, hash, 'x', event, 'r' FROM audit"
                             " WHERE seq = 10",
    "replace by prev": f"INSERT OR REPLACE INTO audit ({COLUMNS}) SELECT 11, prev, hash, 'x', event, 'r' FROM audit"
                       " WHERE seq = 5",
    "upsert": f"INSERT INTO audit ({COLUMNS}) SELECT 5, prev, hash, 'x', event, 'r' FROM audit WHERE seq = 5"
              " ON CONFLICT (seq) DO UPDATE SET body = 'x'",
    "a gap": f"INSERT INTO audit ({COLUMNS}) VALUES (12, 'p', 'h', 'x', 'e', 'r')",
}  # fmt: skip
POSTGRESQL_ONLY = {
    "truncate": "TRUNCATE audit",
    "truncate with all that hangs on it": "TRUNCATE audit CASCADE",
    "upsert": f"INSERT INTO audit ({COLUMNS}) SELECT 5, prev, hash, 'x', event, 'r' FROM audit WHERE seq = 5"
              " ON CONFLICT (seq) DO UPDATE SET body = 'x'",
}  # fmt: skip


@pytest.mark.parametrize("statement", CARELESS.values(), ids=CARELESS)
def test_the_record_refuses_a_careless_hand(store: Store, statement: str) -> None:
    write_some(store)
    with pytest.raises(DatabaseError, match="append-only"):
        run(store.database, statement)
    assert store.verify().entries == 10


@pytest.mark.parametrize("statement", SQLITE_ONLY.values(), ids=SQLITE_ONLY)
def test_the_record_refuses_what_only_sqlite_can_do(sqlite_url: str, statement: str) -> None:
    _refuses(sqlite_url, statement)


@pytest.mark.parametrize("statement", POSTGRESQL_ONLY.values(), ids=POSTGRESQL_ONLY)
def test_the_record_refuses_what_only_postgresql_can_do(postgresql_url: str, statement: str) -> None:
    _refuses(postgresql_url, statement)


def _refuses(url: str, statement: str) -> None:
    database = Database(url)
    store = Store(database)
    write_some(store)
    with pytest.raises(DatabaseError, match="append-only"):
        run(database, statement)
    found = store.verify()
    assert (found.ok, found.entries) == (True, 10)
    database.close()


def test_no_entry_follows_another_one_twice(store: Store) -> None:
    """Even without the guards the database refuses a fork."""
    write_some(store)
    drop_the_guards(store.database)
    with pytest.raises(DatabaseError, match=r"(?i)unique"):
        run(store.database, f"INSERT INTO audit ({COLUMNS}) SELECT 11, prev, hash, body, event, request_id FROM audit"
                            " WHERE seq = 5")  # fmt: skip


# -- many writers -----------------------------------------------------------------------------------------------------


def test_eight_writers_make_one_chain_without_fork_or_gap(store: Store) -> None:
    def append(writer: int) -> None:
        for n in range(50):
            with store.write() as w:
                w.audit("noted", actor=ADA, data={"writer": writer, "n": n})

    assert at_once(*(lambda writer=writer: append(writer) for writer in range(8))) == [None] * 8
    found = store.verify()
    assert (found.ok, found.entries) == (True, 400)
    with store.read() as session:
        entries = [json.loads(body)["data"] for body in session.exec(select(AuditEntry.body))]
    for writer in range(8):
        assert sorted(entry["n"] for entry in entries if entry["writer"] == writer) == list(range(50))


# -- what it gives away -----------------------------------------------------------------------------------------------


def test_a_forgotten_detail_leaves_the_chain_whole(store: Store) -> None:
    write_some(store)
    head = store.verify().head
    run(store.database, "DELETE FROM audit_details WHERE seq IN (3, 4)")
    found = store.verify()
    assert (found.ok, found.erased, found.head) == (True, 2, head)
    with store.read() as session:
        assert "because of 2" not in str(session.exec(select(AuditEntry.body)).all())


def test_the_same_text_is_never_the_same_digest(store: Store) -> None:
    with store.write() as w:
        for _ in range(5):
            w.audit("noted", actor=ADA, details={"reason": "yes"})
    with store.read() as session:
        digests = {json.loads(body)["details"]["reason"] for body in session.exec(select(AuditEntry.body))}
        salts = set(session.exec(select(AuditDetail.salt)))
    assert len(digests) == len(salts) == 5


def _deny(world: World) -> None:
    request = world.ask(reason="UNIQUE-REASON why")
    world.run()
    world.click("grace", request, "deny", reason="UNIQUE-REASON not")
    world.run()
    world.click("grace", request)  # too late: the answer names who was first


def _fail(world: World) -> None:
    request = world.ask(reason="UNIQUE-REASON why")
    world.run()
    world.directory.trouble.append(DirectoryError("UNIQUE-REASON ada@harbour.example is odd"))
    world.click("grace", request)


def _refuse_late(world: World) -> None:
    request = world.ask(reason="UNIQUE-REASON why")
    world.run()
    world.directory.impossible["eu-jira-admins"] = "UNIQUE-REASON Ada Ferreira left"
    world.click("grace", request)


def _refuse_early(world: World) -> None:
    world.directory.impossible["eu-jira-admins"] = "UNIQUE-REASON Ada Ferreira left"
    world.ask(reason="UNIQUE-REASON why")


def _give(world: World) -> None:
    request = world.ask(reason="UNIQUE-REASON why")
    world.run()
    world.click("grace", request)
    world.run()
    world.later(timedelta(hours=3))


def _type_nonsense(world: World) -> None:
    with pytest.raises(Refused):
        world.ask(what="UNIQUE-REASON", reason="UNIQUE-REASON why")
    with pytest.raises(Refused):
        world.workflow.cancel(world.speaker("ada"), "UNIQUE-REASON", "a cancel")
    speaker = world.speaker("ada")
    actor = Actor(speaker.account, speaker.team, speaker.user)
    world.workflow.refuse(actor, "I did not understand UNIQUE-REASON", "a source", typed="grant UNIQUE-REASON")


@pytest.mark.parametrize("story", [_deny, _fail, _refuse_late, _refuse_early, _give, _type_nonsense])
def test_no_name_mail_or_free_text_is_ever_chained(store: Store, story: Callable[[World], None]) -> None:
    world = World(store)
    story(world)
    world.run()
    with store.read() as session:
        chained = "\n".join(session.exec(select(AuditEntry.body)))
        beside = "\n".join(session.exec(select(AuditDetail.text)))
    assert "UNIQUE-REASON" not in chained
    assert "UNIQUE-REASON" in beside
    for person in COMPANY.people:
        assert person.name not in chained
        assert person.email not in chained
    assert store.verify().ok


# -- looking up -------------------------------------------------------------------------------------------------------


def test_entries_are_found_by_event_and_request(store: Store) -> None:
    write_some(store)
    with store.read() as session:
        (body,) = audit.find(session, event="noted", request="REQ-3")
        assert body["data"] == {"n": 2, "team": "T1", "user": "U1"}
        assert audit.find(session, event="noted", request="REQ-99") == []
        assert audit.find(session, event="other", request="REQ-3") == []


def _reindexed(session: Session) -> None:
    """Another request's entry, relabelled in the columns that the hash does not cover."""
    session.execute(text("UPDATE audit SET request_id = 'REQ-3', event = 'noted' WHERE seq = 8"))


def _edited(session: Session) -> None:
    session.execute(text("UPDATE audit SET body = replace(body, 'REQ-8', 'REQ-3'), request_id = 'REQ-3' WHERE seq = 8"))


@pytest.mark.parametrize("forge", [_reindexed, _edited])
def test_a_forged_entry_is_not_found(store: Store, forge: Callable[[Session], None]) -> None:
    write_some(store)
    drop_the_guards(store.database)
    with store.database.writing() as session:
        forge(session)
    with store.read() as session:
        assert [body["data"]["n"] for body in audit.find(session, event="noted", request="REQ-3")] == [2]
