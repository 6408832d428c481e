"""What each verb takes. Whatever else is typed is too much, and said so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Flag, auto


class Takes(Flag):
    """A part that a command may have."""

    NOTHING = 0
    PERSON = auto()
    SELF = auto()  # "me" said aloud makes a difference
    ENTITLEMENT = auto()
    ALSO = auto()  # any number of entitlements
    LENGTH = auto()  # for 4h, until Friday 18:00
    START = auto()  # on Friday 18:00
    REASON = auto()
    REQUEST = auto()
    ADDRESS = auto()  # a mail address that is no person's yet
    ACCOUNT = auto()  # an id or an address, of whom a person is to be
    NAME = auto()  # a newcomer's
    NOBODY = auto()  # the word


@dataclass(frozen=True)
class Form:
    """The parts of one verb, the words that change what it does, and the words that change nothing."""

    takes: Takes
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what is meant -> how it is said
    passed_over: frozenset[str] = frozenset()


_DONE = Takes.PERSON | Takes.SELF | Takes.START | Takes.REASON
AT_ONCE = frozenset({"now", "immediately", "asap"})
_DELETE = ("delete", "delete all", "delete them", "delete them all", "revoke", "remove")
_KEEP = ("keep tokens", "keep the tokens", "keep their tokens", "keep api tokens", "keep the api tokens")
_SITE = ("at the site", "at site", "on the site", "by the site")

FORMS = {
    "grant": Form(Takes.PERSON | Takes.ENTITLEMENT | Takes.LENGTH | Takes.REASON),
    "revoke": Form(_DONE | Takes.ENTITLEMENT, passed_over=AT_ONCE),
    "deactivate": Form(_DONE, passed_over=AT_ONCE),
    "reactivate": Form(_DONE, {"keep tokens": _KEEP}, AT_ONCE | {"and", "but"}),
    "offboard": Form(_DONE, passed_over=AT_ONCE),
    "suspend": Form(_DONE, passed_over=AT_ONCE),
    "restore": Form(_DONE, passed_over=AT_ONCE),
    "provision": Form(
        Takes.ADDRESS | Takes.NAME | Takes.ALSO | Takes.REASON, {"at the site": _SITE}, frozenset({"and", "called"})
    ),
    "email": Form(_DONE | Takes.ADDRESS, passed_over=AT_ONCE | {"is", "address"}),
    "status": Form(Takes.REQUEST, passed_over=frozenset({"of", "request"})),
    "cancel": Form(Takes.REQUEST | Takes.REASON, passed_over=frozenset({"request"})),
    "end": Form(Takes.REQUEST | Takes.REASON, passed_over=frozenset({"request"}) | AT_ONCE),
    "extend": Form(
        Takes.REQUEST | Takes.LENGTH | Takes.REASON,
        passed_over=frozenset({"request", "by", "another", "more", "longer"}),
    ),
    "whois": Form(Takes.PERSON | Takes.SELF),
    "who": Form(Takes.ENTITLEMENT, passed_over=frozenset({"has", "holds"})),
    "tokens": Form(Takes.PERSON | Takes.SELF | Takes.REASON, {"delete": _DELETE}, frozenset({"of", "and"})),
    "audit": Form(Takes.PERSON | Takes.SELF | Takes.REQUEST, passed_over=frozenset({"of", "request"})),
    "freeze": Form(Takes.REASON),
    "unfreeze": Form(Takes.REASON),
    "bind": Form(Takes.PERSON | Takes.ACCOUNT, passed_over=frozenset({"is", "as", "account"})),
    "unbind": Form(Takes.PERSON),
    "delegate": Form(Takes.PERSON | Takes.NOBODY | Takes.LENGTH),
    "bulk": Form(Takes.NOTHING),
    "drill": Form(Takes.NOTHING),
    "reconcile": Form(Takes.NOTHING),
    "safe-mode": Form(Takes.NOTHING),
    "mine": Form(Takes.NOTHING),
    "help": Form(Takes.NOTHING),
}
