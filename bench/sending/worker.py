"""One sender process of `send.py`: prepare, wait for the start, deliver, report the cost.

Its input is one JSON line on stdin (the settings), then an empty line to start. Each line on
stdout is one JSON object: `ready`, then the result.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.messages.identity import make_sending_renderer  # the path must come first
from service.platform.clock import system_clock
from service.platform.database.engine import make_engine, make_sessions
from service.platform.logs import configure
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver
from service.sending.report import DeliverReport
from service.sending.sender import Sender
from service.sending.smtp.transport import SmtpTransport


def resident_mib(field: str = "VmRSS") -> float:
    """Return the resident memory of this process in MiB; its peak with `VmHWM`.

    Not the `ru_maxrss` of getrusage, which starts at the peak of the parent process.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> int:
    orders = json.loads(sys.stdin.readline())
    settings = Settings.model_validate(orders["settings"])
    configure("ERROR")
    sessions = make_sessions(make_engine(settings.database_url))
    transport = SmtpTransport(settings.relays, connections=settings.send_connections)
    sender = Sender(sessions, settings, make_sending_renderer(settings), transport, system_clock)
    with sessions() as session:
        session.connection()
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    at_rows: dict[int, float] = {}

    def note(report: DeliverReport) -> None:
        mark = report.total // 1_000 * 1_000
        if mark not in at_rows:
            at_rows[mark] = resident_mib()

    began, used = time.monotonic(), time.process_time()
    report = deliver(sender, orders["edition_id"], note)
    took = time.monotonic() - began
    used = time.process_time() - used
    transport.close()
    result = {
        "sent": report.sent,
        "rows": report.total,
        "seconds": took,
        "cpu_seconds": used,
        "peak_mib": resident_mib("VmHWM"),
        "mib_at_rows": at_rows,
    }
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
