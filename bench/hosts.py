"""Whether two hosts send as fast as one: the two processes of `worker-send` in one group, then in two.

    .venv/bin/python bench/hosts.py [--quick] [--subscribers 20000]

Runs `morning.py` with one host and with two, on the same cores, database and queue. One JSON object as the last
line on stdout; exit status 1 if two hosts reach less than nine tenths of the rate of one.
"""

import argparse
import json
import sys

from run_all import run_bench

LEAST_RATIO = 0.9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="4,000 subscribers and 1,000 topics")
    parser.add_argument("--subscribers", type=int, default=20_000)
    given = parser.parse_args()
    size = ["--subscribers", str(4_000 if given.quick else given.subscribers)]
    size += ["--topics", "1000"] if given.quick else []
    rates = []
    for hosts in ("1", "2"):
        figures = run_bench("morning", [*size, "--hosts", hosts])
        if figures is None:
            return 1
        rates.append((figures["messages_per_s"], figures["composed_per_s"]))
    (one, composed_by_one), (two, composed_by_two) = rates
    ratios = {
        "ratio_hosts": round(two / one, 3),
        "ratio_hosts_composing": round(composed_by_two / composed_by_one, 3),
    }
    print(json.dumps({"messages_per_s_one_host": one, "messages_per_s_two_hosts": two, **ratios}))
    return 0 if ratios["ratio_hosts"] >= LEAST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
