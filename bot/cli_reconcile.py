"""`gatehouse reconcile`: hold the record against Atlassian from a shell. Registered in `bot/cli.py`."""

import typer


def reconcile() -> None:
    """Compare what the record says with what Atlassian says, group by group, and print what differs.

    Status 0: they agree. 1: they differ, or something could not be read. Nothing is given; where the policy says
    drift = "repair" the worker ends what is left over.
    """
    from approvals.policy_book import NoPolicy, PolicyBook
    from approvals.reconciliation import facts_of
    from approvals.store import Store
    from bot.app import build_directory, build_events, build_reconciliation
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.emergency import EmergencyWatch
    from bot.metrics import Metrics
    from bot.shell import shell_actor, tell_security
    from handlers.text import counted

    settings = read_settings(needs=("atlassian",))
    actor = shell_actor()
    with open_database(settings) as database:
        need_schema(database)
        store, policies = Store(database, movable_time=settings.on_loopback), PolicyBook()
        try:
            directory = build_directory(settings, store, policies, Metrics())
        except NoPolicy:
            stop("There is no policy in force yet, so nothing was ever given.")
        try:
            with store.write() as w:
                w.audit("reconcile.asked", actor=actor)
                tell_security(w, actor, "holds the record against Atlassian")
            watch = EmergencyWatch(store, policies, directory.clients.organization, directory.clients.accounts)
            events = build_events(settings, store, directory, watch)
            look = build_reconciliation(settings, store, directory, policies, events).look(
                recent=False, writing=store.write
            )
        finally:
            directory.close()
        with store.read() as session:
            facts = facts_of(session, look)
    for kind, entitlement, name, account, request in facts["differs"]:
        typer.echo(f"{kind:10} {entitlement}  {name} ({account})  {request}")
    if facts["count"] > len(facts["differs"]):
        typer.echo(f"and {facts['count'] - len(facts['differs'])} more")
    for entitlement, why in look.unread:
        typer.echo(f"{entitlement} could not be read: {why}", err=True)
    once = counted(facts["suspected"], "was", "were")
    seen_once = f" {once} seen once: look again in a minute." if facts["suspected"] else ""
    read = counted(look.holdings, "group or role was read", "groups and roles were read")
    found = f"with {counted(look.people, 'person', 'people')}: {counted(facts['count'], 'difference')}"
    typer.echo(f"{read}, {found}.{seen_once}")
    if facts["count"] or look.unread:
        raise typer.Exit(1)
