"""The `paperboy` program: global options, the list of commands, and errors as one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy.exc import OperationalError
from typer.exceptions import TyperException
from typer.main import get_command

from service.actions.subscribe import SignUpError
from service.actions.topics import TopicError
from service.cli import machine, publishing, readers, reports
from service.cli.desk import CommandError, Globals
from service.config import SettingsError
from service.embedded import EmbeddedError

app = typer.Typer(
    name="paperboy",
    help="New papers on your topics, in your inbox every morning.",
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
for module in (machine, publishing, reports, readers):
    module.register(app)


@app.callback()
def take_globals(
    context: typer.Context,
    now: Annotated[
        str | None, typer.Option(help="Set the clock, for replays: 2026-09-18T05:00Z")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    context.obj = Globals(_read_now(now), as_json)


def _read_now(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"--now wants a time like 2026-09-18T05:00Z, not {text!r}"
        raise CommandError(message, 2) from error
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 failed, 2 wrong use. Never a traceback."""
    try:
        outcome = get_command(app).main(
            args=list(arguments) if arguments is not None else None,
            prog_name="paperboy",
            standalone_mode=False,
        )
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return _complain("stopped", 130)
    except EXPECTED_ERRORS as error:
        return _complain(*_told(error))
    return outcome if isinstance(outcome, int) else 0


# Everything a user, an operator or the world can do wrong; anything else is a bug of ours.
EXPECTED_ERRORS = (
    TyperException, SignUpError, TopicError, SettingsError, CommandError, EmbeddedError,
    OperationalError, OSError,
)  # fmt: skip


def _told(error: Exception) -> tuple[str, int]:
    """An expected error as (one line, exit code)."""
    match error:
        case TyperException():
            words = getattr(error, "format_message", error.__str__)()
            return (words, 2) if words else ("stopped", 130)
        case SignUpError() | TopicError():
            return _pointed(error), 2
        case SettingsError():
            return str(error), 2
        case CommandError():
            return str(error), error.exit_code
        case OperationalError():
            first_line = str(error.orig).strip().partition("\n")[0]
            return f"the database does not answer: {first_line}", 1
        case _:
            return str(error), 1


def _pointed(error: SignUpError | TopicError) -> str:
    if isinstance(error, SignUpError):
        return str(error)
    where = "" if error.position is None else f" (at character {error.position + 1})"
    return f"topic {error.topic!r}: {error}{where}"


def _complain(message: str, exit_code: int) -> int:
    if message:
        print(f"paperboy: {message}", file=sys.stderr)
    return exit_code
