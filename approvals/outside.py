"""What must be known of grants outside the database, so that one that is lost or restored can be made good.

Only ids and times: who holds what until when is personal enough, names would be more.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from sqlmodel import Session, col, select

from approvals.database import is_one_of
from approvals.models import Grant
from approvals.plan import canonical
from approvals.states import HELD

# Entries of the chain after which somebody's grants are not what they were; of a list its rows as well.
PROMISED = ("grant.promised", "grants.promised", "glass.unheard")
OVER = ("grant.ended", "grant.void", "grants.ending", "grants.ended", "bulk.rows")
_PERHAPS_HELD = is_one_of(Grant.status, HELD)


class Note(NamedTuple):
    """One grant. ``ends_at`` None: until revoked."""

    request: str
    account: str
    entitlement: str
    holding: str
    ends_at: datetime | None

    def written(self) -> list[str | None]:
        return [*self[:4], self.ends_at.isoformat() if self.ends_at else None]

    @classmethod
    def read(cls, written: Sequence[str | None]) -> "Note":
        """Raises ``ValueError`` or ``TypeError`` when it is none."""
        request, account, entitlement, holding, ends_at = written
        if not all(isinstance(one, str) for one in (request, account, entitlement, holding)):
            raise TypeError("an id")
        at = datetime.fromisoformat(ends_at) if ends_at is not None else None
        if at is not None and at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        return cls(str(request), str(account), str(entitlement), str(holding), at)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.request, self.account, self.holding


class Outside(Protocol):
    """Where it is said."""

    def catch_up(self) -> None:
        """Say what the record has of grants and nobody has said yet; returns when it is where it must be.

        Raises ``OutsideError`` where a place that must hold it can't be written: then nothing is given.
        """
        ...


class Nowhere:
    """For tools and tests that give nothing."""

    def catch_up(self) -> None:
        return


def notes_of(session: Session, requests: Iterable[str], *, held: bool) -> Iterator[Note]:
    """The grants of these requests that are perhaps held, or those that are over."""
    standing = _PERHAPS_HELD if held else ~_PERHAPS_HELD
    for request in requests:
        found = session.exec(select(Grant).where(Grant.request_id == request, standing).order_by(col(Grant.id)))
        yield from map(_note, found)


def open_notes(session: Session, *, timed: bool = False) -> list[Note]:
    """Everything that is perhaps held now; ``timed``: only what has an end."""
    query = select(Grant).where(_PERHAPS_HELD)
    if timed:
        query = query.where(col(Grant.ends_at).is_not(None))
    return [_note(grant) for grant in session.exec(query.order_by(col(Grant.id)))]


def digest_of(notes: Iterable[Note]) -> str:
    """SHA-256 over all of them, in whatever order they come."""
    return hashlib.sha256(canonical(sorted(note.written() for note in notes))).hexdigest()


def _note(grant: Grant) -> Note:
    return Note(grant.request_id, grant.account, grant.entitlement, grant.holding, grant.ends_at)
