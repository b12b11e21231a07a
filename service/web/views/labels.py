"""Small texts that only the pages say."""

from service.deliveries.domain.recipients import Cadence
from service.papers.domain.types import AnnounceType, PaperView
from service.presentation.phrases import count_of

_CADENCES = {
    Cadence.DAILY: "Every day",
    Cadence.WEEKDAYS: "Weekdays",
    Cadence.WEEKLY: "Once a week, on Mondays",
}

_ANNOUNCED = {
    AnnounceType.NEW: "new in",
    AnnounceType.CROSS: "cross-listed to",
    AnnounceType.REPLACE: "updated in",
    AnnounceType.REPLACE_CROSS: "updated in",
    AnnounceType.LISTED: "listed on",
}


def cadence_name(cadence: str) -> str:
    """A cadence as a choice in a form."""
    return _CADENCES[Cadence(cadence)]


def short_cadence(cadence: str) -> str:
    """A cadence in one word: `Weekdays`. What nobody offers stays as it was typed."""
    return {"daily": "Daily", "weekdays": "Weekdays", "weekly": "Mondays"}.get(cadence, cadence)


def announced_how(announce_type: AnnounceType) -> str:
    """The verb before the category: `cross-listed to`."""
    return _ANNOUNCED[announce_type]


def paragraphs(text: str) -> tuple[str, ...]:
    """The paragraphs of an abstract: what blank lines separate."""
    blocks = text.replace("\r\n", "\n").split("\n\n")
    return tuple(" ".join(block.split()) for block in blocks if block.strip())


def pdf_url(paper: PaperView) -> str:
    """The PDF at its source, or nothing where the source's address does not tell."""
    return paper.url.replace("/abs/", "/pdf/") if "/abs/" in paper.url else ""


# In days on which anything is announced at all: five a week, some 21 a month.
_UNITS = (("day", 1), ("week", 5), ("month", 21))


def volume(total: int, days: int) -> str:
    """How often `total` papers on `days` announcement days is, in words: `about 4 papers a day`."""
    if total == 0 or days == 0:
        return "no papers yet"
    for name, length in _UNITS:
        count = round(total * length / days)
        if count:
            return f"about {count_of(count, 'paper')} a {name}"
    return "less than one paper a month"
