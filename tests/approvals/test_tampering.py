"""10,000 planted tamperings of a record that Gatehouse wrote: the stand-alone verifier finds every one."""

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from approvals.database import Database
from approvals.store import Actor, Store
from tests.support.share import SEED, part_of
from tests.support.verifier import load

verifier = load()
ENTRIES, PAGE = 40, 16
SEQ, PREV, HASH, BODY, EVENT, REQUEST, TEXTS = range(7)
Rows = list[tuple[Any, ...]]
CHECKPOINTS = (10, 25, ENTRIES)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "PAGE", PAGE)


@pytest.fixture
def rows(sqlite_url: str) -> Rows:
    database = Database(sqlite_url)
    store = Store(database)
    for n in range(ENTRIES):
        with store.write() as w:
            details = {"reason": f"because of {n}", "approver": f"Grace {n}"} if n % 3 else None
            request = f"REQ-{n // 4}" if n % 5 else None
            w.audit(f"kind.{n % 7}", actor=Actor(f"account-{n % 4}"), request=request, data={"n": n}, details=details)
    database.close()
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        pages = list(verifier.pages(verifier.asking(connection)))
    entries = [entry for page, _ in pages for entry in page]
    texts = [text for _, page in pages for text in page]
    assert len(entries) == ENTRIES
    return [(*entry, tuple(text[1:] for text in texts if text[0] == entry[SEQ])) for entry in entries]


def verified(rows: Rows, said: list[Any]) -> bool:
    """Whether it is found whole, read by pages of a few entries, as rows and as SQLite joins them."""
    whole = by_rows(rows, said)
    if [row[SEQ] for row in rows] == sorted(row[SEQ] for row in rows):  # as a database hands them over
        assert joined(rows, said) == whole
    return whole


def by_rows(rows: Rows, said: list[Any]) -> bool:
    pages = [rows[begin : begin + PAGE] for begin in range(0, len(rows), PAGE)]
    texts = [[(row[SEQ], *text) for row in page for text in row[TEXTS]] for page in pages]
    return bool(verifier.verify(zip([[row[:TEXTS] for row in page] for page in pages], texts, strict=True), said).ok)


def joined(rows: Rows, said: list[Any]) -> bool:
    with closing(in_a_database(rows)) as connection:
        return bool(verifier.verify(verifier.joined(verifier.asking(connection)), said).ok)


def in_a_database(rows: Rows) -> sqlite3.Connection:
    """Without a key or a type, so that anything may stand in it."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE audit (seq, prev, hash, body, event, request_id)")
    connection.execute("CREATE TABLE audit_details (seq, name, salt, text)")
    texts = [(row[SEQ], *text) for row in rows for text in row[TEXTS]]
    connection.executemany("INSERT INTO audit VALUES (?, ?, ?, CAST(? AS TEXT), ?, ?)", [row[:TEXTS] for row in rows])
    connection.executemany("INSERT INTO audit_details VALUES (?, ?, ?, ?)", texts)
    return connection


def checkpoints(rows: Rows) -> list[Any]:
    return [verifier.Checkpoint("harbour", seq, rows[seq - 1][HASH], f"day {seq}") for seq in CHECKPOINTS]


# Each of these changes a copy, and gives it back; what it drew may have left it as it was, then it draws again.


def changed(rows: Rows, at: int, **values: Any) -> Rows:
    row = list(rows[at])
    for name, value in values.items():
        row[globals()[name]] = value
    return [*rows[:at], tuple(row), *rows[at + 1 :]]


def any_byte(draw: random.Random, body: bytes) -> bytes:
    at = draw.randrange(len(body))
    return body[:at] + bytes([draw.randrange(256)]) + body[at + 1 :]


def with_text(draw: random.Random) -> Callable[[Rows], int]:
    return lambda rows: draw.choice([n for n, row in enumerate(rows) if row[TEXTS]])


def edit(draw: random.Random, rows: Rows) -> Rows:
    at, row = draw.randrange(ENTRIES), rows[draw.randrange(ENTRIES)]
    texted = with_text(draw)(rows)
    name, salt, text = rows[texted][TEXTS][0]
    rest = rows[texted][TEXTS][1:]
    return draw.choice(
        [
            lambda: changed(rows, at, BODY=any_byte(draw, rows[at][BODY])),
            lambda: changed(rows, at, BODY=rows[at][BODY] + b" "),
            lambda: changed(rows, at, HASH=row[HASH]),
            lambda: changed(rows, at, PREV=row[HASH]),
            lambda: changed(rows, at, SEQ=draw.choice([0, -1, at + 2, 10**6])),
            lambda: changed(rows, at, EVENT=row[EVENT]),
            lambda: changed(rows, at, REQUEST=row[REQUEST]),
            lambda: changed(rows, texted, TEXTS=((name, salt, text + "!"), *rest)),
            lambda: changed(rows, texted, TEXTS=((name, salt[1:], text), *rest)),
            lambda: changed(rows, texted, TEXTS=((name + "s", salt, text), *rest)),
        ]
    )()


def delete(draw: random.Random, rows: Rows) -> Rows:
    begin = draw.randrange(ENTRIES)
    return rows[:begin] + rows[begin + draw.randint(1, ENTRIES) :]


def insert(draw: random.Random, rows: Rows) -> Rows:
    at, model = draw.randrange(ENTRIES), list(draw.choice(rows))
    if draw.random() < 0.3:  # a text that nobody wrote
        return changed(rows, at, TEXTS=tuple(sorted([*rows[at][TEXTS], ("zeal", "salt", "great")])))
    if draw.random() < 0.5:  # an entry that follows well, in front of one that does not any more
        model[SEQ], model[PREV] = rows[at][SEQ], rows[at][PREV]
        model[HASH] = verifier.link(model[PREV], model[SEQ], model[BODY])
    return [*rows[:at], tuple(model), *rows[at:]]


def swap(draw: random.Random, rows: Rows) -> Rows:
    one, other = draw.sample(range(ENTRIES), 2)
    what = draw.choice([(BODY,), (HASH,), (PREV,), (TEXTS,), (BODY, TEXTS), (PREV, HASH, BODY, EVENT, REQUEST, TEXTS)])
    left, right = list(rows[one]), list(rows[other])
    for column in what:
        left[column], right[column] = right[column], left[column]
    made = list(rows)
    made[one], made[other] = tuple(left), tuple(right)
    return made


def replace(draw: random.Random, rows: Rows) -> Rows:
    """Another body with the hash it should have: the next link breaks, or a checkpoint has seen the old one."""
    at = draw.randrange(ENTRIES)
    body = rows[at][BODY].replace(b"account", b"ACCOUNT") if draw.random() < 0.5 else rows[at - 1][BODY]
    _, prev, _, _, event, request, texts = rows[at]
    hash = verifier.link(prev, at + 1, body)
    return [*rows[:at], (at + 1, prev, hash, body, event, request, texts), *rows[at + 1 :]]


def cut(draw: random.Random, rows: Rows) -> Rows:
    return rows[: draw.randrange(ENTRIES)]


def rewrite(draw: random.Random, rows: Rows) -> Rows:
    """Everything from some entry on, hashed anew: the chain itself is whole."""
    begin = draw.randrange(ENTRIES)
    made, head = rows[:begin], rows[begin][PREV]
    for n, (seq, _, _, body, event, request, texts) in enumerate(rows[begin:]):
        body = body.replace(b"account", b"ACCOUNT") if n == 0 else body
        made.append((seq, head, verifier.link(head, seq, body), body, event, request, texts))
        head = made[-1][HASH]
    assert verified(made, [])
    return made


TAMPERINGS = (edit, delete, insert, swap, replace, cut, rewrite)


def looks_the_same(before: Rows, after: Rows) -> bool:
    """Also when texts of an entry were only taken away, which is what erasing them is."""
    return before == after


@pytest.mark.torture
def test_every_tampering_is_detected(rows: Rows) -> None:
    said, draw = checkpoints(rows), random.Random(SEED)
    assert verified(rows, said)
    planted: Counter[str] = Counter()
    missed = []
    while planted.total() < part_of(10_000):
        tamper = TAMPERINGS[planted.total() % len(TAMPERINGS)]
        after = tamper(draw, rows)
        if looks_the_same(rows, after):
            continue
        planted[tamper.__name__] += 1
        if verified(after, said):
            missed.append((tamper.__name__, after))
    assert not missed, (SEED, missed[0])
    assert set(planted) == {tamper.__name__ for tamper in TAMPERINGS}


@pytest.mark.parametrize("seq", [PAGE, PAGE + 0.5])
def test_nothing_hides_between_two_pages(rows: Rows, seq: float) -> None:
    """In a table without its key: an entry of the same number as the last one of a page, or of one behind it."""
    forged = list(rows[PAGE - 1])
    forged[SEQ], forged[BODY], forged[TEXTS] = seq, forged[BODY].replace(b"account", b"ACCOUNT"), ()
    after = [*rows[:PAGE], tuple(forged), *rows[PAGE:]]
    assert not verified(after, checkpoints(rows))
    assert not verified([*rows[:PAGE], (seq, *rows[PAGE - 1][PREV:TEXTS], ()), *rows[PAGE:]], checkpoints(rows))


@pytest.mark.parametrize("many", [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
def test_entries_without_a_number_are_walked_once_and_found(rows: Rows, many: int) -> None:
    assert not joined([*[(None, *rows[0][PREV:])] * many, *rows], checkpoints(rows))


def test_what_is_younger_than_the_newest_checkpoint_rests_on_the_chain_alone(rows: Rows) -> None:
    """The exposure that is promised, and no more: what was written since then may be cut off unseen."""
    said = checkpoints(rows)[:2]
    for end in range(25, ENTRIES):
        assert verified(rows[:end], said)
    assert not verified(rows[:24], said)


# What is joined could be cut otherwise than it was put together: each of these makes up with one value for another.
SMUGGLED = {
    "a body in the body before it": """
        UPDATE audit SET body = (SELECT group_concat(body, char(10)) FROM audit WHERE seq IN (4, 5)) WHERE seq = 4;
        UPDATE audit SET body = NULL WHERE seq = 5""",
    "a hash in the hash before it": """
        UPDATE audit SET hash = (SELECT group_concat(hash) FROM audit WHERE seq IN (4, 5)) WHERE seq = 4;
        UPDATE audit SET hash = NULL WHERE seq = 5""",
    "one character of a hash in the next": """
        UPDATE audit SET hash = substr(hash, 1, 63) WHERE seq = 4;
        UPDATE audit SET hash = substr((SELECT hash FROM audit WHERE seq = 4), 64) || hash WHERE seq = 5""",
    "a link in the link before it": """
        UPDATE audit SET prev = (SELECT group_concat(prev) FROM audit WHERE seq IN (4, 5)) WHERE seq = 4;
        UPDATE audit SET prev = NULL WHERE seq = 5""",
    "an event in the event before it": """
        UPDATE audit SET event = event || '","request":' || char(10) || '"details":{},"event":"'
            || (SELECT event FROM audit WHERE seq = 7) WHERE seq = 6;
        UPDATE audit SET event = NULL WHERE seq = 7""",
    "a request in the request before it": """
        UPDATE audit SET request_id = request_id || '"}' || char(10) || '"' || request_id WHERE seq = 3;
        UPDATE audit SET request_id = x'' WHERE seq = 4""",
    "a text in the text before it": """
        UPDATE audit_details SET text = text || char(30) || (SELECT text FROM audit_details WHERE seq = 6
            AND name = 'approver') WHERE seq = 5 AND name = 'reason';
        UPDATE audit_details SET text = NULL WHERE seq = 6 AND name = 'approver'""",
    "a hash that is no text": "UPDATE audit SET hash = CAST(hash AS BLOB) WHERE seq = 9",
    "a link that is no text": "UPDATE audit SET prev = CAST(prev AS BLOB) WHERE seq = 9",
    "an event that is no text": "UPDATE audit SET event = CAST(event AS BLOB) WHERE seq = 9",
    "a request that is no text": "UPDATE audit SET request_id = CAST(request_id AS BLOB) WHERE seq = 9",
    "a text that is no text": "UPDATE audit_details SET text = CAST(text AS BLOB) WHERE seq = 9",
    "no request, in other words": "UPDATE audit SET request_id = char(0) WHERE seq = 11",
    "a number that is none": "UPDATE audit SET seq = 9.5 WHERE seq = 9",
    "a number that is a text": "UPDATE audit SET seq = '9' WHERE seq = 9",
    "no number": "INSERT INTO audit SELECT NULL, prev, hash, body, event, request_id FROM audit WHERE seq = 9",
    "a number below the first": """
        INSERT INTO audit SELECT 0, prev, hash, body, event, request_id FROM audit WHERE seq = 1""",
    "an entry twice": "INSERT INTO audit SELECT * FROM audit WHERE seq = 9",
    "two numbers exchanged": """
        UPDATE audit SET seq = 900 WHERE seq = 9; UPDATE audit SET seq = 9 WHERE seq = 10;
        UPDATE audit SET seq = 10 WHERE seq = 900""",
    "a text that was added": "INSERT INTO audit_details VALUES (4, 'remark', 's', 'added')",
}


@pytest.mark.parametrize("how", SMUGGLED)
def test_what_is_joined_hides_nothing(rows: Rows, how: str) -> None:
    with closing(in_a_database(rows)) as connection:
        ask = verifier.asking(connection)
        assert verifier.verify(verifier.joined(ask)).ok
        before = connection.total_changes
        connection.executescript(SMUGGLED[how])
        assert connection.total_changes > before
        assert verifier.verify(verifier.joined(ask)).problems
        assert verifier.verify(verifier.pages(ask)).problems


def test_of_a_whole_record_no_row_is_read(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all of the above would be found by rows alone."""
    with closing(in_a_database(rows)) as connection:
        pages = list(verifier.joined(verifier.asking(connection)))
        assert [page.entries for page in pages] == [16, 16, 8]
    assert verifier.verify(pages, checkpoints(rows)).ok  # the connection is closed: nothing more can be read
