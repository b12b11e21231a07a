"""Parsing time of the worst texts of the topic language, against the limit of 50 ms.

The tests count the steps for the same texts; this is their time on this machine. The
last line on stdout is one JSON object: `worst_text_ms`, `random_text_ms` (of 20,000) and
`ratio_limit`, the larger of the two as a fraction of the limit.
"""

import json
import sys
import time
from pathlib import Path
from random import Random

sys.path[:0] = [str(Path(__file__).parents[2] / "tests")]

from support.hostile_texts import WORST_TEXTS, random_text  # noqa: E402  # the path must come first

from service.topics.domain.language import QueryError, canonical, parse_query  # noqa: E402

LIMIT_MS = 50.0


def milliseconds_to_read(text: str) -> float:
    """Return the processor time, the best of three runs, to exclude noise of the machine."""
    return min(_read(text) for _ in range(3))


def _read(text: str) -> float:
    started = time.process_time()
    try:
        canonical(parse_query(text))
    except QueryError as error:
        error.render()
    return (time.process_time() - started) * 1000


def main() -> None:
    worst = {text[:14]: milliseconds_to_read(text) for text in WORST_TEXTS}
    for name, took in sorted(worst.items(), key=lambda pair: -pair[1]):
        print(f"{name!r:20} {took:6.1f} ms {'█' * round(took)}", file=sys.stderr)
    chance = Random(4)  # noqa: S311  # the same texts in every run
    slowest = max(milliseconds_to_read(random_text(chance)) for _ in range(20_000))
    top = max(*worst.values(), slowest)
    figures = {
        "worst_text_ms": round(max(worst.values()), 2),
        "random_text_ms": round(slowest, 2),
        "ratio_limit": round(top / LIMIT_MS, 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
