"""The commands of setting up: the Slack app's manifest, and the doctor. Registered in `bot/cli.py`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from approvals.plan import Step

docs_app = typer.Typer(no_args_is_help=True, help="Documentation that is made from the menu.")


@docs_app.command("commands")
def commands() -> None:
    """Print docs/commands.md: every command, who may, who answers, which API, who sees it."""
    from bot.docs_commands import commands_page

    typer.echo(commands_page(), nl=False)


@docs_app.command("readme")
def readme(file: Annotated[Path, typer.Argument(help="The README.")] = Path("README.md")) -> None:
    """Print the README with its table of commands made anew."""
    from bot.docs_commands import in_readme

    try:
        typer.echo(in_readme(file.read_text(encoding="utf-8")), nl=False)
    except (OSError, ValueError) as problem:
        typer.echo(f"{file}: {problem}", err=True)
        raise typer.Exit(2) from None


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


def doctor(
    probe: Annotated[
        str, typer.Option(metavar="GROUP", help="Also put somebody into this empty group and out again, and watch.")
    ] = "",
    account: Annotated[
        str, typer.Option(metavar="ACCOUNT", help="With --probe: the account id of that somebody.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="With --probe: do not ask.")] = False,
) -> None:
    """Try settings, database, policy, Slack and Atlassian for real, and say how to mend what is wrong.

    Only --probe writes anything: it learns how the organization's audit log shows what Gatehouse does.
    """
    from bot.doctor.examination import examine, is_well, show

    if probe:
        return _probe(probe, account, yes)
    log_what_is_found()
    findings = examine(os.environ, Path(".env"))
    show(findings)
    if not is_well(findings):
        raise typer.Exit(1)


def log_what_is_found() -> None:
    """With what can be read of the settings: whoever looks at them whole says by itself what is wrong with them."""
    from bot.log import set_up_logging
    from bot.settings import load_settings
    from bot.surroundings import SettingsProblem

    try:
        settings = load_settings(needs=())
    except SettingsProblem:
        return set_up_logging("WARNING", ())
    set_up_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, settings.secrets())


def _probe(group: str, account: str, yes: bool) -> None:
    import time

    from approvals.ports import DirectoryError
    from approvals.store import Store
    from bot.atlassian.directory import AtlassianDirectory
    from bot.cli import open_database, prepare, read_policy, read_settings, stop
    from bot.clients import build_clients
    from bot.doctor.audit_file import before
    from bot.doctor.probe import NoProbe, Probe
    from bot.probe_marks import mark
    from bot.shell import shell_actor
    from bot.surroundings import SettingsProblem

    settings = read_settings(("atlassian",))
    if not account:
        stop(
            "--probe needs --account: the Atlassian account id of somebody who agrees to be in that group for a moment."
        )
    if settings.effects == "off":
        stop("EFFECTS=off lets nothing be written to Atlassian, and a probe writes: set EFFECTS=listed or on.")
    try:
        known = before(settings.audit_log_file)
    except SettingsProblem as problem:
        stop(*problem.sentences)
    policy = read_policy(settings.policy_file)
    with open_database(settings, makes=True) as database:
        prepare(database)
        clients = build_clients(settings, policy, database)
        store = Store(database, movable_time=settings.on_loopback)

        def write_down(step: "Step") -> None:
            with store.write() as w:
                mark(w, shell_actor(), step)

        try:
            tried = Probe(AtlassianDirectory(clients, policy), policy, time.sleep, typer.echo, mark=write_down)
            step = tried.plan(group, account)
            if not yes:
                typer.confirm(f"{step.words}, and at once out again. Go on?", abort=True)
            learnt = tried.run(step)
        except (NoProbe, DirectoryError) as no:
            stop(str(no))
        finally:
            clients.close()
    if not learnt.actions:
        stop(
            "The audit log shows neither of the two writes: this organization does not log them, or not within minutes."
        )
    if settings.audit_log_file and known:
        where = f"This is the whole of {settings.audit_log_file}, with what stood in it. Put it in that file's place"
    else:
        where = f"Keep this beside the policy, as {settings.audit_log_file or 'audit-log.toml'}"
    typer.echo(f"\n{where}:\n\n{learnt.toml(known)}")
