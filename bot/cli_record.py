"""`gatehouse audit …`: the record and its proof. Registered in `bot/cli.py`."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from approvals.store import Store

app = typer.Typer(no_args_is_help=True, help="The record and its proof.")


@app.command("verify")
def verify(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", exists=True, dir_okay=False, help="A file of checkpoints to compare it with."),
    ] = None,
) -> None:
    """Walk the whole chain of the record and say whether anything in it was changed, or is missing at its end."""
    from approvals.gatehouse_verify import verify_file
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings
    from bot.record.loss import compared

    settings = read_settings(needs=())
    with open_database(settings) as database:
        need_schema(database)
        # A file is read by several processes where it is long, which is faster.
        found = verify_file(Path(database.file)) if database.file else Store(database).verify()
        with database.reading() as session:
            otherwise = compared(session, settings, checkpoint or ())
    for problem in (*found.problems, *otherwise):
        typer.echo(problem, err=True)
    erased = f", {found.erased} details erased" if found.erased else ""
    typer.echo(f"{found.entries} entries{erased}, head {found.head}: {_verdict(found.ok, not otherwise)}.")
    if otherwise or not found.ok:
        raise typer.Exit(1)


def _verdict(whole: bool, agrees: bool) -> str:
    """A copy that was put back is whole, and behind what was said outside: that is no chain that was changed."""
    if not whole:
        return "NOT WHOLE"
    return "whole" if agrees else "whole in itself, and NOT what was said outside"


@app.command("verifier")
def verifier() -> None:
    """Print the stand-alone verifier: gatehouse audit verifier > gatehouse_verify.py"""
    from approvals import gatehouse_verify

    typer.echo(Path(gatehouse_verify.__file__).read_text(encoding="utf-8"), nl=False)


@app.command("key")
def key() -> None:
    """Make a key that signs checkpoints, and print its private and its public part. Nothing is stored."""
    from bot.record.signing import new_key

    private, public = new_key()
    typer.echo(f"private: {private}")
    typer.echo(f"public:  {public}")
    typer.echo("The private part is the setting AUDIT_SIGNING_KEY, and goes nowhere else.", err=True)
    typer.echo("The public part is for whoever checks: gatehouse_verify.py … --key …", err=True)


@app.command("checkpoint")
def checkpoint() -> None:
    """Print a checkpoint of this moment, as the bot sends them to the audit channel, the log and the webhook."""
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.record.checkpoints import checkpoint_now
    from bot.record.signing import signing_key

    settings = read_settings(needs=())
    secret = settings.audit_signing_key.get_secret_value()
    with open_database(settings) as database:
        need_schema(database)
        store = Store(database, movable_time=settings.on_loopback)
        made = checkpoint_now(store, settings.atlassian_org_id, signing_key(secret) if secret else None)
    if made is None:
        stop("The record is empty: there is nothing to say about it.")
    typer.echo(made.line())
    if not secret:
        typer.echo("It is not signed: AUDIT_SIGNING_KEY is not set (gatehouse audit key makes one).", err=True)


DAY = ["%Y-%m-%d"]


@app.command("export")
def export(
    format: Annotated[
        Literal["jsonl", "csv", "ocsf"],
        typer.Option(help="jsonl: what the verifier reads; csv: a table; ocsf: a SIEM."),
    ] = "jsonl",
    since: Annotated[datetime | None, typer.Option("--from", formats=DAY, help="The first day, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="The last day, UTC.")] = None,
) -> None:
    """Print the record or a part of it. That somebody took it out is an entry of its own, and told to security."""
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings
    from bot.record.exports import FORMATS, kept

    settings = read_settings(needs=())
    begin, end = (day_of(one) if one else None for one in (since, until))
    with open_database(settings) as database:
        need_schema(database)
        store = Store(database, movable_time=settings.on_loopback)
        note(store, "record.exported", f"exported the record as {format}", format=format, since=begin, until=end)
        for line in FORMATS[format](kept(store, begin, end), store):
            typer.echo(line.encode(), nl=False)


@app.command("show")
def show(request: Annotated[str, typer.Argument(help="Like REQ-k7m2p9x4wd.")]) -> None:
    """Print what the record says of a request, entry by entry, and whether each still is what was written."""
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.record.story import told

    settings = read_settings(needs=())
    with open_database(settings) as database:
        need_schema(database)
        store = Store(database, movable_time=settings.on_loopback)
        lines, whole = told(store, request)
        if not lines:
            stop(f"The record has no entry of {request!r}.")
        note(store, "looked at", f"looked at the record of {request}", request=request)
    for line in lines:
        typer.echo(line)
    if not whole:
        raise typer.Exit(1)


def day_of(given: datetime) -> date:
    """The calendar ends, and days and weeks behind the last one are reckoned with: its last month is as good."""
    return min(given.date(), date.max - timedelta(days=30))


def note(store: "Store", event: str, did: str, *, request: str | None = None, **data: object) -> None:
    """Who looks into the record from a shell is in it, and security reads so."""
    from bot.shell import shell_actor, tell_security

    actor = shell_actor()
    with store.write() as w:
        said = {name: str(value) for name, value in data.items() if value is not None}
        w.audit(event, actor=actor, request=request, data=said)
        tell_security(w, actor, did)
