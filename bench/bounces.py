"""How well bounces are read: addresses and verdicts of real ones, and every wrong suppression.

    .venv/bin/python bench/bounces.py [--quick]

The last line on stdout is one JSON object; a table of wrong suppressions is before it. Sisimai is
asked for a second opinion where Debian's libsisimai-perl is installed. Status 1 if fewer than 99 %
of the addresses or 98 % of the verdicts are right, or if a suppression is wrong.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bouncing.score import Score, score
from bouncing.second_opinion import ask_sisimai, find_version
from bouncing.truth import Case, load_cases

from service.bounces.inbound.bounce_mail import BounceMail
from service.bounces.inbound.parse import parse_bounce
from service.deliveries.domain.refusals import classify_refusal

LEAST_ADDRESSES, LEAST_VERDICTS = 0.99, 0.98


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same; it takes seconds")
    parser.parse_known_args()
    folder = Path(os.environ.get("PAPERBOY_REAL_DATA", "../shared/data")) / "bounces/dev"
    if not folder.is_dir():
        print(f"bench/bounces.py: no real bounces at {folder}", file=sys.stderr)
        print("bench/bounces.py: set PAPERBOY_REAL_DATA", file=sys.stderr)
        return 2
    cases = load_cases(folder)
    print(f"{len(cases)} files", file=sys.stderr)
    answers, mail_ms = parse_all(cases)
    found = score(answers)
    print_table(found)
    figures = figures_of(found) | {
        "files": len(cases),
        "mail_ms": round(mail_ms, 2),
        "reply_us": round(measure_reply(answers)),
        **second_opinion(cases),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "cpu": platform.processor() or platform.machine(),
    }
    print(json.dumps(figures))
    return 0 if holds(found) else 1


def parse_all(cases: Sequence[Case]) -> tuple[list[tuple[Case, BounceMail]], float]:
    """Return our answers, and the milliseconds of processor time for each mail."""
    raws = [case.path.read_bytes() for case in cases]
    # Patterns are compiled at their first use.
    for raw in raws[:20]:
        parse_bounce(raw)
    began = time.process_time()
    mails = [parse_bounce(raw) for raw in raws]
    spent = time.process_time() - began
    return list(zip(cases, mails, strict=True)), spent / len(cases) * 1000


def measure_reply(answers: Sequence[tuple[Case, BounceMail]]) -> float:
    """Return the microseconds of processor time for the classification of a reply."""
    pairs = [(one.code, one.reply) for _, mail in answers for one in mail.recipients if one.reply]
    began = time.process_time()
    for code, reply in pairs:
        classify_refusal(code, reply)
    return (time.process_time() - began) / len(pairs) * 1e6


def print_table(found: Score) -> None:
    """Print each wrong suppression; on stderr the other faults."""
    print("wrong suppressions: file, address, our verdict, the truth, weight, reply")
    for row in found.wrong_suppressions:
        print("  " + " | ".join(map(str, row)))
    if not found.wrong_suppressions:
        print("  none")
    for name, true, ours in found.wrong:
        print(f"{name}: {ours}, not {true}", file=sys.stderr)
    for name, address in found.missed:
        print(f"{name}: {address} is not found", file=sys.stderr)


def figures_of(found: Score) -> dict[str, Any]:
    return {
        "addresses": found.addresses,
        "addresses_found": found.addresses_found,
        "address_share": round(found.address_share, 4),
        "verdicts": found.verdicts.total(),
        "verdicts_right": found.verdicts_right.total(),
        "verdict_share": round(found.verdict_share, 4),
        "verdicts_by_origin": {
            origin: [found.verdicts_right[origin], count]
            for origin, count in sorted(found.verdicts.items())
        },
        "by_data": [found.by_data_right, found.by_data],
        "wrong_suppressions": len(found.wrong_suppressions),
    }


def second_opinion(cases: Sequence[Case]) -> dict[str, Any]:
    version = find_version()
    if version is None:
        print("no second opinion: libsisimai-perl is not installed", file=sys.stderr)
        return {"sisimai": None}
    opinion = ask_sisimai(cases, version)
    return {
        "sisimai": version,
        "sisimai_judged": opinion.judged,
        "sisimai_right": opinion.right,
        "sisimai_blames_subscriber": opinion.blames_subscriber,
    }


def holds(found: Score) -> bool:
    is_good = found.address_share >= LEAST_ADDRESSES and found.verdict_share >= LEAST_VERDICTS
    return is_good and not found.wrong_suppressions


if __name__ == "__main__":
    sys.exit(main())
