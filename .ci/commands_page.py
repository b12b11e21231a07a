"""Write docs/commands.md from the program's own help: `.venv/bin/python .ci/commands_page.py`."""

# ruff: noqa: INP001
# INP001: a script beside CI's own, not a package.

import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

import typer.main

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "commands.md"
# A script is given its own directory to import from; the project is one above.
sys.path.insert(0, str(ROOT))

from service.cli.main import app  # noqa: E402  # after the path

INTRODUCTION = """\
# Commands

All commands of the program, from its own help: `.venv/bin/python .ci/commands_page.py` writes this page.
`paperboy COMMAND --help` prints the same.

Every command ends with exit status 0 when it is done, 1 when it failed and 2 when it was used wrongly.
An error is one line on stderr. Options of every command stand before its name, but `--json` and `--help`,
which may stand after it, too. With `--json` a command prints one JSON value. Every command but `up` and
`demo` ends by itself. Dates are `2026-09-18`, times `2026-09-18T05:00Z`."""


def commands_page() -> str:
    """Return the page in Markdown."""
    program = typer.main.get_command(app)
    return "\n\n".join([INTRODUCTION, *_sections("paperboy", program, None)]) + "\n"


def _sections(name: str, command: Any, parent: Any) -> Iterator[str]:
    """Yield a section for each command that does something, groups in the order of the program."""
    context = typer.Context(command, info_name=name, parent=parent)
    inner = getattr(command, "commands", {})
    if not inner:
        yield f"## {context.command_path}"
    elif parent:
        yield f"## {context.command_path} …"
    else:
        yield "## Options of every command"
    if parent and command.help:
        # A form feed ends what the program prints.
        yield _plain(cleandoc(command.help).partition("\f")[0])
    records = [record for p in command.get_params(context) if (record := _record(p, context))]
    if records and not (inner and parent):
        yield "\n".join(["| | |", "|---|---|", *records])
    for word, each in inner.items():
        yield from _sections(word, each, context)


def _record(parameter: Any, context: Any) -> str | None:
    """Return a row of the table; none for options that every command has, or that are hidden."""
    if set(parameter.opts) & {"--json", "--help"} and context.parent:
        return None
    record = parameter.get_help_record(context)
    return record and f"| `{record[0].replace('|', ',')}` | {_plain(record[1])} |"


def _plain(text: str) -> str:
    """Return text in which Markdown sees no table, tag or emphasis."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(commands_page(), encoding="utf-8")
