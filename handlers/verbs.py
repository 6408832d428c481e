"""The verbs that are no grant, as they are typed: what is done to whom, why, and what must be known for it."""

from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from approvals import authority, people
from approvals.authority import Case
from approvals.cases import facts_of
from approvals.plan import Newcomer
from approvals.planning import KEEP_TOKENS
from approvals.policy import ORG_ADMIN, Policy
from approvals.policy import Person as Speaker
from approvals.store import Actor
from approvals.workflow import Ask, Refused, no_such_rule
from handlers import private
from handlers.asking import open_form, verbs_of
from handlers.desk import FORM_IS_OPEN, Desk, Said
from handlers.form_asks import names_in, subject_of
from handlers.lasting import NotToCome, to_come
from handlers.parse import VERBS, Command
from handlers.people import account_said
from handlers.request_form import Filled
from handlers.text import sentence, when

# What each does, after "I'm reading Atlassian to see what it would take to".
DOES = {
    "revoke": "take `{what}` from {whom}",
    "deactivate": "deactivate the account",
    "reactivate": "let the account in again",
    "offboard": "end everything they hold and deactivate the account",
    "suspend": "suspend the account",
    "restore": "restore the account",
    "tokens": "delete the API tokens",
    "email": "change the address",
    "provision": "make the account",
}
MISSING = {  # what a verb can't do without, and the question when it is not there
    "revoke": ("entitlement", "What is to be taken?"),
    "email": ("target", "What is the new address?"),
    "provision": ("target", "What is their e-mail address?"),
}
SOMEBODY = "somebody"  # no account has this id
AT_THE_SITE = "at the site"  # said: a newcomer's account is made at the Jira site


class Unsaid(Exception):
    """Something is missing or can't be; the text is the answer."""


class Missing(Unsaid):
    """Something was not said; a form asks for it, and the text is the answer where Slack does not open one."""


def ask_for(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Ask for the verb that was typed, or open the form for what is missing."""
    try:
        with desk.store.read() as session:
            ask = ask_of(session, desk.policy(session), desk.store.time_in(session), speaker, said)
    except Missing as missing:
        return _form_instead(desk, speaker, said) or str(missing)
    except Unsaid as unsaid:
        if isinstance(unsaid, UnknownPerson):
            desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), str(unsaid), said.source)
        return str(unsaid)
    try:
        asked = desk.workflow.ask(speaker, ask)
    except Refused as refused:
        return sentence(str(refused))
    if asked.joined:
        return f":link: You have asked for that already: {asked.id} waits for an answer. `/access mine` lists it."
    at = f" It is done {when(ask.starts_at)}." if ask.starts_at else ""
    whom = "you" if ask.subject == speaker.account else "them"
    return (
        f":hourglass_flowing_sand: {asked.id}: I'm reading Atlassian to see what it would take to "
        f"{DOES[ask.verb].format(what=asked.entitlement, whom=whom)}. Then whoever must answer is asked, "
        f"and you hear the result.{at}"
    )


def _form_instead(desk: Desk, speaker: Speaker, said: Said) -> str:
    """The form with what was understood, or why there is none; empty when Slack did not open it."""
    try:
        with desk.store.read() as session:
            policy, now = desk.policy(session), desk.store.time_in(session)
            filled = filled_of(session, policy, speaker, said.command)
            refused = _refused_already(session, policy, speaker, filled, now)
    except Unsaid as unsaid:  # what was said can't be, whatever is missing besides
        refused = str(unsaid)
    if refused:
        desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), refused, said.source)
        return sentence(refused)
    return FORM_IS_OPEN if open_form(desk, said.trigger, filled, speaker) else ""


def filled_of(session: Session, policy: Policy, speaker: Speaker, command: Command) -> Filled:
    """What a command says, as its form is opened with it."""
    if command.entitlement and not _known(policy, command.entitlement):
        raise Unsaid(no_such_rule(policy, command.verb, command.entitlement).because)
    named = command.verb != "provision" and (command.subject is not None or command.verb == "revoke")
    subject = _subject(session, speaker, command) if named else ""
    unquoted = [one for one in command.also if policy.entitlement(one) is None]
    if command.verb == "provision" and not command.name and unquoted:  # "Zoë Lind" without its quotes
        known = tuple(one for one in command.also if one not in unquoted)
        command = replace(command, name=" ".join(unquoted), also=known)
    name = " ".join((command.name or "").split())
    given, family = names_in(name)
    return Filled(
        subject=subject,
        subject_name=people.names(session, {subject})[subject] if subject else "",
        entitlement=_known(policy, command.entitlement or ""),
        reason=command.reason or "",
        verb=command.verb,
        mail=(command.target or "").lower(),
        name=name,
        given=given,
        family=family,
        also=_wanted(policy, command),
        when=str(command.starts or ""),
        keep_tokens=KEEP_TOKENS in command.options,
        by_site=AT_THE_SITE in command.options,
    )


def _refused_already(session: Session, policy: Policy, speaker: Speaker, filled: Filled, now: datetime) -> str:
    """Why no form need be filled in: they may not ask for this, whatever else they say. Empty when they may."""
    rule = policy.rule(filled.verb, filled.entitlement) or policy.verbs.get(filled.verb)
    if rule is None:
        return no_such_rule(policy, filled.verb, "").because
    if not filled.is_enough and filled.verb in verbs_of(session, policy, speaker):
        return ""  # it depends on what is not said yet
    subject = subject_of(session, filled) if filled.is_enough else SOMEBODY
    case = Case(policy, rule, filled.verb, speaker.account, subject, facts_of(session, policy, rule, subject, now))
    verdict = authority.may_request(case, speaker)
    return "" if verdict else verdict.because


class UnknownPerson(Unsaid):
    """Nobody has such an account."""


def ask_of(session: Session, policy: Policy, now: datetime, speaker: Speaker, said: Said) -> Ask:
    """The question that a command asks; ``Unsaid`` with what is missing."""
    command = said.command
    usage = f"Type `{VERBS[command.verb]}`."
    field, question = MISSING.get(command.verb, ("", ""))
    if field and not getattr(command, field):
        raise Missing(f"{question} {usage}")
    if command.subject is None and not command.myself and command.verb not in ("revoke", "provision"):
        raise Missing(f"Whose account? {usage}")
    subject = _subject(session, speaker, command)
    if policy.reason.required and not command.reason:
        raise Missing(f"Why? Whoever answers reads it. {usage}")
    starts_at = _starts_at(session, now, speaker, command)
    what = _entitlement(policy, command.entitlement or "")
    return Ask(
        command.verb, subject, what, None, command.reason or "", said.source, value=_value(policy, command),
        starts_at=starts_at,
    )  # fmt: skip


def _starts_at(session: Session, now: datetime, speaker: Speaker, command: Command) -> datetime | None:
    if command.starts is None:
        return None
    try:
        return to_come(session, now, speaker.team, speaker.user, command.starts, like="on Friday 18:00")
    except NotToCome as never:
        raise Unsaid(str(never)) from None


def _value(policy: Policy, command: Command) -> str:
    """What else the verb needs to know: a new address, a newcomer, a word that changes what is done."""
    match command.verb:
        case "email":
            return (command.target or "").lower()
        case "provision":
            return _newcomer(policy, command).model_dump_json()
        case "reactivate" if KEEP_TOKENS in command.options:
            return KEEP_TOKENS
    return ""


def _newcomer(policy: Policy, command: Command) -> Newcomer:
    """Given and family name are those of the form, or the first words and the last one of the name."""
    mail = (command.target or "").lower()
    name = " ".join((command.name or "").split())
    if not name:
        unquoted = " ".join(one for one in command.also if policy.entitlement(one) is None)
        hint = f' If it is {unquoted}, type it in quotes: "{unquoted}".' if unquoted else ""
        raise Missing(f"What is their name?{hint} Type `{VERBS['provision']}`.")
    given, family = names_in(name)
    by_site = AT_THE_SITE in command.options
    return Newcomer(mail=mail, name=name, given=given, family=family, also=_wanted(policy, command), by_site=by_site)


def _wanted(policy: Policy, command: Command) -> tuple[str, ...]:
    """What a newcomer is to have, in the policy's spelling."""
    for one in command.also:
        if policy.entitlement(one) is None:
            raise Unsaid(no_such_rule(policy, "grant", one).because)
    return tuple(_known(policy, one) for one in command.also)


def tokens(desk: Desk, speaker: Speaker, said: Said) -> str:
    """A look at somebody's API tokens; with "delete because …" a request."""
    return ask_for(desk, speaker, said) if "delete" in said.command.options else private.tokens(desk, speaker, said)


def _entitlement(policy: Policy, name: str) -> str:
    """In the policy's spelling; an unknown one is the workflow's to refuse."""
    return _known(policy, name) or name


def _known(policy: Policy, name: str) -> str:
    """In the policy's spelling, empty when it is not there; the road of org admins has a name of its own."""
    if name.casefold() == ORG_ADMIN:
        return ORG_ADMIN
    found = policy.entitlement(name)
    return found.name if found else ""


def _subject(session: Session, speaker: Speaker, command: Command) -> str:
    """The account; who is to get one has none yet, then the address stands for it."""
    if command.verb == "provision":
        mail = (command.target or "").lower()
        return people.account_with(session, mail) or mail
    found = account_said(session, speaker, command.subject)
    if found is None:
        raise UnknownPerson(
            f"I know no Atlassian account for {command.subject}. Check the name, or write their e-mail address."
        )
    return found


def is_for(policy: Policy, speaker: Speaker, verb: str) -> bool:
    """Whether the help shows this verb to them: where the policy has a rule for it that is not for other roles only."""
    if (verb not in DOES or verb == "tokens") and verb != "bulk":
        return True
    rule = policy.verbs.get(verb)
    sources = (*rule.who_may_ask, *(rule.ask_for_others if verb != "bulk" else ())) if rule is not None else ()
    return any(source.kind != "role" or source.name in speaker.roles for source in sources)
