"""The text twin: what the HTML part says, as lines of at most 78 columns."""

import re
import textwrap
import unicodedata
from collections.abc import Sequence

from service.messages.contexts.digest import DigestPaper
from service.messages.rendering.digest_phrases import facts
from service.platform.caches import cached
from service.presentation.phrases import byline, fields, names_and_more
from service.presentation.reasons import because
from service.presentation.sanitize import clean
from service.topics.domain.types import Reason

COLUMNS = 78
# Readers share dates, counts and topics.
_LINES_KEPT = 4_096
# Before a word with a colon no line ends: no title may write a line that looks like one of ours
# ("Unsubscribe: https://…"). A letter that `clean` takes out of every text stands in for the space.
_BLANK_LINES = re.compile(r"\n{4,}")
_LABEL = re.compile(r" (?=\S*:(?: |$))")
_GLUE = "\ufdd4"
# No letter elsewhere is wide; quotes, dashes, Greek and all that stands in most titles are not here.
_MAYBE_WIDE = re.compile("[\u1100-\u115f\u231a-\U0010ffff]")


@cached("wrapped lines", maxsize=_LINES_KEPT)
def wrap(text: str, first: str = "") -> str:
    """`text` after `first` in lines of at most 78 columns that flow (RFC 3676, `delsp=no`).

    A line that goes on ends with a space, so that a narrow screen may break the paragraph
    elsewhere; one that was cut inside a word, as Chinese is, does not. A line that begins with a
    space, `>` or `From ` gets a space before it, which mail programs take away again (§4.4).
    """
    # A line separator in a title must not begin a line that looks like one of ours.
    text = (first + _LABEL.sub(_GLUE, " ".join(clean(text).split()))).rstrip(" ")
    flowing, at = [], 0
    for line in cut(text, max(_characters_per_line(text) - 1, 1), len(first)):
        at += len(line)
        goes_on = text[at : at + 1] == " "
        at += goes_on
        flowing.append(_stuff(line.replace(_GLUE, " "), goes_on=goes_on))
    return "\n".join(flowing)


def cut(text: str, width: int, reserved: int) -> list[str]:
    """What `textwrap` gives, but faster where no word is longer than a line.

    Only single spaces part words, but for the first `reserved` characters, which stay as they are.
    """
    lines: list[str] = []
    at, end = 0, len(text)
    while end - at > width:
        space = text.rfind(" ", at + 1, at + width + 1)
        if space <= reserved:
            return _cut_words(text, width)
        lines.append(text[at:space])
        at = space + 1
    lines.append(text[at:])
    return lines if text else []


def _cut_words(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, cut inside a word that is longer than that.

    A word with its labels is one, and a line may end after the glue between them, which would give
    the next line to the label; then the letter before the glue goes there too.
    """
    room = 2 if _GLUE in text else 0
    lines = textwrap.wrap(text, width=width - room, break_on_hyphens=False)
    for at in range(len(lines) - 1):
        if lines[at].endswith(_GLUE):
            lines[at + 1] = lines[at][-2:] + lines[at + 1]
            lines[at] = lines[at][:-2]
    return lines


def _stuff(line: str, *, goes_on: bool) -> str:
    if line.startswith((" ", ">", "From ")):
        line = f" {line}"
    # "-- " would begin a signature (RFC 3676 §4.3).
    return f"{line} " if goes_on and line != "--" else line


def underline(title: str) -> str:
    """A line of dashes under a heading."""
    return "-" * min(len(title), COLUMNS)


def tidy_text(text: str) -> str:
    """A whole part: no blank lines at its ends, and never more than two together."""
    return _BLANK_LINES.sub("\n\n\n", tidy_flowing(text.strip())) + "\n"


def tidy_flowing(text: str) -> str:
    """Lines without blanks at their end, but for the one that says that the paragraph goes on."""
    return "\n".join([trim(line) for line in text.splitlines()])


def trim(line: str) -> str:
    """One of them."""
    bare = line.rstrip()
    return f"{bare} " if bare and line == f"{bare} " else bare


def _characters_per_line(text: str) -> int:
    """Chinese, Japanese and Korean letters are two columns wide."""
    if not _MAYBE_WIDE.search(text):
        return COLUMNS
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return COLUMNS * len(text) // (len(text) + wide) if wide * 4 < len(text) else COLUMNS // 2


def one_line(text: str) -> str:
    """A postal address of several lines as one."""
    return ", ".join(line.strip() for line in text.splitlines() if line.strip())


def said_byline(entry: DigestPaper) -> str:
    """`First Author, Second Author and 3 more · Computation and Language · ▲ 4`."""
    by = byline(entry.paper)
    parts = (names_and_more(by.names, by.more), ", ".join(fields(entry.paper)), *facts(entry))
    return " · ".join(part for part in parts if part)


def said_because(reasons: Sequence[Reason]) -> str:
    """The reason line with the reader's words in quotes."""
    return "".join(
        f"“{piece.text}”" if piece.is_marked else piece.text for piece in because(reasons)
    )
