"""Invented papers and digests for the mails of the tests and the gallery."""

from dataclasses import replace
from datetime import date
from typing import Any

from service.deliveries.domain.recipients import Cadence
from service.editions.domain.coverage import Coverage
from service.messages.contexts.digest import (
    DigestContext,
    DigestPaper,
    DigestSection,
    PaperLinks,
    ShownPaper,
    SubscriberLinks,
)
from service.papers.domain.types import AnnounceType, PaperView
from service.topics.domain.types import Reason

TUESDAY = date(2026, 4, 21)
HOME = "https://papers.example.org"
TOKEN = "WzEyMzQsMTc3Njc1MTIwMCwiIl0.c2lnbmVkLWJ5LW5vYm9keS1idXQtdGhlLWdhbGxlcnk"
ADDRESS = "Example Institute, 1 Sample Street, 12345 Sampletown"


ABSTRACT = (
    "Prompt tuning adapts a language model by learning a few vectors instead of all its weights. "
    "We ask how many of these vectors are needed, and find that 12 suffice on 14 of 16 invented "
    "tasks. The method needs no more memory than inference does. Code and data are available."
)


_TITLES = (
    "Twelve Vectors Are Enough: Prompt Tuning on a Budget",
    "Prompt Tuning Without Gradients, by Patient Search",
    "When Does Prompt Tuning Forget? A Study of Invented Tasks",
    "A Field Guide to Soft Prompts and Where They Fail",
    "Reading Soft Prompts Aloud: Towards Words Behind Vectors",
)


_REASONS = (
    Reason('"prompt tuning"', "title", ("prompt", "tuning")),
    Reason('"prompt tuning"', "abstract", ("prompt", "tuning")),
    Reason("cat:cs.CL", "category", ("cs.CL",)),
)


def make_paper(number: int, **changes: Any) -> PaperView:
    identifier = f"2604.{90000 + number}"
    values: dict[str, Any] = {
        "id": number,
        "key": f"arxiv:{identifier}",
        "source": "arxiv",
        "identifier": identifier,
        "title": _TITLES[number % len(_TITLES)],
        "abstract": ABSTRACT,
        "authors": ("Ada Example", "Bo Sample", "Cleo Placeholder", "Dan Muster")[: number % 4 + 1],
        "categories": ("cs.CL", "cs.LG"),
        "primary_category": "cs.CL",
        "announced_as": AnnounceType.NEW,
        "announced_on": TUESDAY,
        "url": f"https://arxiv.org/abs/{identifier}",
        **changes,
    }
    return PaperView(**values)


def make_entry(number: int, **changes: Any) -> DigestPaper:
    own, shown_as = (
        {name: changes.pop(name) for name in names if name in changes}
        for names in (("reasons", "is_in_heading"), ("maybe_seen", "revision"))
    )
    paper = make_paper(number, **changes)
    links = PaperLinks(
        abstract=paper.url,
        pdf=paper.url.replace("/abs/", "/pdf/"),
        keep=f"?keep={number}",
        more=f"?more={number}",
    )
    entry = DigestPaper(ShownPaper(paper=paper, links=links, **shown_as), reasons=_REASONS)
    return entry._replace(**own)


def make_digest(*groups: DigestSection, **changes: Any) -> DigestContext:
    context = DigestContext(
        cadence=Cadence.WEEKDAYS,
        local_date=TUESDAY,
        coverage=Coverage(announced=412, checked=412),
        groups=groups,
        links=SubscriberLinks(
            preferences=f"{HOME}/preferences/{TOKEN}",
            unsubscribe=f"{HOME}/unsubscribe/{TOKEN}",
            pause=f"{HOME}/preferences/{TOKEN}#pause",
            browser=f"{HOME}/editions/{TOKEN}",
            home=f"{HOME}/",
            change=f"{HOME}/change/{TOKEN}",
            also_off=f"{HOME}/change/{TOKEN}?also=off",
        ),
        topics=("Prompt tuning, language model",),
        subscribed_on=date(2026, 3, 3),
        operator_address=ADDRESS,
    )
    return replace(context, **changes)
