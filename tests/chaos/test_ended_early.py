"""An interrupted `make chaos` leaves no process and no directory behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.rules import ROOT
from support.smtp.smtp_sink import wait_until


@dataclass(frozen=True)
class Chaos:
    """`bench/chaos.py` in the middle of a seed, its servers' directory, and its processes."""

    process: subprocess.Popen[str]
    home: Path
    started: list[int]


@pytest.fixture
def chaos(tmp_path: Path) -> Iterator[Chaos]:
    """A run with more seeds than there is time for, on its own servers."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
    command = [sys.executable, str(ROOT / "bench" / "chaos.py"), "--seeds=500", "--lanes=1"]
    with subprocess.Popen(
        command,
        env=environ | {"TMPDIR": str(tmp_path), "PAPERBOY_ENV_FILE": os.devnull},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        started: list[int] = []
        try:
            wait_until(lambda: process.poll() is not None or has_workers(process.pid), 60)
            home = home_of(process.pid)
            started += descendants_of(process.pid)
            for supervisor in find_processes(home):
                started += [supervisor, *descendants_of(supervisor)]
            yield Chaos(process, Path(home), started)
        finally:
            process.kill()
            for pid in filter(is_alive, started):
                os.kill(pid, signal.SIGKILL)


def descendants_of(pid: int) -> list[int]:
    with suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        children = [int(word) for file in tasks for word in file.read_text().split()]
        return [pid for child in children for pid in [child, *descendants_of(child)]]
    return []


def has_workers(pid: int) -> bool:
    """Return whether a worker has started: then it writes to its seed's log."""
    return any(name_of(f"/proc/{child}/fd/1").endswith("/log") for child in descendants_of(pid))


def home_of(pid: int) -> str:
    """Return the directory of its servers, by the lock that it holds there."""
    held = {name_of(str(file)) for file in Path(f"/proc/{pid}/fd").iterdir()}
    (home,) = (name.removesuffix("/in_use") for name in held if name.endswith("/in_use"))
    return home


def name_of(link: str) -> str:
    with suppress(OSError):
        return str(Path(link).readlink())
    return ""


def find_processes(text: str) -> list[int]:
    """Return the processes with this text in their command: servers, and their supervisor."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if text in command.read_bytes().decode(errors="replace"):
                found.append(int(command.parent.name))
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_its_processes_end_with_it(
    chaos: Chaos, tmp_path: Path, number: signal.Signals
) -> None:
    # The fork server and a worker; PostgreSQL, Valkey and their supervisor.
    assert len(chaos.started) >= 6
    assert all(map(is_alive, chaos.started[:2]))
    chaos.process.send_signal(number)
    _, complaint = chaos.process.communicate(timeout=30)
    assert chaos.process.returncode == 128 + signal.SIGINT
    assert complaint.splitlines()[-1] == "chaos: ended before its time"
    assert "Traceback" not in complaint
    wait_until(lambda: not any(map(is_alive, chaos.started)))
    assert not chaos.home.exists()
    assert list(tmp_path.iterdir()) == []
