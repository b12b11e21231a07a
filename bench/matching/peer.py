"""The peer of `match.py`: one indexed tsquery SELECT per topic, in the fastest form for Postgres."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql

from matching.processes import PROCESSES, Outcome, run_together
from service.papers.store.models import Paper
from service.topics.domain.language import parse_query
from service.topics.store.to_sql import to_sql

Statement: TypeAlias = tuple[str, dict[str, Any]]
TRIED = 300


@dataclass(frozen=True)
class Way:
    """A form of the queries: one row per paper or one for all, prepared or not, and a setting."""

    name: str
    is_array: bool = False
    prepare: bool | None = None
    setting: str = ""


# None of them changes the result. Without `prepare` psycopg prepares a statement after five runs.
PEER_WAYS = (
    Way("rows"),
    Way("rows, never prepared", prepare=False),
    Way("rows, all prepared", prepare=True),
    Way("rows, one plan a shape", prepare=True, setting="SET plan_cache_mode = force_generic_plan"),
    Way("rows, indexes only", setting="SET enable_seqscan = off"),
    Way("array", is_array=True),
    Way("array, all prepared", is_array=True, prepare=True),
)


def choose_way(database_url: str, topics: Sequence[str]) -> Way:
    """Return the way that is fastest for a sample of these topics."""
    return max(PEER_WAYS, key=lambda way: _try_way(database_url, topics[:TRIED], way))


def run_peer(database_url: str, topics: Sequence[str], way: Way) -> Outcome:
    """Query every topic, half of them on each connection; return how many papers each found."""
    parts = [(way, topics[n::PROCESSES]) for n in range(PROCESSES)]
    return run_together(prepare_peer, database_url, parts)


def _try_way(database_url: str, topics: Sequence[str], way: Way) -> float:
    """Return topics/s on one connection, in the second of two rounds, since the first one warms up."""
    ask = prepare_peer(database_url, (way, topics))
    ask()
    start = time.perf_counter()
    ask()
    return len(topics) / (time.perf_counter() - start)


def prepare_peer(
    database_url: str, part: tuple[Way, Sequence[str]]
) -> Callable[[], dict[str, int]]:
    """Open a connection and write every statement beforehand, so that only Postgres is measured."""
    way, topics = part
    statements = [(topic, *_write(topic, way)) for topic in topics]
    connection = psycopg.connect(database_url, autocommit=True)
    if way.setting:
        connection.execute(way.setting)

    def ask() -> dict[str, int]:
        found = {}
        for topic, statement, values in statements:
            rows = connection.execute(statement, values, prepare=way.prepare).fetchall()
            found[topic] = len(rows[0][0] or ()) if way.is_array else len(rows)
        return found

    return ask


def _write(topic: str, way: Way) -> Statement:
    wanted = func.array_agg(Paper.id) if way.is_array else Paper.id
    statement = select(wanted).where(to_sql(parse_query(topic)))
    dialect: Any = postgresql.psycopg.dialect  # a class that its library left untyped
    compiled = statement.compile(dialect=dialect())
    return compiled.string, dict(compiled.params)
