"""Short texts used only by the pages."""

import re
from typing import Final

from service.deliveries.domain.recipients import Cadence
from service.papers.domain.source_names import SOURCES
from service.papers.domain.types import AnnounceType, PaperView
from service.presentation.phrases import count_of, weekday_name

_CADENCES = {
    Cadence.DAILY: ("Every day", "Daily"),
    Cadence.WEEKDAYS: ("Weekdays", "Weekdays"),
    Cadence.MONTHLY: ("Once a month, on the first", "Monthly"),
}

# What an address of a page or a mailbox has, as Jinja knows them.
_MAYBE_LINK: Final = re.compile(
    r"://|www\.|@|mailto:|\.(?:com|net|int|edu|gov|org|info|mil)\b", re.IGNORECASE
)

_SOURCES = {source.name: source.title for source in SOURCES}

_ANNOUNCED = {
    AnnounceType.NEW: "new in",
    AnnounceType.CROSS: "cross-listed to",
    AnnounceType.REPLACE: "updated in",
    AnnounceType.REPLACE_CROSS: "updated in",
    AnnounceType.LISTED: "listed on",
}


def cadence_name(cadence: str) -> str:
    """Return a cadence's label in a form."""
    chosen = Cadence(cadence)
    if chosen.is_weekly:
        return f"Once a week, on {weekday_name(chosen)}s"
    return _CADENCES[chosen][0]


def short_cadence(cadence: str) -> str:
    """Return a cadence in one word, like `Thursdays`; an unknown one is returned unchanged."""
    if cadence not in set(Cadence):
        return cadence
    chosen = Cadence(cadence)
    return f"{weekday_name(chosen)}s" if chosen.is_weekly else _CADENCES[chosen][1]


def edition_name(cadence: str) -> str:
    """Return the kind of an edition: `Daily`, `Thursday’s weekly`, `Monthly`."""
    chosen = Cadence(cadence)
    if chosen.is_weekly and chosen is not Cadence.WEEKLY:
        return f"{weekday_name(chosen)}’s weekly"
    return str(cadence).capitalize()


def source_title(name: str) -> str:
    """Return a source's name as people write it: `Hugging Face Daily Papers`."""
    return _SOURCES.get(name, name)


def announced_how(announce_type: AnnounceType) -> str:
    """Return the words before the category, like `cross-listed to`."""
    return _ANNOUNCED[announce_type]


def may_have_link(text: str) -> bool:
    """Return whether `urlize` may find an address in a text: it takes a millisecond to look."""
    return _MAYBE_LINK.search(text) is not None


def paragraphs(text: str) -> tuple[str, ...]:
    """Return the paragraphs of an abstract, separated by blank lines."""
    blocks = text.replace("\r\n", "\n").split("\n\n")
    return tuple(" ".join(block.split()) for block in blocks if block.strip())


def pdf_url(paper: PaperView) -> str:
    """Return the PDF's URL, or an empty string where its source tells none."""
    if paper.source in _RXIV and "/content/" in paper.url:
        return f"{paper.url}.full.pdf"
    return paper.url.replace("/abs/", "/pdf/") if "/abs/" in paper.url else ""


# bioRxiv and medRxiv have the text of nearly all preprints as a page, too.
_RXIV = frozenset({"biorxiv", "medrxiv"})
# Since this month arXiv makes pages of papers in TeX (https://info.arxiv.org/about/accessible_HTML.html).
_FIRST_HTML = "2312"


def html_url(paper: PaperView) -> str:
    """Return the URL of the paper as a web page, or an empty string where its source has none."""
    if paper.source in _RXIV and "/content/" in paper.url:
        return f"{paper.url}.full"
    identifier = paper.key.removeprefix("arxiv:")
    is_new = paper.key != identifier and identifier[:4].isdigit() and "/abs/" in paper.url
    # Years from 91 are of the last century, and their identifiers begin with letters.
    return (
        f"https://arxiv.org/html/{identifier}" if is_new and identifier[:4] >= _FIRST_HTML else ""
    )


# Lengths in announcement days: five a week, about 21 a month.
_UNITS = (("day", 1), ("week", 5), ("month", 21))


def volume(total: int, days: int) -> str:
    """Return the rate of `total` papers on `days` announcement days, like `about 4 papers a day`."""
    if total == 0 or days == 0:
        return "no papers yet"
    for name, length in _UNITS:
        count = round(total * length / days)
        if count:
            return f"about {count_of(count, 'paper')} a {name}"
    return "less than one paper a month"
