"""`paperboy init`: a settings file from six answers, which every command then reads."""

import os
import pty
import select
import stat
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.newsletter.commands import Paperboy

from service.papers.domain.source_names import SOURCE_NAMES
from service.platform.settings.env_file import environ_with_file
from service.platform.settings.load import load_settings


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, without settings in the environment."""
    for name in [name for name in os.environ if name.startswith("PAPERBOY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_options_and_defaults_make_a_file_that_loads(here: Path, bare: Paperboy) -> None:
    os.environ.pop("PAPERBOY_ENV_FILE", None)
    options = {
        "--base-url": "https://papers.example.org",
        "--mail-from": 'Anna\'s \\ $paper "boy" <digest@example.org>',
        "--smtp-url": "smtp://user:p%40ss$word@relay.example.org:587?starttls=required",
        "--timezone": "Europe/Berlin",
        "--contact": "me@example.org",
    }
    result = bare("init", *(word for pair in options.items() for word in pair))
    assert (result.code, result.err) == (0, "")
    path = here / ".env"
    assert result.out.startswith(f"Wrote {path}, which only you can read.\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings = load_settings(SOURCE_NAMES, environ_with_file({}))
    assert settings.base_url == options["--base-url"]
    assert settings.mail_from == options["--mail-from"]
    assert settings.smtp_url == (options["--smtp-url"],)
    assert settings.digest_timezone == "Europe/Berlin"
    assert (settings.alert_to, settings.contact) == ("me@example.org", "me@example.org")
    assert settings.arxiv_categories == ("cs.AI", "cs.CL", "cs.CV", "cs.LG", "stat.ML")
    assert len(settings.admin_password) >= 20


def test_an_existing_file_is_not_changed(here: Path, bare: Paperboy) -> None:
    os.environ.pop("PAPERBOY_ENV_FILE", None)
    (here / ".env").write_text("PAPERBOY_DIGEST_HOUR=6\n")
    result = bare("init", "--yes")
    assert (result.code, result.out) == (1, "")
    assert result.complaint == (
        f"{here / '.env'} is there already, and paperboy up (or make run) starts Paperboy with it;"
        " edit it, or move it away to answer again"
    )
    assert (here / ".env").read_text() == "PAPERBOY_DIGEST_HOUR=6\n"


def test_an_option_that_cannot_be_used_writes_nothing(here: Path, bare: Paperboy) -> None:
    os.environ.pop("PAPERBOY_ENV_FILE", None)
    result = bare("init", "--timezone", "Mars/Base")
    assert (result.code, result.out) == (2, "")
    assert result.complaint.startswith("PAPERBOY_DIGEST_TIMEZONE: Mars/Base is not a time zone.")
    assert list(here.iterdir()) == []


def answer(terminal: int, prompt: str, text: str) -> str:
    """Type a line when the prompt stands in the last line that the terminal shows; return all."""
    shown, deadline = "", time.monotonic() + 60
    while prompt not in shown.rpartition("\n")[2]:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        assert ready, shown
        shown += os.read(terminal, 4096).decode()
    os.write(terminal, f"{text}\n".encode())
    return shown


def test_a_person_answers_six_questions_and_one_of_them_twice(here: Path) -> None:
    terminal, inner = pty.openpty()
    environ = {k: v for k, v in os.environ.items() if k != "PAPERBOY_ENV_FILE"}
    command = [sys.executable, "-m", "service.cli", "init"]
    with (
        subprocess.Popen(
            command, stdin=inner, stdout=subprocess.PIPE, stderr=inner, env=environ, text=True
        ) as process,
        ExitStack() as stack,
    ):
        os.close(inner)
        stack.callback(process.kill)
        answer(terminal, "Address of the site [http://127.0.0.1:8000]:", "papers.example.org")
        refused = answer(terminal, "Address of the site [", "https://papers.example.org")
        assert "papers.example.org is not a web address. Use https://papers.example.org." in refused
        answer(terminal, "From address", "Paperboy <digest@example.org>")
        answer(terminal, "stay in a mailbox on this machine):", "")
        answer(terminal, "arXiv categories to watch [", "hep-th gr-qc")
        answer(terminal, "Time zone of new readers [UTC]:", "")
        answer(terminal, "(empty: none):", "me@example.org")
        assert process.stdout
        assert process.stdout.read().lstrip().startswith("Wrote ")
        assert process.wait(60) == 0
    os.close(terminal)
    settings = load_settings(SOURCE_NAMES, environ_with_file({}))
    assert settings.base_url == "https://papers.example.org"
    assert settings.mail_from == "Paperboy <digest@example.org>"
    assert settings.smtp_url == ()
    assert settings.arxiv_categories == ("hep-th", "gr-qc")
    assert (settings.digest_timezone, settings.contact) == ("UTC", "me@example.org")
