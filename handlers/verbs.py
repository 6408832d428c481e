"""/access revoke, deactivate, reactivate, suspend and restore: what is done to somebody, and why."""

from sqlmodel import Session

from approvals import people
from approvals.policy import ORG_ADMIN, Policy
from approvals.policy import Person as Speaker
from approvals.store import Actor
from approvals.workflow import Ask, Refused
from handlers.desk import Desk, Said
from handlers.parse import VERBS, Subject
from handlers.text import sentence

# What each does, after "I'm reading Atlassian to see what it would take to".
DOES = {
    "revoke": "take `{what}` from them",
    "deactivate": "deactivate the account",
    "reactivate": "let the account in again",
    "suspend": "suspend the account",
    "restore": "restore the account",
}


def ask_for(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Ask for the verb that was typed; what is missing is said with the whole command."""
    command = said.command
    usage = f"Type `{VERBS[command.verb]}`."
    if command.verb == "revoke" and not command.entitlement:
        return f"What is to be taken? {usage}"
    if command.subject is None and command.verb != "revoke":
        return f"Whose account? {usage}"
    with desk.store.read() as session:
        policy = desk.policy(session)
        subject = _subject(session, speaker, said.command.subject)
    if subject is None:
        because = f"I know no Atlassian account for {command.subject}. Check the name, or write their e-mail address."
        desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), because, said.source)
        return because
    if policy.reason.required and not command.reason:
        return f"Why? Whoever answers reads it. {usage}"
    what = _entitlement(policy, command.entitlement or "")
    ask = Ask(command.verb, subject, what, None, command.reason or "", said.source)
    try:
        asked = desk.workflow.ask(speaker, ask)
    except Refused as refused:
        return sentence(str(refused))
    if asked.joined:
        return f":link: You have asked for that already: {asked.id} waits for an answer. `/access mine` lists it."
    return (
        f":hourglass_flowing_sand: {asked.id}: I'm reading Atlassian to see what it would take to "
        f"{DOES[command.verb].format(what=asked.entitlement)}. Then whoever must answer is asked, "
        "and you hear the result."
    )


def _entitlement(policy: Policy, name: str) -> str:
    """In the policy's spelling; the road of org admins has a name of its own."""
    if name.casefold() == ORG_ADMIN:
        return ORG_ADMIN
    found = policy.entitlement(name)
    return found.name if found else name


def _subject(session: Session, speaker: Speaker, said: Subject | None) -> str | None:
    if said is None:
        return speaker.account
    if said.email:
        return people.account_with(session, said.email)
    return people.account_of(session, speaker.team, said.slack_user or "")


def is_for(policy: Policy, speaker: Speaker, verb: str) -> bool:
    """Whether the help shows this verb to them: where the policy has a rule for it that is not for other roles only."""
    if verb not in DOES:
        return True
    rule = policy.verbs.get(verb)
    sources = (*rule.who_may_ask, *rule.ask_for_others) if rule is not None else ()
    return any(source.kind != "role" or source.name in speaker.roles for source in sources)
