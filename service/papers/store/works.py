"""Works and what happens to them: rows that meet under one name share a `work_id`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.papers.domain.source_names import LISTING_SOURCES
from service.papers.domain.types import PaperEventKind
from service.papers.domain.works import PaperFacts
from service.papers.store.models import Paper, PaperEvent, PaperIdentifier
from service.platform.database.pg_arrays import is_among


def link_works(session: Session, names: Mapping[int, Iterable[str]]) -> int:
    """Note the names of papers (id -> names) and join those that share one; returns how many joined.

    No row moves: every paper of a work gets the smallest id among them as its `work_id`.
    """
    rows = [{"paper_id": i, "value": name} for i, some in names.items() for name in sorted(some)]
    if not rows:
        return 0
    session.execute(insert(PaperIdentifier).values(rows).on_conflict_do_nothing())
    meeting = session.scalars(
        select(func.array_agg(PaperIdentifier.paper_id.distinct()))
        .where(PaperIdentifier.value.in_({row["value"] for row in rows}))
        .group_by(PaperIdentifier.value)
        .having(func.count(PaperIdentifier.paper_id.distinct()) > 1)
    )
    return sum(_join(session, ids) for ids in meeting)


def _join(session: Session, ids: Sequence[int]) -> int:
    """Give the papers, and everything already joined to them, one work."""
    own = func.coalesce(Paper.work_id, Paper.id)
    works = set(session.scalars(select(own).where(Paper.id.in_(ids))))
    if len(works) < 2:
        return 0
    changed = session.execute(
        update(Paper)
        .where(or_(Paper.id.in_(works), Paper.work_id.in_(works), Paper.id.in_(ids)))
        .values(work_id=min(works))
        .returning(Paper.id)
    ).all()
    return len(changed) - 1


def find_siblings(session: Session, ids: Sequence[int]) -> dict[int, int]:
    """Every paper that is the same work as one of these: its id -> the id of that one."""
    if not ids:
        return {}
    own = func.coalesce(Paper.work_id, Paper.id)
    work_of = dict(session.execute(select(Paper.id, own).where(is_among(Paper.id, ids))).all())
    chosen = {work: paper_id for paper_id, work in work_of.items()}
    rows = session.execute(
        select(Paper.id, own).where(
            or_(is_among(Paper.id, chosen), is_among(Paper.work_id, chosen))
        )
    )
    return {paper_id: chosen[work] for paper_id, work in rows}


def get_works(session: Session, ids: Sequence[int]) -> dict[int, int]:
    """The work that each of these papers is: equal for two that are one."""
    own = func.coalesce(Paper.work_id, Paper.id)
    return dict(session.execute(select(Paper.id, own).where(Paper.id.in_(ids))).all())


def get_facts(session: Session, keys: Iterable[str]) -> dict[str, PaperFacts]:
    """What is known of papers before another look, by key."""
    rows = session.execute(
        select(
            Paper.key,
            Paper.version,
            Paper.abstract,
            Paper.doi,
            Paper.journal_ref,
            Paper.is_withdrawn,
        ).where(Paper.key.in_(list(keys)))
    )
    return {
        row.key: PaperFacts(row.version, row.abstract, row.doi, row.journal_ref, row.is_withdrawn)
        for row in rows
    }


def insert_events(
    session: Session, events: Iterable[tuple[int, PaperEventKind, str]], now: datetime
) -> int:
    """Keep what happened (paper id, kind, detail), each thing once; returns how many are new."""
    rows = [
        {"paper_id": paper_id, "kind": kind, "detail": detail, "created_at": now}
        for paper_id, kind, detail in events
    ]
    if not rows:
        return 0
    new = insert(PaperEvent).values(rows).on_conflict_do_nothing().returning(PaperEvent.id)
    return len(session.execute(new).all())


def list_events_between(
    session: Session, since: datetime, until: datetime
) -> list[tuple[int, PaperEventKind, str, datetime]]:
    """What happened in (since, until]: paper id, kind, detail, when; oldest first."""
    rows = session.execute(
        select(PaperEvent.paper_id, PaperEvent.kind, PaperEvent.detail, PaperEvent.created_at)
        .where(PaperEvent.created_at > since, PaperEvent.created_at <= until)
        .order_by(PaperEvent.id)
    )
    return [(paper_id, kind, detail, at) for paper_id, kind, detail, at in rows]


def get_announced(session: Session, keys: Iterable[str]) -> dict[str, date]:
    """Which of these papers were announced to readers already: key -> on which date."""
    rows = session.execute(
        select(Paper.key, Paper.first_announced_on).where(
            Paper.key.in_(list(keys)), Paper.first_announced_on.is_not(None)
        )
    )
    return {key: on for key, on in rows if on is not None}


def find_stubs(session: Session, since: datetime, limit: int) -> list[str]:
    """Identifiers of papers that only a list has named so far, and that lack their categories."""
    rows = session.execute(
        select(Paper.identifier)
        .where(
            Paper.source.in_(LISTING_SOURCES),
            Paper.key.startswith("arxiv:"),
            Paper.created_at >= since,
        )
        .order_by(Paper.id.desc())
        .limit(limit)
    )
    return list(rows.scalars())


def withdraw_papers(session: Session, keys: Iterable[str], now: datetime) -> list[int]:
    """Mark known papers as withdrawn; returns the ids of those that were not yet."""
    gone = session.execute(
        update(Paper)
        .where(Paper.key.in_(list(keys)), Paper.is_withdrawn.is_(False))
        .values(is_withdrawn=True, updated_at=now)
        .returning(Paper.id)
    )
    return list(gone.scalars())
