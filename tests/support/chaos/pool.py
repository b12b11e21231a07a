"""A worker's process, as the story that started it sees it."""

from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from support.chaos.plan import ProcessFault


@dataclass
class Worker:
    name: str
    process: BaseProcess
    fault: ProcessFault | None
    has_slept: bool = False

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def is_stopped(self) -> bool:
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return stat.rpartition(") ")[2].startswith("T")


def end_worker(worker: Worker) -> None:
    worker.process.kill()
    worker.process.join(5)
    worker.process.close()
