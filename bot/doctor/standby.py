"""What the doctor looks at in a PostgreSQL server: whether another one would have everything, were this one lost.

https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
"""

from collections.abc import Iterator

from sqlalchemy import text

from approvals.database import names_several
from bot.doctor.findings import Facts, Finding, ok, warn

HOW = "docs/operations.md says how, under fail-over of PostgreSQL."
_ASKED = text(
    "SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit'),"
    " (SELECT count(*) FROM pg_stat_replication)"
)


def standby(facts: Facts) -> Iterator[Finding]:
    """Nothing is said of one server that nobody follows and whose address names no other."""
    if facts.database.is_sqlite:
        return
    with facts.database.looking() as connection:
        named, commit, followers = connection.execute(_ASKED).one()
    if not named:
        if names_several(facts.settings.database_url.get_secret_value()):
            what = "no standby is synchronous: what was acknowledged last would be lost with the primary"
            yield warn("standby", what, f"Name it in synchronous_standby_names. {HOW}")
        return
    if not followers:
        found = f"commits wait for a synchronous standby ({named}), and nobody follows this server"
        yield warn("standby", found, f"Let it follow again, or take its name out while it is away. {HOW}")
    elif commit in ("off", "local"):
        found = f"a synchronous standby is named, and synchronous_commit is {commit}: commits do not wait for it"
        yield warn("standby", found, f"Set synchronous_commit to on. {HOW}")
    else:
        yield ok("standby", f"commits wait for {named}; servers that follow: {followers}")
