"""Send generated requests to the JSON API: 10,000 cases, no 5xx, and no answer that is not documented.

    .venv/bin/python bench/api_cases.py [--quick] [--cases 10000] [--seed 1] [--seconds N]

Starts PostgreSQL, Valkey and the site on this machine, with invented papers and one reader. Half of the
cases fit the schema, the others break it. One JSON object as the last line on stdout, the first faults on
stderr; exit status 1 if there is one. Another seed sends other cases.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("tests", "")]

from support.newsletter.press import Turnable  # noqa: E402  # the path must come first
from support.web.api import ADMISSION, add_reader  # noqa: E402
from support.web.api_cases import describe, run_cases, serve_without_limits  # noqa: E402
from support.web.site import Subscribers, settling_tasks  # noqa: E402

import service.operations.store.tables  # noqa: E402, F401  # every table is known from here on
from service.platform import logs  # noqa: E402
from service.platform.database.engine import make_engine, make_sessions  # noqa: E402
from service.platform.database.migrate import upgrade  # noqa: E402
from service.platform.embedded import Embedded  # noqa: E402
from service.platform.settings.settings import Settings  # noqa: E402
from service.web.app import create_app  # noqa: E402

_SHOWN = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="400 cases, under a minute")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="end after so many seconds")
    given = parser.parse_args()
    logs.configure_service("ERROR")
    started = time.perf_counter()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        home.chmod(0o755)
        servers = stack.enter_context(Embedded(home / "data"))
        upgrade(servers.database_url)
        settings = Settings(
            data_dir=home / "site",
            database_url=servers.database_url,
            redis_url=servers.redis_url,
            secret_key=("a key that is only used in benches",),
            api_key=ADMISSION,
        )
        engine = make_engine(settings.database_url)
        stack.callback(engine.dispose)
        clock = Turnable(datetime(2026, 9, 18, 5, 0, tzinfo=UTC))
        session = stack.enter_context(make_sessions(engine)())
        reader = add_reader(session, engine, Subscribers(session, settings, clock))
        enqueue = settling_tasks(engine, settings, clock)
        app = create_app(settings, make_sessions(engine), enqueue=enqueue, clock=clock)
        address = stack.enter_context(serve_without_limits(app, settings))
        count = 400 if given.quick else given.cases
        outcome = run_cases(address, reader.token, count, given.seed, given.seconds)
    for fault in outcome.faults[:_SHOWN]:
        print(fault[:2_000], file=sys.stderr)
    seconds = round(time.perf_counter() - started, 1)
    print(json.dumps({"seed": given.seed, "seconds": seconds, **describe([outcome])}))
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
