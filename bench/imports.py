"""Import of 100,000 subscribers, 2 % of the rows bad: seconds from the command to its end.

    .venv/bin/python bench/imports.py [--quick]

A PostgreSQL of its own that writes to the disk, and `paperboy subscribers import` as a process of its own:
first into an empty database, then the same file again, which adds nothing. Progress on stderr, one
JSON object as the last line on stdout; `ratio_limit` is the limit of 60 seconds over the first run.
"""

import argparse
import csv
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from service.platform.embedded import Embedded

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 60.0
TOPICS = ("cat:cs.CL", "graph networks", '"prompt tuning" OR lora', "cat:cs.LG AND pruning")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 rows")
    rows = 10_000 if parser.parse_args().quick else 100_000
    with tempfile.TemporaryDirectory(prefix="pb-") as directory:
        Path(directory).chmod(0o755)
        file = Path(directory) / "readers.csv"
        write_file(file, rows)
        data_dir = Path(directory) / "data"
        with Embedded(data_dir):
            run(data_dir, "migrate")
            first, report = import_file(data_dir, file)
            again, second = import_file(data_dir, file)
    assert report["rejected"] == rows // 50, report
    assert sum(report["added"].values()) == rows - rows // 50, report
    assert second["added"] == {}, second
    result = {
        "import_rows": rows,
        "import_s": round(first, 1),
        "import_again_s": round(again, 1),
        "rows_per_s": round(rows / first),
        "ratio_limit": round(LIMIT_SECONDS * rows / 100_000 / first, 2),
        "import_peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    print(json.dumps(result))
    return 0


def write_file(file: Path, rows: int) -> None:
    with file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text)
        writer.writerow(("email", "topic", "topic2", "timezone"))
        for n in range(rows):
            email = f"nobody {n}" if n % 50 == 0 else f"reader{n}@example{n % 97}.org"
            topics = (TOPICS[n % len(TOPICS)], f"word{n % 5000}")
            writer.writerow((email, *topics, "Europe/Berlin"))


def import_file(data_dir: Path, file: Path) -> tuple[float, dict[str, Any]]:
    began = time.monotonic()
    report: dict[str, Any] = json.loads(run(data_dir, "subscribers", "import", str(file), "--json"))
    seconds = time.monotonic() - began
    print(f"import: {seconds:.1f} s", file=sys.stderr)
    return seconds, report


def run(data_dir: Path, *arguments: str) -> str:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environ | {"PAPERBOY_ENV_FILE": os.devnull, "PAPERBOY_DATA_DIR": str(data_dir)},
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
