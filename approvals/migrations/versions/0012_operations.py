"""What a job was caused by, and the grants by their status."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("trace", sa.String(), nullable=False, server_default=""))
    op.create_index("grants_by_status", "grants", ["status", "ends_at"])
