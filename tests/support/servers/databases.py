"""Real servers for tests: one PostgreSQL and one Valkey for the whole run, a database per test.

Every test gets a clone of a template that was migrated once, so tests commit for real and never
see each other. With `PAPERBOY_TEST_DATABASE_URL` and `PAPERBOY_TEST_REDIS_URL` the servers named
there are used over TCP; otherwise the run starts embedded ones, shared by all of its workers.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from sqlalchemy import Engine

from service.platform.embedded import Embedded
from service.platform.embedded.locks import is_held, open_lock, try_lock
from support.servers.versions import HOME_VARIABLE, database_version, note_version, queue_version

DATABASE_VARIABLE = "PAPERBOY_TEST_DATABASE_URL"
REDIS_VARIABLE = "PAPERBOY_TEST_REDIS_URL"
_HOME_PREFIX = "paperboy-tests-"
# What a run may need at the most, with room to spare: write-ahead log, and a few clones.
_MEMORY_BYTES = 2 * 2**30
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class TestServers:
    """The URLs of the servers of this run; `database_url` is for administration only."""

    __test__ = False

    database_url: str
    redis_url: str
    run: str

    @property
    def template(self) -> str:
        return f"template_{self.run}"


def make_home() -> None:
    """Create the directory that all workers of this run share; the workers inherit its name."""
    # Cloning a database makes some 300 files: 15 ms in memory, up to 300 ms on a busy disk.
    memory = Path("/dev/shm")  # noqa: S108  # mkdtemp makes a private directory in it
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > _MEMORY_BYTES
    base = memory if has_room else Path(tempfile.gettempdir())
    _remove_forgotten(base)
    home = tempfile.mkdtemp(prefix=_HOME_PREFIX, dir=base)
    # Held for as long as this process lives: it tells the next run that the home is in use.
    assert try_lock(open_lock(Path(home) / "in_use"))
    os.environ[HOME_VARIABLE] = home


def _remove_forgotten(base: Path) -> None:
    """Remove the directories of killed runs; in memory they would stay until the next reboot."""
    for home in base.glob(f"{_HOME_PREFIX}*"):
        is_ours = home.stat().st_uid == os.geteuid()
        # A lock that is not there yet belongs to a run that starts this very moment.
        if is_ours and (home / "in_use").exists() and not is_held(home / "in_use"):
            shutil.rmtree(home, ignore_errors=True)


def remove_home() -> None:
    """Remove it when the run is over; the last worker to leave has stopped the servers."""
    shutil.rmtree(os.environ.pop(HOME_VARIABLE), ignore_errors=True)


@contextmanager
def start_servers() -> Iterator[TestServers]:
    """Start, join or look up the servers of this run."""
    home = Path(os.environ[HOME_VARIABLE])
    database_url = os.environ.get(DATABASE_VARIABLE, "")
    redis_url = os.environ.get(REDIS_VARIABLE, "")
    with ExitStack() as stack:
        if not (database_url and redis_url):
            embedded = Embedded(
                home, postgres=not database_url, valkey=not redis_url, durable=False
            )
            services = stack.enter_context(embedded)
            database_url = database_url or services.database_url
            redis_url = redis_url or services.redis_url
        note_version(database_version(database_url))
        note_version(queue_version(redis_url))
        yield TestServers(database_url, redis_url, home.name.rpartition("-")[2].lower())


def make_template(servers: TestServers, migrate: Callable[[str], None]) -> str:
    """Return the name of the migrated template; create it unless another worker has."""
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        # Held until the connection closes: the first worker migrates, the others wait for it.
        admin.execute("SELECT pg_advisory_lock(hashtext(%s))", [servers.template])
        found = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [servers.template])
        if not found.fetchone():
            draft = f"{servers.template}_draft"
            drop_database(admin, draft)
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(draft)))
            migrate(with_database(servers.database_url, draft))
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            admin.execute(rename.format(sql.Identifier(draft), sql.Identifier(servers.template)))
    return servers.template


@contextmanager
def clone_database(servers: TestServers, template: str, worker: str) -> Iterator[str]:
    """Yield the URL of a fresh clone of `template`, dropped afterwards, its connections too."""
    name = f"test_{servers.run}_{worker}_{next(_numbers)}"
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        clone = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        admin.execute(clone.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield with_database(servers.database_url, name)
        finally:
            drop_database(admin, name)


def drop_template() -> None:
    """Drop the template on a server that is not ours; embedded ones are removed with their directory."""
    database_url = os.environ.get(DATABASE_VARIABLE, "")
    if database_url:
        run = os.environ[HOME_VARIABLE].rpartition("-")[2].lower()
        with psycopg.connect(database_url, autocommit=True) as admin:
            drop_database(admin, f"template_{run}")


def drop_database(admin: psycopg.Connection, name: str) -> None:
    """Drop a database and our connections to it.

    Not by WITH (FORCE): that also wants to end an autovacuum worker, which belongs to the
    superuser, and is refused to us. Plain DROP asks autovacuum to leave and waits for it.
    """
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = %s AND usename = current_user",
        [name],
    )
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def with_database(url: str, name: str) -> str:
    """Point a PostgreSQL URL at another database of the same server."""
    parts = urlsplit(url)
    # Put together by hand: urlunsplit drops the `//` that a URL without a host needs.
    tail = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}/{name}{tail}"


def with_number(url: str, number: int) -> str:
    """Point a Valkey URL at another of its numbered databases."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        query = {**{k: v[-1] for k, v in parse_qs(parts.query).items()}, "db": str(number)}
        return f"unix://{parts.path}?{urlencode(query)}"
    return urlunsplit(parts._replace(path=f"/{number}"))


def is_waiting(engine: Engine) -> bool:
    """Return whether a session of this database waits for a lock."""
    with engine.connect() as connection:
        return bool(
            connection.exec_driver_sql(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).scalar_one()
        )
