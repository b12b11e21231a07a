"""The `paperboy` program: global options, the list of commands, and errors as one line.

Modules of commands import only what their options need; each command imports its action when it
runs. So `paperboy --help` loads no database, HTTP client or queue, and is fast.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from service.cli import (
    backup,
    bounces,
    community,
    editions,
    embeddings,
    gates,
    mcp,
    pause,
    reports,
    subscribers,
    system,
)
from service.cli.context import Globals, parse_moment
from service.platform.release import release

app = typer.Typer(
    name="paperboy",
    help="New papers on your topics, in your inbox every morning.",
    pretty_exceptions_enable=False,
    # Plain text fits every terminal and pipe, and rich is slow to import.
    rich_markup_mode=None,
)
for module in (
    system,
    backup,
    editions,
    embeddings,
    reports,
    subscribers,
    bounces,
    community,
    pause,
    gates,
    mcp,
):
    module.register(app)

INTERRUPTED = 130


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"paperboy {release()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def take_globals(
    context: typer.Context,
    now: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Set the clock, for replays: 2026-09-18T05:00Z."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON value instead of text.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)
    context.obj = Globals(parse_moment(now, "--now"), as_json)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code: 0 done, 1 failed, 2 wrong use. Never raises."""
    try:
        outcome = get_command(app).main(
            args=list(arguments) if arguments is not None else None,
            prog_name="paperboy",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # typer raises SystemExit only for a closed output pipe (`| head`).
        return _leave_pipe()
    except Exception as error:  # noqa: BLE001  # the program's edge: every error becomes one line
        # Imported here, because it loads the libraries whose errors it describes.
        from service.cli.errors import describe

        return _complain(*describe(error))
    return _complain("stopped", outcome) if outcome == INTERRUPTED else outcome or 0


def _leave_pipe() -> int:
    """End without an error; else Python reports a broken pipe when it flushes stdout at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return 0


def _complain(message: str, exit_code: int) -> int:
    print(f"paperboy: {' '.join(message.split())}", file=sys.stderr)
    return exit_code
