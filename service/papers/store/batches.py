"""Batches: what each source announced for each category on each date, and how far we have it."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.papers.domain.completeness import BatchStatus
from service.papers.domain.types import AnnounceType, BatchState, ParsedAnnouncement
from service.papers.store.models import Announcement, Batch, Paper


def open_batch(session: Session, source: str, category: str, on: date, now: datetime) -> Batch:
    """The batch row, made if it is not there yet, and locked until the transaction ends."""
    session.execute(
        insert(Batch)
        .values(
            source=source,
            category=category,
            announced_on=on,
            state=BatchState.EXPECTED,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    return session.execute(
        select(Batch)
        .where(Batch.source == source, Batch.category == category, Batch.announced_on == on)
        .with_for_update()
    ).scalar_one()


def find_batch(session: Session, source: str, category: str, on: date) -> Batch | None:
    return session.scalar(
        select(Batch).where(
            Batch.source == source, Batch.category == category, Batch.announced_on == on
        )
    )


def count_repeated(
    session: Session, source: str, category: str, on: date, told: Sequence[ParsedAnnouncement]
) -> int:
    """How many of these the same category already announced, so and not otherwise, earlier."""
    if not told:
        return 0
    return session.execute(
        select(func.count(Paper.id.distinct()))
        .join(Announcement, Announcement.paper_id == Paper.id)
        .join(Batch, Batch.id == Announcement.batch_id)
        .where(
            tuple_(Paper.key, Announcement.announce_type, Announcement.version).in_(
                [(one.key, one.announce_type, one.version) for one in told]
            ),
            Batch.source == source,
            Batch.category == category,
            Batch.announced_on < on,
        )
    ).scalar_one()


def find_held(session: Session, source: str, category: str, keys: Iterable[str]) -> frozenset[str]:
    """Which of these papers a category's batches hold as new or crossed, on whatever date."""
    first = [AnnounceType.NEW, AnnounceType.CROSS]
    rows = session.execute(
        select(Paper.key)
        .join(Announcement, Announcement.paper_id == Paper.id)
        .join(Batch, Batch.id == Announcement.batch_id)
        .where(
            Paper.key.in_(list(keys)),
            Announcement.announce_type.in_(first),
            Batch.source == source,
            Batch.category == category,
        )
    )
    return frozenset(rows.scalars())


def find_overdue(session: Session, until: date) -> Sequence[Batch]:
    """Batches of dates up to `until` that are neither complete nor closed, locked."""
    return session.scalars(
        select(Batch)
        .where(
            Batch.announced_on <= until, Batch.state.in_([BatchState.EXPECTED, BatchState.PARTIAL])
        )
        .order_by(Batch.id)
        .with_for_update(skip_locked=True)
    ).all()


def count_first_announced(session: Session, batch_id: int) -> int:
    """How many papers a batch announced as new or crossed."""
    first = [AnnounceType.NEW, AnnounceType.CROSS]
    return session.execute(
        select(func.count()).where(
            Announcement.batch_id == batch_id, Announcement.announce_type.in_(first)
        )
    ).scalar_one()


def get_history(session: Session, since: date, sources: Iterable[str]) -> Sequence[Batch]:
    """The batches of some sources from a date on, by date, source and category."""
    return session.scalars(
        select(Batch)
        .where(Batch.announced_on >= since, Batch.source.in_(list(sources)))
        .order_by(Batch.announced_on, Batch.source, Batch.category)
    ).all()


def get_batches(session: Session, on: date) -> Sequence[Batch]:
    """The batches of a date, by source and category."""
    return session.scalars(
        select(Batch).where(Batch.announced_on == on).order_by(Batch.source, Batch.category)
    ).all()


def batch_statuses(session: Session, on: date, sources: Iterable[str]) -> tuple[BatchStatus, ...]:
    """The states of a date's batches of the given sources, as the pure schedule wants them."""
    wanted = set(sources)
    return tuple(
        BatchStatus(row.source, row.category, row.announced_on, row.state)
        for row in get_batches(session, on)
        if row.source in wanted
    )


def count_announced(session: Session, on: date, sources: Iterable[str]) -> int:
    """How many different papers the sources announced on a date, whatever the type."""
    return session.execute(
        select(func.count(Announcement.paper_id.distinct()))
        .join(Batch, Batch.id == Announcement.batch_id)
        .where(Batch.announced_on == on, Batch.source.in_(list(sources)))
    ).scalar_one()


def first_batch_on(session: Session, source: str, category: str) -> date | None:
    """The date from which a category has been watched, or None if it never was."""
    return session.execute(
        select(func.min(Batch.announced_on)).where(
            Batch.source == source, Batch.category == category
        )
    ).scalar_one()


def lowest_new(session: Session, source: str) -> str | None:
    """The lowest identifier (arXiv's form since 2015) that a source told as new here."""
    return session.execute(
        select(func.min(Paper.identifier)).where(
            Paper.source == source,
            Paper.announced_as == AnnounceType.NEW,
            Paper.identifier.regexp_match(r"^\d{4}\.\d{5}$"),
        )
    ).scalar_one()
