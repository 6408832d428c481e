"""Of one of many calls that were one, the thread is not told what Atlassian's log shows."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("call_events", sa.Column("quiet", sa.Boolean(), nullable=False, server_default=sa.false()))
