"""`gatehouse backup` and `gatehouse safe-mode`: a copy of the record, and what is done when one was put back."""

from pathlib import Path
from typing import Annotated

import typer

OFF = "Safe mode is not on. Each start compares the record with what was said of it outside."


def backup(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="A file that is not there yet.")],
) -> None:
    """Make a consistent copy of the record while Gatehouse runs, and check it. SQLite only; it never overwrites."""
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.record.backup import NoBackup, back_up
    from bot.shell import shell_actor, tell_security

    settings = read_settings(needs=())
    actor = shell_actor()
    with open_database(settings) as database:
        need_schema(database)
        try:
            made = back_up(database, file)
        except NoBackup as because:
            stop(str(because))
        with Store(database, movable_time=settings.on_loopback).write() as w:
            data = {"entries": made.entries, "head": made.head, "sha256": made.sha256, "bytes": made.size}
            w.audit("backup.made", actor=actor, data=data)
            tell_security(w, actor, f"made a copy of the record, up to entry {made.entries}")
    typer.echo(f"{file}: {made.entries} entries, the chain is whole, {made.size:,} bytes, SHA-256 {made.sha256}")
    typer.echo("Keep it elsewhere, with CHECKPOINT_FILE. docs/runbooks/database-lost.md says how it is put back.")


def safe_mode(
    because: Annotated[str | None, typer.Option(help="Why; everybody who runs it reads this. Switches it on.")] = None,
) -> None:
    """Say whether safe mode is on; --because switches it on, as after putting a copy back. Admins leave it in Slack."""
    from approvals import safe_mode as mode
    from approvals.safety import safe_mode as said
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings
    from bot.record.loss import said_outside
    from bot.shell import shell_actor

    settings = read_settings(needs=())
    with open_database(settings) as database:
        need_schema(database)
        store = Store(database, movable_time=settings.on_loopback)
        if because:
            actor = shell_actor()
            with store.write() as w:
                why = f"{actor.account.removeprefix('shell:')} says from a shell: {because}"
                mode.enter(w, why[:500], by=actor, notes=said_outside(settings).notes.values())
        with store.look() as connection:
            words = said(connection)
    typer.echo(f"{words[:1].upper()}{words[1:]}." if words else OFF)
