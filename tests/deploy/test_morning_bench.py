"""`bench/morning.py` reports every figure, and fails where a digest was lost or sent twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.rules import ROOT

sys.path.append(str(ROOT / "bench"))

from mornings.taken import Taken, find_faults  # the path must come first
from mornings.watching import share_among

from service.cli.processes import COMMANDS

# Those that scripts outside the project read, and those of the stages.
KEYS = {
    "subscribers", "hosts", "distinct_topics", "last_mail_s", "messages_per_s", "ratio_smtp_source",
    "sender_cpu_us", "worker_mib", "bytes_per_digest", "open_s", "compose_s", "send_s",
    "composed_per_s", "composer_cpu_us", "postgres_cpu_us", "valkey_cpu_us", "sink_cpu_us",
    "papers_a_mail", "message_bytes", "send_window", "cores", "cpu", "python", "celery",
}  # fmt: skip


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.program("smtp-sink")
@pytest.mark.timeout(600)
def test_a_small_morning_ends_with_every_figure(real_data: Path) -> None:
    command = [sys.executable, str(ROOT / "bench/morning.py"), "--subscribers=200", "--topics=100"]
    environ = os.environ | {"PAPERBOY_REAL_DATA": str(real_data)}
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, timeout=580
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures.keys() >= KEYS
    assert (figures["subscribers"], figures["sent"], figures["distinct_topics"]) == (200, 200, 100)
    assert sum(figures["bytes_per_digest_by_table"].values()) == figures["bytes_per_digest"]
    assert figures["worker_mib"] > 20
    assert "200 of 200" in done.stderr


def take(path: Path, *numbers: int) -> Taken:
    """Return what a sink took: in its log, messages to these subscribers."""
    log = path / "sink.log"
    lines = [f"smtp-sink: RCPT TO:<reader{n}@site.example>\nsmtp-sink: .\n" for n in numbers]
    log.write_text("".join(lines))
    taken = Taken(log)
    taken.look()
    return taken


def test_a_morning_whose_mails_all_came_once_has_no_fault(tmp_path: Path) -> None:
    assert find_faults({"sent 250": 3}, take(tmp_path, 1, 2, 3), 3, 3) == []


def test_the_sinks_log_is_read_while_it_grows(tmp_path: Path) -> None:
    taken = take(tmp_path, 1)
    with (tmp_path / "sink.log").open("a") as log:
        log.write("smtp-sink: RCPT TO:<reader2@si")
        log.flush()
        assert taken.look() == 1
        log.write("te.example>\nsmtp-sink: .\n")
        log.flush()
    assert taken.look() == 2
    assert taken.recipients == {b"reader1@site.example", b"reader2@site.example"}


@pytest.mark.parametrize(
    ("states", "numbers", "fault"),
    [
        ({"sent 250": 3}, (1, 2, 3, 3), "the sink took 4"),
        ({"sent 250": 3}, (1, 2, 2), "3 messages to 2 addresses"),
        ({"sent 250": 2, "in_doubt": 1}, (1, 2, 3), "not every digest is sent"),
        ({"sent 250": 2, "skipped": 1}, (1, 2), "not every digest is sent"),
        ({"sent 250": 2, "queued": 1}, (1, 2), "not every digest is sent"),
        ({"sent 250": 2}, (1, 2), "2 digests for 3 subscribers"),
    ],
)
def test_a_morning_with_a_lost_or_second_mail_is_no_success(
    tmp_path: Path, states: dict[str, int], numbers: tuple[int, ...], fault: str
) -> None:
    assert fault in "; ".join(find_faults(states, take(tmp_path, *numbers), 3, 3))


def test_of_a_part_that_is_sent_the_rest_may_wait(tmp_path: Path) -> None:
    states = {"sent 250": 2, "queued": 1}
    assert find_faults(states, take(tmp_path, 1, 2), 3, 2) == []
    assert find_faults(states, take(tmp_path, 1, 1), 3, 2) != []
    assert find_faults(states, take(tmp_path, 1, 2), 3, 3) != []


def test_two_hosts_share_the_processes_of_one() -> None:
    assert share_among(1, 2) == COMMANDS
    shared = share_among(2, 2)
    senders = [command for name, command in shared.items() if name.startswith("worker-send")]
    assert len(senders) == len({tuple(command) for command in senders}) == 2
    assert all(list(command)[-2:] == ["-c", "1"] for command in senders)
    # Everything else is as one host has it.
    assert {n: c for n, c in shared.items() if n in COMMANDS} == {
        n: c for n, c in COMMANDS.items() if n != "worker-send"
    }
