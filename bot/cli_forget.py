"""`gatehouse forget`: erase what is personal about somebody who left. Registered in `bot/cli.py`."""

from typing import Annotated

import typer


def forget(
    account: Annotated[str, typer.Argument(help="The Atlassian account id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase names, mails and free text of a person from the record and the mirror; ids and the proof stay."""
    from approvals.forgetting import StillOpen
    from approvals.forgetting import forget as erase
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.http import UnsafeAddress, check_id
    from bot.shell import shell_actor

    settings = read_settings(needs=())
    try:
        check_id("account", account)
    except UnsafeAddress:
        stop("That is no Atlassian account id: it is looked up with /access whois.")
    if not yes:
        typer.confirm(f"Erase everything personal about {account}? It does not come back", abort=True)
    with open_database(settings) as database:
        need_schema(database)
        store = Store(database, movable_time=settings.on_loopback)
        try:
            erased = erase(store, account, actor=shell_actor(), tell=f"erased what is personal about {account}")
        except StillOpen as open_now:
            stop(f"{account} has part in what must be over first (held, waited for, not reviewed yet): {open_now}.")
    typer.echo(f"{erased} texts of the record were erased, and what the mirror knew; ids, digests and the chain stay.")
    typer.echo(
        "While Slack and Atlassian still list them, the mirror reads name and mail again: delete them there first."
    )
    typer.echo("What others asked for and still wait for or hold keeps its texts: forget again once that is over.")
    typer.echo("Messages in Slack and backups are not touched.")
