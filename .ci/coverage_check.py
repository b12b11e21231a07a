"""Hold the suite to its thresholds: `coverage_check.py coverage.json`, exit 1 with a line each.

Lines: 90 % over everything. Branches and lines: all of them where a mistake is silent, which is
the domain (it decides) and the parsers (they read what strangers write).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

LEAST_PERCENT = 90.0
PARSERS = (
    "arxiv_api", "arxiv_feed", "arxiv_list", "arxiv_oai", "biorxiv", "huggingface", "journal_feed",
    "reading",
)  # fmt: skip
MAIL_PARSERS = (
    "bounces", "bounces_parts", "bounces_text", "hooks", "hooks_proof", "notices",
)  # fmt: skip
COMPLETE = (
    "service/domain/",
    *(f"service/sources/{name}.py" for name in PARSERS),
    *(f"service/mail/{name}.py" for name in MAIL_PARSERS),
)


def find_shortfalls(report: dict[str, Any]) -> list[str]:
    """One line per broken threshold. `report` is coverage's JSON, format 3."""
    files: dict[str, Any] = report["files"]
    total = report["totals"]
    percent = 100 * total["covered_lines"] / max(total["num_statements"], 1)
    shortfalls = []
    if percent < LEAST_PERCENT:
        shortfalls.append(f"lines: {percent:.1f} % of all are covered, at least {LEAST_PERCENT} %")
    # A renamed parser must not leave its threshold behind unnoticed.
    unused = [prefix for prefix in COMPLETE if not any(n.startswith(prefix) for n in files)]
    shortfalls += [f"{prefix}: there is no such file in the report" for prefix in unused]
    for name, file in sorted(files.items()):
        if name.startswith(COMPLETE):
            shortfalls += _describe_gaps(name, file)
    return shortfalls


def _describe_gaps(name: str, file: dict[str, Any]) -> list[str]:
    gaps = []
    if file["missing_lines"]:
        gaps.append(f"{name}: lines never run: {', '.join(map(str, file['missing_lines']))}")
    if file.get("missing_branches"):
        branches = ", ".join(f"{start}->{end}" for start, end in file["missing_branches"])
        gaps.append(f"{name}: branches never taken: {branches}")
    return gaps


def main() -> int:
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    shortfalls = find_shortfalls(report)
    for shortfall in shortfalls:
        print(f"coverage: {shortfall}", file=sys.stderr)
    if not shortfalls:
        total = report["totals"]
        print(
            f"coverage: {total['covered_lines']} of {total['num_statements']} lines, "
            f"{total['covered_branches']} of {total['num_branches']} branches; thresholds held"
        )
    return 1 if shortfalls else 0


if __name__ == "__main__":
    sys.exit(main())
