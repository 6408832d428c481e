"""Moments instead of lengths, people's zones, and bulk requests whose rows have a grant each."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TIME = sa.DateTime(timezone=True)
NAMES = {"uq": "%(table_name)s_%(column_0_name)s_key"}  # what PostgreSQL calls it; SQLite gave it no name


def text(name: str, *, default: str | None = None, kind: type[sa.types.TypeEngine[str]] = sa.String) -> sa.Column[str]:
    return sa.Column(name, kind(), nullable=False, server_default=default)


def upgrade() -> None:
    op.add_column("requests", sa.Column("ends_by", TIME, nullable=True))
    op.add_column("slack_users", text("zone", default=""))
    with op.batch_alter_table("grants", naming_convention=NAMES) as grants:
        grants.drop_constraint("grants_request_id_key", type_="unique")
        grants.create_unique_constraint("grants_once", ["request_id", "account", "holding"])
    op.create_table(
        "bulk_rows",
        text("request_id"),
        sa.Column("number", sa.Integer(), nullable=False),
        text("person"),
        text("account"),
        text("verb"),
        text("entitlement"),
        text("until"),
        sa.Column("duration", sa.Integer(), nullable=True),
        text("reason", kind=sa.Text),
        text("state"),
        text("because"),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.CheckConstraint("state IN ('valid', 'refused', 'done', 'failed')", name="state_known"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"]),
        sa.PrimaryKeyConstraint("request_id", "number"),
    )
