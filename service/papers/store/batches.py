"""Queries on batches: what a source announced for a category on a date, and their state."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.papers.domain.completeness import BatchStatus
from service.papers.domain.types import AnnounceType, BatchState, ParsedAnnouncement
from service.papers.store.models import Announcement, Batch, Paper


def open_batch(session: Session, source: str, category: str, on: date, now: datetime) -> Batch:
    """Return the batch row, inserted if missing, and locked until the transaction ends."""
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
    """Return the batch of a source, category and date, or None."""
    return session.scalar(
        select(Batch).where(
            Batch.source == source, Batch.category == category, Batch.announced_on == on
        )
    )


def find_failures(session: Session, since: date) -> dict[tuple[str, str], datetime]:
    """Return when requests for batches since a date last failed, by source and category."""
    rows = session.execute(
        select(Batch.source, Batch.category, func.max(Batch.failed_at))
        .where(Batch.announced_on >= since, Batch.failed_at.is_not(None))
        .group_by(Batch.source, Batch.category)
    )
    return {(source, category): failed_at for source, category, failed_at in rows if failed_at}


def count_repeated(
    session: Session, source: str, category: str, on: date, parsed: Sequence[ParsedAnnouncement]
) -> int:
    """Count those an earlier batch of the category announced with the same type and version."""
    if not parsed:
        return 0
    return session.execute(
        select(func.count(Paper.id.distinct()))
        .join(Announcement, Announcement.paper_id == Paper.id)
        .join(Batch, Batch.id == Announcement.batch_id)
        .where(
            tuple_(Paper.key, Announcement.announce_type, Announcement.version).in_(
                [(one.key, one.announce_type, one.version) for one in parsed]
            ),
            Batch.source == source,
            Batch.category == category,
            Batch.announced_on < on,
        )
    ).scalar_one()


def find_stored_keys(
    session: Session, source: str, category: str, keys: Iterable[str]
) -> frozenset[str]:
    """Return the keys of the papers that a category's batches hold as new or crossed, any date."""
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
    """Lock and return the expected and partial batches up to `until`; skip rows already locked."""
    return session.scalars(
        select(Batch)
        .where(
            Batch.announced_on <= until, Batch.state.in_([BatchState.EXPECTED, BatchState.PARTIAL])
        )
        .order_by(Batch.id)
        .with_for_update(skip_locked=True)
    ).all()


def count_first_announced(session: Session, batch_id: int) -> int:
    """Return how many papers a batch announced as new or cross-listed."""
    return count_first_by_batch(session, [batch_id]).get(batch_id, 0)


def count_by_type(session: Session, source: str, on: date) -> dict[AnnounceType, int]:
    """Return how many papers a source announced on a date, by type; one may have several types."""
    statement = (
        select(Announcement.announce_type, func.count(Announcement.paper_id.distinct()))
        .join(Batch, Batch.id == Announcement.batch_id)
        .where(Batch.source == source, Batch.announced_on == on)
        .group_by(Announcement.announce_type)
    )
    return dict(session.execute(statement).all())


def count_first_by_batch(session: Session, batch_ids: Iterable[int]) -> dict[int, int]:
    """Return the same for several batches; those without any are left out."""
    first = [AnnounceType.NEW, AnnounceType.CROSS]
    statement = (
        select(Announcement.batch_id, func.count())
        .where(Announcement.batch_id.in_(list(batch_ids)), Announcement.announce_type.in_(first))
        .group_by(Announcement.batch_id)
    )
    return dict(session.execute(statement).all())


def get_history(session: Session, since: date, sources: Iterable[str]) -> Sequence[Batch]:
    """Return the sources' batches from a date on, ordered by date, source and category."""
    return session.scalars(
        select(Batch)
        .where(Batch.announced_on >= since, Batch.source.in_(list(sources)))
        .order_by(Batch.announced_on, Batch.source, Batch.category)
    ).all()


def get_batches(session: Session, on: date) -> Sequence[Batch]:
    """Return the batches of a date, ordered by source and category."""
    return session.scalars(
        select(Batch).where(Batch.announced_on == on).order_by(Batch.source, Batch.category)
    ).all()


def batch_statuses(batches: Iterable[Batch]) -> tuple[BatchStatus, ...]:
    """Return the batches as the pure schedule reads them."""
    return tuple(
        BatchStatus(row.source, row.category, row.announced_on, row.state) for row in batches
    )


def count_announced(session: Session, on: date, sources: Iterable[str]) -> int:
    """Count the distinct papers that the sources announced on a date, of any type."""
    return session.execute(
        select(func.count(Announcement.paper_id.distinct()))
        .join(Batch, Batch.id == Announcement.batch_id)
        .where(Batch.announced_on == on, Batch.source.in_(list(sources)))
    ).scalar_one()


def first_batch_on(session: Session, source: str, category: str) -> date | None:
    """Return the date since which a category has been watched, or None if it never was."""
    return session.execute(
        select(func.min(Batch.announced_on)).where(
            Batch.source == source, Batch.category == category
        )
    ).scalar_one()


def lowest_new_identifier(session: Session, source: str) -> str | None:
    """Return the lowest identifier (arXiv's form since 2015) that a source announced as new."""
    return session.execute(
        select(func.min(Paper.identifier)).where(
            Paper.source == source,
            Paper.announced_as == AnnounceType.NEW,
            Paper.identifier.regexp_match(r"^\d{4}\.\d{5}$"),
        )
    ).scalar_one()
