"""For how long, as a request wants it: a length, or a moment in the zone of whoever speaks, by the record's clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from approvals import people
from approvals.durations import CEILING
from handlers.desk import Desk
from handlers.durations import Duration
from handlers.moments import Moment

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Term:
    """How long something is to be held, and when it is over at the latest."""

    length: timedelta | None = None  # None: until revoked
    ends_by: datetime | None = None


class NotToCome(Exception):
    """A moment that is over, or too far away; the text says so."""


def term_of(desk: Desk, team: str, user: str, said: Duration | Moment | None) -> Term:
    """The length in whole minutes, rounded up: the moment itself keeps it from being longer."""
    if not isinstance(said, Moment):
        return Term(said.length if said else None)
    with desk.store.read() as session:
        now = desk.store.time_in(session)
        ends_by = to_come(session, now, team, user, said, like="until tomorrow 9:00")
    return Term(MINUTE * -((now - ends_by) // MINUTE), ends_by)


def to_come(session: Session, now: datetime, team: str, user: str, said: Moment, *, like: str) -> datetime:
    """The moment by the clock on that person's wall; ``NotToCome`` when there is nothing to wait for."""
    found = said.resolve(now, people.zone_of(session, team, user))
    if found <= now:
        raise NotToCome(f"{_first_up(str(said))} is over already. Say a time that is still to come, like `{like}`.")
    if found - now > CEILING:
        raise NotToCome(f"{_first_up(str(said))} is more than ten years away. Say an earlier time, like `{like}`.")
    return found


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
