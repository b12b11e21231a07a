"""Works: the names by which papers are recognised as one work, and the events of a paper.

A preprint on arXiv, the same on bioRxiv, and the journal's DOI are one work, which a subscriber is
sent once. Names are `arxiv:…`, `biorxiv:…` and `doi:…` (ISO 26324; arXiv mints
`10.48550/arXiv.<id>`).
"""

from collections import Counter
from dataclasses import dataclass

from service.papers.domain import identifiers
from service.papers.domain.source_names import SOURCES
from service.papers.domain.types import AnnounceType, PaperEventKind, ParsedAnnouncement
from service.platform import linear_regex

_ARXIV_DOI = "10.48550/arxiv."
_WITH_DOIS = frozenset(source.name for source in SOURCES if source.has_dois)
_WORD = linear_regex.compile(r"\w+")

# Below this share of common words an abstract counts as rewritten, not as polished.
SUBSTANTIAL_CHANGE = 0.75


@dataclass(frozen=True, slots=True)
class PaperFacts:
    """The fields compared between two reads of a paper; `abstract` is readable text."""

    version: int
    abstract: str
    doi: str
    journal_ref: str
    is_withdrawn: bool


def names_of(announcement: ParsedAnnouncement) -> frozenset[str]:
    """Return every name of an announced paper, its key included."""
    names = {announcement.key}
    doi = _doi(announcement.doi)
    if announcement.source in _WITH_DOIS:
        names.add(f"doi:{announcement.identifier.lower()}")
    if doi.startswith(_ARXIV_DOI):
        names.add(_arxiv_key(doi.removeprefix(_ARXIV_DOI)) or f"doi:{doi}")
    elif doi:
        names.add(f"doi:{doi}")
    return frozenset(names)


def _doi(text: str) -> str:
    """Return the DOI in lower case, or "": authors type all sorts of things into the field."""
    try:
        return identifiers.normalized_doi(text) if text.strip() else ""
    except identifiers.IdentifierError:
        return ""


def _arxiv_key(identifier: str) -> str:
    try:
        return identifiers.paper_key("arxiv", identifiers.canonical_arxiv_id(identifier))
    except identifiers.IdentifierError:
        return ""


def detect_events(before: PaperFacts, after: PaperFacts) -> tuple[tuple[PaperEventKind, str], ...]:
    """Return the events between two reads of a paper, each with a detail that makes it unique."""
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
    """Return whether two abstracts share too few words to be the same text polished.

    The share of common words (a multiset's Dice coefficient, 0 to 1) is below SUBSTANTIAL_CHANGE.
    """
    old, new = (Counter(_WORD.findall(text.casefold())) for text in (before, after))
    total = old.total() + new.total()
    return bool(total) and 2 * (old & new).total() / total < SUBSTANTIAL_CHANGE


_PAPER = r"\b(?:paper|article|submission|manuscript|work|preprint|version|report)\b"
_WITHDRAWAL = linear_regex.compile(
    # "This paper has been withdrawn", "We have withdrawn this paper", "Withdrawn by the author".
    rf"{_PAPER}[^.]{{0,40}}\b(?:has|have|had|is|was|been|being)\b[^.]{{0,20}}\bwithdrawn\b"
    rf"|\b(?:has|have|had)\s+withdrawn\s+(?:this|the|our)\s+{_PAPER}"
    r"|\A\W*withdrawn\b",
    "i",
)

# Only the start is searched: a later sentence may mention the withdrawal of something else.
_NOTICE_CHARACTERS = 300


def is_withdrawal(announcement: ParsedAnnouncement) -> bool:
    """Return whether an announcement withdraws its paper; only replacements are searched."""
    if announcement.is_withdrawn:
        return True
    if announcement.announce_type not in {AnnounceType.REPLACE, AnnounceType.REPLACE_CROSS}:
        return False
    texts = (announcement.abstract, announcement.comment)
    return any(_WITHDRAWAL.search(text[:_NOTICE_CHARACTERS]) for text in texts)
