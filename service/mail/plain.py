"""The text twin: what the HTML part says, as lines of at most 78 columns."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from service.domain.types import Reason
from service.mail.contexts import DigestPaper
from service.mail.safety import clean
from service.mail.sentences import because, byline, facts, fields

COLUMNS = 78
# Readers share dates, counts and topics.
_LINES_KEPT = 4_096


@lru_cache(maxsize=_LINES_KEPT)
def wrap(text: str, indent: str = "", first: str | None = None) -> str:
    """`text` in lines of at most 78 columns, each after `indent`; `first` opens the first."""
    # A line separator in a title must not begin a line that looks like one of ours.
    text = " ".join(clean(text).split())
    lines = textwrap.wrap(
        text,
        width=max(_characters_per_line(text), len(indent) + 1),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def _characters_per_line(text: str) -> int:
    """Chinese, Japanese and Korean letters are two columns wide."""
    if text.isascii():
        return COLUMNS
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return COLUMNS * len(text) // (len(text) + wide) if wide * 4 < len(text) else COLUMNS // 2


def one_line(text: str) -> str:
    """A postal address of several lines as one."""
    return ", ".join(line.strip() for line in text.splitlines() if line.strip())


def said_byline(entry: DigestPaper) -> str:
    """`First Author, Second Author and 3 more · Computation and Language · ▲ 4`."""
    by = byline(entry.paper)
    names = ", ".join(by.names)
    if by.more:
        names = f"{names} and {by.more:,} more"
    elif len(by.names) > 1:
        names = f"{', '.join(by.names[:-1])} and {by.names[-1]}"
    parts = (names, ", ".join(fields(entry.paper)), *facts(entry))
    return " · ".join(part for part in parts if part)


def said_because(reasons: Sequence[Reason]) -> str:
    """The reason line with the reader's words in quotes."""
    return "".join(
        f"“{piece.text}”" if piece.is_marked else piece.text for piece in because(reasons)
    )
