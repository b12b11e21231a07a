"""A real Celery worker whose clock is that of a test: `python -m … CLOCK_FILE START`."""

import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from support.chaos.orders import SharedClock
from workers.app import app, process
from workers.runtime import open_runtime

if __name__ == "__main__":
    clock = SharedClock(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))
    runtime = open_runtime(process.settings)
    process.use(
        replace(runtime, clock=clock, open_sender=lambda: replace(runtime.sender, clock=clock))
    )
    app.Worker(
        pool="solo",
        queues=["paperboy.ingest", "paperboy.compose", "paperboy.send", "paperboy.urgent"],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    ).start()
