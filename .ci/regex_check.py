"""Refuse Python's `re` where text of strangers is read; `make lint` runs it.

Its patterns backtrack, so that a hostile text may take minutes. `service.platform.linear_regex` is for
these folders. The files of ALLOWED search text of our own, or one character at a time.
"""

import ast
import sys
from pathlib import Path

FOLDERS = (
    "service/bounces",
    "service/deliveries/domain",
    "service/papers",
    "service/subscribers",
    "service/topics",
    "service/web/endpoints",
    "service/web/pages",
)
ALLOWED = {
    "service/papers/domain/latex/scan.py": "single classes of characters, none repeated in another",
    "service/papers/domain/record_limits.py": "one class of characters, among them what RE2 has not",
    "service/papers/domain/tsvector.py": "what PostgreSQL writes, thousands of lexemes an edition",
    "service/topics/domain/matching/compiled.py": "canonical topics, which we have written",
    "service/topics/domain/matching/recent_index.py": "words of all recent titles, one class a word",
}


def find_imports(path: Path) -> list[int]:
    """Return the lines (from 1) that import `re`, or a part of it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [node.lineno for name in names if name == "re" and isinstance(node, ast.stmt)]
    return found


def main(root: Path = Path()) -> int:
    """Print a line for each import that is refused, and for each exception without one."""
    faults = []
    files = sorted(file for folder in FOLDERS for file in (root / folder).rglob("*.py"))
    for file in files:
        name, lines = str(file.relative_to(root)), find_imports(file)
        if name in ALLOWED:
            faults += [] if lines else [f"{name}: no longer imports re; remove it from ALLOWED"]
        else:
            faults += [f"{name}:{line}: use service.platform.linear_regex here" for line in lines]
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
