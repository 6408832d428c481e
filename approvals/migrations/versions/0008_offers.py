"""Incidents that a tool has announced."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

TIME = sa.DateTime(timezone=True)


def text(name: str, kind: type[sa.types.TypeEngine[str]] = sa.String) -> sa.Column[str]:
    return sa.Column(name, kind(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "offers",
        text("id"),
        text("incident"),
        text("title", sa.Text),
        text("entitlement"),
        text("link", sa.Text),
        sa.Column("at", TIME, nullable=False),
        sa.Column("told_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("incident"),
    )
    op.create_index("ix_offers_at", "offers", ["at"])
