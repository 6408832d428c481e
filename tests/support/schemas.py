"""Records as they are when a test begins, on PostgreSQL: kept as schemas beside the one that is used.

Apart from `mornings`, which finds them, for their driver is eight megabytes that SQLite has no use for.
"""

import psycopg
from psycopg import sql


def _server(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def keep_schema(kept: str, url: str) -> None:
    with psycopg.connect(_server(url)) as server:
        server.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(kept)))
        for name in _tables(server, "public"):
            if _has_rows(server, name):
                copy = sql.SQL("CREATE TABLE {} AS TABLE {}")
                server.execute(copy.format(sql.Identifier(kept, name), sql.Identifier(name)))


def _tables(server: psycopg.Connection, schema: str) -> list[str]:
    names = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]).fetchall()
    return [str(name) for (name,) in names if name != "alembic_version"]


def _has_rows(server: psycopg.Connection, table: str) -> bool:
    return bool(server.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table))).fetchone())


def copy_schema(kept: str, url: str) -> bool:
    with psycopg.connect(_server(url)) as server:
        if _has_rows(server, "audit"):
            return False
        server.execute("SET LOCAL session_replication_role = replica")  # the guards would refuse what is not at its end
        for name in _tables(server, kept):
            fill = sql.SQL("INSERT INTO {} SELECT * FROM {}")
            server.execute(fill.format(sql.Identifier(name), sql.Identifier(kept, name)))
        server.execute(FORWARD)
    return True


# Numbers that are handed out go on behind those that are there.
FORWARD = """
    DO $$ DECLARE one record; BEGIN
        FOR one IN
            SELECT s.oid::regclass AS numbers, a.attname AS name, d.refobjid::regclass AS rows
            FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i')
            JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE s.relkind = 'S' AND s.relnamespace = 'public'::regnamespace
        LOOP
            EXECUTE format(
                'SELECT setval(%L, coalesce(max(%I), 0) + 1, false) FROM %s', one.numbers, one.name, one.rows
            );
        END LOOP;
    END $$
"""
