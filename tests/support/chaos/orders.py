"""The orders of a worker of the chaos tests, and the clock that all processes of a seed share.

This is apart from the worker, which imports the Celery application; that connects to its servers at
import, so only the fork server may import it.
"""

import mmap
import struct
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from service.sending.steps import STEPS, Steps
from support.chaos.plan import ProcessFault


class SharedClock:
    """A running clock in shared memory; setting it forward affects all processes of one seed."""

    def __init__(self, path: Path, start: datetime, skew: float = 0.0) -> None:
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 16)
        self._start = start + timedelta(seconds=skew)

    def __call__(self) -> datetime:
        began, forward = struct.unpack("dd", self._shared)
        return self._start + timedelta(seconds=time.monotonic() - began + forward)

    def forward(self, **span: float) -> None:
        began, forward = struct.unpack("dd", self._shared)
        forward += timedelta(**span).total_seconds()
        self._shared[:] = struct.pack("dd", began, forward)

    def close(self) -> None:
        self._shared.close()

    @staticmethod
    def make_file(path: Path) -> None:
        path.write_bytes(struct.pack("dd", time.monotonic(), 0.0))


@dataclass(frozen=True)
class Orders:
    """The parameters of a worker; `start` is the seed's first time, `namespace` the worker's host.

    `steps` are the sender's; broken ones test the detection of faults.
    """

    name: str
    environ: dict[str, str]
    clock_file: Path
    start: datetime
    skew: float
    fault: ProcessFault | None
    timeout_seconds: float
    hanging_seconds: float | None
    chunk: int
    log_file: Path
    namespace: str = ""
    steps: Steps = STEPS


def work(orders: Orders) -> None:
    """Run a worker in the forked process."""
    from support.chaos.worker import run

    run(orders)


# Triggers that log every transition and report each `Point` as a notice; run once in the template.
WATCH = """
CREATE TABLE moves (
    id bigserial PRIMARY KEY, delivery_id bigint NOT NULL, old delivery_state, new delivery_state, attempt int,
    worker text DEFAULT current_setting('application_name'), owner int,
    xid xid8 DEFAULT pg_current_xact_id(), at timestamptz DEFAULT clock_timestamp()
);
CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO moves (delivery_id, old, new, attempt, owner)
    VALUES (NEW.id, OLD.state, NEW.state, NEW.attempt, NEW.lease_owner);
    RAISE NOTICE 'moved %', CASE
        WHEN NEW.state = 'claimed' THEN 'claimed'
        WHEN NEW.state = 'in_flight' THEN 'in_flight'
        WHEN OLD.state = 'in_flight' THEN 'recorded'
        ELSE 'otherwise' END;
    RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER UPDATE ON deliveries FOR EACH ROW
WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION note_move();
CREATE FUNCTION note_composed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE 'moved composed'; RETURN NULL; END $$;
CREATE TRIGGER watch_composed AFTER INSERT ON deliveries FOR EACH STATEMENT
EXECUTE FUNCTION note_composed();
"""
