"""The table of reviews: each use of break-glass is judged afterwards by somebody who was not in it."""

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
