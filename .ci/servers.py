"""Run a command against separate servers: `servers.py COMMAND…`.

An ordinary PostgreSQL and Debian's Redis, over TCP on free loopback ports, both with passwords,
named to the command as PAPERBOY_TEST_DATABASE_URL and PAPERBOY_TEST_REDIS_URL. The role may
create databases and is no superuser, as a hosted database gives it. Both servers are stopped by
their own process when the command ends; its exit status is ours.
"""

# ruff: noqa: INP001
# INP001: a script beside CI's own, not a package.

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

from service.platform.embedded.paths import Account, choose_account, place_postgres  # noqa: E402

_READY_SECONDS = 60.0
# With every character that has to be quoted in a URL: a password that was not is found here.
_AWKWARD = "@:/?#%& "


def main() -> int:
    command = sys.argv[1:]
    if not command:
        sys.stderr.write("usage: servers.py COMMAND…\n")
        return 2
    # CI that is cancelled gets SIGTERM; it must still leave through the `finally`s.
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as stack:
        home = stack.enter_context(_temporary_home())
        urls = {
            "PAPERBOY_TEST_DATABASE_URL": stack.enter_context(running_postgres(home)),
            "PAPERBOY_TEST_REDIS_URL": stack.enter_context(running_redis(home)),
        }
        return subprocess.run(command, check=False, env={**os.environ, **urls}).returncode


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
def running_postgres(home: Path) -> Iterator[str]:
    """Yield the URL of the role `paperboy` at a fresh server with scram passwords."""
    binary = place_postgres(home).binary
    account = choose_account(home / "ordinary")
    data = _make_cluster(home, binary, account)
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


def _make_cluster(home: Path, binary: Path, account: Account | None) -> Path:
    own = home / "ordinary"
    own.mkdir(mode=0o700)
    secret = own / "superuser"
    secret.write_text(secrets.token_urlsafe(24))
    (home / "password").write_text(secrets.token_urlsafe(24) + _AWKWARD)
    if account:
        for path in (own, secret):
            os.chown(path, account.uid, account.gid)
    command = [str(binary.with_name("initdb")), "-D", str(own / "data"), "-U", "postgres"]
    command += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"]
    # Case rules of all of Unicode; the plain C locale would not know that É is é.
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
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
def running_redis(home: Path) -> Iterator[str]:
    """Yield the URL of a fresh Redis that asks for a password."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise SystemExit("there is no redis-server: try `apt-get install redis-server`")
    port, password = find_port(), secrets.token_urlsafe(24)
    options = ["bind 127.0.0.1", f"port {port}", f"requirepass {password}"]
    options += ['save ""', "appendonly no", "databases 64", f"dir {home}"]
    configuration = home / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.write_text("\n".join(options) + "\n")
    with (home / "redis.log").open("wb") as log:
        process = _start([binary, str(configuration)], log, None)
        try:
            url = f"redis://:{password}@127.0.0.1:{port}/0"
            _await(lambda: _ping(url), process, "Redis", home / "redis.log")
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
