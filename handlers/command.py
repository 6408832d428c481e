"""What a command can be once it is read, and what is said when it can't be."""

from dataclasses import dataclass

from handlers.durations import Duration
from handlers.moments import Moment

VERBS = {
    "grant": "/access grant [@who] entitlement for 4h because …",
    "revoke": "/access revoke [@who] entitlement because …",
    "deactivate": "/access deactivate @who because …",
    "reactivate": "/access reactivate @who [keep tokens] because …",
    "offboard": "/access offboard @who [on Friday 18:00] because …",
    "suspend": "/access suspend @who because …",
    "restore": "/access restore @who because …",
    "provision": '/access provision mail "Name" [entitlement…] because …',
    "email": "/access email @who new@mail because …",
    "bulk": "/access bulk",
    "status": "/access status [REQ-…]",
    "cancel": "/access cancel REQ-…",
    "end": "/access end REQ-…",
    "extend": "/access extend REQ-… for 2h",
    "whois": "/access whois @who",
    "who": "/access who entitlement",
    "tokens": "/access tokens @who [delete because …]",
    "audit": "/access audit REQ-… or @who",
    "freeze": "/access freeze because …",
    "unfreeze": "/access unfreeze",
    "reconcile": "/access reconcile",
    "safe-mode": "/access safe-mode",
    "drill": "/access drill",
    "bind": "/access bind @who account-id-or-mail",
    "unbind": "/access unbind @who",
    "delegate": "/access delegate @who for 5 days",
    "mine": "/access mine",
    "help": "/access help [command]",
}
BREAKGLASS = "/breakglass entitlement incident INC-42 because …"  # a command of its own, in Slack as well


def is_breakglass(word: str) -> bool:
    """Whether somebody means that one, who typed it after this one."""
    return word.casefold().strip("/").replace("-", "").replace("_", "") == "breakglass"


@dataclass(frozen=True)
class Subject:
    """Whom a command is about: a Slack user, an e-mail address or an account id; one of them."""

    slack_user: str | None = None
    email: str | None = None
    account: str | None = None

    def __str__(self) -> str:
        return f"<@{self.slack_user}>" if self.slack_user else str(self.email or self.account)


@dataclass(frozen=True)
class Command:
    """What was understood; None is what was not said. Names keep their spelling: compare them case-folded."""

    verb: str
    subject: Subject | None = None  # None: the person who types
    entitlement: str | None = None
    duration: Duration | None = None
    reason: str | None = None
    request_id: str | None = None  # in the record's spelling: REQ-k3m9…
    target: str | None = None  # the account somebody is to be bound to, a new address, a newcomer's address
    myself: bool = False  # said aloud: "me", where that makes a difference
    until: Moment | None = None  # instead of a length of time: until Friday 18:00
    starts: Moment | None = None  # not before: on Friday 18:00
    name: str | None = None  # a newcomer's
    also: tuple[str, ...] = ()  # entitlements a newcomer is to have
    options: frozenset[str] = frozenset()  # words that change what is done: "delete", "keep tokens", "at the site"


@dataclass(frozen=True)
class Problem:
    """Three sentences for the acknowledgement. They repeat words the person typed: show them as plain text."""

    understood: str
    wrong: str
    do: str

    def sentence(self) -> str:
        return " ".join(part for part in (self.understood, self.wrong, self.do) if part)
