"""From when on somebody's manager counts: one whom a later import changes judges nothing for a day."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("people", sa.Column("manager_from", sa.DateTime(timezone=True), nullable=True))
