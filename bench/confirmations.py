"""Confirmation mails while a large edition is being sent: how long each sign-up waits for its mail.

    .venv/bin/python bench/confirmations.py [--quick] [--digests 100000]

Runs the processes of `paperboy up` (web, workers, beat) on servers of its own, against a relay on
loopback that takes its time for each message. People sign up by the form's path while the edition is
sent. Progress on stderr, one JSON object as the last line on stdout; exit status 1 where a mail came
after more than ten seconds.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

# The harness is the tests' own.
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("tests", "")]

from support.newsletter.confirmations import Arrivals, running_service, sign_ups_until_mailed  # noqa: E402  # the path must come first
from support.newsletter.press import Press, Turnable  # noqa: E402
from support.smtp.smtp_sink import SmtpSink  # noqa: E402

from service.papers.domain.announcement_days import announcement_date  # noqa: E402
from service.papers.domain.source_names import SOURCE_NAMES  # noqa: E402
from service.platform.clock import system_clock  # noqa: E402
from service.platform.database.engine import make_engine, make_sessions  # noqa: E402
from service.platform.database.migrate import upgrade  # noqa: E402
from service.platform.embedded import Embedded  # noqa: E402
from service.platform.settings.load import load_settings  # noqa: E402

LONGEST_SECONDS = 10.0
# How long the relay takes for each message, on each of 20 connections.
RELAY_SECONDS = 0.05
_AT_ONCE = 10_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5,000 digests, 10 sign-ups")
    parser.add_argument("--digests", type=int, default=100_000)
    given = parser.parse_args()
    digests, sign_ups = (5_000, 10) if given.quick else (given.digests, 25)
    with ExitStack() as stack:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        data_dir.chmod(0o755)
        servers = stack.enter_context(Embedded(data_dir))
        upgrade(servers.database_url)
        sink = SmtpSink()
        sink.start()
        stack.callback(sink.stop)
        sink.delay_seconds = RELAY_SECONDS
        environ = {
            "PAPERBOY_DATABASE_URL": servers.database_url,
            "PAPERBOY_REDIS_URL": servers.redis_url,
            "PAPERBOY_SMTP_URL": sink.url,
            "PAPERBOY_DATA_DIR": str(data_dir),
        }
        settings = load_settings(SOURCE_NAMES, environ)
        sessions = make_sessions(make_engine(servers.database_url))
        press = Press(settings, sessions, Turnable(system_clock()))
        edition_id = publish(press, digests)
        say(f"sending, with {sign_ups} sign-ups meanwhile")
        arrivals = Arrivals(sink)
        with running_service(settings, SEND_WINDOW="512") as url:
            arrivals.wait_for_count(200, 120)
            began, before = time.monotonic(), len(arrivals)
            delays = sorted(sign_ups_until_mailed(url, arrivals, sign_ups, 1.0, most_seconds=600))
            rate = (len(arrivals) - before) / (time.monotonic() - began)
            waiting = press.states(edition_id)["queued"]
    figures = {
        "confirmation_worst_s": round(delays[-1], 2),
        "confirmation_median_s": round(delays[len(delays) // 2], 2),
        "confirmations": sign_ups,
        "digests": digests,
        "digests_waiting_at_the_end": waiting,
        "messages_per_s": round(rate),
        "ratio_limit": round(LONGEST_SECONDS / delays[-1], 2),
    }
    print(json.dumps(figures | {"cores": os.cpu_count(), "python": platform.python_version()}))
    return 0 if waiting and delays[-1] <= LONGEST_SECONDS else 1


def publish(press: Press, digests: int) -> int:
    """Store subscribers and publish an edition of today, due at once; return its id."""
    say(f"composing an edition of {digests:,} digests")
    for start in range(0, digests, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, digests))
        press.add_subscribers(*(f"reader{n}@site{n % 997}.example" for n in numbers))
    today = announcement_date(press.clock())
    press.add_papers(*range(1, 7), on=today)
    return press.publish(today)


def say(text: str) -> None:
    print(f"confirmations: {text} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
