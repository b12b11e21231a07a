"""Queries on the papers of a span of days, both ends included: counts, and one page of a list."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Float,
    Subquery,
    and_,
    case,
    cast,
    collate,
    exists,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from service.papers.domain.types import AnnounceType, SourceAnswer
from service.papers.store.models import Batch, Paper, Pick, Signal, Vote

Span = tuple[date, date]

_FRESHNESS = case(
    {AnnounceType.NEW: 0, AnnounceType.CROSS: 1, AnnounceType.LISTED: 2},
    value=Paper.announced_as,
    else_=3,
)


class SortKey(StrEnum):
    """What lists of papers are sorted by: `score` is the list's own number."""

    SCORE = "score"
    TREND = "trend"
    UPVOTES = "upvotes"
    DAY = "day"
    FRESHNESS = "freshness"
    KEY = "key"


BY_TREND = (SortKey.TREND, SortKey.UPVOTES, SortKey.FRESHNESS, SortKey.KEY)
"""The order of `rank_papers`."""

BY_DAY = (SortKey.DAY, SortKey.FRESHNESS, SortKey.KEY)
"""The latest day first; within a day as `rank_papers` without upvotes."""


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
    order: Sequence[SortKey],
    window: tuple[int, int],
) -> tuple[list[RankedPaper], int]:
    """Return the papers of a window (offset, count) of the list, and how many the whole list has.

    Beyond the end of the list there are none, and the second number is 0. A month has 25,000 papers.
    """
    offset, count = window
    # MATERIALIZED: the text of a topic is compared once, and the span's papers are read once.
    chosen = (
        select(
            Paper.id,
            Paper.key,
            Paper.trend,
            _FRESHNESS.label("freshness"),
            Paper.first_announced_on.label("day"),
            cast(score, Float).label("score"),
        )
        .where(choice.where())
        .cte("chosen")
        .prefix_with("MATERIALIZED")
    )
    upvotes = _newest_upvotes(chosen)
    columns: dict[SortKey, ColumnElement[Any]] = {
        SortKey.SCORE: chosen.c.score.desc(),
        SortKey.TREND: chosen.c.trend.desc(),
        SortKey.UPVOTES: func.coalesce(upvotes.c.upvotes, 0).desc(),
        SortKey.DAY: chosen.c.day.desc(),
        SortKey.FRESHNESS: chosen.c.freshness,
        # Compared by octets, as Python does, and as no locale's rules for punctuation disturb.
        SortKey.KEY: collate(chosen.c.key, "C").desc(),
    }
    # Counted apart, since a window function would keep and pass on every row of a month.
    total = select(func.count()).select_from(chosen).scalar_subquery()
    statement = select(chosen.c.id, chosen.c.score, total)
    if SortKey.UPVOTES in order:
        statement = statement.outerjoin(upvotes, upvotes.c.paper_id == chosen.c.id)
    rows = session.execute(
        statement.order_by(*(columns[key] for key in order)).offset(offset).limit(count)
    ).all()
    return [RankedPaper(row[0], row[1]) for row in rows], rows[0][2] if rows else 0


def _newest_upvotes(chosen: CTE) -> Subquery:
    """Return the upvotes of the papers from the first to the last id of a list.

    A look-up for each paper would take 130 ms for a month. Papers of a period were stored about
    then, so few others are between the two ids, and the index finds all in one walk.
    """
    first = select(func.min(chosen.c.id)).scalar_subquery()
    last = select(func.max(chosen.c.id)).scalar_subquery()
    return (
        select(Signal.paper_id, Signal.upvotes)
        .ext(distinct_on(Signal.paper_id))
        .where(Signal.paper_id.between(first, last))
        .order_by(Signal.paper_id, Signal.observed_on.desc())
        .subquery("newest")
    )


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
    """Return whether any paper of a span has upvotes, a vote or a pick."""
    # The LIMIT keeps the planner from reading all signals: mostly one of the first papers has some.
    voted = (
        select(true())
        .where(Signal.paper_id == Paper.id, Signal.upvotes > 0)
        .limit(1)
        .scalar_subquery()
    )
    in_span = Paper.first_announced_on.between(*span)
    here = [
        exists(select(model.paper_id).join(Paper, Paper.id == model.paper_id).where(in_span))
        for model in (Vote, Pick)
    ]
    return session.scalars(select(or_(*here, exists(select(Paper.id).where(in_span, voted))))).one()


def list_read_days(session: Session, span: Span) -> dict[date, bool]:
    """Return the days of a span for which a source was asked: whether one could not be read."""
    has_failed = func.bool_or(Batch.answer.in_([SourceAnswer.UNREACHABLE, SourceAnswer.UNREADABLE]))
    rows = session.execute(
        select(Batch.announced_on, has_failed)
        .where(Batch.announced_on.between(*span))
        .group_by(Batch.announced_on)
    )
    return dict(rows.all())
