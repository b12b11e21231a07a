"""Queries on the papers of a span of days, both ends included: counts, and one page of a list."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Float, and_, case, cast, collate, exists, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from service.papers.domain.types import AnnounceType, SourceAnswer
from service.papers.store.models import Batch, Paper, Signal

Span = tuple[date, date]

_NEWEST_SIGNAL = (
    select(Signal.upvotes)
    .where(Signal.paper_id == Paper.id)
    .order_by(Signal.observed_on.desc())
    .limit(1)
    .lateral("newest_signal")
)
UPVOTES: ColumnElement[int] = func.coalesce(_NEWEST_SIGNAL.c.upvotes, 0)

_FRESHNESS = case(
    {AnnounceType.NEW: 0, AnnounceType.CROSS: 1, AnnounceType.LISTED: 2},
    value=Paper.announced_as,
    else_=3,
)
# Compared by octets, as Python does, and as no locale's rules for punctuation disturb.
_NEWEST_KEY = collate(Paper.key, "C").desc()

BY_TREND: tuple[ColumnElement[Any], ...] = (
    Paper.trend.desc(),
    UPVOTES.desc(),
    _FRESHNESS,
    _NEWEST_KEY,
)
"""The order of `rank_papers`, as SQL."""

BY_DAY: tuple[ColumnElement[Any], ...] = (Paper.first_announced_on.desc(), _FRESHNESS, _NEWEST_KEY)
"""The latest day first; within a day as `rank_papers` without votes."""


@dataclass(frozen=True, slots=True)
class PaperChoice:
    """Which papers of a span a page lists: all, those of some categories, those that a topic matches."""

    span: Span
    categories: Collection[str] = ()
    condition: ColumnElement[bool] | None = None

    def where(self) -> ColumnElement[bool]:
        wanted: list[ColumnElement[bool]] = [Paper.first_announced_on.between(*self.span)]
        if self.categories:
            codes = cast(sorted(self.categories), ARRAY(Text))
            wanted.append(Paper.categories.bool_op("&&")(codes))
        if self.condition is not None:
            wanted.append(self.condition)
        return and_(*wanted)


class RankedPaper(NamedTuple):
    """A paper of a list, by id, with its score in the list's order."""

    id: int
    score: float


def list_ranked(
    session: Session,
    choice: PaperChoice,
    score: ColumnElement[Any],
    order: Sequence[ColumnElement[Any]],
    window: tuple[int, int],
) -> tuple[list[RankedPaper], int]:
    """Return the papers of a window (offset, count) of the list, and how many the whole list has.

    Beyond the end of the list there are none, and the second number is 0.
    """
    offset, count = window
    rows = session.execute(
        select(Paper.id, cast(score, Float), func.count().over())
        .outerjoin(_NEWEST_SIGNAL, true())
        .where(choice.where())
        .order_by(*order)
        .offset(offset)
        .limit(count)
    ).all()
    return [RankedPaper(row[0], row[1]) for row in rows], rows[0][2] if rows else 0


def count_chosen(session: Session, choice: PaperChoice) -> int:
    return session.scalars(select(func.count()).select_from(Paper).where(choice.where())).one()


def count_by_day(session: Session, span: Span) -> dict[date, int]:
    """Count the papers of each day of a span; days without any are left out."""
    day = Paper.first_announced_on
    rows = session.execute(select(day, func.count()).where(day.between(*span)).group_by(day))
    return {on: count for on, count in rows if on}


def first_day(session: Session) -> date | None:
    """Return the first date on which a paper was announced."""
    return session.scalars(select(func.min(Paper.first_announced_on))).one()


def has_upvotes(session: Session, span: Span) -> bool:
    """Return whether any paper of a span has upvotes."""
    voted = (
        select(Paper.id)
        .join(Signal, Signal.paper_id == Paper.id)
        .where(Paper.first_announced_on.between(*span), Signal.upvotes > 0)
    )
    return session.scalars(select(exists(voted))).one()


def list_read_days(session: Session, span: Span) -> dict[date, bool]:
    """Return the days of a span for which a source was asked: whether one could not be read."""
    has_failed = func.bool_or(Batch.answer.in_([SourceAnswer.UNREACHABLE, SourceAnswer.UNREADABLE]))
    rows = session.execute(
        select(Batch.announced_on, has_failed)
        .where(Batch.announced_on.between(*span))
        .group_by(Batch.announced_on)
    )
    return dict(rows.all())
