"""The tables. Table models do not validate: they are built from validated input and written by the store only."""

from datetime import datetime

from sqlalchemy import Column, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from approvals.columns import one_of
from approvals.models_events import CallEvent as CallEvent
from approvals.models_events import EventKind as EventKind
from approvals.models_events import EventRead as EventRead
from approvals.models_offers import Offer as Offer
from approvals.models_people import Binding as Binding
from approvals.models_people import Delegation as Delegation
from approvals.models_people import Manager as Manager
from approvals.models_people import Person as Person
from approvals.models_people import SlackUser as SlackUser
from approvals.models_people import SourceMember as SourceMember
from approvals.models_people import SourceState as SourceState
from approvals.models_reconciliation import Drift as Drift
from approvals.models_reconciliation import SafeMode as SafeMode
from approvals.models_reconciliation import Stray as Stray
from approvals.models_review import Review as Review
from approvals.models_review import ReviewEvent as ReviewEvent
from approvals.models_review import ReviewRead as ReviewRead
from approvals.models_safety import AdminGoing as AdminGoing
from approvals.models_safety import Destruction as Destruction
from approvals.models_safety import Freeze as Freeze
from approvals.models_safety import Lock as Lock
from approvals.models_safety import Proposal as Proposal
from approvals.models_safety import ProposalVote as ProposalVote
from approvals.states import Grant as GrantStatus
from approvals.states import Status


class Meta(SQLModel, table=True):
    """Single values: the offset of domain time, the mirror's last refresh."""

    __tablename__ = "meta"
    key: str = Field(primary_key=True)
    value: str


class PolicyVersion(SQLModel, table=True):
    """Each policy that was ever applied; the newest counts."""

    __tablename__ = "policies"
    number: int | None = Field(default=None, primary_key=True)
    hash: str = Field(index=True)
    text: str = Field(sa_column=Column(Text, nullable=False))
    applied_at: datetime
    applied_by: str


class AccessRequest(SQLModel, table=True):
    """A person's wish that something be changed, and how far it came."""

    __tablename__ = "requests"
    __table_args__ = (one_of("status", Status), Index("requests_by_requester", "requester", "status", "asked_at"))
    id: str = Field(primary_key=True)
    verb: str
    subject: str  # account
    requester: str  # account
    team: str
    user: str  # the requester in Slack
    entitlement: str  # empty where the account itself is changed
    value: str = Field(default="", sa_column=Column(Text, nullable=False))  # a new address, a newcomer as JSON
    duration: int | None  # seconds; None = until revoked
    ends_by: datetime | None = None  # asked "until Friday 18:00": over then at the latest
    extends: str = Field(default="", index=True)  # the request whose grant this asks to hold longer
    reason: str = Field(sa_column=Column(Text, nullable=False))
    status: str = Field(index=True)
    version: int = 1
    level: int = 0  # of the escalation: how many further levels are asked
    reminders: int = 0  # how many were sent about the present question
    starts_at: datetime | None = None  # not before: a set time, or the end of the pause
    plan_hash: str | None = None
    rule_hash: str
    policy_hash: str
    source: str = Field(unique=True)  # the Slack payload that made it, so that it is made once
    asked_at: datetime
    lapses_at: datetime
    approver: str | None = None  # account, once approved
    closed_by: str | None = None  # account of who denied, cancelled
    because: str = ""  # why it stands as it stands, fit to show
    moved_at: datetime
    rehearsal: bool = False
    home_channel: str = ""  # where it was asked for, when its card goes there instead of the policy's channel
    home_thread: str = ""


class PlanRow(SQLModel, table=True):
    """A plan as it was shown, one a version."""

    __tablename__ = "plans"
    request_id: str = Field(primary_key=True, foreign_key="requests.id")
    version: int = Field(primary_key=True)
    hash: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    made_at: datetime


class Vote(SQLModel, table=True):
    """A click on Approve, Deny or Edit, committed before it is judged."""

    __tablename__ = "votes"
    __table_args__ = (
        one_of("choice", ("approve", "deny", "edit")),
        one_of("outcome", ("waiting", "counted", "refused")),
    )
    id: int | None = Field(default=None, primary_key=True)
    request_id: str = Field(foreign_key="requests.id", index=True)
    version: int
    choice: str
    reason: str = ""
    typed: str = ""  # what was typed to confirm
    changed: str = ""  # an edit: what it is to be instead, as JSON
    team: str
    user: str
    channel: str  # where the answer to its sender goes
    source: str = Field(unique=True)
    cast_at: datetime
    account: str | None = None
    seat: str | None = None  # whose answer it is, when somebody stands in
    outcome: str = "waiting"
    because: str = ""


class StepRow(SQLModel, table=True):
    """One step of an approved plan, or of a grant's end, and whether it is true."""

    __tablename__ = "steps"
    __table_args__ = (
        one_of("status", ("waiting", "called", "true", "refused", "rehearsed")),
        UniqueConstraint("request_id", "purpose", "position"),
    )
    id: int | None = Field(default=None, primary_key=True)
    request_id: str = Field(foreign_key="requests.id", index=True)
    purpose: str  # apply | end; plan: what was read of a row for a plan that is not made yet
    position: int
    body: str = Field(sa_column=Column(Text, nullable=False))
    status: str = "waiting"
    true_at: datetime | None = None


class Call(SQLModel, table=True):
    """A call that changes something: the intent is committed before it, the answer after."""

    __tablename__ = "calls"
    __table_args__ = (Index("calls_not_answered", "answered_at"),)
    id: int | None = Field(default=None, primary_key=True)
    step_id: int = Field(foreign_key="steps.id", index=True)
    method: str
    path: str
    intended_at: datetime
    answered_at: datetime | None = None
    answer: str | None = None  # None = in doubt


class Grant(SQLModel, table=True):
    """An entitlement held until a time because of a request."""

    __tablename__ = "grants"
    __table_args__ = (
        one_of("status", GrantStatus),
        Index("grants_by_account", "account", "status", "holding"),
        Index("grants_by_status", "status", "ends_at"),
        Index("grants_by_state", "status", "ended_at"),
        UniqueConstraint("request_id", "account", "holding"),
    )
    id: int | None = Field(default=None, primary_key=True)
    request_id: str = Field(foreign_key="requests.id")  # one grant a request; of a bulk one a row
    account: str
    entitlement: str
    holding: str
    status: str
    held_before: bool  # held by another road: never taken away
    promised_at: datetime
    ends_at: datetime | None = Field(default=None, index=True)
    active_at: datetime | None = None
    ended_at: datetime | None = None
    remove: bool = True  # decided when the end begins
    because: str = ""


class BulkRow(SQLModel, table=True):
    """One row of a bulk request's file: what it wants, whether it can be done, and what became of it."""

    __tablename__ = "bulk_rows"
    __table_args__ = (one_of("state", ("valid", "refused", "done", "failed")),)
    request_id: str = Field(primary_key=True, foreign_key="requests.id")
    number: int = Field(primary_key=True)  # of the file's lines, the heading is 1
    person: str  # as it was written
    account: str = ""
    verb: str
    entitlement: str = ""
    until: str = ""  # as it was written
    duration: int | None = None  # seconds; None = until revoked
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    state: str = "valid"
    because: str = ""
    step: int | None = None  # position of the step that does it; several rows may share one


class Job(SQLModel, table=True):
    """Work that a transaction caused, to be done after it."""

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("status", ("ready", "running", "dead")),
        Index("jobs_due", "status", "priority", "run_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    kind: str
    about: str  # a request id, a vote id, a grant id …
    status: str = "ready"
    priority: int = 5  # small goes first
    run_at: datetime  # domain time
    attempts: int = 0
    again: bool = False  # asked for once more while it ran
    lease: str | None = None
    leased_until: datetime | None = None  # real time, the database's on PostgreSQL
    trouble: str = ""
    trace: str = ""  # of the payload or the job that caused it


class Card(SQLModel, table=True):
    """One copy of a request's card; all copies are redrawn together."""

    __tablename__ = "cards"
    __table_args__ = (UniqueConstraint("request_id", "place"),)
    id: int | None = Field(default=None, primary_key=True)
    request_id: str = Field(foreign_key="requests.id", index=True)
    place: str  # "channel", or "direct:<Slack user>"
    channel: str = ""
    ts: str = ""  # empty until posted
    thread: str = ""  # the message whose thread it stands in; empty: its own
    link: str = ""  # Slack's permanent link to it
    drawn: str = ""  # digest of what it shows
    trouble: str = ""


class News(SQLModel, table=True):
    """Something a person must be told; a job tells it until it is told."""

    __tablename__ = "news"
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    request_id: str | None = Field(default=None, index=True)
    kind: str
    place: str  # thread | person | operators
    team: str = ""
    user: str = ""
    channel: str = ""
    facts: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    at: datetime
    told_at: datetime | None = None


class Preview(SQLModel, table=True):
    """A form that is open and waits for its plan: what was chosen in it when."""

    __tablename__ = "previews"
    id: str = Field(primary_key=True)  # the form's id in Slack
    hash: str  # the form's state in Slack; a newer one is not overwritten
    team: str
    user: str
    subject: str
    entitlement: str
    form: str = Field(sa_column=Column(Text, nullable=False))  # what it was opened with
    at: datetime


class Replay(SQLModel, table=True):
    """Signatures already acted on, kept for as long as Slack's window is open."""

    __tablename__ = "replays"
    source: str = Field(primary_key=True)
    at: datetime = Field(index=True)


class RateBudget(SQLModel, table=True):
    """How many calls of a family a credential has left; every process takes from the row."""

    __tablename__ = "rate_budgets"
    credential: str = Field(primary_key=True)  # its name, never the key
    family: str = Field(primary_key=True)
    calls_left: float
    at: datetime  # when so many were left; they come back with time
    blocked_until: datetime | None = None  # Atlassian said 429


class RefusedAttempt(SQLModel, table=True):
    """How often somebody was refused in an hour, so that the chain can't be flooded."""

    __tablename__ = "refused_attempts"
    team: str = Field(primary_key=True)
    user: str = Field(primary_key=True)
    hour: str = Field(primary_key=True)
    count: int = 0


class AuditEntry(SQLModel, table=True):
    """One link of the chain. ``event`` and ``request_id`` are only an index: the hash covers ``body``."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_request", "request_id", "event"),)
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    prev: str = Field(unique=True, max_length=64)
    hash: str = Field(max_length=64)
    body: str = Field(sa_column=Column(Text, nullable=False))
    event: str
    request_id: str | None = None


class AuditDetail(SQLModel, table=True):
    """Names, mails and free text of an entry; erasing a row leaves the chain whole."""

    __tablename__ = "audit_details"
    seq: int = Field(primary_key=True)
    name: str = Field(primary_key=True)
    salt: str
    text: str = Field(sa_column=Column(Text, nullable=False))
