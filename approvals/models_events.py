"""The tables of the closed loop: what Atlassian's own audit log shows of each call that changed something."""

from datetime import datetime

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel

from approvals.columns import one_of


class CallEvent(SQLModel, table=True):
    """A call that changed something, and Atlassian's own event of it once that is found."""

    __tablename__ = "call_events"
    __table_args__ = (one_of("state", ("looking", "found", "doubtful", "not_logged", "missing")),)
    call_id: int = Field(primary_key=True, foreign_key="calls.id", sa_column_kwargs={"autoincrement": False})
    request_id: str = Field(index=True)
    kind: str  # who owns what was changed, and what was done: scim/add_member
    state: str = "looking"
    event_id: str | None = Field(default=None, unique=True)  # two effects never share an event
    action: str = ""
    says: str = Field(default="", sa_column=Column(Text, nullable=False))  # Atlassian's words for it
    at: datetime  # when the call was answered
    found_at: datetime | None = None
    told: bool = Field(default=False, index=True)  # the thread has it, or it is not for the thread
    late: bool = False  # the thread has heard of its neighbours already
    quiet: bool = False  # one of so many at once that threads are not told of each


class EventKind(SQLModel, table=True):
    """How a kind of change shows in this organization's audit log; a kind that never showed has no row."""

    __tablename__ = "event_kinds"
    kind: str = Field(primary_key=True)
    action: str
    first_seen_at: datetime


class EventRead(SQLModel, table=True):
    """An event of the stream that may be ours, kept for some days: it may come before its call is written down."""

    __tablename__ = "events_read"
    __table_args__ = (Index("events_read_by_time", "at"),)
    id: str = Field(primary_key=True)
    action: str
    at: datetime
    credentials: str = ""  # of ours, separated by spaces, that it was done with
    about: str = Field(sa_column=Column(Text, nullable=False))  # JSON: ids, addresses and names of groups
    says: str = Field(default="", sa_column=Column(Text, nullable=False))
    call_id: int | None = Field(default=None, index=True)  # whose effect it is
    judged: bool = False  # somebody looked whether it was ours
