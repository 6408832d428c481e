"""`gatehouse drill` and `gatehouse end`: ask for practice, and end what is held while Slack is away."""

from typing import Annotated

import typer


def drill() -> None:
    """Ask the security channel for a drill of break-glass; nothing happens before one of them begins it."""
    from approvals.policy_book import NoPolicy, PolicyBook
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.shell import shell_actor

    settings = read_settings(needs=())
    with open_database(settings) as database:
        need_schema(database)
        with Store(database, movable_time=settings.on_loopback).write() as w:
            try:
                glass = PolicyBook().current(w.connection).break_glass
            except NoPolicy:
                glass = None
            if glass is not None and glass.drill:
                actor = shell_actor()
                w.audit("drill.asked", actor=actor)
                w.tell("drill_asked", place="security", by=actor.account.removeprefix("shell:"))
        if glass is None or not glass.drill:
            stop("The policy names no group to practise with: add drill to its table [break_glass].")
    typer.echo("Asked for in the security channel. It begins when one of the roles admin and security presses there.")


def end(
    request: Annotated[str, typer.Argument(help="The request whose grants end now, like REQ-23456789ab.")],
    because: Annotated[str, typer.Option(help="Why; who holds it and security read this.")],
) -> None:
    """End what a request gave, now; the worker takes it away, with or without Slack."""
    from approvals.shell_ends import end_from_shell
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.shell import shell_actor, tell_security

    settings = read_settings(needs=())
    actor = shell_actor()
    with open_database(settings) as database:
        need_schema(database)
        with Store(database, movable_time=settings.on_loopback).write() as w:
            refused = end_from_shell(w, actor, request, because)
            if not refused:
                tell_security(w, actor, f"ends {request}: {because}")
        if refused:
            stop(refused)
    typer.echo(f"{request} ends now: the worker takes it away and reads it back. Look: gatehouse audit show {request}.")
