"""Who is who, as the mirror and the bindings tell it; reads only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, bindparam
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from approvals.authority import Candidate, Delegation
from approvals.database import plain
from approvals.identity import UNBOUND as UNBOUND
from approvals.identity import UNKNOWN as UNKNOWN
from approvals.identity import Identity, does_not_count, not_heard
from approvals.models import Binding, Manager, Person, SlackUser
from approvals.models import Delegation as DelegationRow
from approvals.policy import Person as Speaker
from approvals.policy import Policy, PolicyPerson

_SAME_USER = and_(col(Binding.team) == SlackUser.team, col(Binding.user) == SlackUser.user)
_SPEAKER = (
    select(SlackUser.standing, Binding.account, Binding.votes_from, Binding.confirmed, Binding.how)  # type: ignore[call-overload]
    .join(Binding, _SAME_USER, isouter=True)
    .where(SlackUser.team == bindparam("team"), SlackUser.user == bindparam("user"))
)
_RUNNING = (
    col(DelegationRow.ended_at).is_(None),
    DelegationRow.made_at <= bindparam("now"),
    DelegationRow.until > bindparam("now"),
)
_STANDING_IN = (
    select(
        DelegationRow.absent, DelegationRow.stand_in, SlackUser.standing, Binding.team, Binding.user, Binding.account,
        Binding.votes_from, Binding.confirmed, Binding.how,
    )  # type: ignore[call-overload]
    .join(Binding, col(Binding.account) == DelegationRow.absent)
    .join(SlackUser, _SAME_USER)
    .where(*_RUNNING)
    .order_by(col(DelegationRow.id))
)  # fmt: skip
_OWN = aliased(Binding)
_ABSENT = (
    select(Binding.team, Binding.user)
    .join(DelegationRow, col(DelegationRow.absent) == Binding.account)
    .join(_OWN, col(_OWN.account) == DelegationRow.stand_in)
    .where(*_RUNNING, _OWN.team == bindparam("team"), _OWN.user == bindparam("user"))
)
_STANDING = select(SlackUser.standing).join(Binding, _SAME_USER).where(Binding.account == bindparam("account"))
_BOUND = select(Binding.account).where(Binding.team == bindparam("team"), Binding.user == bindparam("user"))
_BINDING = select(Binding).where(Binding.account == bindparam("account"))
_MAIL = select(SlackUser.mail).where(SlackUser.team == bindparam("team"), SlackUser.user == bindparam("user"))
_ZONE = select(SlackUser.zone).where(SlackUser.team == bindparam("team"), SlackUser.user == bindparam("user"))
_IN_FILE = select(Person.manager, Person.manager_from).where(Person.account == bindparam("account"))
_IN_SLACK = select(Manager.manager).where(Manager.account == bindparam("account"), Manager.source == "slack_profile")


@dataclass(frozen=True)
class Stop:
    """Why somebody is not heard, in a sentence for them."""

    because: str


def identity(db: Session | Connection, policy: Policy, team: str, user: str) -> Identity:
    """What is known of a Slack user. Where sign-in is by SSO a matched person needs no second admin."""
    known = plain(db).execute(_SPEAKER, {"team": team, "user": user}).first()
    if known is None:
        return Identity(team, user)
    return Identity(team, user, known.standing, known.account, known.votes_from, _is_confirmed(policy, known))


def _is_confirmed(policy: Policy, known: Any) -> bool:
    """Single sign-on vouches for an address, and so for a match; not for what one admin wrote by hand."""
    return bool(known.confirmed) or (policy.sso and known.how == "match")


def speaker(db: Session | Connection, policy: Policy, team: str, user: str) -> Speaker | Stop:
    """The person behind a Slack user: a full member of the workspace, bound to an account; or a polite stop."""
    who = identity(db, policy, team, user)
    unheard = not_heard(who)
    return Stop(unheard) if unheard else _speaker(policy, who)


def voter(db: Session | Connection, policy: Policy, team: str, user: str, now: datetime) -> Speaker | Stop:
    """The same for somebody whose answer decides: a new or unconfirmed binding does not count yet."""
    who = identity(db, policy, team, user)
    uncounted = does_not_count(who, now)
    return Stop(uncounted) if uncounted else _speaker(policy, who)


def _speaker(policy: Policy, who: Identity) -> Speaker:
    assert who.account is not None  # whoever is heard is bound
    return policy.person(who.account, who.team, who.user)


def standing_in(db: Session | Connection, policy: Policy, now: datetime) -> tuple[Delegation, ...]:
    """Who stands in for whom; only for those whose own answer would count now: nobody lends what they lack."""
    found = []
    for row in plain(db).execute(_STANDING_IN, {"now": now}).all():
        confirmed = _is_confirmed(policy, row)
        absent = Identity(row.team, row.user, row.standing, row.account, row.votes_from, confirmed)
        if not does_not_count(absent, now):
            found.append(Delegation(row.absent, row.stand_in))
    return tuple(found)


def bound_elsewhere(db: Session | Connection, named: Iterable[PolicyPerson]) -> frozenset[PolicyPerson]:
    """Those of them whose account stands for another Slack user now than the one they are named with."""
    wanted = frozenset(named)
    accounts = sorted({person.account for person in wanted})
    slots = {f"account{n}": account for n, account in enumerate(accounts)}
    rows = plain(db).execute(_now_bound(len(slots)), slots).all() if slots else ()
    bound = {row.account: (row.team, row.user) for row in rows}
    here = {person: (person.team, person.user) for person in wanted}
    return frozenset(person for person, own in here.items() if bound.get(person.account, own) != own)


@cache
def _now_bound(accounts: int) -> Any:
    """For so many: a list of any length is written anew at each execution, and a policy names the same few always."""
    slots: list[Any] = [bindparam(f"account{n}") for n in range(accounts)]
    return select(Binding.account, Binding.team, Binding.user).where(col(Binding.account).in_(slots))


def whom_they_stand_in_for(db: Session | Connection, team: str, user: str, now: datetime) -> list[tuple[str, str]]:
    """The Slack users who are away and have this one answer."""
    found = plain(db).execute(_ABSENT, {"team": team, "user": user, "now": now}).all()
    return [(row.team, row.user) for row in found]


def who_can_be_asked(db: Session | Connection, named: Iterable[Candidate]) -> list[Candidate]:
    """Those of them who are bound, and full members as far as the mirror knows."""
    connection = plain(db)
    return [c for c in named if connection.execute(_STANDING, {"account": c.account}).scalar() == "member"]


def manager_of(db: Session | Connection, policy: Policy, account: str, now: datetime) -> str | None:
    """The account of somebody's manager, by the sources in the policy's order; nobody is their own.

    While one whom an import has changed does not count yet nobody does, whatever a later source says.
    """
    for source in policy.manager_sources:
        manager: str | None
        if source == "map":
            manager = policy.manager_map.get(account)
        elif source == "slack_profile":
            manager = plain(db).execute(_IN_SLACK, {"account": account}).scalar()
        else:
            row = plain(db).execute(_IN_FILE, {"account": account}).first()
            if row is not None and row.manager_from is not None and row.manager_from > now:
                return None
            manager = row.manager if row is not None else None
        if manager and manager != account:
            return manager
    return None


def manager_counts_from(db: Session | Connection, policy: Policy, account: str, now: datetime) -> datetime | None:
    """When the manager counts whom an import has changed, where that is still to come."""
    row = plain(db).execute(_IN_FILE, {"account": account}).first() if "file" in policy.manager_sources else None
    return row.manager_from if row is not None and row.manager_from is not None and row.manager_from > now else None


def manages_somebody(db: Session | Connection, policy: Policy, account: str) -> bool:
    """Whether any of the places that the mirror reads managers from names them."""
    in_file = select(Person.account).where(Person.manager == account).limit(1)
    in_slack = select(Manager.account).where(Manager.manager == account).limit(1)
    known = account in policy.manager_map.values()
    return known or any(plain(db).execute(query).first() is not None for query in (in_file, in_slack))


def profile_was_read(db: Session | Connection, account: str) -> bool:
    """Whether the field with somebody's manager was read, whatever it said."""
    return plain(db).execute(_IN_SLACK, {"account": account}).first() is not None


def account_of(db: Session | Connection, team: str, user: str) -> str | None:
    """The account a Slack user stands for as a *subject*: bound, or the only account with their mail address."""
    whom = {"team": team, "user": user}
    bound: str | None = plain(db).execute(_BOUND, whom).scalar()
    if bound is not None:
        return bound
    mail: str | None = plain(db).execute(_MAIL, whom).scalar()
    return account_with(db, mail) if mail else None


def is_known(db: Session | Connection, account: str) -> bool:
    """Whether the mirror has an account of this id."""
    return plain(db).execute(select(Person.account).where(Person.account == account)).first() is not None


def account_with(db: Session | Connection, mail: str) -> str | None:
    """The account with this mail address, when exactly one has it."""
    found = plain(db).execute(select(Person.account).where(Person.mail == mail.lower()).limit(2)).scalars().all()
    return found[0] if len(found) == 1 else None


def zone_of(db: Session | Connection, team: str, user: str) -> str:
    """The time zone a Slack user has set; empty where none is known."""
    whom = {"team": team, "user": user}
    return str(plain(db).execute(_ZONE, whom).scalar() or "")


def is_someone_elses(db: Session | Connection, mail: str, account: str) -> bool:
    """Whether a full member of the workspace, who is not this account, has the address."""
    query = (
        select(Binding.account)
        .select_from(SlackUser)
        .join(Binding, _SAME_USER, isouter=True)
        .where(SlackUser.mail == mail.lower(), SlackUser.standing == "member")
    )
    return any(owner != account for owner in plain(db).execute(query).scalars())


def slack_user_of(session: Session, account: str) -> Binding | None:
    """Where an account is reached in Slack."""
    return session.execute(_BINDING, {"account": account}).scalars().first()


def slack_was_read(session: Session) -> bool:
    """Whether the mirror knows anybody's standing; before the first start it knows nobody's."""
    return session.exec(select(SlackUser.user).limit(1)).first() is not None


def slack_users_of(session: Session, accounts: set[str]) -> dict[str, str]:
    """The Slack users of those accounts that are bound."""
    rows = session.exec(select(Binding.account, Binding.user).where(col(Binding.account).in_(accounts)))
    return dict(rows.all())


def names(session: Session, accounts: set[str]) -> dict[str, str]:
    """Display names, the account id where no name is known."""
    rows = session.exec(select(Person.account, Person.name).where(col(Person.account).in_(accounts)))
    return {account: account for account in accounts} | dict(rows.all())
