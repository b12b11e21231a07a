"""Which servers a run's tests ran on: noted, shown at its end, and compared with those it must have.

`PAPERBOY_TEST_SERVERS` names the servers that a run must have, such as `PostgreSQL 16, Redis 7`: a
run on others fails, so that a test of one version cannot silently become a test of another.
"""

import os
import platform
import re
from pathlib import Path

import psycopg
import redis
from kombu.connection import Connection

HOME_VARIABLE = "PAPERBOY_TEST_HOME"
SERVERS_VARIABLE = "PAPERBOY_TEST_SERVERS"


def wanted_servers() -> list[str]:
    """Return what the run must have: `["PostgreSQL 16", "Redis 7"]`; nothing where all will do."""
    parts = os.environ.get(SERVERS_VARIABLE, "").split(",")
    return [part.strip() for part in parts if part.strip()]


def note_version(found: str) -> None:
    """Note `PostgreSQL 16.14` for the end of the run. Raises RuntimeError where it must be another."""
    name = found.split(maxsplit=1)[0]
    # The fork of a server stands where the server does.
    rivals = {name, *({"Redis", "Valkey"} if name in {"Redis", "Valkey"} else ())}
    wanted = [part for part in wanted_servers() if part.split()[0] in rivals]
    if not all(re.match(rf"{re.escape(part)}(?!\d)", found) for part in wanted):
        raise RuntimeError(
            f"these tests must run on {', '.join(wanted)} ({SERVERS_VARIABLE}), and this is {found}"
        )
    # A file for each, since every worker notes its own.
    folder = Path(os.environ[HOME_VARIABLE]) / "versions"
    folder.mkdir(exist_ok=True)
    (folder / found).touch()


def describe_run() -> str:
    """Return one line with the versions that tests used; empty where they used no server."""
    folder = Path(os.environ[HOME_VARIABLE]) / "versions"
    noted = sorted(path.name for path in folder.glob("*"))
    return f"ran on {', '.join([*noted, f'Python {platform.python_version()}'])}" if noted else ""


def database_version(url: str) -> str:
    """Return `PostgreSQL 18.4`, as the server says it."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT version()").fetchone()
        assert row
        return " ".join(str(row[0]).split()[:2])


def queue_version(url: str) -> str:
    """Return `Redis 7.0.15` or `Valkey 9.1.2`, as the server says it."""
    with redis.Redis.from_url(url) as client:
        facts = client.info("server")
    if facts.get("server_name") == "valkey":
        return f"Valkey {facts['valkey_version']}"
    return f"Redis {facts['redis_version']}"


def broker_version(url: str) -> str:
    """Return `RabbitMQ 3.10.8`, as the server says it."""
    with Connection(url) as connection:  # type: ignore[no-untyped-call]  # kombu has no annotations
        facts = connection.connection.server_properties
        return f"{facts['product']} {facts['version']}"
