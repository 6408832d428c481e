"""`gatehouse jobs`: what is to be done, what runs, what was given up. Registered in `bot/cli.py`."""

from typing import Annotated

import typer

app = typer.Typer(help="What is to be done, what runs, and what was given up.")
MOST = 200  # lines, unless more are asked for


@app.callback(invoke_without_command=True)
def jobs(
    context: typer.Context,
    dead: Annotated[bool, typer.Option("--dead", help="Only what was given up.")] = False,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="So many lines at most.")] = MOST,
) -> None:
    """List the work: the dead first, then what runs, then what waits, the next one first."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from approvals.dead_letters import counted, listed
    from approvals.store import Store
    from bot.atlassian.errors import shown
    from bot.cli import need_schema, open_database, read_settings
    from bot.log import redactor

    settings = read_settings(needs=())
    redact = redactor(settings.secrets())
    with open_database(settings) as database:
        need_schema(database)
        store = Store(database, movable_time=settings.on_loopback)
        with store.read() as session:
            lines, counts = listed(session, dead_only=dead, most=most), counted(session)
    table = Table("Job", "State", "Due (UTC)", "Tries", "Request", "Trouble", show_lines=False)
    for line in lines:
        cells = (line.key, line.state, f"{line.due:%Y-%m-%d %H:%M:%S}", str(line.tries), line.request)
        table.add_row(*(Text(cell) for cell in cells), Text(shown(redact(line.trouble))))
    console = Console()
    if not console.is_terminal:  # a file or a pipe knows no width
        console.width = max(console.width, 200)
    if lines:
        console.print(table)
    typer.echo(", ".join(f"{count:,} {state}" for state, count in counts.items()) + ".")
    if counts["dead"]:
        typer.echo("When its cause is mended, have a dead one tried again: gatehouse jobs retry 'JOB'")


@app.command("retry")
def retry(job: Annotated[str, typer.Argument(help="As gatehouse jobs lists it, like 'apply:REQ-23456789ab'.")]) -> None:
    """Have a dead job tried again, once its cause is mended. It is an entry of the record, and told to security."""
    from approvals.dead_letters import revive
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.shell import shell_actor, tell_security

    settings = read_settings(needs=())
    actor = shell_actor()
    with open_database(settings) as database:
        need_schema(database)
        with Store(database, movable_time=settings.on_loopback).write() as w:
            refused = revive(w, actor, job)
            if not refused:
                tell_security(w, actor, f"has the job {job} tried again")
        if refused:
            stop(refused)
    typer.echo(f"{job} is tried again by the next worker that is free. Look: gatehouse jobs")
