"""Fixtures of the command line: real servers, and settings and sample papers of each test's own."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import structlog
from support.newsletter.commands import FRIDAY, Paperboy, Result
from support.rules import ROOT
from support.smtp.smtp_sink import SmtpSink

from service.cli.main import main
from service.sample.server import SampleServer


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    redis_url: str,
    smtp_sink: SmtpSink,
    tmp_path: Path,
) -> None:
    """Set the variables of an installation of this test's own, and remove all others."""
    for name in [name for name in os.environ if name.startswith("PAPERBOY_")]:
        if not name.startswith(("PAPERBOY_TEST_", "PAPERBOY_REAL_DATA")):
            monkeypatch.delenv(name)
    settings = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(tmp_path / "data"),
        "SMTP_URL": smtp_sink.url,
        "SECRET_KEY": "a-key-that-is-only-used-in-tests",
        "MAIL_FROM": "Paperboy <digest@paperboy.example>",
        "ARXIV_CATEGORIES": "cs.CL cs.CV",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"PAPERBOY_{name}", value)
    # A developer's own .env is not for tests.
    monkeypatch.setenv("PAPERBOY_ENV_FILE", os.devnull)
    # Nothing in this suite waits for the sources themselves.
    monkeypatch.setenv("PAPERBOY_ARXIV_FEED_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PAPERBOY_HUGGINGFACE_URL", "http://127.0.0.1:1")


@pytest.fixture
def sample_day(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[date]:
    """Serve the sample day of that Friday as the sources."""
    with SampleServer(FRIDAY) as server:
        monkeypatch.setenv("PAPERBOY_ARXIV_FEED_URL", server.url)
        monkeypatch.setenv("PAPERBOY_HUGGINGFACE_URL", server.url)
        yield FRIDAY


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Restore the suite's logging, since a command configures logging for its process."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


@pytest.fixture
def bare(logging_as_before: None, capsys: pytest.CaptureFixture[str]) -> Paperboy:
    """Run a command in this process that needs no server."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def paperboy(environment: None, bare: Paperboy) -> Paperboy:
    """Run a command in this process, with servers of its own."""
    return bare


@pytest.fixture
def process(environment: None) -> Paperboy:
    """Run a command as a process of its own, as a user does."""

    def run(*arguments: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run
