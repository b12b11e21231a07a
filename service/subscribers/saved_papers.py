"""A subscriber's saved papers: list, search, tag, note, add by address, export."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from service.papers.domain.identifiers import IdentifierError, canonical_arxiv_id, normalized_doi
from service.papers.store.read import get_papers
from service.papers.store.works import find_id_by_names
from service.subscribers.domain.saved import SavedFilter, SavedPaper, check_tags
from service.subscribers.domain.types import Feedback
from service.subscribers.feedback import rate_paper
from service.subscribers.store import saved as store
from service.subscribers.store.models import Subscriber

_PAPERS_PAGE = "/papers/"
_LONGEST_ADDRESS = 2_000


def load_saved(session: Session, subscriber_id: int, paper_ids: Iterable[int]) -> list[SavedPaper]:
    """Return these papers with tags and notes, the last saved first; those not saved are left out."""
    rows = store.get_saved(session, subscriber_id, paper_ids)
    papers = get_papers(session, [row.paper_id for row in rows])
    return [
        SavedPaper(papers[row.paper_id], row.saved_at, tuple(row.tags), row.note) for row in rows
    ]


def load_all_saved(session: Session, subscriber_id: int) -> list[SavedPaper]:
    """Return all saved papers with tags and notes, the last saved first."""
    ids = store.find_saved_ids(session, subscriber_id, SavedFilter())
    return load_saved(session, subscriber_id, ids)


def find_saved(session: Session, subscriber_id: int, paper_id: int) -> SavedPaper | None:
    """Return one saved paper, or None where it is not saved."""
    return next(iter(load_saved(session, subscriber_id, [paper_id])), None)


def add_tags(session: Session, subscriber_id: int, paper_id: int, tags: Sequence[str]) -> None:
    """Add tags to a saved paper; those that it has already change nothing. Raises `SavedFault`."""
    for row in store.get_saved(session, subscriber_id, [paper_id]):
        merged = sorted({*row.tags, *tags})
        check_tags(merged)
        store.update_saved(session, subscriber_id, paper_id, merged, row.note)


def save_by_address(
    session: Session, subscriber: Subscriber, address: str, now: datetime
) -> SavedPaper | None:
    """Save the stored paper that an arXiv id, a DOI, its address or its page here names.

    Return it, or None where there is no such paper. Raises `ChangeRefused` for one too many.
    """
    paper_id = find_by_address(session, address)
    if paper_id is None:
        return None
    rate_paper(session, subscriber, paper_id, Feedback.KEPT, now)
    return find_saved(session, subscriber.id, paper_id)


def find_by_address(session: Session, address: str) -> int | None:
    """Return the id of the paper that an address or identifier names, or None."""
    text = address.strip()
    if len(text) > _LONGEST_ADDRESS:
        return None
    # The address of a paper's page here ends with its key.
    names = [text.rpartition(_PAPERS_PAGE)[2]]
    for parse, namespace in ((canonical_arxiv_id, "arxiv"), (normalized_doi, "doi")):
        try:
            names.append(f"{namespace}:{parse(text)}")
        except IdentifierError:
            continue
    return find_id_by_names(session, names)
