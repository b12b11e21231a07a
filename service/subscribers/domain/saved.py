"""A subscriber's saved papers: what may be written about them, and what a search asks for."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.papers.domain.types import PaperView
from service.platform import linear_regex

MOST_SAVED = 5_000
MOST_TAGS = 20
LONGEST_TAG = 40
LONGEST_NOTE = 2_000
MOST_WORDS = 8
LONGEST_WORD = 100

_BETWEEN_TAGS = linear_regex.compile(r"[,;\n]")


class SavedFault(ValueError):
    """What somebody wrote about a saved paper cannot be stored; `field` is `tags` or `note`."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True)
class SavedPaper:
    """A saved paper with its subscriber's own tags, in alphabetical order, and note in plain text."""

    paper: PaperView
    saved_at: datetime
    tags: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class SavedFilter:
    """Which saved papers to list: those with every word, anywhere, and with the tag. Empty: all."""

    words: tuple[str, ...] = ()
    tag: str = ""


def parse_tags(text: str) -> tuple[str, ...]:
    """Return the tags in a text that separates them by commas, normalised, distinct and sorted.

    `#To Read, to  read` is `to read`. Raises `SavedFault` for too many and for one that is too long.
    """
    tags = tuple(
        sorted({tag for part in _BETWEEN_TAGS.split(text) if (tag := normalize_tag(part))})
    )
    check_tags(tags)
    return tags


def check_tags(tags: Sequence[str]) -> None:
    """Raise `SavedFault` for too many tags and for one that is too long."""
    if len(tags) > MOST_TAGS:
        raise SavedFault("tags", f"A paper can have {MOST_TAGS} tags; these are {len(tags)}.")
    if long := [tag for tag in tags if len(tag) > LONGEST_TAG]:
        raise SavedFault(
            "tags",
            f"A tag has at most {LONGEST_TAG} characters; “{long[0][:LONGEST_TAG]}…” has more.",
        )


def normalize_tag(text: str) -> str:
    """Return a tag in lower case, without `#` before it, in Unicode's NFKC form, with single blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().lstrip("# \t").split())


def parse_note(text: str) -> str:
    """Return a note as it is stored. Raises `SavedFault` if it is too long."""
    note = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n")).strip()
    if len(note) > LONGEST_NOTE:
        raise SavedFault(
            "note", f"A note has at most {LONGEST_NOTE:,} characters; this one has {len(note):,}."
        )
    return note


def parse_filter(words: str, tag: str) -> SavedFilter:
    """Return what a search asks for; of many words the first eight count."""
    given = dict.fromkeys(word[:LONGEST_WORD] for word in words.split())
    return SavedFilter(tuple(given)[:MOST_WORDS], normalize_tag(tag)[:LONGEST_TAG])
