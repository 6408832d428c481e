"""Who a Slack user is in Atlassian: bound uniquely both ways, announced, and not heard as a judge on the first day."""

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, or_, select

from approvals import people
from approvals.models import Binding, Person, SlackUser
from approvals.store import MACHINE, Actor, Write

PROBATION = timedelta(hours=24)  # a new or changed binding can't approve before


class Taken(Exception):
    """One of the two belongs to somebody else already; the text says to whom."""


def bind(
    w: Write, team: str, user: str, account: str, *, how: str, actor: Actor, confirmed: bool = True, mail: str = "",
    votes_from: datetime | None = None, announced: bool = True,
) -> Binding:  # fmt: skip
    """Bind them; their answers count from a day later on, unless said otherwise. ``Taken`` when either is bound."""
    by_user = w.session.get(Binding, (team, user))
    by_account = w.session.exec(select(Binding).where(Binding.account == account)).first()
    if by_user is not None:
        raise Taken(f"<@{user}> is bound to {_name(w, by_user.account)} already; unbind them first.")
    if by_account is not None:
        raise Taken(f"{_name(w, account)} is bound to <@{by_account.user}> already; unbind them first.")
    votes = votes_from or w.now + PROBATION
    row = w.add(
        Binding(
            team=team, user=user, account=account, how=how, bound_at=w.now, votes_from=votes, confirmed=confirmed,
            mail=mail.lower(),
        )
    )  # fmt: skip
    data = {"team": team, "user": user, "account": account, "how": how, "votes_from": votes.isoformat()}
    w.audit("person.bound", actor=actor, data=data)
    if announced:
        _announce(w, "bound", row, how=how, confirmed=confirmed, votes_from=votes.timestamp())
    return row


def unbind(w: Write, row: Binding, *, actor: Actor, because: str, announced: bool = True) -> None:
    """They are strangers to the bot from now on; what they hold stays, and ends in its time."""
    data = {"team": row.team, "user": row.user, "account": row.account}
    if announced:
        _announce(w, "unbound", row, because=because)
    w.session.delete(row)
    w.session.flush()
    w.audit("person.unbound", actor=actor, data=data, details={"because": because})


def confirm(w: Write, body: dict[str, Any], agreed: list[str]) -> None:
    """A second admin has agreed to a binding: its owner may answer when its first day is over."""
    row = w.session.get(Binding, (body["team"], body["user"]))
    if row is None or row.account != body["account"]:
        return
    row.confirmed = True
    w.add(row)
    data = {"team": row.team, "user": row.user, "account": row.account, "agreed": agreed}
    w.audit("person.confirmed", actor=MACHINE, data=data)


def confirm_by_import(w: Write, row: Binding, *, actor: Actor) -> None:
    """An import says the same as a binding that nobody had confirmed: from now on it rests on the import."""
    row.confirmed, row.how, row.votes_from = True, "import", w.now + PROBATION
    w.add(row)
    data = {"team": row.team, "user": row.user, "account": row.account, "votes_from": row.votes_from.isoformat()}
    w.audit("person.confirmed", actor=actor, data=data)
    _announce(w, "bound", row, how=row.how, confirmed=True, votes_from=row.votes_from.timestamp())


def match(session: Session, user: SlackUser, *, mail_confirmed: bool, domains: frozenset[str]) -> str:
    """The account whose address a full member has, when nothing about it is in doubt; else ``NoMatch`` says what is."""
    domain = user.mail.rpartition("@")[2]
    if user.standing != "member":
        raise NoMatch("only full members are matched")
    if not user.mail or not mail_confirmed:
        raise NoMatch("the e-mail address is not confirmed in Slack")
    if domain.casefold() not in domains:
        raise NoMatch("the domain of the e-mail address is not one that the organization has verified")
    found = session.exec(select(Person).where(Person.mail == user.mail).limit(2)).all()
    if len(found) != 1:
        raise NoMatch("no account has this address" if not found else "more than one account has this address")
    twins = session.exec(
        select(SlackUser).where(
            SlackUser.mail == user.mail, SlackUser.standing == "member", SlackUser.user != user.user
        )
    ).first()
    if twins is not None:
        raise NoMatch("another member of the workspace has the same address")
    if session.exec(select(Binding).where(Binding.account == found[0].account)).first() is not None:
        raise NoMatch("the account with this address is bound to somebody else")
    return found[0].account


class NoMatch(Exception):
    """Nobody is guessed; the text says what is in doubt."""


def drop_changed(w: Write) -> None:
    """A match rests on an address: another one, on either side, ends it. Others stay, and the operators hear once."""
    w.session.flush()
    rows = w.session.exec(
        select(Binding, SlackUser.mail, Person.mail)
        .join(SlackUser, (col(SlackUser.team) == Binding.team) & (col(SlackUser.user) == Binding.user), isouter=True)
        .join(Person, col(Person.account) == Binding.account, isouter=True)
        .where(Binding.how == "match", or_(col(SlackUser.mail) != Binding.mail, col(Person.mail) != Binding.mail))
    ).all()
    for row, _, _ in rows:
        unbind(w, row, actor=MACHINE, because="the e-mail address that they were found by has changed")


def _announce(w: Write, kind: str, row: Binding, **facts: Any) -> None:
    """To its owner and to security."""
    names = {"name": _name(w, row.account), "account": row.account, "whose": row.user}
    stamp = f"{row.team}/{row.user}:{w.now.timestamp()}"
    w.tell(kind, place="person", once=f"{kind}:{stamp}", team=row.team, user=row.user, **names, **facts)
    w.tell(kind, place="security", once=f"{kind} security:{stamp}", **names, **facts)


def _name(w: Write, account: str) -> str:
    return people.names(w.session, {account})[account]
