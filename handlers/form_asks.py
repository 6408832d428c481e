"""A form that was filled in, as the question it asks; or what is wrong with it, each at the field it belongs to."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, select

from approvals import extending, people
from approvals.models import AccessRequest, Grant
from approvals.plan import Newcomer
from approvals.planning import KEEP_TOKENS
from approvals.policy import Person as Speaker
from approvals.policy import Policy
from approvals.workflow import Ask
from handlers.moments import Moment
from handlers.request_form import (
    ALSO,
    LENGTH,
    MAIL,
    NAME,
    WHAT,
    WHEN,
    WHO,
    Filled,
    Unreadable,
    read_length,
    read_when,
)
from handlers.view import may_see

ADDRESS = re.compile(r"[^\s@<>|,;:\"“”„«»()&]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
NO_ADDRESS = "That is no e-mail address; write it like ada@example.com."
OVER = "{said} is over already. Say a time that is still to come, like Friday 18:00."
GONE = "That request is not there any more. `/access mine` lists yours."
# Which field of the form a rule of the policy is about; every other is about what is asked for.
FIELD_OF = {
    "longest": LENGTH,
    "reason": "reason",
    "at_least": "reason",
    "ticket": "reason",
    "protected": WHO,
    "ask_for_others": WHO,
}


class Wrong(Exception):
    """What is wrong, by field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


@dataclass(frozen=True)
class Asking:
    """Who fills in which form, and when."""

    session: Session
    policy: Policy
    now: datetime
    speaker: Speaker
    filled: Filled

    def moment(self, moment: Moment) -> datetime:
        """In the zone of whoever speaks."""
        return moment.resolve(self.now, people.zone_of(self.session, self.speaker.team, self.speaker.user))


def ask_of_form(asking: Asking, source: str) -> Ask:
    """The question; ``Wrong`` with each field that can't be as it is."""
    filled = asking.filled
    errors = {field: _CHECKS[field](asking) for field in filled.fields if field in _CHECKS}
    wrong = {field: error for field, error in errors.items() if error}
    if wrong:
        raise Wrong(wrong)
    if filled.verb == "extend":
        return _longer(asking, source)
    length, ends_by = _span(asking) if filled.verb == "grant" else (None, None)
    return Ask(
        filled.verb, subject_of(asking.session, filled), filled.entitlement, length, filled.reason, source,
        home_channel=filled.home.channel, home_thread=filled.home.thread, value=value_of(filled),
        starts_at=asking.moment(read_when(filled.when)) if filled.when else None, ends_by=ends_by,
    )  # fmt: skip


def subject_of(session: Session, filled: Filled) -> str:
    """The account; who is to get one has none yet, then the address stands for it."""
    if filled.verb == "provision":
        return people.account_with(session, filled.mail) or filled.mail.lower()
    return filled.subject


def value_of(filled: Filled) -> str:
    """What else the verb needs to know: a new address, a newcomer, a word that changes what is done."""
    match filled.verb:
        case "email":
            return filled.mail.lower()
        case "provision":
            return newcomer_of(filled).model_dump_json()
        case "reactivate" if filled.keep_tokens:
            return KEEP_TOKENS
    return ""


def newcomer_of(filled: Filled) -> Newcomer:
    """Given and family name are the first words and the last one of the name where they are left empty."""
    name = " ".join(filled.name.split()) or filled.mail
    given, family = names_in(name)
    return Newcomer(
        mail=filled.mail.lower(), name=name, given=filled.given or given, family=filled.family or family,
        also=filled.also, by_site=filled.by_site,
    )  # fmt: skip


def names_in(name: str) -> tuple[str, str]:
    """Given and family name, as far as a name tells."""
    given, _, family = name.rpartition(" ")
    return (given, family) if given else (name, "")


def field_of(rule: str, filled: Filled) -> str:
    """Where a refusal is said: at the field it is about, or at what is asked for; the form has one of them always."""
    wanted = FIELD_OF.get(rule.rpartition(".")[2], WHAT)
    return next(field for field in (wanted, WHAT, *filled.fields) if field in filled.fields)


# -- the fields ---------------------------------------------------------------------------------------------------


def _who(asking: Asking) -> str:
    return "" if asking.filled.subject else "Choose the person it is about."


def _what(asking: Asking) -> str:
    return "" if asking.filled.entitlement else "Choose what it is about."


def _length(asking: Asking) -> str:
    try:
        span = read_length(asking.filled.length)
    except Unreadable as wrong:
        return str(wrong)
    return _past(asking, span) if isinstance(span, Moment) else ""


def _when(asking: Asking) -> str:
    try:
        return _past(asking, read_when(asking.filled.when)) if asking.filled.when else ""
    except Unreadable as wrong:
        return str(wrong)


def _past(asking: Asking, moment: Moment) -> str:
    said = str(moment)
    return OVER.format(said=said[0].upper() + said[1:]) if asking.moment(moment) <= asking.now else ""


def _mail(asking: Asking) -> str:
    return "" if ADDRESS.fullmatch(asking.filled.mail) else NO_ADDRESS


def _name(asking: Asking) -> str:
    return "" if asking.filled.name else "Say what they are called."


def _also(asking: Asking) -> str:
    unknown = [name for name in asking.filled.also if asking.policy.entitlement(name) is None]
    return f"The policy has no {' and no '.join(unknown)} any more. Choose again." if unknown else ""


_CHECKS: dict[str, Callable[[Asking], str]] = {
    WHO: _who, WHAT: _what, LENGTH: _length, WHEN: _when, MAIL: _mail, NAME: _name, ALSO: _also,
}  # fmt: skip


# -- times --------------------------------------------------------------------------------------------------------


def _span(asking: Asking) -> tuple[timedelta | None, datetime | None]:
    """For how long, and until when at the latest where a moment was said."""
    span = read_length(asking.filled.length)
    if not isinstance(span, Moment):
        return span.length, None
    ends_by = asking.moment(span)
    minutes = -((asking.now - ends_by) // timedelta(minutes=1))  # the last one is a whole one
    return timedelta(minutes=minutes), ends_by


def _longer(asking: Asking, source: str) -> Ask:
    session, filled = asking.session, asking.filled
    request = session.get(AccessRequest, filled.request)
    if request is None or not may_see(session, asking.policy, asking.speaker, request, asking.now):
        raise Wrong({LENGTH: GONE})
    found = extending.longer(session, asking.policy, request, _more(asking), asking.now)
    if isinstance(found, str):
        raise Wrong({LENGTH: found})
    return found.ask(filled.reason, source)


def _more(asking: Asking) -> timedelta:
    """How much longer; of a moment, from the present end on."""
    span = read_length(asking.filled.length)
    if not isinstance(span, Moment):
        if span.length is None:
            raise Wrong({LENGTH: "Say for how much longer, like 2h; until revoked is asked for anew."})
        return span.length
    query = select(Grant.ends_at).where(Grant.request_id == asking.filled.request)
    ends_at, wanted = asking.session.exec(query).first(), asking.moment(span)
    if ends_at is not None and wanted <= ends_at:
        raise Wrong({LENGTH: f"It is held until {ends_at:%Y-%m-%d %H:%M} UTC anyway. Say a later time."})
    return wanted - ends_at if ends_at else timedelta(0)
