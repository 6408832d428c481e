"""What somebody asks for and holds now is found without all that is over: the status comes right after the person."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_index("grants_by_account", "grants", ["account", "status", "holding"])
    op.drop_index("grants_by_holding", "grants")
    op.drop_index("requests_by_requester", "requests")
    op.create_index("requests_by_requester", "requests", ["requester", "status", "asked_at"])
