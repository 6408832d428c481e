"""The schema's history, and how a database is brought to its newest state."""

from pathlib import Path

from sqlalchemy import inspect, text

from approvals.database import Database

HERE = Path(__file__).parent


def migrate(database: Database) -> None:
    """Bring the database to the newest schema; nothing happens when it is there already."""
    # Alembic weighs ten megabytes, which a process that only asks whether all is well need not carry for ever.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["database"] = database
    command.upgrade(config, "head")


def newest() -> str:
    """The newest schema this code knows; each file of the history begins with its number."""
    return max(file.name.split("_")[0] for file in (HERE / "versions").glob("[0-9]*.py"))


def is_current(database: Database) -> bool:
    """Whether the database has the newest schema."""
    with database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == newest()
