"""How fast a record is verified, beside hashing its bytes from memory: `python -m tests.bench.record ENTRIES`."""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from approvals.database import Database
from approvals.migrations import migrate
from approvals.store import Actor, Store
from bot.record import gatehouse_verify as verifier

ROUNDS = 5


def measured(folder: Path, entries: int) -> dict[str, object]:
    """Reading, checking and comparing in the stand-alone verifier, and the bare hashing, in turn."""
    path = folder / "record.db"
    _write(path, entries)
    rows = list(verifier.rows_of(path, []))
    hashing, verifying = [], []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        _hash(rows)
        hashing.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        found = verifier.verify_file(path)
        verifying.append(time.perf_counter() - begin)
        assert found.ok
        assert found.entries == entries
    bare, whole = statistics.median(hashing), statistics.median(verifying)
    return {
        "entries": entries,
        "verified a second": round(entries / whole),
        "hashed a second": round(entries / bare),
        "of the hashing": round(bare / whole, 2),
    }


def _hash(rows: list[verifier.Row]) -> None:
    """Every byte that is hashed while verifying, and nothing else."""
    for seq, prev, _, body, _, _, texts in rows:
        verifier.link(prev, seq, body)
        for _, salt, text in texts:
            verifier.digest(salt, text)


def _write(path: Path, entries: int) -> None:
    """As a request leaves them: an entry in three has a text beside it."""
    database = Database(f"sqlite:///{path}")
    migrate(database)
    store = Store(database)
    for begin in range(0, entries, 1000):
        with store.write() as w:
            for n in range(begin, min(begin + 1000, entries)):
                data = {"verb": "approve", "before": "pending", "version": 3, "account": f"712020:{n:036}",
                        "holding": f"scim:0b1d7a52-6c38-4b57-9a3e-1f5a4d2c9e01/groups/{n:036}"}  # fmt: skip
                details = (
                    {"reason": "INC-42: the database is down, and somebody must look at it"} if n % 3 == 0 else None
                )
                who = Actor(f"712020:{n % 50:036}", "T0HARBOUR", f"U{n % 50:09}")
                w.audit("request.approved", actor=who, request=f"REQ-{n // 8:010}", data=data, details=details)
    database.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)))
