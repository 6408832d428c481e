"""10,000 planted tamperings of a record that Gatehouse wrote: the stand-alone verifier finds every one."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
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
    lost: list[str] = []
    ((entries, texts),) = verifier.pages_of(Path(sqlite_url.removeprefix("sqlite:///")), lost)
    assert (len(entries), lost) == (ENTRIES, [])
    return [(*entry, tuple(text[1:] for text in texts if text[0] == entry[SEQ])) for entry in entries]


def verified(rows: Rows, said: list[Any]) -> bool:
    """Whether it is found whole, read by pages of a few entries."""
    pages = [rows[begin : begin + PAGE] for begin in range(0, len(rows), PAGE)]
    texts = [[(row[SEQ], *text) for row in page for text in row[TEXTS]] for page in pages]
    return bool(verifier.verify(zip([[row[:TEXTS] for row in page] for page in pages], texts, strict=True), said).ok)


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


def test_what_is_younger_than_the_newest_checkpoint_rests_on_the_chain_alone(rows: Rows) -> None:
    """The exposure that is promised, and no more: what was written since then may be cut off unseen."""
    said = checkpoints(rows)[:2]
    for end in range(25, ENTRIES):
        assert verified(rows[:end], said)
    assert not verified(rows[:24], said)
