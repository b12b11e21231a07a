"""Dump and restore a PostgreSQL database with the server's own programs."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from service.platform.embedded.paths import find_postgres_program

_RESTORE_OPTIONS = ("--no-owner", "--no-privileges", "--no-comments", "--exit-on-error")

_USER_TABLES = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname !~ '^pg_'
AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""


class DumpError(Exception):
    """A database cannot be dumped or restored; the text is one line that says what to do."""


def dump_database(
    database_url: str, into: Path, *, is_embedded: bool, left_out: Sequence[str] = ()
) -> None:
    """Write a dump in `pg_dump`'s custom format: one snapshot, taken while others write.

    Of the tables that are `left_out`, and of their partitions, it has no rows.
    """
    options = [f"--exclude-table-data-and-children={table}" for table in left_out]
    program = _find_program("pg_dump", server_major(database_url), is_embedded=is_embedded)
    # Opened here, so that nobody else can read it at any moment.
    with os.fdopen(os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        _run([program, "--format=custom", *options], database_url, stdout=file.fileno())
        file.flush()
        os.fsync(file.fileno())


def restore_database(database_url: str, dump: Path, major: int, *, is_embedded: bool) -> None:
    """Restore a dump of a server of version `major`, completely or not at all.

    Raises `DumpError` where the server is older than the dump.
    """
    if server_major(database_url) < major:
        raise DumpError(
            f"the backup is of PostgreSQL {major}, and this server is"
            f" {server_major(database_url)}: restore it into {major} or newer"
        )
    program = _find_program("pg_restore", major, is_embedded=is_embedded)
    command = [program, *_RESTORE_OPTIONS, "--single-transaction", str(dump)]
    _run(command, database_url)


def server_major(database_url: str) -> int:
    """Return the server's major version, such as 18."""
    with psycopg.connect(database_url) as connection:
        return connection.info.server_version // 10000


def is_empty(database_url: str) -> bool:
    """Return whether the database has no tables, other than those of extensions."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(_USER_TABLES).fetchone()
    return row == (0,)


def _find_program(name: str, major: int, *, is_embedded: bool) -> str:
    """Return the embedded server's program, or one on PATH of version `major` or newer."""
    if is_embedded:
        return str(find_postgres_program(name))
    found = shutil.which(name)
    if found is None:
        raise DumpError(f"there is no {name} on PATH: install PostgreSQL {major}'s client programs")
    text = subprocess.run([found, "--version"], check=False, capture_output=True, text=True).stdout
    version = re.search(r"\) (\d+)", text)
    if version is None or int(version[1]) < major:
        raise DumpError(
            f"{found} is of PostgreSQL {version[1] if version else '?'}, and version {major} or"
            " newer is needed: install that version's client programs and put them on PATH first"
        )
    return found


def _run(command: list[str], database_url: str, stdout: int = subprocess.DEVNULL) -> None:
    """Run a program on a database; its password is not in the arguments, which others can see."""
    url = make_url(database_url).set(drivername="postgresql")
    target = url.set(password=None).render_as_string(hide_password=False)
    environ = dict(os.environ)
    if url.password:
        environ["PGPASSWORD"] = str(url.password)
    done = subprocess.run(
        [*command, f"--dbname={target}"],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error:" in line]
        reason = lines[0] if lines else done.stderr.strip().partition("\n")[0]
        raise DumpError(f"{Path(command[0]).name} failed: {reason}")
