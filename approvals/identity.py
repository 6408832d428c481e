"""Who is heard at all, and whose answer counts: by their standing in Slack and the account they are bound to."""

from dataclasses import dataclass
from datetime import datetime

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
UNCONFIRMED = (
    "Your Atlassian account was found by your e-mail address, which is enough to ask and not to answer. "
    "Ask an Atlassian administrator to confirm it: `/access bind`."
)


@dataclass(frozen=True)
class Identity:
    """What is known of a Slack user: what kind of member, and whom they are in Atlassian."""

    team: str
    user: str
    standing: str | None = None  # None: never seen
    account: str | None = None  # None: not bound
    votes_from: datetime | None = None  # None: their answers never count
    confirmed: bool = True  # by an import, a second admin, or single sign-on


def not_heard(who: Identity) -> str:
    """Why this person is not heard at all; empty when they are."""
    if who.standing is None:
        return UNKNOWN
    if who.standing != "member":
        return WHY_NOT[who.standing]
    return "" if who.account else UNBOUND.format(who=f"{who.team}/{who.user}")


def does_not_count(who: Identity, now: datetime) -> str:
    """The same for somebody whose answer decides: a new or unconfirmed binding does not count yet."""
    unheard = not_heard(who)
    if unheard:
        return unheard
    if not who.confirmed or who.votes_from is None:
        return UNCONFIRMED
    return NOT_YET.format(when=who.votes_from) if who.votes_from > now else ""
