"""A worker on a machine whose clock is wrong: `python -m tests.support.wrong_clock HOURS DATABASE_URL`.

It claims all that is due, prints the key of each, and leaves it as it is.
"""

import datetime
import sys
import time

HOURS = float(sys.argv[1])
Real, real_time = datetime.datetime, time.time


class Wrong(Real):
    """The class that everybody imports from here on."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Wrong":  # type: ignore[override]
        moment = Real.now(tz) + datetime.timedelta(hours=HOURS)
        return cls.combine(moment.date(), moment.timetz())


datetime.datetime = Wrong  # type: ignore[misc]
time.time = lambda: real_time() + HOURS * 3600


def main() -> None:
    from approvals.database import Database
    from approvals.store import Store

    database = Database(sys.argv[2])
    store = Store(database)
    while (claim := store.claim()) is not None:
        print(claim.key)
    database.close()


if __name__ == "__main__":
    main()
