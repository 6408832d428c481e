"""A process of its own that appends to the record: `python -m tests.support.appender DATABASE_URL WRITER COUNT`."""

import sys

from approvals.database import Database
from approvals.store import Actor, Store


def append(store: Store, writer: int, count: int) -> None:
    for n in range(count):
        with store.write() as w:
            w.audit("noted", actor=Actor(f"writer-{writer}"), data={"n": n}, details={"reason": f"number {n}"})


def main() -> None:
    url, writer, count = sys.argv[1:]
    database = Database(url)
    append(Store(database), int(writer), int(count))
    database.close()


if __name__ == "__main__":
    main()
