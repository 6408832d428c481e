"""`gatehouse evidence`: a folder for an auditor. Registered in `bot/cli.py`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from bot.cli_record import DAY, day_of, note


def evidence(
    folder: Annotated[Path, typer.Argument(help="A new or an empty folder.")],
    since: Annotated[datetime, typer.Option("--from", formats=DAY, help="The first day, UTC.")],
    until: Annotated[datetime, typer.Option("--to", formats=DAY, help="The last day, UTC.")],
) -> None:
    """Write requests, decisions, effects, ends, policies and the proof of a time into a folder, with a page to read."""
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.record.checkpoints import checkpoint_now
    from bot.record.dossiers import Period
    from bot.record.evidence import write
    from bot.record.signing import signing_key

    settings = read_settings(needs=())
    if until < since:
        stop("--to is before --from.")
    secret = settings.audit_signing_key.get_secret_value()
    with open_database(settings) as database:
        need_schema(database)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                stop(f"{folder} is not empty: name a new folder.")
        except OSError as error:
            stop(f"{folder} can't be used: {error.strerror}.")
        store = Store(database, movable_time=settings.on_loopback)
        begin = day_of(since)
        period = Period(begin, min(day_of(until), max(begin, store.now().date())))  # nothing has happened after today
        note(store, "record.exported", "wrote a folder of evidence", format="evidence", since=period.since,
             until=period.until)  # fmt: skip
        key = signing_key(secret) if secret else None
        written = write(
            store, folder, period, checkpoint_now(store, settings.atlassian_org_id, key), settings.atlassian_org_id
        )
    typer.echo(f"{len(written)} files are in {folder}; open {folder / 'index.html'}.")
