"""Hold the suite to its thresholds: `coverage_check.py coverage.json`, exit 1 with a line each.

Lines: 90 % over everything. Branches and lines: all of them where a mistake is silent, which is
every domain (it decides), the pure files of platform, and the parsers (they read what strangers
write).
"""

import json
import sys
from pathlib import Path
from typing import Any

LEAST_PERCENT = 90.0
COMPLETE = (
    "service/papers/domain/",
    "service/similarity/domain/",
    "service/topics/domain/",
    "service/deliveries/domain/",
    "service/subscribers/domain/",
    "service/editions/domain/",
    "service/messages/domain/",
    "service/sending/domain/",
    "service/bounces/domain/",
    "service/operations/domain/",
    "service/platform/one_line.py",
    "service/platform/time_zones.py",
    "service/platform/settings/contrast.py",
    "service/platform/signing/address_hash.py",
    "service/platform/signing/keyed_hash.py",
    "service/platform/signing/tokens.py",
    "service/papers/sources/arxiv_api.py",
    "service/papers/sources/arxiv_feed.py",
    "service/papers/sources/arxiv_list.py",
    "service/papers/sources/arxiv_oai.py",
    "service/papers/sources/biorxiv.py",
    "service/papers/sources/huggingface.py",
    "service/papers/sources/journal_feed.py",
    "service/papers/sources/xml_fields.py",
    "service/bounces/inbound/freeform.py",
    "service/bounces/inbound/mime_parts.py",
    "service/bounces/inbound/notice.py",
    "service/bounces/inbound/parse.py",
    "service/bounces/inbound/webhook_signatures.py",
    "service/bounces/inbound/webhooks.py",
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
