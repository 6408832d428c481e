"""/access grant: give somebody an entitlement for a while."""

from dataclasses import replace
from datetime import timedelta

from approvals.policy import Entitlement, say_duration
from approvals.policy import Person as Speaker
from approvals.store import Actor
from approvals.workflow import Ask, Refused
from handlers.asking import blank, open_form, prefilled
from handlers.desk import FORM_IS_OPEN as FORM_IS_OPEN
from handlers.desk import Desk, Said
from handlers.durations import Duration
from handlers.lasting import NotToCome, Term, term_of
from handlers.moments import Moment
from handlers.parse import Command, Subject, canonical
from handlers.people import account_said
from handlers.text import esc, sentence, when

HINT = timedelta(hours=2)  # in an example of what to type


def grant(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Ask, or open the form for what is missing; the answer is what the acknowledgement shows."""
    command, source = said.command, said.source
    if command.subject is None and command.entitlement and _said_how_long(command) and command.reason:
        return _ask(desk, speaker, said, speaker.account)  # nothing to look up: most are like this
    with desk.store.read() as session:
        policy = desk.policy(session)
        subject = account_said(session, speaker, command.subject)
        entitlement = policy.entitlement(command.entitlement or "")
    if subject is None:
        because = (
            f"I know no Atlassian account for {_shown(command.subject)}. Check the name or write their e-mail address; "
            "somebody who has no account yet must be invited or provisioned first."
        )
        desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), because, source)
        return because
    missing = _missing(command, entitlement, reason_needed=policy.reason.required)
    if missing:
        return _form_instead(desk, speaker, subject, command, said.trigger) or missing
    return _ask(desk, speaker, said, subject)


def _ask(desk: Desk, speaker: Speaker, said: Said, subject: str) -> str:
    command, source = said.command, said.source
    try:
        term = term_of(desk, speaker.team, speaker.user, _said_how_long(command))
    except NotToCome as never:
        return str(never)
    what, reason = command.entitlement or "", command.reason or ""
    ask = Ask("grant", subject, what, term.length, reason, source, ends_by=term.ends_by)
    try:
        request = desk.workflow.ask(speaker, ask)
    except Refused as refused:
        return sentence(str(refused))
    if request.joined:
        return (
            f":link: You have asked for that already: {request.id} still waits for an answer. `/access mine` lists it."
        )
    return (
        f":hourglass_flowing_sand: {request.id}: I'm reading Atlassian to see what `{request.entitlement}` "
        f"{_for(request.duration, term)} would change. Then whoever must answer is asked, and you hear the result."
    )


def by_form(desk: Desk, speaker: Speaker, trigger: str) -> str:
    """The empty form; empty when Slack did not open it."""
    return FORM_IS_OPEN if open_form(desk, trigger, blank(desk, speaker), speaker) else ""


def _form_instead(desk: Desk, speaker: Speaker, subject: str, command: Command, trigger: str) -> str:
    """The form with what was understood; empty when Slack did not open it, so that the sentence is said instead."""
    length = f"until {command.until}" if command.until else str(command.duration or "")
    filled = prefilled(desk, subject, command.entitlement or "", length, command.reason or "")
    return FORM_IS_OPEN if open_form(desk, trigger, filled, speaker) else ""


def _missing(command: Command, entitlement: Entitlement | None, *, reason_needed: bool) -> str:
    """What the command leaves out. An unknown entitlement is the workflow's to refuse."""
    if not command.entitlement:
        return "What is it to be? Type `/access grant entitlement for 2h because …`; `/access help` lists them."
    if entitlement is None:
        return ""
    longest = entitlement.longest
    if _said_how_long(command) is None:
        most = f"At most {say_duration(longest)}" if longest else "A length of time, or `until revoked`"
        example = replace(command, duration=Duration(min(longest or HINT, HINT)))
        return f"For how long? {most}. Type {_typed(example)}."
    if reason_needed and not command.reason:
        return f"What for? Whoever answers reads it. Type {_typed(command)}."
    return ""


def _typed(command: Command) -> str:
    """The whole command to type, with all that was understood; foreign words in it are harmless."""
    typed = f"/access {canonical(replace(command, reason=None))} because {esc(command.reason or '…')}"
    return typed if command.subject and command.subject.slack_user else f"`{typed}`"  # in code a mention has no name


def _said_how_long(command: Command) -> Duration | Moment | None:
    return command.until or command.duration


def _for(seconds: int | None, term: Term) -> str:
    if term.ends_by is not None:
        return f"until {when(term.ends_by)}"
    return say_duration(None) if seconds is None else f"for {say_duration(timedelta(seconds=seconds))}"


def _shown(said: Subject | None) -> str:
    return str(said) if said else "you"
