"""The tables about people: who somebody is, whom they answer for, and who is behind a source of approvers."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from approvals.columns import one_of


class Person(SQLModel, table=True):
    """The mirror's copy of an account: what listeners know of people without asking Atlassian."""

    __tablename__ = "people"
    account: str = Field(primary_key=True)
    name: str
    mail: str = Field(index=True)  # lower case
    manager: str | None = None  # account
    read_at: datetime
    manager_from: datetime | None = None  # until then neither they nor who was it before; None: they count


class SlackUser(SQLModel, table=True):
    """The mirror's copy of a Slack user and what kind of member they are."""

    __tablename__ = "slack_users"
    __table_args__ = (one_of("standing", ("member", "guest", "deleted", "bot", "stranger")),)
    team: str = Field(primary_key=True)
    user: str = Field(primary_key=True)
    name: str
    mail: str = Field(default="", index=True)  # lower case
    standing: str
    zone: str = ""  # where they are, as Slack tells: "Europe/Berlin"
    read_at: datetime


class Binding(SQLModel, table=True):
    """Who a Slack user is in Atlassian: unique both ways."""

    __tablename__ = "bindings"
    team: str = Field(primary_key=True)
    user: str = Field(primary_key=True)
    account: str = Field(unique=True)
    how: str  # import | match | bind
    bound_at: datetime
    votes_from: datetime  # approvals by this person count from here on
    confirmed: bool = True  # by an import or a second admin; unconfirmed, it is enough to ask
    mail: str = ""  # the address a match rests on, lower case; another one unbinds it


class Manager(SQLModel, table=True):
    """Who manages whom, by one of the sources the policy names; what a file said is in ``people``."""

    __tablename__ = "managers"
    account: str = Field(primary_key=True)
    source: str = Field(primary_key=True)  # slack_profile
    manager: str  # account; empty: it was read, and names nobody
    read_at: datetime


class SourceMember(SQLModel, table=True):
    """The mirror's copy of who is behind a source that is looked up."""

    __tablename__ = "source_members"
    source: str = Field(primary_key=True)  # as in the policy: "usergroup:S…", "group:…", "oncall:…"
    account: str = Field(primary_key=True)
    since: datetime  # when the mirror first saw them in it


class SourceState(SQLModel, table=True):
    """When such a source was last read, or why it could not be."""

    __tablename__ = "source_states"
    source: str = Field(primary_key=True)
    read_at: datetime | None = None  # the last time it could be read
    tried_at: datetime
    trouble: str = ""  # of the last try; fit to show


class Delegation(SQLModel, table=True):
    """Somebody answers for somebody else who is away."""

    __tablename__ = "delegations"
    id: int | None = Field(default=None, primary_key=True)
    absent: str = Field(index=True)  # account
    stand_in: str = Field(index=True)  # account
    made_at: datetime
    until: datetime
    ended_at: datetime | None = None
