"""Forms that wait for their plan, and requests at home in the thread they were asked in."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "previews",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("entitlement", sa.String(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("requests", sa.Column("home_channel", sa.String(), nullable=False, server_default=""))
    op.add_column("requests", sa.Column("home_thread", sa.String(), nullable=False, server_default=""))
    op.add_column("cards", sa.Column("thread", sa.String(), nullable=False, server_default=""))
