"""How fast a record is verified, beside hashing the same bytes from memory: `python -m tests.bench.record ENTRIES`."""

import gc
import hashlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from approvals import gatehouse_verify as verifier
from approvals.database import Database
from approvals.migrations import migrate
from approvals.models import AuditDetail, AuditEntry
from approvals.store import Actor, Store
from tests.support.world import World

ROUNDS = 9


def measured(folder: Path, entries: int) -> dict[str, object]:
    """Each way in turn, so that what else the machine does meets all of them; the middle of the rounds counts."""
    path = folder / "record.db"
    write(path, entries)
    with closing(sqlite3.connect(path)) as connection:
        pages = list(verifier.pages(verifier.asking(connection)))
    ready = list(_hashed(pages))
    gc.collect()
    gc.freeze()  # what lies ready is not looked through again and again while something is measured
    ways: dict[str, Callable[[], float]] = {
        "hashing": lambda: _seconds(lambda: [hashlib.sha256(one).hexdigest() for one in ready]),
        "hashing, put together first": lambda: _seconds(lambda: _by_the_formula(pages)),
        "reading only": lambda: _seconds(lambda: deque(verifier.pages_of(path, []), maxlen=0)),
        "verifying, one process": lambda: _seconds(
            lambda: _whole(verifier.verify(verifier.pages_of(path, [])), entries)
        ),
        f"verifying, {os.cpu_count()} processes": lambda: _as_it_is_run(path, entries),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            took[name].append(way())
    gc.unfreeze()
    size = round(sum(map(len, ready)) / entries)
    return {
        "entries": entries,
        "bytes hashed for each": size,
        "a second": {name: round(entries / statistics.median(times)) for name, times in took.items()},
        "of the hashing": {
            name: round(statistics.median(bare / it for bare, it in zip(took["hashing"], times, strict=True)), 2)
            for name, times in took.items()
        },
    }


def _seconds(way: Callable[[], object]) -> float:
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin


def _whole(found: verifier.Found, entries: int) -> None:
    assert found.ok
    assert found.entries == entries


def _as_it_is_run(path: Path, entries: int) -> float:
    """Seconds in a fresh interpreter, without its start: here everything that lies ready would be copied for each."""
    code = (
        "import sys, time, pathlib; from approvals import gatehouse_verify as verifier; begin = time.perf_counter();"
        " found = verifier.verify_file(pathlib.Path(sys.argv[1]));"
        " print(time.perf_counter() - begin, found.ok, found.entries)"
    )
    words = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=True)
    seconds, ok, seen = done.stdout.split()
    assert (ok, seen) == ("True", str(entries))
    return float(seconds)


def _hashed(pages: Iterable[verifier.Page]) -> Iterator[bytes]:
    """Everything that must be hashed, lying ready: of each entry, and of each text beside one."""
    for entries, texts in pages:
        for seq, prev, _, body, _, _ in entries:
            yield verifier.DOMAIN + prev.encode() + seq.to_bytes(8, "big") + len(body).to_bytes(8, "big") + body
        for _, _, salt, text in texts:
            yield f"{salt}\0{text}".encode()


def _by_the_formula(pages: Iterable[verifier.Page]) -> None:
    """The same from the columns, as the formula is written down: what is hashed is put together as well."""
    for entries, texts in pages:
        for seq, prev, _, body, _, _ in entries:
            verifier.link(prev, seq, body)
        for _, _, salt, text in texts:
            verifier.digest(salt, text)


# -- the record -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """An entry as the bot wrote it while a story was played."""

    event: str
    actor: str
    of_request: bool
    data: dict[str, Any]
    details: dict[str, str]


def write(path: Path, entries: int) -> None:
    """What the bot writes for some requests, over and over, as if many of them had been made."""
    story = played(path.with_name("story.db"))
    database = Database(f"sqlite:///{path}")
    migrate(database)
    store = Store(database)
    for begin in range(0, entries, 1000):
        with store.write() as w:
            for n in range(begin, min(begin + 1000, entries)):
                one = story[n % len(story)]
                request = f"REQ-{n // len(story):010}" if one.of_request else None
                w.audit(one.event, actor=Actor(one.actor), request=request, data=one.data, details=one.details)
    database.close()


def played(path: Path) -> list[Written]:
    """A grant to its end, one that is denied, and a break-glass to its end, all written by the bot's own code."""
    database = Database(f"sqlite:///{path}")
    migrate(database)
    world = World(Store(database, movable_time=True))
    imported = world.store.verify().last
    request, other = world.ask(), world.ask("tomas", reason="I want to look around")
    world.run()
    world.click("grace", request)
    world.click("grace", other, "deny", reason="Looking around needs no admin rights; ask Mei for a tour.")
    world.run()
    world.breaks("tomas")
    world.run()
    world.later(timedelta(hours=3))
    world.run()
    with world.store.read() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.seq > imported).order_by(col(AuditEntry.seq))).all()
        texts = session.exec(select(AuditDetail)).all()
    database.close()
    return [
        Written(
            entry.event,
            json.loads(entry.body)["actor"],
            entry.request_id is not None,
            json.loads(entry.body)["data"],
            {text.name: text.text for text in texts if text.seq == entry.seq},
        )
        for entry in entries
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
        print(json.dumps(measured(Path(folder), count), indent=2))
