"""A log file that several processes write: no line is lost or torn, and the size is limited."""

import logging
import os
import subprocess
import sys
from pathlib import Path

from support.rules import ROOT

from service.platform.log_file import GENERATIONS, LogFile

WRITER = """
import logging, os, sys
from pathlib import Path
from service.platform.log_file import LogFile

number, count = sys.argv[2], int(sys.argv[3])
log = logging.getLogger("writer")
log.setLevel("INFO")
# Two processes that share one handler from before their fork, as a worker's pool does.
log.addHandler(LogFile(Path(sys.argv[1]), max_bytes=100_000))
child = os.fork()
for line in range(count):
    log.info("%s %s %s %s", number, "child" if child == 0 else "parent", line, "x" * 60)
if child:
    os.waitpid(child, 0)
"""


def files_of(path: Path) -> list[Path]:
    """Return the generations that exist, oldest first."""
    older = [path.with_name(f"{path.name}.{number}") for number in range(GENERATIONS + 1, 0, -1)]
    return [file for file in (*older, path) if file.exists()]


def write(path: Path, writers: int, count: int) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(n), str(count)], cwd=ROOT)
        for n in range(writers)
    ]
    assert [process.wait(60) for process in processes] == [0] * writers


def test_several_processes_lose_no_line_and_tear_none(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "worker.log"
    write(path, writers=3, count=900)
    files = files_of(path)
    assert len(files) > 2
    lines = [line for file in files for line in file.read_text().splitlines()]
    wanted = {
        f"{number} {who} {line} {'x' * 60}"
        for number in range(3)
        for who in ("child", "parent")
        for line in range(900)
    }
    assert len(lines) == len(wanted)
    assert set(lines) == wanted


def test_the_oldest_file_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    write(path, writers=1, count=6_000)
    files = files_of(path)
    assert [file.name for file in files] == [
        *(f"worker.log.{number}" for number in range(GENERATIONS, 0, -1)),
        "worker.log",
    ]
    assert all(file.stat().st_size < 110_000 for file in files)


def test_what_goes_past_the_logger_follows_to_the_newest_file(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    handler = LogFile(path, also=(other,), max_bytes=10)
    for text in ("the first line", "the second line"):
        handler.handle(logging.makeLogRecord({"msg": text}))
    os.write(other, b"the last words\n")
    os.close(other)
    handler.close()
    assert path.read_text() == "the second line\nthe last words\n"
    assert path.with_name("web.log.1").read_text() == "the first line\n"


def test_a_file_that_somebody_moved_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    handler = LogFile(path)
    handler.handle(logging.makeLogRecord({"msg": "before"}))
    path.rename(tmp_path / "moved")
    handler.handle(logging.makeLogRecord({"msg": "after"}))
    handler.close()
    assert path.read_text() == "after\n"
