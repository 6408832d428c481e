"""Who is speaking: a Slack user made a bound person, or stopped politely before anything else is looked at."""

from sqlmodel import Session

from approvals import people
from approvals.policy import Person as Speaker
from approvals.store import Actor
from handlers.command import Subject
from handlers.desk import Desk


def who_speaks(desk: Desk, team: str, user: str, source: str, typed: str = "") -> Speaker | people.Stop:
    """The person, or why they are not heard; a stop is in the record, and a stranger is looked up for next time."""
    with desk.store.look() as connection:
        found = people.speaker(connection, desk.policy(connection), team, user)
    if isinstance(found, people.Stop):
        desk.workflow.refuse(Actor("unknown", team, user), found.because, source, typed=typed)
        if found.because in (people.UNKNOWN, people.UNBOUND.format(who=f"{team}/{user}")):
            with desk.store.write() as w:
                w.enqueue("look up", f"{team}/{user}")
    return found


def account_said(session: Session, speaker: Speaker, said: Subject | None) -> str | None:
    """The account that somebody named: a mention, an address, an account id; oneself when nobody was named."""
    if said is None:
        return speaker.account
    if said.account:
        return said.account if people.is_known(session, said.account) else None
    if said.email:
        return people.account_with(session, said.email)
    return people.account_of(session, speaker.team, said.slack_user or "")
