"""Several approvers, levels and pauses; sources of approvers, stand-ins, proposals, the freeze and the ceilings."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TIME = sa.DateTime(timezone=True)


def text(name: str, *, default: str | None = None, kind: type[sa.types.TypeEngine[str]] = sa.String) -> sa.Column[str]:
    return sa.Column(name, kind(), nullable=False, server_default=default)


def upgrade() -> None:
    op.execute("UPDATE jobs SET kind = 'wait', key = 'wait:' || about WHERE kind = 'lapse'")
    op.add_column("requests", text("value", default="", kind=sa.Text))
    op.add_column("requests", sa.Column("level", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("requests", sa.Column("reminders", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("requests", sa.Column("starts_at", TIME, nullable=True))
    op.add_column("bindings", sa.Column("confirmed", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("bindings", text("mail", default=""))
    with op.batch_alter_table("votes") as votes:
        votes.add_column(text("typed", default=""))
        votes.add_column(text("changed", default=""))
        votes.add_column(sa.Column("seat", sa.String(), nullable=True))
        votes.drop_constraint("choice_known", type_="check")
        votes.create_check_constraint("choice_known", "choice IN ('approve', 'deny', 'edit')")
    op.create_table(
        "managers",
        text("account"),
        text("source"),
        text("manager"),
        sa.Column("read_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("account", "source"),
    )
    op.create_table(
        "source_members",
        text("source"),
        text("account"),
        sa.Column("since", TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", "account"),
    )
    op.create_table(
        "source_states",
        text("source"),
        sa.Column("read_at", TIME, nullable=True),
        sa.Column("tried_at", TIME, nullable=False),
        text("trouble"),
        sa.PrimaryKeyConstraint("source"),
    )
    op.create_table(
        "delegations",
        sa.Column("id", sa.Integer(), nullable=False),
        text("absent"),
        text("stand_in"),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "freezes",
        sa.Column("id", sa.Integer(), nullable=False),
        text("by"),
        text("because", kind=sa.Text),
        sa.Column("at", TIME, nullable=False),
        sa.Column("lifted_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "destructions",
        text("request_id"),
        text("subject"),
        text("actor"),
        text("verb"),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "subject"),
    )
    op.create_table(
        "locks",
        text("name"),
        text("holder"),
        sa.Column("until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "proposals",
        text("id"),
        text("kind"),
        text("body", kind=sa.Text),
        text("shown", kind=sa.Text),
        sa.Column("needs", sa.Integer(), nullable=False),
        text("by"),
        text("status"),
        sa.Column("at", TIME, nullable=False),
        sa.Column("lapses_at", TIME, nullable=False),
        text("because"),
        text("channel"),
        text("ts"),
        text("drawn"),
        sa.CheckConstraint("kind IN ('policy', 'unfreeze', 'bind')", name="kind_known"),
        sa.CheckConstraint("status IN ('open', 'agreed', 'rejected', 'lapsed')", name="status_known"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "proposal_votes",
        sa.Column("id", sa.Integer(), nullable=False),
        text("proposal_id"),
        text("account"),
        text("choice"),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("choice IN ('agree', 'reject')", name="choice_known"),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("proposal_id", "account"),
    )
    for table, column in (
        ("delegations", "absent"), ("delegations", "stand_in"), ("destructions", "actor"), ("destructions", "at"),
        ("proposal_votes", "proposal_id"),
    ):  # fmt: skip
        op.create_index(f"ix_{table}_{column}", table, [column])
