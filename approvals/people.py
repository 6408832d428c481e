"""Who is who, as the mirror and the bindings tell it; reads only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam
from sqlmodel import Session, col, select

from approvals.database import plain
from approvals.models import Binding, Person, SlackUser
from approvals.policy import Candidate, Entitlement, Policy
from approvals.policy import Person as Speaker

WHY_NOT = {
    "guest": "Guests of this workspace can't use Gatehouse. Ask a full member to ask for you.",
    "deleted": "This Slack account is deactivated, so Gatehouse does nothing for it.",
    "bot": "Gatehouse answers people, not bots.",
    "stranger": "You belong to another workspace, and Gatehouse only serves members of this one.",
}
UNKNOWN = (
    "I don't know your Slack account yet. If you joined today, try again in a minute; "
    "otherwise ask an Atlassian administrator to look at Gatehouse's mirror."
)
UNBOUND = (
    "I don't know which Atlassian account is yours, so I can't act on your word. Ask an Atlassian administrator "
    "to bind you: `gatehouse people import` with a line for {who}."
)
NOT_YET = "Your binding to an Atlassian account is new; your answers count from {when:%Y-%m-%d %H:%M} UTC on."


_SAME_USER = and_(col(Binding.team) == SlackUser.team, col(Binding.user) == SlackUser.user)
_SPEAKER = (
    select(SlackUser.standing, Binding.account)
    .join(Binding, _SAME_USER, isouter=True)
    .where(SlackUser.team == bindparam("team"), SlackUser.user == bindparam("user"))
)
_STANDING = select(SlackUser.standing).join(Binding, _SAME_USER).where(Binding.account == bindparam("account"))
_BOUND, _VOTES_FROM = (
    select(column).where(Binding.team == bindparam("team"), Binding.user == bindparam("user"))
    for column in (Binding.account, Binding.votes_from)
)
_MAIL = select(SlackUser.mail).where(SlackUser.team == bindparam("team"), SlackUser.user == bindparam("user"))
_MANAGER = select(Person.manager).where(Person.account == bindparam("account"))


@dataclass(frozen=True)
class Stop:
    """Why somebody is not heard, in a sentence for them."""

    because: str


def speaker(db: Session | Connection, policy: Policy, team: str, user: str) -> Speaker | Stop:
    """The person behind a Slack user: a full member of the workspace, bound to an account; or a polite stop."""
    known = plain(db).execute(_SPEAKER, {"team": team, "user": user}).first()
    if known is None:
        return Stop(UNKNOWN)
    if known.standing != "member":
        return Stop(WHY_NOT[known.standing])
    if known.account is None:
        return Stop(UNBOUND.format(who=f"{team}/{user}"))
    roles = policy.roles_of(known.account, team, user)
    return Speaker(account=known.account, team=team, user=user, roles=roles)


def voter(db: Session | Connection, policy: Policy, team: str, user: str, now: datetime) -> Speaker | Stop:
    """The same for somebody whose answer decides: a new binding does not count yet."""
    found = speaker(db, policy, team, user)
    if isinstance(found, Stop):
        return found
    votes_from = plain(db).execute(_VOTES_FROM, {"team": team, "user": user}).scalar_one()
    if votes_from > now:
        return Stop(NOT_YET.format(when=votes_from))
    return found


def who_may_answer(
    db: Session | Connection, policy: Policy, entitlement: Entitlement, requester: str, subject: str
) -> list[Candidate]:
    """Those the policy names who can be asked: bound, and a full member as far as the mirror knows."""
    return who_can_be_asked(db, policy.approvers(entitlement, requester, subject, manager_of(db, subject)))


def who_can_be_asked(db: Session | Connection, named: Iterable[Candidate]) -> list[Candidate]:
    """Those of them who are bound, and full members as far as the mirror knows."""
    connection = plain(db)
    return [c for c in named if connection.execute(_STANDING, {"account": c.account}).scalar() == "member"]


def manager_of(db: Session | Connection, account: str) -> str | None:
    """The account of somebody's manager, as imported."""
    manager: str | None = plain(db).execute(_MANAGER, {"account": account}).scalar()
    return manager


def account_of(db: Session | Connection, team: str, user: str) -> str | None:
    """The account a Slack user stands for as a *subject*: bound, or the only account with their mail address."""
    whom = {"team": team, "user": user}
    bound: str | None = plain(db).execute(_BOUND, whom).scalar()
    if bound is not None:
        return bound
    mail: str | None = plain(db).execute(_MAIL, whom).scalar()
    return account_with(db, mail) if mail else None


def account_with(db: Session | Connection, mail: str) -> str | None:
    """The account with this mail address, when exactly one has it."""
    found = plain(db).execute(select(Person.account).where(Person.mail == mail.lower()).limit(2)).scalars().all()
    return found[0] if len(found) == 1 else None


def slack_user_of(session: Session, account: str) -> Binding | None:
    """Where an account is reached in Slack."""
    return session.exec(select(Binding).where(Binding.account == account)).first()


def slack_users_of(session: Session, accounts: set[str]) -> dict[str, str]:
    """The Slack users of those accounts that are bound."""
    rows = session.exec(select(Binding.account, Binding.user).where(col(Binding.account).in_(accounts)))
    return dict(rows.all())


def names(session: Session, accounts: set[str]) -> dict[str, str]:
    """Display names, the account id where no name is known."""
    rows = session.exec(select(Person.account, Person.name).where(col(Person.account).in_(accounts)))
    return {account: account for account in accounts} | dict(rows.all())
