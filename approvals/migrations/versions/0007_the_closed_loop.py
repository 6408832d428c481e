"""What Atlassian's own audit log shows of each call."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

TIME = sa.DateTime(timezone=True)


def text(name: str, *, default: str | None = None, kind: type[sa.types.TypeEngine[str]] = sa.String) -> sa.Column[str]:
    return sa.Column(name, kind(), nullable=False, server_default=default)


def flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "call_events",
        sa.Column("call_id", sa.Integer(), autoincrement=False, nullable=False),
        text("request_id"),
        text("kind"),
        text("state"),
        sa.Column("event_id", sa.String(), nullable=True),
        text("action"),
        text("says", kind=sa.Text),
        sa.Column("at", TIME, nullable=False),
        sa.Column("found_at", TIME, nullable=True),
        flag("told"),
        flag("late"),
        sa.CheckConstraint("state IN ('looking', 'found', 'doubtful', 'not_logged', 'missing')", name="state_known"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"]),
        sa.PrimaryKeyConstraint("call_id"),
        sa.UniqueConstraint("event_id"),
    )
    op.create_index("ix_call_events_request_id", "call_events", ["request_id"])
    op.create_index("ix_call_events_told", "call_events", ["told"])
    op.create_table(
        "event_kinds",
        text("kind"),
        text("action"),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("kind"),
    )
    op.create_table(
        "events_read",
        text("id"),
        text("action"),
        sa.Column("at", TIME, nullable=False),
        text("credentials"),
        text("about", kind=sa.Text),
        text("says", kind=sa.Text),
        sa.Column("call_id", sa.Integer(), nullable=True),
        flag("judged"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("events_read_by_time", "events_read", ["at"])
    op.create_index("ix_events_read_call_id", "events_read", ["call_id"])
    op.create_index("calls_not_answered", "calls", ["answered_at"])
