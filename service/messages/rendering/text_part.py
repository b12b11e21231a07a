"""Filters of the text part: the HTML part's content in lines of at most 78 columns."""

import re
import textwrap
import unicodedata
from collections.abc import Sequence

from service.messages.contexts.digest import DigestPaper
from service.messages.rendering.digest_phrases import excerpts_of, facts
from service.papers.domain.types import PaperView
from service.platform.caches import cached
from service.presentation.highlight import look_for
from service.presentation.phrases import byline, fields, names_and_more
from service.presentation.reasons import because
from service.presentation.sanitize import clean
from service.topics.domain.types import Reason

COLUMNS = 78
# Messages share dates, counts and topics.
_LINES_KEPT = 1_024
# No line begins with a word and a colon, so that no title can imitate one of our own lines
# ("Unsubscribe: https://…"). A character that `clean` removes from all text replaces the space.
_BLANK_LINES = re.compile(r"\n{4,}")
_LABEL = re.compile(r" (?=\S*:(?: |$))")
# A line to which nothing needs to be done.
_ORDINARY = re.compile("(?!From )[!-9;-=?-~]+(?: [!-9;-~]+)*")
_GLUE = "\ufdd4"
# All wide letters are in these ranges; most titles have no character of them.
_MAYBE_WIDE = re.compile("[\u1100-\u115f\u231a-\U0010ffff]")


@cached("wrapped lines", maxsize=_LINES_KEPT)
def wrap(text: str, first: str = "") -> str:
    """Return `first` and `text` in flowed lines of at most 78 columns (RFC 3676, `delsp=no`).

    A flowed line ends with a space, so that a narrow screen can break the paragraph elsewhere;
    a line cut inside a word, as in Chinese, does not. A line that begins with a space, `>` or
    `From ` is stuffed with a space, which mail programs remove again (§4.4).
    """
    if not first and len(text) < COLUMNS and _ORDINARY.fullmatch(text):
        return text
    # White space is collapsed: a line separator in a title must not start a line of its own.
    text = (first + _LABEL.sub(_GLUE, " ".join(clean(text).split()))).rstrip(" ")
    lines, at = [], 0
    for line in cut(text, max(_characters_per_line(text) - 1, 1), len(first)):
        at += len(line)
        is_flowed = text[at : at + 1] == " "
        at += is_flowed
        lines.append(_stuff(line.replace(_GLUE, " "), is_flowed=is_flowed))
    return "\n".join(lines)


def cut(text: str, width: int, reserved: int) -> list[str]:
    """Return the lines that `textwrap` makes, but faster where no word is longer than a line.

    Words must be separated by single spaces, except in the first `reserved` characters.
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
    """Return lines of at most `width` characters, cut inside words that are longer.

    Words joined by glue count as one. A cut right after the glue would put a label at the start
    of the next line, so the character before the glue moves to that line, too.
    """
    room = 2 if _GLUE in text else 0
    lines = textwrap.wrap(text, width=width - room, break_on_hyphens=False)
    for at in range(len(lines) - 1):
        if lines[at].endswith(_GLUE):
            lines[at + 1] = lines[at][-2:] + lines[at + 1]
            lines[at] = lines[at][:-2]
    return lines


def _stuff(line: str, *, is_flowed: bool) -> str:
    if line.startswith((" ", ">", "From ")):
        line = f" {line}"
    # "-- " would begin a signature (RFC 3676 §4.3).
    return f"{line} " if is_flowed and line != "--" else line


def underline(title: str) -> str:
    """Return a line of dashes as long as the heading, at most 78."""
    return "-" * min(len(title), COLUMNS)


def note_lines(note: str) -> str:
    """Return an operator's note as it was written in Markdown, each line wrapped."""
    return "\n".join(wrap(line) for line in clean(note).strip().splitlines())


def tidy_text(text: str) -> str:
    """Return a whole part without blank lines at its ends, and with at most two in a row."""
    return _BLANK_LINES.sub("\n\n\n", "\n".join(map(trim, text.strip().splitlines()))) + "\n"


def trim(line: str) -> str:
    """Return a line without trailing blanks, except the single space that marks a flowed line."""
    bare = line.rstrip()
    return f"{bare} " if bare and line == f"{bare} " else bare


def _characters_per_line(text: str) -> int:
    """Return how many characters fit in a line: East Asian letters are two columns wide."""
    # Python 3.11 calls characters wide that Unicode has not assigned, such as the glue.
    text = text.replace(_GLUE, " ")
    if not _MAYBE_WIDE.search(text):
        return COLUMNS
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return COLUMNS * len(text) // (len(text) + wide) if wide * 4 < len(text) else COLUMNS // 2


def one_line(text: str) -> str:
    """Return a postal address of several lines as one line."""
    return ", ".join(line.strip() for line in text.splitlines() if line.strip())


def text_byline(entry: DigestPaper) -> str:
    """Return `First Author, Second Author and 3 more · cs.CL, cs.LG · ▲ 4`."""
    by = byline(entry.paper)
    parts = (names_and_more(by.names, by.more), ", ".join(fields(entry.paper)), *facts(entry))
    return " · ".join(part for part in parts if part)


def text_excerpt(paper: PaperView, limit: int, quoted: Sequence[str]) -> str:
    """Return the wrapped excerpt with the sentences of `quoted` words."""
    excerpts = excerpts_of(paper, limit)
    return wrap_excerpt(paper, excerpts.show(excerpts.quote(look_for(tuple(quoted)))))


def wrap_excerpt(paper: PaperView, excerpt: str) -> str:
    """Return an excerpt of a paper in lines, and who wrote it if not the authors."""
    return wrap(f"{'AI summary: ' if paper.summary else ''}{excerpt}")


def text_because(reasons: Sequence[Reason]) -> str:
    """Return the reason line with the matched words in quotes."""
    return "".join(
        f"“{piece.text}”" if piece.is_marked else piece.text for piece in because(reasons)
    )
