"""What every test would reckon anew in the same way, reckoned once: the SQL of a statement, and a policy's text.

Each test opens its own database and reads its own policy; with the statements alone, tests of the decisions took a
quarter less. A statement's SQL depends on the kind of database alone, and a parsed policy can't be changed.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.util import LRUCache

from approvals import database
from approvals.policy import Policy

STATEMENTS = 2000  # more than there are


def reckon_once() -> None:
    """For this process, from now on."""
    database.create_engine = _with_shared_statements(database.create_engine)  # type: ignore[assignment]
    Policy.parse = lru_cache(maxsize=200)(Policy.parse)  # type: ignore[method-assign]


def _with_shared_statements(create: Callable[..., Engine]) -> Callable[..., Engine]:
    """Statements are remembered by the dialect they were compiled for, so engines of a kind share theirs.

    https://docs.sqlalchemy.org/en/20/core/connections.html#sql-caching
    """
    dialects: dict[str, Dialect] = {}
    statements: LRUCache[Any, Any] = LRUCache(STATEMENTS)

    def create_engine(url: str, **options: Any) -> Engine:
        engine = create(url, **options)
        engine.update_execution_options(compiled_cache=statements)
        kind = f"{engine.dialect.name}+{engine.dialect.driver}"
        if kind in dialects:
            engine.dialect = dialects[kind]
        else:  # one that has asked its server what it can
            event.listen(engine, "first_connect", lambda *_: dialects.setdefault(kind, engine.dialect))
        return engine

    return create_engine
