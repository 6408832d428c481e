"""What Atlassian's audit log shows of somebody in the time of their break-glass, while it is read."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

TIME = sa.DateTime(timezone=True)


def text(name: str, kind: type[sa.types.TypeEngine[str]] = sa.String) -> sa.Column[str]:
    return sa.Column(name, kind(), nullable=False)


def time(name: str) -> sa.Column[object]:
    return sa.Column(name, TIME, nullable=True)


def upgrade() -> None:
    op.create_table(
        "review_reads",
        text("request_id"),
        text("state"),
        sa.Column("asked", sa.Boolean(), nullable=False),
        *(time(name) for name in ("since", "until", "began_at", "read_at")),
        text("cursor", sa.Text),
        sa.Column("found", sa.Integer(), nullable=True),
        text("digest"),
        text("trouble", sa.Text),
        sa.CheckConstraint("state IN ('waiting', 'reading', 'handing')", name="state_known"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"]),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_table(
        "review_events",
        text("request_id"),
        text("id"),
        sa.Column("at", TIME, nullable=False),
        text("cells", sa.Text),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"]),
        sa.PrimaryKeyConstraint("request_id", "id"),
    )
