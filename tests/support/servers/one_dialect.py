"""One dialect and one cache of compiled SQL for all engines of a test process.

Each test makes engines of its own, because its database is its own. SQLAlchemy keeps compiled
statements by engine and by dialect, so each test would compile every statement again: up to a quarter of the
processor time of all tests with a database. A service makes its engines once and compiles once.
"""

from collections.abc import Hashable
from typing import Any, ClassVar, Self

from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.util import LRUCache

# Statements, each a few kilobytes; hypothesis invents thousands that never come back.
_MOST_STATEMENTS = 2_000


class OneDialect(PGDialect_psycopg):
    """The dialect of `postgresql+psycopg`, made once for each set of arguments.

    It learns the server's version at the first connection of each engine, as it does otherwise.
    """

    supports_statement_cache = True
    _made: ClassVar[dict[Hashable, Any]] = {}
    _compiled: ClassVar[LRUCache[Any, Any]] = LRUCache(_MOST_STATEMENTS)

    def __new__(cls, **arguments: Any) -> Self:
        key = tuple(sorted(arguments.items(), key=lambda argument: argument[0]))
        made: Self = cls._made.setdefault(key, super().__new__(cls))
        return made

    def __init__(self, **arguments: Any) -> None:
        if "dbapi" not in vars(self):
            super().__init__(**arguments)  # type: ignore[no-untyped-call]  # as SQLAlchemy has it

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=cls._compiled)


def use_one_dialect() -> None:
    """Make `create_engine` of this process use it for `postgresql+psycopg://…`."""
    registry.register("postgresql.psycopg", __name__, OneDialect.__name__)
