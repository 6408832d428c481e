"""`gatehouse audit …`: the record and its proof. Registered in `bot/cli.py`."""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="The record and its proof.")


@app.command("verify")
def verify() -> None:
    """Walk the whole chain of the record and say whether anything in it was changed."""
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings

    settings = read_settings(needs=())
    with open_database(settings) as database:
        need_schema(database)
        found = Store(database).verify()
    for problem in found.problems:
        typer.echo(problem, err=True)
    erased = f", {found.erased} details erased" if found.erased else ""
    typer.echo(f"{found.entries} entries{erased}, head {found.head}: {'whole' if found.ok else 'NOT WHOLE'}.")
    if not found.ok:
        raise typer.Exit(1)


@app.command("verifier")
def verifier() -> None:
    """Print the stand-alone verifier: gatehouse audit verifier > gatehouse_verify.py"""
    file = Path(__file__).with_name("record") / "gatehouse_verify.py"
    typer.echo(file.read_text(encoding="utf-8"), nl=False)


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
