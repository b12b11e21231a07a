"""A process that shares embedded servers, for tests that kill it.

Arguments: data directory, then `postgres`, `valkey` or `both`, then perhaps `durable`. Prints the URLs, one a line, and
stays until its standard input ends.
"""

import sys
from pathlib import Path

from service.platform.embedded import Embedded, EmbeddedError


def main() -> int:
    which = sys.argv[2]
    embedded = Embedded(
        Path(sys.argv[1]),
        postgres=which in {"postgres", "both"},
        valkey=which in {"valkey", "both"},
        durable="durable" in sys.argv[3:],
    )
    try:
        with embedded as services:
            sys.stdout.write(f"{services.database_url}\n{services.redis_url}\n")
            sys.stdout.flush()
            sys.stdin.read()
    except EmbeddedError as error:
        sys.stderr.write(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
