"""`gatehouse record-manual`: enters afterwards what was given by hand; it gives nothing. Registered in `bot/cli.py`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlmodel import Session

    from approvals.by_hand import ByHand
    from approvals.plan import Survey
    from approvals.policy import Policy
    from bot.settings import Settings

LIKE = "write it with its zone, like 2026-03-01T22:10Z or 2026-03-01T23:10+01:00"


def record_manual(
    who: Annotated[str, typer.Argument(help="Whom it was given to: an Atlassian account id or e-mail address.")],
    entitlement: Annotated[str, typer.Argument(help="What they were given, by its name in the policy.")],
    incident: Annotated[str, typer.Option(help="The incident it was for, like INC-42.")],
    since: Annotated[str, typer.Option("--from", help="When it was given, with its zone: 2026-03-01T22:10Z.")],
    until: Annotated[str, typer.Option(help="When it was taken away, or is to be: at most four hours from now.")],
    because: Annotated[str, typer.Option(help="Why it could not wait; who judges it reads this.")],
    was_member: Annotated[
        str, typer.Option(metavar="yes|no", help="Were they in it before? Then it is left; no: its end takes it away.")
    ],
) -> None:
    """Enter what was given by hand while Gatehouse was down. Nothing is given; its end is seen to, and it is judged."""
    from approvals import by_hand
    from approvals.policy_book import NoPolicy, PolicyBook
    from approvals.store import Store
    from approvals.workflow import Refused
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.shell import shell_actor

    settings = read_settings(needs=("atlassian",))
    with open_database(settings) as database:
        need_schema(database)
        store = Store(database, movable_time=settings.on_loopback)
        try:
            with store.read() as session:
                policy = PolicyBook().current(session)
                said = _said(session, policy, who, entitlement, incident, (since, until), because, was_member)
                refused = by_hand.why_not(session, policy, said, store.time_in(session))
        except NoPolicy:
            stop("No policy is in force yet, so there is nothing that could have been given.")
        if refused:
            stop(refused, "Nothing was entered.")
        survey = _survey(settings, policy, said, database)
        try:
            with store.write() as w:
                entered = by_hand.enter(w, PolicyBook().current(w.connection), shell_actor(), said, survey)
        except Refused as late:
            stop(str(late))
        now = store.now()
    if entered.before:
        typer.echo(f"It was entered before, as {entered.request}. Nothing was written now.")
        return
    typer.echo(
        f"{entered.request}: {survey.subject_name} had {said.entitlement} for {said.incident} from {_at(said.since)} "
        f"to {_at(said.until)}."
    )
    typer.echo(_what_follows(said, survey, now))
    typer.echo("Security and those who would have been asked are told. Somebody must say within a day what it was.")


def _said(
    session: "Session", policy: "Policy", who: str, entitlement: str, incident: str, times: tuple[str, str],
    because: str, was_member: str,
) -> "ByHand":  # fmt: skip
    """What was typed, read; each thing that can't be is a sentence."""
    from approvals.by_hand import ByHand
    from bot.cli import stop
    from handlers.glass_words import spelled

    before = {"yes": True, "no": False}.get(was_member.strip().lower())
    if before is None:
        stop("--was-member takes yes (they were in it before, so it is left) or no (its end takes it away).")
    account = _account(session, who.strip())
    named = policy.entitlement(entitlement)
    since, until = _moment("--from", times[0]), _moment("--until", times[1])
    name = named.name if named else entitlement.strip()[:200]
    return ByHand(account, name, spelled(policy, incident.strip()), since, until, because.strip()[:1000], before)


def _account(session: "Session", who: str) -> str:
    from approvals import people
    from bot.cli import stop
    from bot.http import UnsafeAddress, check_id

    if "@" in who:
        account = people.account_with(session, who)
        if account is None:
            stop(f"No account, or more than one, has the address {who[:200]}: give the account id.")
        return account
    try:
        return check_id("account", who)
    except UnsafeAddress:
        stop("WHO is an Atlassian account id, like 712020:…, or an e-mail address.")


def _moment(option: str, text: str) -> datetime:
    """In UTC, to the second. A time without a zone would be a guess, and an end hours away."""
    from bot.cli import stop

    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        stop(f"{option} is no time: {LIKE}.")
    if moment.tzinfo is None:
        stop(f"{option} does not say in which zone: {LIKE}.")
    try:
        return moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        stop(f"{option} is no time: {LIKE}.")


def _survey(settings: "Settings", policy: "Policy", said: "ByHand", database: object) -> "Survey":
    """What Atlassian shows of it now; only read."""
    from approvals.database import Database
    from approvals.ports import DirectoryError, Impossible
    from bot.atlassian.directory import AtlassianDirectory
    from bot.cli import stop
    from bot.clients import build_clients
    from bot.surroundings import SettingsProblem

    assert isinstance(database, Database)
    rule = policy.entitlement(said.entitlement)
    assert rule is not None  # why_not has looked
    try:
        directory = AtlassianDirectory(build_clients(settings, policy, database), policy)
    except SettingsProblem as problem:
        stop(*problem.sentences, "Nothing was entered.")
    try:
        return directory.survey_held(said.account, rule)
    except Impossible as no:
        stop(str(no), "Nothing was entered: Gatehouse could not end it.")
    except DirectoryError as error:
        stop(f"{error}.", "Nothing was entered. Try it again when Atlassian can be read.")
    finally:
        directory.close()


def _what_follows(said: "ByHand", survey: "Survey", now: datetime) -> str:
    if said.was_member:
        return "They were in it before, so nothing is taken away."
    if said.until > now and survey.holds:
        return f"The worker takes it away at {_at(said.until)} and reads it back."
    if said.until > now:
        found = f"at {_at(said.until)} the worker takes away what it finds"
        return f"Atlassian does not show it now. Nothing is given; {found}."
    if survey.holds:
        return "Atlassian still shows it: the worker takes it away now."
    return "Atlassian does not show it any more; the worker reads it once more."


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
