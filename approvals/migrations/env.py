"""Alembic's entry: runs the migrations on the database it was given."""

from alembic import context
from sqlalchemy import text
from sqlmodel import SQLModel

from approvals import models  # noqa: F401  (fills the metadata)
from approvals.database import AUDIT_LOCK, Database

database: Database = context.config.attributes["database"]

with database.engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
    with context.begin_transaction():
        if not database.is_sqlite:  # two machines that start at once: the second waits and finds it done
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": AUDIT_LOCK})
        context.run_migrations()
