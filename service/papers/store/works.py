"""Works and their events: papers that share a name share a `work_id`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.papers.domain.source_names import LISTING_SOURCES
from service.papers.domain.types import PaperEventKind
from service.papers.domain.works import PaperFacts
from service.papers.store.models import Paper, PaperEvent, PaperIdentifier
from service.platform.database.text_formats import is_among, is_one_of, write_numbers


def link_works(session: Session, names: Mapping[int, Iterable[str]]) -> int:
    """Store the names of papers by id, link those that share one, and return how many were linked.

    Every paper of a work gets the lowest id among them as its `work_id`; rows are never merged.
    """
    rows = [{"paper_id": i, "value": name} for i, own in names.items() for name in sorted(own)]
    if not rows:
        return 0
    session.execute(insert(PaperIdentifier).values(rows).on_conflict_do_nothing())
    shared = session.scalars(
        select(func.array_agg(PaperIdentifier.paper_id.distinct()))
        .where(PaperIdentifier.value.in_({row["value"] for row in rows}))
        .group_by(PaperIdentifier.value)
        .having(func.count(PaperIdentifier.paper_id.distinct()) > 1)
    )
    return sum(_join(session, ids) for ids in shared)


def _join(session: Session, ids: Sequence[int]) -> int:
    """Give the papers, and all papers already linked to them, the same `work_id`."""
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


def find_id_by_names(session: Session, names: Sequence[str]) -> int | None:
    """Return the id of the first stored paper that has one of these names (`arxiv:…`, `doi:…`)."""
    return session.scalar(
        select(func.min(PaperIdentifier.paper_id)).where(PaperIdentifier.value.in_(names))
    )


def find_siblings(session: Session, ids: Sequence[int]) -> dict[int, int]:
    """Return every paper that is the same work as a given one: its id -> the given id."""
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


_WORKS = select(Paper.id, func.coalesce(Paper.work_id, Paper.id)).where(is_one_of(Paper.id, "ids"))


def get_works(session: Session, ids: Sequence[int]) -> dict[int, int]:
    """Return the work id of each paper, equal for papers of one work."""
    return dict(session.execute(_WORKS, {"ids": write_numbers(ids)}).all())


def get_facts(session: Session, keys: Iterable[str]) -> dict[str, PaperFacts]:
    """Return the stored facts of known papers, by key, to compare with a new announcement."""
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
    """Insert events (paper id, kind, detail), each once, and return how many are new."""
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
    """Return the events in (since, until]: paper id, kind, detail, when; oldest first."""
    rows = session.execute(
        select(PaperEvent.paper_id, PaperEvent.kind, PaperEvent.detail, PaperEvent.created_at)
        .where(PaperEvent.created_at > since, PaperEvent.created_at <= until)
        .order_by(PaperEvent.id)
    )
    return [(paper_id, kind, detail, at) for paper_id, kind, detail, at in rows]


def get_announced(session: Session, keys: Iterable[str]) -> dict[str, date]:
    """Return when each paper was first announced, by key; unannounced ones are left out."""
    rows = session.execute(
        select(Paper.key, Paper.first_announced_on).where(
            Paper.key.in_(list(keys)), Paper.first_announced_on.is_not(None)
        )
    )
    return {key: on for key, on in rows if on is not None}


def find_stubs(session: Session, since: datetime, limit: int) -> list[str]:
    """Return the identifiers of stubs: papers known only from a list, without categories."""
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
    """Mark known papers as withdrawn and return the ids of those that were not yet."""
    gone = session.execute(
        update(Paper)
        .where(Paper.key.in_(list(keys)), Paper.is_withdrawn.is_(False))
        .values(is_withdrawn=True, updated_at=now)
        .returning(Paper.id)
    )
    return list(gone.scalars())
