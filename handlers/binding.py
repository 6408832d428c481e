"""/access bind and unbind: an admin says who a Slack user is in Atlassian, and a second one confirms it."""

from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from approvals import authority, bindings, people
from approvals.models import Binding, Person, SlackUser
from approvals.policy import Person as Speaker
from approvals.proposals import open_proposal
from approvals.store import Actor, AlreadyThere
from handlers.desk import Desk, Said
from handlers.text import esc, when

USAGE = "Type `/access bind @who` and their Atlassian account id or e-mail address."


def bind(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Written down at once, so that they may ask; what they answer counts when a second admin agreed, a day later."""
    refused = _not_for(desk, speaker, said)
    if refused:
        return refused
    user, target = said.command.subject, said.command.target
    if user is None or user.slack_user is None or not target:
        return USAGE
    actor = Actor(speaker.account, speaker.team, speaker.user)
    with desk.store.read() as session:
        account, because = _account(session, speaker, user.slack_user, target)
    if account is None:
        return f"{because} {USAGE}"
    try:
        with desk.store.write() as w:
            w.first_time(said.source)
            known = w.session.get(Binding, (speaker.team, user.slack_user))
            if known is None or known.account != account or known.confirmed:  # else only the second admin is missing
                bindings.bind(w, speaker.team, user.slack_user, account, how="bind", actor=actor, confirmed=False)
            name = people.names(w.session, {account})[account]
            body = {"team": speaker.team, "user": user.slack_user, "account": account}
            shown = f"Slack user {user.slack_user} is {name} ({account})"
            id = open_proposal(w, "bind", body, shown, 1, actor)
    except bindings.Taken as taken:
        return str(taken)
    except AlreadyThere:
        return "That is written down already."
    return (
        f":link: <@{user.slack_user}> is *{esc(name)}* from now on and may ask. Their answers count when another admin "
        f"agreed ({id}, in the security channel) and a day is over."
    )


def unbind(desk: Desk, speaker: Speaker, said: Said) -> str:
    """At once; what they hold stays and ends in its time."""
    refused = _not_for(desk, speaker, said)
    if refused:
        return refused
    user = said.command.subject
    if user is None or user.slack_user is None:
        return "Whom? Type `/access unbind @who`."
    actor = Actor(speaker.account, speaker.team, speaker.user)
    with desk.store.write() as w:
        row = w.session.get(Binding, (speaker.team, user.slack_user))
        if row is None:
            return f"<@{user.slack_user}> is bound to no account."
        try:
            w.first_time(said.source)
        except AlreadyThere:
            return "That is written down already."
        name = people.names(w.session, {row.account, speaker.account})
        bindings.unbind(w, row, actor=actor, because=f"unbound by {name[speaker.account]}")
    return f":broken_chain: <@{user.slack_user}> is *{esc(name[row.account])}* no more, and is not heard until bound."


def _account(session: Session, speaker: Speaker, user: str, target: str) -> tuple[str | None, str]:
    """The account that was meant, or why it can't be."""
    account = people.account_with(session, target) if "@" in target else target
    known = session.get(SlackUser, (speaker.team, user))
    if user == speaker.user or account == speaker.account:
        return None, "Nobody binds themselves."
    if account is None or session.get(Person, account) is None:
        return None, "The organization has no account like that, or more than one."
    if known is None or known.standing != "member":
        return None, "That is no full member of this workspace."
    return account, ""


def _not_for(desk: Desk, speaker: Speaker, said: Said) -> str:
    verdict = authority.may_do("bind", speaker)
    if verdict:
        return ""
    because = f"You may not bind or unbind anybody: {verdict.because}."
    desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), because, said.source)
    return because


# -- what is told -----------------------------------------------------------------------------------------------------

HOW = {"import": "by an import", "match": "by your confirmed e-mail address", "bind": "by an administrator"}


def bound(facts: dict[str, Any], place: str) -> str:
    """To the owner, and to security."""
    at = when(datetime.fromtimestamp(facts["votes_from"], UTC))
    who = "You are" if place == "person" else f"<@{facts['whose']}> is"
    how = HOW[facts["how"]].replace("your", "your" if place == "person" else "the")
    counts = f"Answers count from {at} on" if facts["confirmed"] else "Answers do not count before an admin confirms it"
    odd = " If that is wrong, tell security at once." if place == "person" else ""
    return f":link: {who} *{esc(facts['name'])}* (`{esc(facts['account'])}`) here, {how}. {counts}.{odd}"


def unbound(facts: dict[str, Any], place: str) -> str:
    who = "You are" if place == "person" else f"<@{facts['whose']}> is"
    return (
        f":broken_chain: {who} *{esc(facts['name'])}* here no more: {esc(facts['because'], 300)}. "
        "An administrator can bind again."
    )
