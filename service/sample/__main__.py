"""Run the sample server until Ctrl-C: `python -m service.sample --port N --date D`."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from threading import Event

from service.sample.papers import nearest_weekday
from service.sample.server import SampleServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the given date, or today; a weekend becomes the Friday before it."""
    parser = ArgumentParser(prog="python -m service.sample", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--date", type=date.fromisoformat, default=datetime.now(UTC).date())
    options = parser.parse_args(arguments)
    on = nearest_weekday(options.date)
    with SampleServer(on, port=options.port) as server:
        sys.stdout.write(f"Invented papers of {on} at {server.url}/rss/cs.CL\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
