"""Run a worker or beat: `python -m workers worker -Q paperboy.ingest`, with the options of Celery.

The program `celery` knows all commands of Celery, among them a shell: 8 MiB of each process.
"""

import sys

from celery.bin.base import CLIContext
from celery.bin.beat import beat
from celery.bin.worker import worker

from workers.app import app

COMMANDS = {"worker": worker, "beat": beat}


def main(words: list[str]) -> None:
    """Run until a signal ends it. Raises SystemExit, with 2 for a wrong command or option."""
    name = words[0] if words else ""
    if name not in COMMANDS:
        raise SystemExit(f"usage: python -m workers ({' | '.join(COMMANDS)}) [option ...]")
    context = CLIContext(app=app, no_color=None, workdir=None, quiet=True)
    COMMANDS[name].main(words[1:], prog_name=f"python -m workers {name}", obj=context)


if __name__ == "__main__":
    main(sys.argv[1:])
