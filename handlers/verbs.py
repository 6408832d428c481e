"""The verbs that are no grant, as they are typed: what is done to whom, why, and what must be known for it."""

from datetime import datetime

from sqlmodel import Session

from approvals import people
from approvals.plan import Newcomer
from approvals.policy import ORG_ADMIN, Policy
from approvals.policy import Person as Speaker
from approvals.store import Actor
from approvals.workflow import Ask, Refused
from handlers import private
from handlers.desk import Desk, Said
from handlers.parse import VERBS, Command
from handlers.people import account_said
from handlers.text import esc, sentence, when

# What each does, after "I'm reading Atlassian to see what it would take to".
DOES = {
    "revoke": "take `{what}` from them",
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
IN_THE_PAST = "{at} is over already. Say a time that is still to come, like `on Friday 18:00`."


class Unsaid(Exception):
    """Something is missing or can't be; the text is the answer."""


def ask_for(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Ask for the verb that was typed; what is missing is said with the whole command."""
    try:
        with desk.store.read() as session:
            ask = ask_of(session, desk.policy(session), desk.store.time_in(session), speaker, said)
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
    return (
        f":hourglass_flowing_sand: {asked.id}: I'm reading Atlassian to see what it would take to "
        f"{DOES[ask.verb].format(what=asked.entitlement)}. Then whoever must answer is asked, "
        f"and you hear the result.{at}"
    )


class UnknownPerson(Unsaid):
    """Nobody has such an account."""


def ask_of(session: Session, policy: Policy, now: datetime, speaker: Speaker, said: Said) -> Ask:
    """The question that a command asks; ``Unsaid`` with what is missing."""
    command = said.command
    usage = f"Type `{VERBS[command.verb]}`."
    field, question = MISSING.get(command.verb, ("", ""))
    if field and not getattr(command, field):
        raise Unsaid(f"{question} {usage}")
    if command.subject is None and command.verb not in ("revoke", "provision"):
        raise Unsaid(f"Whose account? {usage}")
    subject = _subject(session, speaker, command)
    if policy.reason.required and not command.reason:
        raise Unsaid(f"Why? Whoever answers reads it. {usage}")
    starts_at = (
        command.starts.resolve(now, people.zone_of(session, speaker.team, speaker.user)) if command.starts else None
    )
    if starts_at is not None and starts_at <= now:
        raise Unsaid(IN_THE_PAST.format(at=command.starts))
    what = _entitlement(policy, command.entitlement or "")
    return Ask(
        command.verb, subject, what, None, command.reason or "", said.source, value=_value(policy, command),
        starts_at=starts_at,
    )  # fmt: skip


def _value(policy: Policy, command: Command) -> str:
    """What else the verb needs to know: a new address, a newcomer, a word that changes what is done."""
    match command.verb:
        case "email":
            return (command.target or "").lower()
        case "provision":
            return _newcomer(policy, command).model_dump_json()
        case "reactivate" if "keep tokens" in command.options:
            return "keep tokens"
    return ""


def _newcomer(policy: Policy, command: Command) -> Newcomer:
    """Given and family name are those of the form, or the first words and the last one of the name."""
    mail = (command.target or "").lower()
    name = " ".join((command.name or "").split())
    if not name:
        raise Unsaid(f"What is their name? Type `{VERBS['provision']}`.")
    wanted = []
    for one in command.also:
        found = policy.entitlement(one)
        if found is None:
            near = policy.nearest(one)
            hint = f" Did you mean {' or '.join(f'`{known}`' for known in near)}?" if near else ""
            raise Unsaid(f"There is no entitlement `{esc(one)}` in the policy.{hint} `/access help` lists them all.")
        wanted.append(found.name)
    given, _, family = name.rpartition(" ")
    return Newcomer(mail=mail, name=name, given=given or name, family=family if given else "", also=tuple(wanted))


def tokens(desk: Desk, speaker: Speaker, said: Said) -> str:
    """A look at somebody's API tokens; with "delete because …" a request."""
    return ask_for(desk, speaker, said) if "delete" in said.command.options else private.tokens(desk, speaker, said)


def _entitlement(policy: Policy, name: str) -> str:
    """In the policy's spelling; the road of org admins has a name of its own."""
    if name.casefold() == ORG_ADMIN:
        return ORG_ADMIN
    found = policy.entitlement(name)
    return found.name if found else name


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
