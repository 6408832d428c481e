"""A row for each credential and family of calls, from which every process takes the calls it makes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "rate_budgets",
        sa.Column("credential", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("calls_left", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("credential", "family"),
    )
