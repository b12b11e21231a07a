"""Senders killed in the middle of an edition: no second copy, and correct rows."""

import os
import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text
from support.newsletter.press import Press
from support.servers.processes import run_command, settings_environ, start_command
from support.smtp.smtp_sink import SmtpSink, wait_until
from support.web.papers import FRIDAY

from service.deliveries.domain.states import DeliveryState
from service.editions.domain.states import EditionState
from service.platform.settings.settings import Settings

SUBSCRIBERS = 1_000
KILLS = 3
# Of the default settings.
WINDOW = 128
CLOCK = ("--now", "2026-09-18T05:00Z")
# Each command's clock begins again, so a later one that starts faster would find nothing due yet.
LATER = ("--now", "2026-09-18T05:30Z")


@pytest.fixture
def seed() -> int:
    """Printed if a test fails; set PAPERBOY_TEST_SEED to repeat the same moments."""
    chosen = int(os.environ.get("PAPERBOY_TEST_SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"seed {chosen}")  # noqa: T201  # pytest shows it with the failure
    return chosen


def moments(seed: int) -> list[int]:
    """Return after how many messages each sender dies: three moments, well inside the run."""
    return sorted(
        random.Random(seed).sample(range(20, SUBSCRIBERS - 200), KILLS)
    )  # a schedule, not a secret


def import_subscribers(environ: dict[str, str], file: Path) -> None:
    lines = [f"reader{n:04}@example.org,cat:cs.CL" for n in range(SUBSCRIBERS)]
    file.write_text("\n".join(["email,topic", *lines]) + "\n")
    run_command(environ, *CLOCK, "subscribers", "import", str(file), "--confirmed")


def kill_after(process: subprocess.Popen[str], sink: SmtpSink, count: int) -> None:
    """Kill the sender as soon as `count` complete messages have arrived."""
    deadline = time.monotonic() + 60
    while len(sink.seen) < count:
        if process.poll() is not None:
            said = " ".join(process.communicate())
            pytest.fail(f"ended by itself after {len(sink.seen)} messages: {said}")
        assert time.monotonic() < deadline, f"only {len(sink.seen)} of {count} messages"
        time.sleep(0.001)
    process.kill()
    process.communicate()


def count_backends(press: Press) -> int:
    """Count connections to this database; Postgres first finishes a dead sender's statement."""
    with press.sessions() as session:
        here = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        return int(session.execute(text(here)).scalar_one())


def in_flight(press: Press, edition_id: int) -> int:
    return press.states(edition_id)["in_flight"]


@pytest.mark.slow
def test_senders_killed_three_times_send_no_message_twice(
    press: Press, settings: Settings, smtp_sink: SmtpSink, seed: int, tmp_path: Path
) -> None:
    environ = settings_environ(settings)
    import_subscribers(environ, tmp_path / "readers.csv")
    press.add_papers(1, 2, 3)
    doubtful = 0
    command: tuple[str, ...] = (*CLOCK, "publish", "--date", str(FRIDAY), "--force")
    for moment in moments(seed):
        kill_after(start_command(environ, *command), smtp_sink, moment)
        wait_until(lambda: count_backends(press) == 1)
        left = in_flight(press, 1)
        assert left <= WINDOW
        assert press.balance(1).closes
        doubtful += left
        wait_until(lambda: sweep_is_done(environ, press))
        command = (*LATER, "deliver")
    run_command(environ, *LATER, "deliver")
    states = press.states(1)
    copies = Counter(mail.envelope.rcpt_tos[0] for mail in smtp_sink.seen)
    assert max(copies.values()) == 1
    assert set(states) <= {"sent", "in_doubt"}
    assert states["in_doubt"] == doubtful <= KILLS * WINDOW
    assert states["sent"] + states["in_doubt"] == SUBSCRIBERS
    assert press.balance(1).closes
    assert press.edition(1).state is EditionState.CLOSED
    assert_rows_match_messages(press, copies)


def sweep_is_done(environ: dict[str, str], press: Press) -> bool:
    run_command(environ, *CLOCK, "sweep")
    return not {"claimed", "in_flight"} & set(press.states(1))


def assert_rows_match_messages(press: Press, copies: Counter[str]) -> None:
    """Sent rows have their message, and rows with a message are sent or in doubt."""
    states = {
        f"reader{number:04}@example.org": row.state for number, row in enumerate(press.rows(1))
    }
    sent = {email for email, state in states.items() if state is DeliveryState.SENT}
    doubtful = {email for email, state in states.items() if state is DeliveryState.IN_DOUBT}
    assert sent <= set(copies)
    assert set(copies) <= sent | doubtful
