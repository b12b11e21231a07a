"""Saved papers with tags and notes: the rows of feedback `kept`, searched, read and changed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import CTE, ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from service.papers.domain.latex.readable import fold
from service.papers.store.models import Paper
from service.platform.database.text_formats import is_among
from service.subscribers.domain.saved import SavedFilter
from service.subscribers.domain.types import Feedback
from service.subscribers.store.models import PaperFeedback


class SavedRow(NamedTuple):
    """A saved paper's id, when it was saved, and what its subscriber wrote."""

    paper_id: int
    saved_at: datetime
    tags: list[str]
    note: str


_COLUMNS = (
    PaperFeedback.paper_id,
    PaperFeedback.created_at,
    PaperFeedback.tags,
    PaperFeedback.note,
)


def count_saved(session: Session, subscriber_id: int) -> int:
    return session.execute(select(func.count()).where(_is_saved_by(subscriber_id))).scalar_one()


def find_saved_ids(session: Session, subscriber_id: int, wanted: SavedFilter) -> Sequence[int]:
    """Return the ids of the saved papers that a search finds, the last saved first."""
    rows = select(PaperFeedback.paper_id, PaperFeedback.created_at, PaperFeedback.id)
    rows = rows.where(_is_saved_by(subscriber_id))
    if wanted.tag:
        rows = rows.where(PaperFeedback.tags.contains([wanted.tag]))
    if wanted.words:
        rows = rows.add_columns(*_texts()).join(Paper, Paper.id == PaperFeedback.paper_id)
    # Materialised, or PostgreSQL would put the texts together again for each word.
    found = rows.cte("found").prefix_with("MATERIALIZED")
    newest_first = (found.c.created_at.desc(), found.c.id.desc())
    conditions = [_has_word(found, word) for word in wanted.words]
    return session.scalars(
        select(found.c.paper_id).where(*conditions).order_by(*newest_first)
    ).all()


def _texts() -> tuple[ColumnElement[str], ColumnElement[str]]:
    """Return all that a search looks through, in lower case, and the names without accents."""
    texts = func.concat_ws(
        " ",
        Paper.title,
        Paper.abstract,
        func.array_to_string(Paper.authors, " "),
        func.array_to_string(PaperFeedback.tags, " "),
        PaperFeedback.note,
    )
    return (
        func.lower(texts).label("texts"),
        func.array_to_string(Paper.author_keys, " ").label("names"),
    )


def _has_word(found: CTE, word: str) -> ColumnElement[bool]:
    """Return the condition that a word occurs, in any case; in names also without its accents."""
    in_texts = found.c.texts.contains(word.lower(), autoescape=True)
    return or_(in_texts, found.c.names.contains(fold(word), autoescape=True))


def get_saved(session: Session, subscriber_id: int, paper_ids: Iterable[int]) -> list[SavedRow]:
    """Return the rows of these papers, the last saved first; those not saved are left out."""
    rows = session.execute(
        select(*_COLUMNS)
        .where(_is_saved_by(subscriber_id), is_among(PaperFeedback.paper_id, paper_ids))
        .order_by(PaperFeedback.created_at.desc(), PaperFeedback.id.desc())
    )
    return [SavedRow(*row) for row in rows]


def count_tags(session: Session, subscriber_id: int) -> dict[str, int]:
    """Return the tags of saved papers and how many papers have each, the most used first."""
    tag = func.unnest(PaperFeedback.tags).label("tag")
    tags = select(tag).where(_is_saved_by(subscriber_id)).subquery()
    count = func.count()
    rows = session.execute(
        select(tags.c.tag, count).group_by(tags.c.tag).order_by(count.desc(), tags.c.tag)
    )
    return {name: number for name, number in rows}  # noqa: C416  # mypy does not take rows for pairs


def update_saved(
    session: Session, subscriber_id: int, paper_id: int, tags: Sequence[str], note: str
) -> bool:
    """Set the tags and the note of a saved paper; return whether it is saved. Idempotent."""
    changed = session.scalar(
        update(PaperFeedback)
        .where(_is_saved_by(subscriber_id), PaperFeedback.paper_id == paper_id)
        .values(tags=list(tags), note=note)
        .returning(PaperFeedback.id)
    )
    return changed is not None


def _is_saved_by(subscriber_id: int) -> ColumnElement[bool]:
    return and_(PaperFeedback.subscriber_id == subscriber_id, PaperFeedback.kind == Feedback.KEPT)
