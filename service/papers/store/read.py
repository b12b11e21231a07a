"""Read papers: as values for messages and pages, as counts, and for compiled topics."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, bindparam, func, or_, select, true
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import LateralFromClause

from service.papers.domain.types import AnnounceType, PaperView
from service.papers.store.models import Announcement, Batch, Paper, Signal
from service.papers.store.votes import pick_sentence, vote_count
from service.platform.database.text_formats import is_one_of, write_numbers


def _latest_signals() -> LateralFromClause:
    """Return a lateral join of a paper's newest signals: one index lookup per paper."""
    return (
        select(Signal.upvotes, Signal.github_url, Signal.summary)
        .where(Signal.paper_id == Paper.id)
        .order_by(Signal.observed_on.desc())
        .limit(1)
        .lateral("latest_signals")
    )


_SIGNALS = _latest_signals()
# Built once, since that takes as long as to send it. Of columns and no entity, which would be made and
# kept by the session for each row.
_PAPERS = select(
    Paper.id,
    Paper.key,
    Paper.source,
    Paper.identifier,
    Paper.title,
    Paper.abstract,
    Paper.authors,
    Paper.categories,
    Paper.primary_category,
    func.coalesce(Paper.announced_as, AnnounceType.REPLACE).label("announced_as"),
    Paper.first_announced_on,
    Paper.created_at,
    Paper.url,
    Paper.version,
    Paper.comment,
    Paper.is_withdrawn,
    func.coalesce(_SIGNALS.c.upvotes, 0).label("upvotes"),
    func.coalesce(_SIGNALS.c.github_url, "").label("github_url"),
    func.coalesce(_SIGNALS.c.summary, "").label("summary"),
    Paper.trend,
    Paper.doi,
    Paper.journal_ref,
    vote_count().label("votes"),
    pick_sentence().label("pick"),
).outerjoin(_SIGNALS, true())
_PAPERS_OF_IDS = _PAPERS.where(is_one_of(Paper.id, "ids"))
_PAPER_OF_KEY = _PAPERS.where(Paper.key == bindparam("key"))


def _to_paper(row: Row[*tuple[Any, ...]]) -> PaperView:
    return PaperView(
        id=row.id,
        key=row.key,
        source=row.source,
        identifier=row.identifier,
        title=row.title,
        abstract=row.abstract,
        authors=tuple(row.authors),
        categories=tuple(row.categories),
        primary_category=row.primary_category,
        announced_as=row.announced_as,
        announced_on=row.first_announced_on or row.created_at.date(),
        url=row.url,
        version=row.version,
        comment=row.comment,
        is_withdrawn=row.is_withdrawn,
        upvotes=row.upvotes,
        github_url=row.github_url,
        summary=row.summary,
        trend=row.trend,
        doi=row.doi,
        journal_ref=row.journal_ref,
        votes=row.votes,
        pick=row.pick,
    )


def get_papers(session: Session, ids: Iterable[int]) -> dict[int, PaperView]:
    """Return the papers with these ids, by id; unknown ids are left out."""
    wanted = list(ids)
    if not wanted:
        return {}
    rows = session.execute(_PAPERS_OF_IDS, {"ids": write_numbers(wanted)})
    return {row.id: _to_paper(row) for row in rows}


_SNAPSHOTS = (
    select(Signal.paper_id, Signal.observed_at, Signal.upvotes)
    .where(is_one_of(Signal.paper_id, "ids"))
    .order_by(Signal.observed_at)
)


def get_snapshots(session: Session, ids: Iterable[int]) -> dict[int, list[tuple[datetime, int]]]:
    """Return every observation of the papers' upvotes: id -> [(when, upvotes)], oldest first."""
    rows = session.execute(_SNAPSHOTS, {"ids": write_numbers(ids)})
    snapshots: dict[int, list[tuple[datetime, int]]] = {}
    for paper_id, observed_at, upvotes in rows:
        snapshots.setdefault(paper_id, []).append((observed_at, upvotes))
    return snapshots


def list_ids_since(session: Session, since: date) -> list[int]:
    """Return the ids of papers announced on or after a date, as new or replaced."""
    is_recent = or_(Paper.first_announced_on >= since, Paper.replaced_on >= since)
    return list(session.scalars(select(Paper.id).where(is_recent)))


def list_days_since(session: Session, since: date) -> list[date]:
    """Return the dates on or after `since` on which any paper was announced."""
    days = select(Paper.first_announced_on).where(Paper.first_announced_on >= since)
    return [on for on in session.scalars(days.distinct()) if on]


def list_days_observed(session: Session, since: date) -> list[date]:
    """Return the announcement dates of papers whose signals were observed on or after `since`."""
    days = (
        select(Paper.first_announced_on)
        .join(Signal, Signal.paper_id == Paper.id)
        .where(Signal.observed_on >= since)
    )
    return [on for on in session.scalars(days.distinct()) if on]


def list_announced_on(session: Session, on: date) -> dict[int, str]:
    """Return the papers announced on a date: id -> primary category."""
    rows = session.execute(
        select(Paper.id, Paper.primary_category).where(Paper.first_announced_on == on)
    )
    return dict(rows.all())


def find_paper(session: Session, key: str) -> PaperView | None:
    """Return the paper with this key, or None."""
    row = session.execute(_PAPER_OF_KEY, {"key": key}).one_or_none()
    return _to_paper(row) if row else None


def find_paper_ids(session: Session, keys: Collection[str]) -> dict[str, int]:
    """Return the ids of the papers with these keys, in one statement: key -> id."""
    if not keys:
        return {}
    rows = session.execute(select(Paper.key, Paper.id).where(Paper.key.in_(keys)))
    return dict(rows.all())


class ListedPaper(NamedTuple):
    """The fields by which a page chooses which of a day's papers it shows."""

    id: int
    key: str
    categories: Sequence[str]
    announced_as: AnnounceType
    trend: float
    upvotes: int


def list_papers_announced_on(session: Session, on: date) -> list[ListedPaper]:
    """Return a date's new papers in short form: a day has a thousand, a page shows forty."""
    signals = _latest_signals()
    rows = session.execute(
        select(
            Paper.id,
            Paper.key,
            Paper.categories,
            func.coalesce(Paper.announced_as, AnnounceType.REPLACE),
            Paper.trend,
            func.coalesce(signals.c.upvotes, 0),
        )
        .outerjoin(signals, true())
        .where(Paper.first_announced_on == on)
    )
    return [ListedPaper(*row) for row in rows]


def announced_day(*, is_replaced: bool) -> ColumnElement[date | None]:
    """Return the SQL expression of a paper's day: its first, or that of its last replacement."""
    if not is_replaced:
        return Paper.first_announced_on.expression
    return func.greatest(Paper.first_announced_on, Paper.replaced_on)


def find_papers(
    session: Session,
    condition: ColumnElement[bool],
    span: tuple[date, date],
    limit: int,
    on: ColumnElement[date | None] | None = None,
) -> list[PaperView]:
    """Return the newest papers of a span, its last day included, that a compiled topic matches.

    `on` is the day that counts (see `announced_day`), by default the first announcement.
    """
    day = announced_day(is_replaced=False) if on is None else on
    statement = _PAPERS.where(condition, day.between(*span))
    newest = statement.order_by(day.desc(), Paper.key.desc())
    return [_to_paper(row) for row in session.execute(newest.limit(limit))]


def count_by_day(
    session: Session,
    condition: ColumnElement[bool],
    span: tuple[date, date],
    on: ColumnElement[date | None] | None = None,
) -> dict[date, int]:
    """Count a compiled topic's papers in a span, per day; days without any are left out."""
    day = announced_day(is_replaced=False) if on is None else on
    rows = session.execute(
        select(day, func.count()).where(condition, day.between(*span)).group_by(day)
    )
    return {counted: count for counted, count in rows if counted}


def match_conditions(
    session: Session, paper_id: int, conditions: Sequence[ColumnElement[bool]]
) -> list[bool]:
    """Return, for each compiled topic, whether it matches a paper; False for unknown papers."""
    if not conditions:
        return []
    columns = (condition.label(f"c{n}") for n, condition in enumerate(conditions))
    row = session.execute(select(*columns).where(Paper.id == paper_id)).one_or_none()
    return [bool(value) for value in row] if row else [False] * len(conditions)


def count_each(
    session: Session, conditions: Sequence[ColumnElement[bool]], since: date
) -> list[int]:
    """Count the papers announced on or after `since` that each compiled topic matches."""
    if not conditions:
        return []
    counts = (
        select(func.count())
        .select_from(Paper)
        .where(condition, Paper.first_announced_on >= since)
        .scalar_subquery()
        for condition in conditions
    )
    return list(session.execute(select(*counts)).one())


def count_within(
    session: Session,
    condition: ColumnElement[bool],
    parts: Sequence[ColumnElement[bool]],
    since: date,
) -> list[int]:
    """Count a compiled topic's papers announced on or after `since`: all, then those of each part."""
    counts = [func.count(), *(func.count().filter(part) for part in parts)]
    recent = Paper.first_announced_on >= since
    return list(session.execute(select(*counts).select_from(Paper).where(condition, recent)).one())


def latest_day(session: Session, until: date) -> date | None:
    """Return the last date on or before `until` on which a paper was announced."""
    return session.execute(
        select(func.max(Paper.first_announced_on)).where(Paper.first_announced_on <= until)
    ).scalar_one()


def newest_paper_ids(session: Session, limit: int) -> list[int]:
    """Return the ids of the papers stored last, newest first."""
    return list(session.scalars(select(Paper.id).order_by(Paper.id.desc()).limit(limit)))


_ANNOUNCEMENTS = (
    select(Batch, Announcement)
    .join(Announcement, Announcement.batch_id == Batch.id)
    .where(Announcement.paper_id == bindparam("paper_id"))
    .order_by(Batch.announced_on, Batch.category)
)


def get_announcements(session: Session, paper_id: int) -> list[tuple[Batch, Announcement]]:
    """Return where and how a paper was announced, earliest first."""
    rows = session.execute(_ANNOUNCEMENTS, {"paper_id": paper_id})
    return [(batch, announcement) for batch, announcement in rows]
