"""A task that fills its process, for a real worker: `celery worker --include support.servers.growing_task`."""

import os
from pathlib import Path

from workers.app import app

_kept: list[bytes] = []


@app.task(name="paperboy.grow")  # type: ignore[untyped-decorator]  # as those of workers/tasks.py
def grow(megabytes: int, file: str) -> None:
    """Keep so much memory for as long as the process lives, then write down its id and the amount."""
    _kept.append(b"x" * (megabytes * 1_000_000))
    with Path(file).open("a") as out:
        out.write(f"{os.getpid()} {megabytes}\n")
