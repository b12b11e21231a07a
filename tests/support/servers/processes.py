"""Real processes of the service on a test's own servers: commands and a Celery worker."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from service.platform.settings.settings import Settings
from support.rules import ROOT

# The fixture's key has spaces, which stand between keys in the environment.
SECRET_KEY = "a-key-that-is-only-used-in-tests"


def settings_environ(settings: Settings, **changes: str) -> dict[str, str]:
    """Return the environment of a process with these settings, without our own variables."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
    own = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        **({"BROKER_URL": settings.broker_url} if settings.broker_url else {}),
        "SMTP_URL": " ".join(settings.smtp_url),
        "SECRET_KEY": SECRET_KEY,
        "DATA_DIR": str(settings.data_dir),
        "MAIL_FROM": settings.mail_from,
        "WEB_PROCESSES": "1",
        "SOURCES": "arxiv",
        "ARXIV_CATEGORIES": "cs.CL",
        # A developer's own .env is not for tests.
        "ENV_FILE": os.devnull,
        **changes,
    }
    return inherited | {f"PAPERBOY_{name}": value for name, value in own.items()}


def start_command(environ: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start a `paperboy` command in a process of its own; the caller waits for it or kills it."""
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", *arguments],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_command(environ: dict[str, str], *arguments: str) -> str:
    """Return the output of a command, which must succeed."""
    process = start_command(environ, *arguments)
    output, complained = process.communicate(timeout=120)
    assert process.returncode == 0, complained
    return output


WORKER = [
    sys.executable, "-m", "workers", "worker", "--pool", "solo",
    "--queues", "paperboy.ingest,paperboy.compose,paperboy.send,paperboy.urgent", "--loglevel", "WARNING",
    "--without-gossip", "--without-mingle", "--without-heartbeat",
]  # fmt: skip


def start_worker(environ: dict[str, str], pool: str = "solo") -> subprocess.Popen[str]:
    """Start a worker whose complaints are read; the caller waits for it or kills it."""
    command = [*WORKER, "--pool", pool, "--concurrency", "1"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=pipe, stderr=pipe, text=True)


@contextmanager
def running_worker(environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Celery worker that takes one task at a time, from all queues."""
    with subprocess.Popen(WORKER, cwd=ROOT, env=environ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
