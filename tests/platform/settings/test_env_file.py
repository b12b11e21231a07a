"""The settings file: what it sets, what the environment wins, and its bad lines."""

from pathlib import Path

import pytest

from service.platform.settings.env_file import ENV_FILE, environ_with_file, find_env_file
from service.platform.settings.faults import SettingsError


def read(path: Path, text: str, **environ: str) -> dict[str, str]:
    path.write_text(text, encoding="utf-8")
    found = environ_with_file({ENV_FILE: str(path), **environ})
    return {name: value for name, value in found.items() if name != ENV_FILE}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own.env"


def test_a_file_in_the_working_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_env_file({}) is None
    assert environ_with_file({}) == {}
    (tmp_path / ".env").write_text("PAPERBOY_DIGEST_HOUR=6\n")
    assert find_env_file({}) == tmp_path / ".env"
    assert environ_with_file({}) == {"PAPERBOY_DIGEST_HOUR": "6"}


def test_only_settings_are_taken_as_they_are_written(path: Path) -> None:
    text = """# a comment
POSTGRES_PASSWORD=not-ours

export PAPERBOY_MAIL_FROM='Paperboy <digest@example.org>'
PAPERBOY_BRAND_NAME="Ünder # one roof"  # a comment
PAPERBOY_ADMIN_PASSWORD=a$b${HOME}c
PAPERBOY_CONTACT=
"""
    assert read(path, text) == {
        "PAPERBOY_MAIL_FROM": "Paperboy <digest@example.org>",
        "PAPERBOY_BRAND_NAME": "Ünder # one roof",
        "PAPERBOY_ADMIN_PASSWORD": "a$b${HOME}c",
        "PAPERBOY_CONTACT": "",
    }


def test_the_environment_wins_unless_it_is_empty(path: Path) -> None:
    text = "PAPERBOY_DIGEST_HOUR=6\nPAPERBOY_CONTACT=me@example.org\n"
    found = read(path, text, PAPERBOY_DIGEST_HOUR="9", PAPERBOY_CONTACT="")
    assert found == {"PAPERBOY_DIGEST_HOUR": "9", "PAPERBOY_CONTACT": "me@example.org"}


def test_a_secret_in_the_environment_wins_in_either_form(path: Path) -> None:
    text = "PAPERBOY_SMTP_URL=smtp://a.example\nPAPERBOY_HOOKS_FILE=/run/hooks\n"
    given = {"PAPERBOY_SMTP_URL_FILE": "/run/relay", "PAPERBOY_HOOKS": "generic=0123456789abcdef"}
    assert read(path, text, **given) == given


def test_every_bad_line_is_named_with_its_number(path: Path) -> None:
    text = "PAPERBOY_DIGEST_HOUR=6\n\n\nthis is bad\nPAPERBOY_CONTACT\nPAPERBOY_X='open\n"
    with pytest.raises(SettingsError) as caught:
        read(path, text)
    hint = "Write NAME=value, with quotes around a value with spaces, or # before a comment."
    assert str(caught.value).splitlines() == [
        f"{path}, line {number}: this is no setting. {hint}" for number in (4, 5, 6)
    ]


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), (b"PAPERBOY_X=\xff", "not text")]
)
def test_a_named_file_that_cannot_be_read_is_one_line(
    path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        environ_with_file({ENV_FILE: str(path)})
    assert str(caught.value) == f"{path}: it cannot be read ({reason}). Name a file of settings."
