"""The command `init`: a commented settings file from six answers."""

import os
import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import typer

from service.cli.context import CommandError
from service.cli.output import Output
from service.platform.settings.env_file import env_file_path
from service.platform.settings.faults import PREFIX, SettingsError
from service.platform.settings.load import check_setting
from service.platform.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class InitQuestion:
    """One question: the setting it fills in, what to ask, and the comment above its line."""

    setting: str
    text: str
    comment: str

    @property
    def default(self) -> str:
        value = Settings.model_fields[self.setting].default
        return " ".join(value) if isinstance(value, tuple) else str(value)


QUESTIONS = (
    InitQuestion(
        "base_url",
        "Address of the site",
        "The address of the site for readers; every link in a mail begins with it.\n"
        "Mails have one-click unsubscribe only if it begins with https.",
    ),
    InitQuestion(
        "mail_from",
        "From address of the mails",
        "The From address. Its domain needs SPF, DKIM and DMARC (docs/operations.md).",
    ),
    InitQuestion(
        "smtp_url",
        "Relay for the mails, such as smtp://user:password@relay.example.org:587?starttls=required"
        " (empty: they stay in a mailbox on this machine)",
        "The relay: smtp://user:password@relay.example.org:587?starttls=required\n"
        "Empty: mails stay in the mailbox on this machine, at /mailbox.",
    ),
    InitQuestion(
        "arxiv_categories",
        "arXiv categories to watch",
        "The arXiv categories to watch, separated by spaces: cs.CL, hep-th, …",
    ),
    InitQuestion(
        "digest_timezone",
        "Time zone of new readers",
        "The time zone of new readers, who can change it.",
    ),
    InitQuestion(
        "alert_to",
        "Your own address: it gets alerts; sources and readers of /privacy see it (empty: none)",
        "Your own address: alerts go to it; sources see it before they block you, and readers on /privacy.",
    ),
)

_MORE = """\
# -- optional; the defaults are fine. docs/settings.md has every setting --

# PAPERBOY_REPLY_TO=
# PAPERBOY_OPERATOR_ADDRESS=
# PAPERBOY_BOUNCE_DOMAIN=
# PAPERBOY_DKIM_KEYS=
# PAPERBOY_SOURCES=arxiv,huggingface
# PAPERBOY_DIGEST_HOUR=7
# PAPERBOY_DATA_DIR=.paperboy
# PAPERBOY_DATABASE_URL=
# PAPERBOY_REDIS_URL=
"""


def run(output: Output, given: Mapping[str, str | None], *, asks: bool) -> None:
    """Ask what is not given, and write the settings file. Raises `CommandError`."""
    path = env_file_path()
    if path.exists():
        raise CommandError(
            f"{path} is there already, and paperboy up (or make run) starts Paperboy with it;"
            " edit it, or move it away to answer again"
        )
    for setting, text in given.items():
        if text:
            check_setting(setting, text)
    asks = asks and sys.stdin.isatty()
    if asks:
        print("Six questions; Enter takes what is in brackets.", file=sys.stderr)
    answers = {
        question.setting: _answer(question, given.get(question.setting), asks=asks)
        for question in QUESTIONS
    }
    _write(path, settings_text(answers))
    output.print(
        {"path": str(path), "answers": [name for name, text in answers.items() if text]},
        f"Wrote {path}, which only you can read.",
        "It also has a password for the operator's pages, /admin.",
        "Next: paperboy doctor checks the settings, paperboy up (or make run) starts Paperboy.",
    )


def _answer(question: InitQuestion, given: str | None, *, asks: bool) -> str:
    if given is not None or not asks:
        return question.default if given is None else given.strip()
    while True:
        typed = typer.prompt(
            question.text, default=question.default, show_default=bool(question.default), err=True
        )
        text = str(typed).strip()
        try:
            if text:
                check_setting(question.setting, text)
        except SettingsError as error:
            print(f"  {error.faults[0].problem}. {error.faults[0].hint}.", file=sys.stderr)
        else:
            return text


def settings_text(answers: Mapping[str, str]) -> str:
    """Return the text of a settings file with these answers, and a password for the operator."""
    lines = [
        "# Settings of Paperboy, read by every command in this directory. The environment wins."
    ]
    for question in QUESTIONS:
        lines += ["", *(f"# {line}" for line in question.comment.splitlines())]
        lines.append(_line(question.setting, answers[question.setting]))
        if question.setting == "alert_to":
            lines.append(_line("contact", answers[question.setting]))
    lines += ["", "# Opens /admin, under any name."]
    lines += [_line("admin_password", secrets.token_urlsafe(18)), "", _MORE]
    return "\n".join(lines)


def _line(setting: str, value: str) -> str:
    if not re.fullmatch(r"[\w@%+=:,./?&~-]*", value, re.ASCII):
        value = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"{PREFIX}{setting.upper()}={value}"


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read, and never over another one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
