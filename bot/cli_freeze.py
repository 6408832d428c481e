"""`gatehouse freeze`: hold everything back from a shell, also while Slack is away. Registered in `bot/cli.py`."""

from typing import Annotated

import typer


def freeze(because: Annotated[str, typer.Option(help="Why; everybody who runs it reads this.")]) -> None:
    """Stop everything that gives or destroys; what ends still ends. Two admins let it go on, in Slack."""
    from approvals import safety
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings
    from bot.shell import shell_actor

    settings = read_settings(needs=())
    with open_database(settings) as database:
        need_schema(database)
        with Store(database, movable_time=settings.on_loopback).write() as w:
            new = safety.freeze(w, shell_actor(), because)
    typer.echo("Frozen: nothing is given and nothing is destroyed." if new else "Everything stands still already.")
    typer.echo("To let it go on: /access unfreeze in Slack, and two of the roles admin and security agree.")
