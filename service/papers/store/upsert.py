"""Idempotent writes of papers: upserts by canonical key, versions, announcements, signals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Double,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.papers.domain.source_names import LISTING_SOURCES
from service.papers.domain.types import AnnounceType, ParsedAnnouncement
from service.papers.store.models import Announcement, Paper, PaperVersion, Signal
from service.papers.store.read import find_paper_ids


@dataclass(frozen=True, slots=True)
class PaperDraft:
    """An announcement with its readable forms, ready to be stored."""

    announcement: ParsedAnnouncement
    title: str
    abstract: str
    authors: tuple[str, ...]
    author_keys: tuple[str, ...]
    categories: tuple[str, ...]
    primary_category: str


@dataclass(frozen=True, slots=True)
class Upserted:
    """The result of an upsert: every paper's id by key; the keys of inserted and updated rows."""

    ids: dict[str, int]
    inserted: frozenset[str]
    updated: frozenset[str]


def upsert_papers(session: Session, drafts: Sequence[PaperDraft], now: datetime) -> Upserted:
    """Insert unknown papers, move known ones to a newer version, leave the rest untouched.

    The upsert locks every row, changed or not. Rows are locked in key order, so concurrent upserts
    cannot deadlock.
    """
    if not drafts:
        return Upserted({}, frozenset(), frozenset())
    before = _find_ids(session, drafts)
    ordered = sorted(drafts, key=lambda draft: draft.announcement.key)
    statement = insert(Paper).values([_paper_values(draft, now) for draft in ordered])
    new = statement.excluded
    # A stub, known only from a list, is completed by its first real announcement.
    is_stub = Paper.source.in_(LISTING_SOURCES)
    changed = session.execute(
        statement.on_conflict_do_update(
            index_elements=[Paper.key],
            set_={
                name: getattr(new, name)
                for name in _paper_values(drafts[0], now)
                if name not in {"key", "sources", "created_at"}
            },
            where=and_(
                new.source.not_in(LISTING_SOURCES), or_(is_stub, new.version > Paper.version)
            ),
        ).returning(Paper.key, Paper.id)
    )
    touched = dict(changed.all())
    # Read again: a row that another process inserted since, equal to ours, is in neither result.
    ids = _find_ids(session, drafts)
    _extend_categories(session, drafts, ids, now)
    _extend_sources(session, drafts, ids)
    _insert_versions(session, drafts, ids, now)
    return Upserted(
        ids, frozenset(touched.keys() - before.keys()), frozenset(touched.keys() & before.keys())
    )


def _find_ids(session: Session, drafts: Sequence[PaperDraft]) -> dict[str, int]:
    return find_paper_ids(session, [draft.announcement.key for draft in drafts])


def _paper_values(draft: PaperDraft, now: datetime) -> dict[str, object]:
    announcement = draft.announcement
    return {
        "key": announcement.key,
        "source": announcement.source,
        "sources": [announcement.source],
        "identifier": announcement.identifier,
        "version": announcement.version,
        "title": draft.title,
        "title_raw": announcement.title,
        "abstract": draft.abstract,
        "abstract_raw": announcement.abstract,
        "authors": list(draft.authors),
        "author_keys": list(draft.author_keys),
        "categories": list(draft.categories),
        "primary_category": draft.primary_category,
        "url": announcement.url,
        "license": announcement.license,
        "doi": announcement.doi,
        "journal_ref": announcement.journal_ref,
        "comment": announcement.comment,
        "is_withdrawn": announcement.is_withdrawn,
        "created_at": now,
        "updated_at": now,
    }


def _extend_categories(
    session: Session, drafts: Sequence[PaperDraft], ids: Mapping[str, int], now: datetime
) -> None:
    """Add categories that came without a new version (cross-lists); never remove any."""
    known = dict(
        session.execute(select(Paper.id, Paper.categories).where(Paper.id.in_(ids.values()))).all()
    )
    for draft in drafts:
        paper_id = ids[draft.announcement.key]
        added = [c for c in draft.categories if c not in known[paper_id]]
        if added:
            session.execute(
                update(Paper)
                .where(Paper.id == paper_id)
                .values(categories=[*known[paper_id], *added], updated_at=now)
            )


def _extend_sources(session: Session, drafts: Sequence[PaperDraft], ids: Mapping[str, int]) -> None:
    """Add the sources that announced the papers; never remove any."""
    for source in sorted({draft.announcement.source for draft in drafts}):
        its_ids = [ids[d.announcement.key] for d in drafts if d.announcement.source == source]
        session.execute(
            update(Paper)
            .where(Paper.id.in_(its_ids), ~Paper.sources.contains([source]))
            .values(sources=func.array_append(Paper.sources, source))
        )


def _insert_versions(
    session: Session, drafts: Sequence[PaperDraft], ids: Mapping[str, int], now: datetime
) -> None:
    rows = [
        {
            "paper_id": ids[draft.announcement.key],
            "version": draft.announcement.version,
            "title_raw": draft.announcement.title,
            "abstract_raw": draft.announcement.abstract,
            "seen_at": now,
        }
        for draft in drafts
        if draft.announcement.source not in LISTING_SOURCES
    ]
    if rows:
        session.execute(insert(PaperVersion).values(rows).on_conflict_do_nothing())


def record_announcements(
    session: Session, batch_id: int, parsed: Sequence[ParsedAnnouncement], ids: Mapping[str, int]
) -> None:
    """Upsert the papers' rows in the batch; a row already there takes the new type and version."""
    rows = [
        {
            "batch_id": batch_id,
            "paper_id": ids[one.key],
            "announce_type": one.announce_type,
            "version": one.version,
        }
        for one in parsed
    ]
    if rows:
        statement = insert(Announcement).values(rows)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["batch_id", "paper_id"],
                set_={
                    "announce_type": statement.excluded.announce_type,
                    "version": statement.excluded.version,
                },
                where=or_(
                    Announcement.announce_type != statement.excluded.announce_type,
                    Announcement.version != statement.excluded.version,
                ),
            )
        )


def record_first_announcement(
    session: Session, ids: Sequence[int], announce_type: AnnounceType, on: date, now: datetime
) -> None:
    """Make papers new to subscribers from this date, unless they were announced before.

    Later categories of the same day may still raise `cross` to `new`: a paper is new if its
    primary category is watched, in any order of the categories.
    """
    is_unannounced = Paper.first_announced_on.is_(None)
    raises = and_(
        Paper.first_announced_on == on,
        Paper.announced_as != AnnounceType.NEW,
        literal(announce_type is AnnounceType.NEW),
    )
    session.execute(
        update(Paper)
        .where(Paper.id.in_(ids), or_(is_unannounced, raises))
        .values(
            first_announced_on=on,
            first_announced_at=case((is_unannounced, now), else_=Paper.first_announced_at),
            announced_as=announce_type,
        )
    )


def record_replacement(session: Session, ids: Sequence[int], on: date) -> None:
    """Record the last date on which a newer version of these papers was announced."""
    session.execute(
        update(Paper)
        .where(Paper.id.in_(ids), or_(Paper.replaced_on.is_(None), Paper.replaced_on < on))
        .values(replaced_on=on)
    )


def record_signals(
    session: Session, parsed: Sequence[ParsedAnnouncement], ids: Mapping[str, int], now: datetime
) -> list[tuple[int, str]]:
    """Upsert each paper's signals of the day (UTC) and return newly known code: (id, URL)."""
    seen = {ids[one.key]: one.signals for one in parsed if one.signals}
    if not seen:
        return []
    had_code = set(
        session.scalars(
            select(Signal.paper_id).where(Signal.paper_id.in_(seen), Signal.github_url != "")
        )
    )
    had_signals = set(session.scalars(select(Signal.paper_id).where(Signal.paper_id.in_(seen))))
    rows = [
        {
            "paper_id": ids[one.key],
            "source": one.source,
            "observed_on": now.date(),
            "observed_at": now,
            "upvotes": one.signals.upvotes,
            "comments": one.signals.comments,
            "github_stars": one.signals.github_stars,
            "github_url": one.signals.github_url,
            "summary": one.signals.summary,
            "keywords": list(one.signals.keywords),
        }
        for one in parsed
        if one.signals
    ]
    statement = insert(Signal).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["paper_id", "source", "observed_on"],
            set_={
                name: getattr(statement.excluded, name)
                for name in rows[0]
                if name not in {"paper_id", "source", "observed_on"}
            },
        )
    )
    return [
        (paper_id, signals.github_url)
        for paper_id, signals in seen.items()
        if signals.github_url and paper_id in had_signals - had_code
    ]


def record_trends(session: Session, trends: Mapping[int, float]) -> int:
    """Set the trend of papers, by id, and return how many rows changed."""
    if not trends:
        return 0
    # Rows are locked in key order, as in `upsert_papers`, so concurrent writers cannot deadlock.
    given = (
        func.unnest(
            cast(list(trends), ARRAY(BigInteger)), cast(list(trends.values()), ARRAY(Double))
        )
        .table_valued("paper_id", "trend")
        .render_derived()
    )
    locked = (
        select(Paper.id, given.c.trend)
        .join(given, given.c.paper_id == Paper.id)
        .where(Paper.trend != given.c.trend)
        .order_by(Paper.key)
        .with_for_update(of=Paper)
        .cte("locked")
    )
    changed = session.execute(
        update(Paper)
        .where(Paper.id == locked.c.id)
        .values(trend=locked.c.trend)
        .returning(Paper.id)
    )
    return len(changed.all())


def update_metadata(session: Session, drafts: Sequence[PaperDraft], now: datetime) -> None:
    """Update the DOI, journal and comment, which also change without a new version."""
    for draft in drafts:
        new = draft.announcement
        given = {"doi": new.doi, "journal_ref": new.journal_ref, "comment": new.comment}
        given = {name: value for name, value in given.items() if value}
        if given:
            column = Paper.__table__.c
            session.execute(
                update(Paper)
                .where(
                    Paper.key == new.key,
                    Paper.version <= new.version,
                    or_(*(column[name] != value for name, value in given.items())),
                )
                .values(**given, updated_at=now)
            )
