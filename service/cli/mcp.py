"""The command `mcp`: the tools of assistants, by stdin and stdout."""

import os
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from service.cli.context import CommandError, Json


def register(app: typer.Typer) -> None:
    app.command("mcp")(serve_assistant)


def serve_assistant(
    email: Annotated[
        str, typer.Option("--reader", metavar="EMAIL", help="Whose digests the assistant may read.")
    ] = "",
    _as_json: Json = False,
) -> None:
    """Serve papers and digests to an assistant (MCP).

    The assistant starts this command on this machine, and speaks to it by stdin and stdout until it
    closes them. It may search, read days and papers, and read the digests of --reader.
    """
    from service.platform.release import DISTRIBUTION

    if find_spec("mcp") is None:
        raise CommandError(f"this needs another package: pip install '{DISTRIBUTION}[mcp]'", 2)
    sys.stdout.flush()
    words = [sys.executable, "-m", "service.web.mcp.stdio", *([email] if email else [])]
    os.execv(sys.executable, words)  # noqa: S606  # an argument list, as everywhere
