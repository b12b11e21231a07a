"""A password that can be guessed is a fault; the estimate costs no server memory."""

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from service.platform.settings.faults import SettingsError
from service.platform.settings.passwords import refuse_weak_password
from service.platform.settings.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "paperboy",
        "paperboy2026",
        "Paperboy-2026",
        "password1234",
        "hunter2hunter2",
        "x" * 500,
        "2026-09-18",
    ],
)
def test_a_password_that_can_be_guessed_is_refused_in_one_line(password: str) -> None:
    with pytest.raises(SettingsError) as refused:
        refuse_weak_password(
            Settings(admin_password=password, base_url="https://papers.example.org")
        )
    line = str(refused.value)
    assert line.startswith("PAPERBOY_ADMIN_PASSWORD: the password is easy to guess")
    assert line.endswith("Set a longer one; `openssl rand -base64 24` makes one.")
    assert "\n" not in line
    assert password not in line


@pytest.mark.parametrize(
    "password",
    ["", "correct horse battery staple", "ünïcödé — ψυχή 日本語 42", secrets.token_urlsafe(200)],
)
def test_a_long_one_and_none_are_accepted(password: str) -> None:
    refuse_weak_password(Settings(admin_password=password))


def test_neither_help_nor_a_server_loads_the_word_lists() -> None:
    code = """
import sys
import service.cli.main, service.web.asgi, workers.tasks
from service.platform.queue import TASK_QUEUES
workers.tasks.import_tasks(TASK_QUEUES.values())
from service.platform.settings.passwords import refuse_weak_password
from service.platform.settings.settings import Settings
refuse_weak_password(Settings(admin_password="correct horse battery staple"))
print([name for name in sys.modules if name.startswith("zxcvbn")])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "[]\n"
