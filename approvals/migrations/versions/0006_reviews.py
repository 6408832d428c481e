"""Reviews of break-glass."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

TIME = sa.DateTime(timezone=True)


def text(name: str, kind: type[sa.types.TypeEngine[str]] = sa.String) -> sa.Column[str]:
    return sa.Column(name, kind(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "reviews",
        text("request_id"),
        text("person"),
        sa.Column("drill", sa.Boolean(), nullable=False),
        text("status"),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("reminded", sa.Integer(), nullable=False),
        text("verdict"),
        text("reason", sa.Text),
        text("by"),
        sa.Column("settled_at", TIME, nullable=True),
        text("channel"),
        text("ts"),
        text("drawn"),
        sa.CheckConstraint("status IN ('due', 'overdue', 'settled')", name="status_known"),
        sa.CheckConstraint("verdict IN ('', 'legitimate', 'drill', 'misuse')", name="verdict_known"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"]),
        sa.PrimaryKeyConstraint("request_id"),
    )
    for column in ("person", "opened_at"):
        op.create_index(f"ix_reviews_{column}", "reviews", [column])
