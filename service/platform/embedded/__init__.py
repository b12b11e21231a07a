"""Embedded PostgreSQL with pgvector and Valkey, run from wheels: the default without any setup.

Processes with the same data directory share one pair of servers. The first process starts them,
the last one stops them. Each process holds a file lock, which the kernel releases when the process
dies, so a killed process counts as gone at once. One supervisor process per server
(`supervisor.py`) stops the server even when all its users are killed together.

Only unix sockets are opened, readable by the servers' own account alone; nothing listens on TCP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from service.platform.embedded.leases import share
from service.platform.embedded.paths import SHARED_STATE, place_postgres, place_valkey
from service.platform.embedded.servers import DATABASE, EmbeddedError

if TYPE_CHECKING:
    # The supervisor runs this package without site-packages, so Settings is imported for types only.
    from service.platform.settings.settings import Settings

__all__ = ["Embedded", "EmbeddedError", "EmbeddedServices", "resolve_services"]


@dataclass(frozen=True, slots=True)
class EmbeddedServices:
    """The URLs of the servers; empty for a server that was not requested.

    `database_url` is for psycopg (`postgresql://…?host=/directory`), `redis_url` for redis-py
    (`unix:///…`); `service.platform.settings.settings.broker_url` converts the latter for Celery.
    """

    database_url: str = ""
    redis_url: str = ""


class Embedded:
    """This process's share in the servers of one data directory; a context manager.

    `durable=False` trades crash safety for speed (no fsync): for tests only, and decided by the
    process that starts the server. Raises EmbeddedError, whose text says what to do.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        postgres: bool = True,
        valkey: bool = True,
        durable: bool = True,
        shared_state: Path = SHARED_STATE,
    ) -> None:
        self._data_dir = data_dir.expanduser().absolute()
        self._wants_postgres = postgres
        self._wants_valkey = valkey
        self._durable = durable
        self._shared_state = shared_state
        self._shares = ExitStack()

    def start(self) -> EmbeddedServices:
        """Start and return when the servers answer: about 1 s for a new data directory, later 0.2 s."""
        with ExitStack() as shares:
            services = self._start(shares)
            self._shares = shares.pop_all()
        return services

    def _start(self, shares: ExitStack) -> EmbeddedServices:
        database_url = redis_url = ""
        if self._wants_postgres:
            place = partial(place_postgres, durable=self._durable, shared_state=self._shared_state)
            server = shares.enter_context(share(self._data_dir, "postgres", place))
            database_url = f"postgresql://{DATABASE}@/{DATABASE}?host={server.sockets}"
        if self._wants_valkey:
            place = partial(place_valkey, shared_state=self._shared_state)
            server = shares.enter_context(share(self._data_dir, "valkey", place))
            redis_url = f"unix://{server.socket}"
        return EmbeddedServices(database_url, redis_url)

    def stop(self) -> None:
        """Give up this process's share; the last user returns after the servers have stopped."""
        self._shares.close()

    def __enter__(self) -> EmbeddedServices:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Embedded({self._data_dir})"


@contextmanager
def resolve_services(settings: Settings) -> Iterator[Settings]:
    """Yield `settings` with `database_url` and `redis_url` filled in.

    Servers that the operator configured are used; only missing ones are started here.
    """
    embedded = Embedded(
        settings.data_dir, postgres=not settings.database_url, valkey=not settings.redis_url
    )
    with embedded as services:
        given = {
            "database_url": settings.database_url or services.database_url,
            "redis_url": settings.redis_url or services.redis_url,
        }
        yield settings.model_copy(update=given)
