"""Run every bench in turn: progress on stderr, one JSON object as the last line on stdout.

Keys of the single benches keep their names; each bench's whole object is also under its own name.
Where two benches have a key of the same name, it has the first one's value (`messages_per_s`: of `send`).
`--quick` and other options are passed to each bench.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BENCHES = ("match", "send", "web", "signup", "bounces", "relevance", "morning", "year", "scale")


def main() -> int:
    _, options = argparse.ArgumentParser(description=__doc__).parse_known_args()
    missing = [name for name in BENCHES if not (HERE / f"{name}.py").exists()]
    if missing:
        names = ", ".join(f"bench/{name}.py" for name in missing)
        print(f"{names}: not there yet", file=sys.stderr)
        return 1
    results: dict[str, Any] = {}
    for name in BENCHES:
        print(f"bench: {name} …", file=sys.stderr)
        result = run_bench(name, options)
        if result is None:
            return 1
        results = {**result, **results, name: result}
    print(json.dumps(results))
    return 0


def run_bench(name: str, options: list[str]) -> dict[str, Any] | None:
    """Return the last line of a bench as JSON; None, with a line on stderr, where it failed."""
    command = [sys.executable, str(HERE / f"{name}.py"), *options]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"bench/{name}.py failed with exit status {done.returncode}", file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


if __name__ == "__main__":
    sys.exit(main())
