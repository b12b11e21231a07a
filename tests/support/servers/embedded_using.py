"""Helpers for tests of embedded servers: shares, queries, and other processes to kill."""

import os
import pwd
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import redis

from service.platform.embedded import Embedded
from service.platform.embedded.locks import is_held

ROOT = Path(__file__).resolve().parents[3]
IS_ROOT = os.geteuid() == 0
_USER_PROGRAM = Path(__file__).with_name("embedded_user.py")


def valkey_of(data_dir: Path) -> Embedded:
    return Embedded(data_dir, postgres=False)


def postgres_of(data_dir: Path) -> Embedded:
    return Embedded(data_dir, valkey=False, durable=False)


def ping(redis_url: str) -> bool:
    with redis.Redis.from_url(redis_url) as client:
        return bool(client.ping())


def query(database_url: str, statement: str) -> str:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return str(row[0])


def execute(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(statement.encode())


def pid_of(data_dir: Path, name: str) -> int:
    """Return the pid of the process that holds a lock, after waiting until it has written it."""
    written = data_dir / "run" / name
    deadline = time.monotonic() + 10
    while not (text := written.read_text()):
        assert time.monotonic() < deadline, f"nobody wrote into {written}"
        time.sleep(0.01)
    return int(text)


def is_running(data_dir: Path, kind: str) -> bool:
    run = data_dir / "run"
    return is_held(run / f"{kind}.server") or is_held(run / f"{kind}.keeper")


@contextmanager
def other_user(
    data_dir: Path, which: str = "valkey", *options: str, is_ordinary: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Run another process with a share in the servers; it has ended after the block."""
    with start_user(data_dir, which, *options, is_ordinary=is_ordinary) as process:
        assert process.stdin
        yield process
        if process.poll() is None:
            process.stdin.close()
        process.wait(timeout=60)


def start_user(
    data_dir: Path, which: str, *options: str, is_ordinary: bool = False
) -> subprocess.Popen[str]:
    packages = [str(ROOT), sysconfig.get_path("purelib")]
    return subprocess.Popen(
        [
            ordinary_python() if is_ordinary else sys.executable,
            str(_USER_PROGRAM),
            str(data_dir),
            *[which, *options],
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        user=ordinary_uid() if is_ordinary and IS_ROOT else None,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(packages)},
    )


def ordinary_uid() -> int:
    """Return an ordinary user: our own, or `daemon` where the tests run as root."""
    return pwd.getpwnam("daemon").pw_uid if IS_ROOT else os.geteuid()


def ordinary_python() -> str:
    """Return an interpreter that an ordinary user may run: root's own is often below /root."""
    if not IS_ROOT:
        return sys.executable
    # It must be new enough, and the checkout must be open to that user as well.
    check = "import sys; open(sys.argv[1]); sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        with suppress(OSError):
            command = [python, "-c", check, str(_USER_PROGRAM)]
            if not subprocess.run(command, check=False, user=ordinary_uid()).returncode:
                return python
    # Nothing can be tested as a user who may not even start; under CI the suite makes any skip an
    # error, so this cannot pass unseen.
    pytest.skip("as root, with no interpreter and checkout that others may use")


def urls_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return the URLs that the other process printed when its servers answered."""
    assert process.stdout
    return process.stdout.readline().strip(), process.stdout.readline().strip()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
