"""Papers as Markdown (CommonMark), for people and programs that read text. Escaped: no text is markup."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from service.papers.domain.types import PaperView
from service.presentation.sanitize import clean, safe_url

# What CommonMark (section 2.4) may take for markup inside of a line.
_MARKUP: Final = re.compile(r"([\\`*_\[\]<>&|~])")
# And at the beginning of one: headings, lists, rules, numbers of lists.
_AT_START: Final = re.compile(r"^([#+\-=])|^(\d+)([.)])")
MEDIA_TYPE: Final = "text/markdown; charset=utf-8"


def escape(text: str) -> str:
    """Return a text that CommonMark shows as it is; line ends and other white space become blanks."""
    line = " ".join(clean(text).split())
    return _AT_START.sub(_escape_start, _MARKUP.sub(r"\\\1", line))


def _escape_start(found: re.Match[str]) -> str:
    return f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}"


def write_paper(paper: PaperView, base_url: str) -> str:
    """Return a paper as a document: title, authors, where it is, abstract."""
    return "\n".join(["# " + escape(paper.title), "", *_describe(paper, base_url), ""])


def write_day(title: str, note: str, papers: Iterable[PaperView], base_url: str) -> str:
    """Return a day as a document with one section a paper."""
    lines = ["# " + escape(title), ""]
    if note:
        lines += [escape(note), ""]
    for paper in papers:
        lines += ["## " + escape(paper.title), "", *_describe(paper, base_url), ""]
    return "\n".join(lines)


def _describe(paper: PaperView, base_url: str) -> list[str]:
    page = f"{base_url}/papers/{quote(paper.key, safe=':/')}"
    links = [f"<{address}>" for address in (safe_url(paper.url), page) if address]
    about = [*paper.categories, f"announced {paper.announced_on}"]
    if paper.is_withdrawn:
        about.append("withdrawn")
    return [
        escape(", ".join(paper.authors)),
        "",
        escape(" · ".join(about)),
        "",
        "  \n".join(links),
        "",
        escape(paper.abstract),
    ]
