"""One sender process of `hanging.py`: it delivers as a Celery worker does, until its stdin is closed.

Its input is one JSON line (the settings), then an empty line to start. It prints `ready`.
"""

import select
import sys
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import json

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.messages.identity import make_sending_renderer  # the path must come first
from service.platform.clock import system_clock
from service.platform.database.engine import make_engine, make_sessions
from service.platform.logs import configure
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver_for, finish_hanging
from service.sending.sender import Sender
from service.sending.smtp.transport import SmtpTransport

LONGEST = timedelta(seconds=60)


def is_ending() -> bool:
    """Return whether the bench has closed our stdin, or said anything after the start."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main() -> int:
    settings = Settings.model_validate(json.loads(sys.stdin.readline()))
    configure("ERROR")
    sessions = make_sessions(make_engine(settings.database_url))
    transport = SmtpTransport(settings.relays, connections=settings.send_connections)
    sender = Sender(sessions, settings, make_sending_renderer(settings), transport, system_clock)
    with sessions() as session:
        session.connection()
    print("ready", flush=True)
    sys.stdin.readline()
    while not is_ending():
        if not deliver_for(sender, LONGEST, is_ending).total:
            time.sleep(0.1)  # The worker's next wake-up task.
    finish_hanging(sender, is_last=True)
    transport.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
