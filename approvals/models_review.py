"""The tables of reviews: each use of break-glass is judged afterwards by somebody who was not in it."""

from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from approvals.columns import one_of
from approvals.states import Review as ReviewStatus

VERDICTS = ("legitimate", "drill", "misuse")


class Review(SQLModel, table=True):
    """One use of break-glass, and what was said of it."""

    __tablename__ = "reviews"
    __table_args__ = (one_of("status", ReviewStatus), one_of("verdict", ("", *VERDICTS)))
    request_id: str = Field(primary_key=True, foreign_key="requests.id")
    person: str = Field(index=True)  # account
    drill: bool = False
    status: str
    opened_at: datetime = Field(index=True)
    due_at: datetime
    reminded: int = 0  # how often it was said that it is overdue
    verdict: str = ""
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    by: str = ""  # account of who settled it
    settled_at: datetime | None = None
    channel: str = ""  # where its card stands
    ts: str = ""
    drawn: str = ""  # digest of what it shows


class ReviewRead(SQLModel, table=True):
    """How far Atlassian's audit log was read for a review: several looks, for events show late."""

    __tablename__ = "review_reads"
    __table_args__ = (one_of("state", ("waiting", "reading", "handing")),)
    request_id: str = Field(primary_key=True, foreign_key="requests.id")
    state: str = "waiting"  # for the next look; reading pages; handing over the file
    asked: bool = False  # somebody is about to judge it, and wants to see what there is
    since: datetime | None = None  # the window of the look that is going on
    until: datetime | None = None
    began_at: datetime | None = None
    cursor: str = Field(default="", sa_column=Column(Text, nullable=False))
    read_at: datetime | None = None  # when the last whole look began
    found: int | None = None  # events of theirs that it showed
    digest: str = ""  # of what the newest file in the thread shows
    trouble: str = Field(default="", sa_column=Column(Text, nullable=False))  # why it can't be read now


class ReviewEvent(SQLModel, table=True):
    """An event of theirs, kept until the file that shows it is in the thread."""

    __tablename__ = "review_events"
    request_id: str = Field(primary_key=True, foreign_key="requests.id")
    id: str = Field(primary_key=True)
    at: datetime
    cells: str = Field(sa_column=Column(Text, nullable=False))  # JSON: the row of the file
