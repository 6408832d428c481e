"""The commands of setting up: the Slack app's manifest, and the doctor. Registered in `bot/cli.py`."""

import os
from pathlib import Path
from typing import Annotated

import typer


def manifest(
    socket: Annotated[bool, typer.Option("--socket", help="For Socket Mode: no address is needed.")] = False,
    url: Annotated[str, typer.Option(help="Where Slack reaches this bot, like https://gatehouse.example.com.")] = "",
) -> None:
    """Print the manifest of the Slack app, to paste at https://api.slack.com/apps."""
    from bot import manifest as slack_app

    if socket and url:
        typer.echo(
            "--socket needs no --url: in Socket Mode the bot calls Slack, and Slack never calls the bot.", err=True
        )
        raise typer.Exit(2)
    if url and not slack_app.is_public_address(url):
        typer.echo("--url must begin with https:// and have a host, like https://gatehouse.example.com.", err=True)
        raise typer.Exit(2)
    made = slack_app.manifest(socket=socket, url=url or slack_app.EXAMPLE_URL)
    typer.echo(slack_app.to_yaml(made), nl=False)


def doctor() -> None:
    """Try settings, database, policy, Slack and Atlassian for real, and say how to mend what is wrong."""
    from bot.doctor.examination import examine, is_well, show

    findings = examine(os.environ, Path(".env"))
    show(findings)
    if not is_well(findings):
        raise typer.Exit(1)
