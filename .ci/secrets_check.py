"""Look for secrets in the files of the repository: `secrets_check.py DETECT_SECRETS [--update]`.

`secrets.json` beside this has what was looked at by a person and is none: examples in documents and
passwords of tests, by file and hash. `--update` writes it again, after that person has looked.
"""

import json
import subprocess
import sys
from pathlib import Path

KNOWN = Path(__file__).with_name("secrets.json")
# Hashes of packages, and those of this check.
LEFT_OUT = r"(requirements/.*\.txt|\.ci/secrets\.json)$"


def scan(program: str) -> dict[str, dict[str, str]]:
    """Return what looks like a secret: file -> its hash -> kind and line."""
    done = subprocess.run(
        [program, "scan", "--exclude-files", LEFT_OUT], capture_output=True, text=True, check=True
    )
    results = json.loads(done.stdout)["results"]
    return {
        name: {one["hashed_secret"]: f"{one['type']}, line {one['line_number']}" for one in found}
        for name, found in sorted(results.items())
    }


def main(words: list[str]) -> int:
    """Print a line for each secret that nobody has looked at, and for each that is gone."""
    found = scan(words[0])
    if "--update" in words:
        KNOWN.write_text(json.dumps({n: sorted(f) for n, f in found.items()}, indent=1) + "\n")
        return 0
    known: dict[str, list[str]] = json.loads(KNOWN.read_text())
    new = [
        f"{name}: {where}: a secret? If not: .ci/secrets_check.py --update"
        for name, hashes in found.items()
        for one, where in hashes.items()
        if one not in known.get(name, [])
    ]
    gone = [
        f"{name}: no longer has what .ci/secrets.json lists: .ci/secrets_check.py --update"
        for name, hashes in known.items()
        if set(hashes) - found.get(name, {}).keys()
    ]
    print(*new, *gone, sep="\n", end="\n" if new or gone else "")
    return 1 if new or gone else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
