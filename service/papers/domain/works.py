"""One work under several names: which names a paper goes by, and what happened to it since.

A preprint on arXiv, the same on bioRxiv, and the journal's DOI are one scholarly work; readers are
sent it once. Names are `arxiv:…`, `biorxiv:…` and `doi:…` (ISO 26324; arXiv mints
`10.48550/arXiv.<id>`).
"""

import re
from collections import Counter
from dataclasses import dataclass

from service.papers.domain.identifiers import (
    IdentifierError,
    canonical_arxiv_id,
    normalized_doi,
    paper_key,
)
from service.papers.domain.source_names import SOURCES
from service.papers.domain.types import AnnounceType, PaperEventKind, ParsedAnnouncement

_ARXIV_DOI = "10.48550/arxiv."
_WITH_DOIS = frozenset(source.name for source in SOURCES if source.has_dois)
_WORD = re.compile(r"\w+")

# Below this share of common words an abstract is another text, not a polished one.
SUBSTANTIAL_CHANGE = 0.75


@dataclass(frozen=True, slots=True)
class PaperFacts:
    """What is compared between two looks at a paper; `abstract` is readable text."""

    version: int
    abstract: str
    doi: str
    journal_ref: str
    is_withdrawn: bool


def names_of(told: ParsedAnnouncement) -> frozenset[str]:
    """Every name an announced paper goes by, its key among them."""
    names = {told.key}
    doi = _doi(told.doi)
    if told.source in _WITH_DOIS:
        names.add(f"doi:{told.identifier.lower()}")
    if doi.startswith(_ARXIV_DOI):
        names.add(_arxiv_key(doi.removeprefix(_ARXIV_DOI)) or f"doi:{doi}")
    elif doi:
        names.add(f"doi:{doi}")
    return frozenset(names)


def _doi(text: str) -> str:
    """The DOI in lower case, or nothing: authors type all sorts of things into the field."""
    try:
        return normalized_doi(text) if text.strip() else ""
    except IdentifierError:
        return ""


def _arxiv_key(identifier: str) -> str:
    try:
        return paper_key("arxiv", canonical_arxiv_id(identifier))
    except IdentifierError:
        return ""


def what_happened(before: PaperFacts, after: PaperFacts) -> tuple[tuple[PaperEventKind, str], ...]:
    """The events between two looks at one paper, each with a detail that makes it unique."""
    events: list[tuple[PaperEventKind, str]] = []
    if after.is_withdrawn and not before.is_withdrawn:
        events.append((PaperEventKind.WITHDRAWN, f"v{after.version}"))
    elif after.version > before.version and is_substantial(before.abstract, after.abstract):
        events.append((PaperEventKind.REVISED, f"v{after.version}"))
    if after.doi and not before.doi:
        events.append((PaperEventKind.PUBLISHED, after.doi))
    elif after.journal_ref and not before.journal_ref:
        events.append((PaperEventKind.PUBLISHED, after.journal_ref))
    return tuple(events)


def is_substantial(before: str, after: str) -> bool:
    """Whether two abstracts share too few words to be the same text polished.

    The share of common words (a multiset's Dice coefficient, 0 to 1) is below SUBSTANTIAL_CHANGE.
    """
    old, new = (Counter(_WORD.findall(text.casefold())) for text in (before, after))
    total = old.total() + new.total()
    return bool(total) and 2 * (old & new).total() / total < SUBSTANTIAL_CHANGE


_THING = r"\b(?:paper|article|submission|manuscript|work|preprint|version|report)\b"
_WORDS = re.compile(
    # "This paper has been withdrawn", "We have withdrawn this paper", "Withdrawn by the author".
    rf"{_THING}[^.]{{0,40}}\b(?:has|have|had|is|was|been|being)\b[^.]{{0,20}}\bwithdrawn\b"
    rf"|\b(?:has|have|had)\s+withdrawn\s+(?:this|the|our)\s+{_THING}"
    r"|\A\W*withdrawn\b",
    re.IGNORECASE,
)

# A later sentence may speak of somebody else's withdrawal; the notice comes first.
_NOTICE_CHARACTERS = 300


def is_withdrawal(told: ParsedAnnouncement) -> bool:
    """Whether an announcement withdraws its paper. Only a replacement can."""
    if told.is_withdrawn:
        return True
    if told.announce_type not in {AnnounceType.REPLACE, AnnounceType.REPLACE_CROSS}:
        return False
    return any(_WORDS.search(text[:_NOTICE_CHARACTERS]) for text in (told.abstract, told.comment))
