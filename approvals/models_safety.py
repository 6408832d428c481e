"""The tables that hold people back: the freeze, what was destroyed when, and what several admins must agree to."""

from datetime import datetime

from sqlalchemy import Column, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from approvals.columns import one_of


class Freeze(SQLModel, table=True):
    """Everything that gives or destroys stands still from here until it is lifted; the newest row counts."""

    __tablename__ = "freezes"
    id: int | None = Field(default=None, primary_key=True)
    by: str  # account, or "shell:<user>" from a shell
    because: str = Field(default="", sa_column=Column(Text, nullable=False))
    at: datetime
    lifted_at: datetime | None = None


class Destruction(SQLModel, table=True):
    """One action that takes an account's access away, counted against the ceilings."""

    __tablename__ = "destructions"
    request_id: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)  # account
    actor: str = Field(index=True)  # the account that asked
    verb: str
    at: datetime = Field(index=True)


class Lock(SQLModel, table=True):
    """A lease over something that must be done by one at a time, never a transaction held over a call."""

    __tablename__ = "locks"
    name: str = Field(primary_key=True)
    holder: str
    until: datetime  # real time


class AdminGoing(SQLModel, table=True):
    """An organization admin who is being taken out, and counts as none until then, whatever Atlassian lists."""

    __tablename__ = "admins_going"
    account: str = Field(primary_key=True)
    until: datetime


class Proposal(SQLModel, table=True):
    """Something that admins must agree to before it counts: a policy, an unfreeze, a binding."""

    __tablename__ = "proposals"
    __table_args__ = (
        one_of("kind", ("policy", "unfreeze", "bind")),
        one_of("status", ("open", "agreed", "rejected", "lapsed")),
    )
    id: str = Field(primary_key=True)
    kind: str
    body: str = Field(sa_column=Column(Text, nullable=False))  # JSON, as the kind wants it
    shown: str = Field(default="", sa_column=Column(Text, nullable=False))  # what those who answer read
    needs: int  # how many must agree
    by: str  # account, or "shell:<user>" from a shell
    status: str = "open"
    at: datetime
    lapses_at: datetime
    because: str = ""
    channel: str = ""  # where its card stands
    ts: str = ""
    drawn: str = ""


class ProposalVote(SQLModel, table=True):
    """An admin's answer to a proposal."""

    __tablename__ = "proposal_votes"
    __table_args__ = (UniqueConstraint("proposal_id", "account"), one_of("choice", ("agree", "reject")))
    id: int | None = Field(default=None, primary_key=True)
    proposal_id: str = Field(foreign_key="proposals.id", index=True)
    account: str
    choice: str
    at: datetime
