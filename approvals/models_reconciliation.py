"""The tables of what the record and Atlassian do not agree on: drift, and what is found after the record was lost."""

from datetime import datetime

from sqlalchemy import Column, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from approvals.columns import one_of


class Drift(SQLModel, table=True):
    """One difference between a grant and Atlassian, from the first time it was seen until it is gone.

    *suspected*: seen once, perhaps only not visible yet. *open*: seen twice, and told. *explained*: somebody else has
    given it since, so it is none of ours. *over*: no longer so. One that comes back is a new row.
    """

    __tablename__ = "drifts"
    __table_args__ = (
        one_of("kind", ("missing", "left over")),
        one_of("state", ("suspected", "open", "explained", "over")),
        Index("drifts_by_grant", "grant_id", "state"),
    )
    id: int | None = Field(default=None, primary_key=True)
    grant_id: int  # which may be gone: a list makes room for what it tries again
    request_id: str = Field(index=True)
    entitlement: str
    account: str
    kind: str
    state: str = "suspected"
    first_seen_at: datetime
    confirmed_at: datetime | None = None
    over_at: datetime | None = None
    because: str = Field(default="", sa_column=Column(Text, nullable=False))  # what explains it, or what was done


class SafeMode(SQLModel, table=True):
    """The record is older than what was said of it outside: nothing is given from here until it is left."""

    __tablename__ = "safe_modes"
    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    why: str = Field(sa_column=Column(Text, nullable=False))
    lost_from: datetime  # the time of the newest entry there was; what happened between it and ``at`` is not known
    unread: str = Field(default="[]", sa_column=Column(Text, nullable=False))  # JSON: entitlements nobody could read
    read_at: datetime | None = None  # when all that is given through Gatehouse was read last
    left_at: datetime | None = None
    left_by: str = ""


class Stray(SQLModel, table=True):
    """Somebody who holds an entitlement, and the record can't say why; an admin adopts it, ends it or leaves it."""

    __tablename__ = "strays"
    __table_args__ = (
        one_of("evidence", ("outside", "event", "none")),
        one_of("state", ("open", "deciding", "adopted", "ended", "left", "gone")),
        UniqueConstraint("safe_mode_id", "entitlement", "account"),
        Index("strays_by_state", "safe_mode_id", "state"),
    )
    id: int | None = Field(default=None, primary_key=True)
    safe_mode_id: int = Field(foreign_key="safe_modes.id")
    entitlement: str
    account: str
    evidence: str = "none"  # that Gatehouse gave it: its own note outside, its own event in Atlassian's audit log
    request: str = ""  # that gave it, as the note says
    ends_at: datetime | None = None  # the end it was promised with, as the note says
    event: str = ""  # the id of Atlassian's event
    state: str = "open"
    until: datetime | None = None  # the end that was chosen
    by: str = ""  # the account of who decided
    decided_at: datetime | None = None
    adopted_as: str = ""  # the request that stands for it from then on
    trouble: str = Field(default="", sa_column=Column(Text, nullable=False))  # why it could not be done
