"""The web site as a process of its own, as `paperboy up` starts it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from service.cli.processes import COMMANDS
from service.platform.settings.settings import Settings
from support.smtp.smtp_sink import free_port, wait_until

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def running(settings: Settings, log: Path, **changes: str) -> Iterator[str]:
    """Serve the site as `paperboy up` does, with its log in a file; yield its address."""
    with running_as(settings, log, **changes) as (address, _):
        yield address


@contextmanager
def running_as(settings: Settings, log: Path, **changes: str) -> Iterator[tuple[str, int]]:
    """Do the same, and yield the id of the process as well."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PAPERBOY_DATABASE_URL": settings.database_url,
        "PAPERBOY_REDIS_URL": settings.redis_url,
        "PAPERBOY_DATA_DIR": str(settings.data_dir),
        "PAPERBOY_LOG_LEVEL": "warning",
        "PAPERBOY_WEB_PROCESSES": "1",
        **{f"PAPERBOY_{name}": value for name, value in changes.items()},
    }
    command = [sys.executable, *COMMANDS["web"], "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=file)
    try:
        address = f"http://127.0.0.1:{port}"
        # Starting computes for three seconds, which a busy machine makes long; one that ended is seen at once.
        wait_until(lambda: _answers(port) or process.poll() is not None, seconds=120)
        assert process.poll() is None, log.read_text(errors="replace")[-2_000:]
        yield address, process.pid
    finally:
        process.terminate()
        assert process.wait(timeout=15) in {0, -15, -9}


def _answers(port: int) -> bool:
    # Without a client of httpx2, which loads all authorities of TLS each time, while the site starts.
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
