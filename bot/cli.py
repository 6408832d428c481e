"""The command line: `gatehouse …`. Each command says in one sentence what is wrong, and never prints a secret."""

import gc
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bot import (
    cli_bulk,
    cli_by_hand,
    cli_evidence,
    cli_forget,
    cli_freeze,
    cli_glass,
    cli_jobs,
    cli_loss,
    cli_policy,
    cli_reconcile,
    cli_record,
    cli_setup,
)

if TYPE_CHECKING:  # the commands import what they need themselves: `gatehouse --help` loads nothing else
    from collections.abc import Sequence

    from approvals.database import Database
    from approvals.policy import Policy
    from bot.app import House
    from bot.settings import Settings

NO_SANDBOXES = 'The sandboxes are not installed: pip install "gatehouse[sandbox]".'

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
people_app = typer.Typer(no_args_is_help=True, help="Who is who: bindings, managers, the mirror.")
sandbox_app = typer.Typer(no_args_is_help=True, help="Local stand-ins of Slack and Atlassian, on loopback only.")
app.command()(cli_setup.doctor)
app.command()(cli_setup.manifest)
app.command()(cli_freeze.freeze)
app.command()(cli_forget.forget)
app.command()(cli_evidence.evidence)
app.command()(cli_glass.drill)
app.command()(cli_glass.end)
app.command()(cli_reconcile.reconcile)
app.command("safe-mode")(cli_loss.safe_mode)
app.command()(cli_loss.backup)
app.command("record-manual")(cli_by_hand.record_manual)
app.add_typer(cli_setup.docs_app, name="docs", hidden=True)
app.command()(cli_bulk.bulk)
app.add_typer(cli_jobs.app, name="jobs")
app.add_typer(people_app, name="people")
app.add_typer(cli_policy.app, name="policy")
app.add_typer(cli_record.app, name="audit")
app.add_typer(sandbox_app, name="sandbox")


@app.callback()
def about() -> None:
    """Gatehouse gives, takes and proves access in an Atlassian Cloud organization, from Slack."""


def main() -> None:
    """The entry point."""
    sys.argv[1:] = [readable(word) for word in sys.argv[1:]]
    gc.set_threshold(50_000, 20, 20)  # what is imported stays: looking it all through again is a tenth of each start
    app()


def readable(word: str) -> str:
    """Bytes that are no UTF-8 as signs that can be written down; a file is found by its bytes, whatever they are.

    An emergency is not put off because of the alphabet of a terminal.
    """
    return word if os.path.lexists(word) else os.fsencode(word).decode("utf-8", "replace")


def stop(*sentences: str) -> NoReturn:
    """Say what is wrong and leave with status 2."""
    for sentence in sentences:
        typer.echo(sentence, err=True)
    raise typer.Exit(2)


# -- running ------------------------------------------------------------------------------------------------------


Checkpoints = Annotated[
    list[Path] | None,
    typer.Option("--checkpoint", exists=True, dir_okay=False, help="A file of checkpoints to compare the record with."),
]


@app.command()
def serve(checkpoint: Checkpoints = None) -> None:
    """Web and worker in one process group: the way to run it on one machine."""
    run_server(works=True, given=checkpoint or ())


@app.command()
def web() -> None:
    """Only the web side; `gatehouse worker` must run too."""
    run_server(works=False)


def run_server(*, works: bool, given: "Sequence[Path]" = ()) -> None:
    """Check everything that can be checked first, so that a mistake is a sentence and not a traceback."""
    from bot.addresses import listening_at
    from bot.server import NOT_BUILT, Server

    settings = read_settings(runs=True)
    insist_free(settings)
    os.environ.pop("GUNICORN_CMD_ARGS", None)
    listening = os.getpid()

    def build() -> "House | None":
        with suppress(typer.Exit):  # it has said why
            check_before_start(settings)
            return furnish(settings, given)
        return None

    try:
        Server(build, host=settings.host, port=settings.port, works=works).run()
    except SystemExit as exit:
        if os.getpid() != listening:
            raise
        if exit.code == 1:  # gunicorn could not listen, and has said so where nobody reads
            where = listening_at(settings.host, settings.port)
            stop(f"PORT: {where} can't be listened on. Something else may use it already.")
        if exit.code == NOT_BUILT:
            raise typer.Exit(2) from None
        raise


def insist_free(settings: "Settings") -> None:
    """The port beside is opened by a process that can say nothing any more, so it is tried before."""
    import socket

    from bot.addresses import listening_at

    host, port = settings.host, settings.metrics_port
    if port is None:
        return
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            stop(f"METRICS_PORT: {listening_at(host, port)} can't be listened on. Something else may use it already.")


@app.command()
def healthy(
    port: Annotated[int | None, typer.Option(help="Another port than PORT: a worker's is METRICS_PORT.")] = None,
) -> None:
    """Say whether a process of this machine serves, for whoever supervises it: status 0 or 1."""
    from urllib.error import URLError
    from urllib.request import ProxyHandler, build_opener

    url = f"http://127.0.0.1:{port or read_settings(needs=()).port}/healthz"
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=4):  # no proxy stands between this machine and itself
            return
    except (URLError, OSError, ValueError) as error:
        typer.echo(f"{url} does not answer ({type(error).__name__}).", err=True)
        raise typer.Exit(1) from None


@app.command()
def worker(checkpoint: Checkpoints = None) -> None:
    """Only the work: planning, applying, ending, telling."""
    import signal
    import threading

    import structlog

    from bot.memory import stay_small
    from bot.side_port import serve_beside
    from bot.stopping import STOPS_WITHIN
    from bot.web import Web

    settings = read_settings(runs=True)
    check_before_start(settings)
    insist_free(settings)
    house = furnish(settings, checkpoint or ())
    stopping = threading.Event()

    def told(*_: object) -> None:
        house.worker.halt()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    if house.database.is_sqlite:  # what `web` commits in its own process wakes nobody here; PostgreSQL tells
        house.worker.poll = 0.2
    if settings.metrics_port is not None:
        serve_beside(Web(house, aside=True), settings.host, settings.metrics_port)
    stay_small()
    house.start()
    structlog.get_logger().info("working", database=house.database.journal)
    stopping.wait()
    house.worker.stop(patience=STOPS_WITHIN)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    from approvals.migrations import migrate as run

    settings = read_settings(needs=())
    opened = open_database(settings, makes=True)
    with opened as database:
        refuse_newer(database)
        run(database)
    typer.echo(f"A new database was made: {opened.made}" if opened.made else "The database has the newest schema.")


@app.command()
def demo(
    once: Annotated[bool, typer.Option(help="Stop after the story; status 0 only if everything held.")] = False,
    port: Annotated[int, typer.Option(help="The bot's port; the sandboxes take the next two.")] = 3000,
    brief: Annotated[bool, typer.Option(help="Only a grant, from the question to its end.")] = False,
) -> None:
    """Play the main job for real against the local sandboxes, then keep serving."""
    try:
        import bot.sandbox.atlassian.server
        import bot.sandbox.slack.server  # noqa: F401  (what its processes stand on; found missing here, not in their logs)
        from bot.demo import play
    except ImportError:
        stop(NO_SANDBOXES)
    raise typer.Exit(play(once=once, port=port, brief=brief))


# -- sandboxes ----------------------------------------------------------------------------------------------------


@sandbox_app.command("slack")
def sandbox_slack(
    port: int = 3001,
    events_url: str = "http://127.0.0.1:3000/slack/events",
    atlassian_url: Annotated[str | None, typer.Option(help="Shows the calls to that sandbox beside Slack.")] = None,
) -> None:
    """A local Slack, to be opened in a browser."""
    try:
        from bot.sandbox.slack.server import serve as run
    except ImportError:
        stop(NO_SANDBOXES)
    run("127.0.0.1", port, events_url, atlassian_url)


@sandbox_app.command("atlassian")
def sandbox_atlassian(port: int = 3002) -> None:
    """A local Atlassian organization."""
    try:
        from bot.sandbox.atlassian.server import serve as run
    except ImportError:
        stop(NO_SANDBOXES)
    run("127.0.0.1", port)


@sandbox_app.command("oncall")
def sandbox_oncall(port: int = 3003) -> None:
    """A local PagerDuty, Jira Service Management and incidents, set through /control."""
    try:
        from bot.sandbox.oncall.server import serve as run
    except ImportError:
        stop(NO_SANDBOXES)
    run("127.0.0.1", port)


# -- people, policy, record ---------------------------------------------------------------------------------------


@people_app.command("import")
def people_import(
    file: Path,
    move: Annotated[bool, typer.Option(help="Also move bindings that belong to somebody else now.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Print the difference and change nothing.")] = False,
) -> None:
    """Bind Slack users to Atlassian accounts and name their managers, from a CSV file."""
    from approvals.store import Store
    from bot.people_import import BadFile, apply, read_csv
    from bot.shell import shell_actor

    settings = read_settings(needs=())
    try:
        lines = read_csv(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        stop(f"{file} can't be read: {error}.")
    except BadFile as bad:
        stop(*bad.sentences, "Nothing was changed.")
    with open_database(settings, makes=True) as database:
        prepare(database)
        store = Store(database, movable_time=settings.on_loopback)
        found = apply(store, lines, actor=shell_actor(), move=move, dry=dry)
    for mark, rows in (("+", found.added), ("~", found.changed), (">", found.moved)):
        for row in rows:
            typer.echo(f"{mark} {row}")
    typer.echo(f"{len(found.added)} new, {len(found.changed)} changed, {found.same} as before.")
    if found.moved and not (move or dry):
        stop("The lines marked > would move a binding to somebody else and were left alone; --move moves them.")


# -- what the commands share --------------------------------------------------------------------------------------


def read_settings(needs: tuple[str, ...] = ("slack", "atlassian"), *, runs: bool = False) -> "Settings":
    """The settings, or one sentence for each that is wrong.

    Each call is a line of the log for what ``runs`` on; a command says what it has to say by itself.
    """
    from bot.log import set_up_logging
    from bot.settings import load_settings
    from bot.surroundings import SettingsProblem

    try:
        settings = load_settings(needs=needs)
    except SettingsProblem as problem:
        stop(*problem.sentences)
    set_up_logging("WARNING" if settings.log_level == "INFO" and not runs else settings.log_level, settings.secrets())
    return settings


def read_policy(file: Path) -> "Policy":
    """The policy file, or one sentence for each mistake."""
    from approvals.policy import Policy, PolicyProblem

    try:
        return Policy.parse(Path(file).read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        stop(f"POLICY_FILE: {file} can't be read ({error}). Start from policy.example.toml.")
    except PolicyProblem as problem:
        stop(*problem.sentences)


class open_database:
    """The database for as long as a command needs it; a server it can't reach is a sentence.

    Only who ``makes`` one may be given a file that is not there: a command in the wrong folder has no record.
    """

    def __init__(self, settings: "Settings", *, makes: bool = False) -> None:
        from sqlalchemy.exc import ArgumentError

        from approvals.database import Database

        try:
            self.database: Database = Database(settings.database_url.get_secret_value())
        except (ArgumentError, ValueError):  # their text may hold the password
            stop("DATABASE_URL is no address of a database: write it like postgresql://user:password@host/database.")
        file = Path(self.database.file).resolve() if self.database.is_sqlite else None
        self.made = file if file is not None and file.parent.is_dir() and not file.exists() else None
        if self.made and not makes:
            stop(f"DATABASE_URL: there is no database at {self.made}. Run: gatehouse migrate")

    def __enter__(self) -> "Database":
        import sqlite3

        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.database.reading() as session:
                session.connection()
        except (SQLAlchemyError, sqlite3.Error) as error:
            kind = type(getattr(error, "orig", None) or error).__name__
            stop(f"DATABASE_URL: the database can't be opened ({kind}). Check address and rights.")
        return self.database

    def __exit__(self, *_: object) -> None:
        self.database.close()


def need_schema(database: "Database") -> None:
    from approvals.migrations import is_current

    refuse_newer(database)
    if not is_current(database):
        stop("DATABASE_URL: the database does not have the newest schema. Run: gatehouse migrate")


def refuse_newer(database: "Database") -> None:
    from approvals.migrations import NEWER, is_newer

    if is_newer(database):
        stop(f"DATABASE_URL: {NEWER}.")


def prepare(database: "Database") -> None:
    """Bring one machine's own database up to date; a shared one must have been migrated by the release."""
    from approvals.migrations import is_current
    from approvals.migrations import migrate as run

    refuse_newer(database)
    if database.is_sqlite and not is_current(database):
        run(database)
    need_schema(database)


def check_before_start(settings: "Settings") -> None:
    """Whatever a process would fall over later is a sentence now: policy, database, a key for each directory."""
    from approvals.policy_book import NoPolicy, PolicyBook
    from bot.atlassian.event_kinds import read_config
    from bot.key_slots import key_of
    from bot.surroundings import SettingsProblem

    policy = read_policy(settings.policy_file)
    with open_database(settings, makes=True) as database:
        prepare(database)
        with database.reading() as session, suppress(NoPolicy):
            policy = PolicyBook().current(session)
    try:
        read_config(settings.audit_log_file)
        for directory in policy.directories:
            if directory.owner == "ours" or directory.take_away:
                key_of(settings, directory)
    except SettingsProblem as problem:
        stop(*problem.sentences)


def furnish(settings: "Settings", given: "Sequence[Path]" = ()) -> "House":
    """Build the house on the policy in force."""
    import structlog

    from approvals.policy import mistakes_in
    from approvals.policy_book import is_in_force
    from approvals.store import Store
    from approvals.writable import patiently
    from bot.app import adopt_policy, build
    from bot.settings import SECRETS

    for name in (*SECRETS, "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"):
        os.environ.pop(name, None)  # not for child processes; and Bolt would change its ways over the last two
    text = Path(settings.policy_file).read_text(encoding="utf-8")
    with open_database(settings) as database:
        store: Store = Store(database, movable_time=settings.on_loopback)
        if not patiently(lambda: is_in_force(store, text)):
            adopted = patiently(lambda: adopt_policy(store, text, read_policy(settings.policy_file)))
        else:  # a mistake that only this release knows must not keep the ends of what is held from coming
            adopted = True
            if mistakes := mistakes_in(text):
                log = structlog.get_logger()
                log.warning("the policy in force has mistakes: gatehouse policy check says which", mistakes=mistakes)
        if not adopted:
            structlog.get_logger().warning("the policy file differs from the policy in force; it changes nothing yet")
    return build(settings, given=given)


if __name__ == "__main__":
    main()
