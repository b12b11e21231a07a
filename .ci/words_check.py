"""Refuse words of a dialect of our own in code, docs, pages and mails; `make lint` runs it.

The list is short on purpose: words that no stranger searches for, each with what to write instead.
"""

import re
import subprocess
import sys
from pathlib import Path

REFUSED = {
    r"who(m)?ever|whosoever": "name the subject: 'the process that …', 'any caller'",
    r"anew": "again, or from scratch",
    r"befalls?|befell|befallen": "happens to",
    r"told of": "announced, reported, mentioned",
    r"there(of|in|upon)|whereof|wherein": "of it, in it, then",
    r"doorbells?": "wake-up task",
    r"of before": "previous",
    r"of a morning": "of an edition, of a day",
    r"nobody waits": "best effort, or: does not block",
    r"for (its|their) own sake|as it were|be it": "say it plainly",
}
_PATTERN = re.compile("|".join(rf"\b(?:{words})\b" for words in REFUSED), re.IGNORECASE)
_KINDS = {".py", ".md", ".html", ".mjml", ".txt", ".sql", ".css", ".js", ".yml"}
# Invented papers may speak as they like, and pins are not prose.
_LEFT_OUT = ("service/sample/", "requirements/", ".ci/words_check.py", "docs/gallery/")


def find_refused(text: str) -> list[tuple[int, str, str]]:
    """Return each refused word with its line (from 1) and what to write instead."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for match in _PATTERN.finditer(line):
            advice = next(
                advice
                for words, advice in REFUSED.items()
                if re.fullmatch(words, match[0], re.IGNORECASE)
            )
            found.append((number, match[0], advice))
    return found


def main() -> int:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    count = 0
    for name in listed.stdout.split("\n"):
        path = Path(name)
        if path.suffix not in _KINDS or name.startswith(_LEFT_OUT) or not path.is_file():
            continue
        for number, word, advice in find_refused(path.read_text(encoding="utf-8")):
            print(f"{name}:{number}: '{word}': write {advice}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
