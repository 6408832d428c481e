"""Which request another asks to hold longer. What was asked before says nothing of it, and is asked by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("requests", sa.Column("extends", sa.String(), nullable=False, server_default=""))
    op.create_index("ix_requests_extends", "requests", ["extends"])
