"""Drift between the record and Atlassian, and what is found after the record was lost."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"

TIME = sa.DateTime(timezone=True)


def text(name: str, kind: type[sa.types.TypeEngine[str]] = sa.String) -> sa.Column[str]:
    return sa.Column(name, kind(), nullable=False)


def moment(name: str, *, known: bool = False) -> sa.Column[object]:
    return sa.Column(name, TIME, nullable=not known)


def upgrade() -> None:
    op.create_table(
        "drifts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("grant_id", sa.Integer(), nullable=False),
        *map(text, ("request_id", "entitlement", "account", "kind", "state")),
        moment("first_seen_at", known=True),
        moment("confirmed_at"),
        moment("over_at"),
        text("because", sa.Text),
        sa.CheckConstraint("kind IN ('missing', 'left over')", name="kind_known"),
        sa.CheckConstraint("state IN ('suspected', 'open', 'explained', 'over')", name="state_known"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("drifts_by_grant", "drifts", ["grant_id", "state"])
    op.create_index("ix_drifts_request_id", "drifts", ["request_id"])
    op.create_table(
        "safe_modes",
        sa.Column("id", sa.Integer(), nullable=False),
        moment("at", known=True),
        text("why", sa.Text),
        moment("lost_from", known=True),
        text("unread", sa.Text),
        moment("read_at"),
        moment("left_at"),
        text("left_by"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "strays",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("safe_mode_id", sa.Integer(), nullable=False),
        *map(text, ("entitlement", "account", "evidence", "request")),
        moment("ends_at"),
        *map(text, ("event", "state")),
        moment("until"),
        text("by"),
        moment("decided_at"),
        text("adopted_as"),
        text("trouble", sa.Text),
        sa.CheckConstraint("evidence IN ('outside', 'event', 'none')", name="evidence_known"),
        sa.CheckConstraint("state IN ('open', 'deciding', 'adopted', 'ended', 'left', 'gone')", name="state_known"),
        sa.ForeignKeyConstraint(["safe_mode_id"], ["safe_modes.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("safe_mode_id", "entitlement", "account"),
    )
    op.create_index("strays_by_state", "strays", ["safe_mode_id", "state"])
    op.create_index("grants_by_state", "grants", ["status", "ended_at"])
