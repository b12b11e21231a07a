"""Editions: opened once per cadence and date, composed chunk by chunk, frozen, counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session, aliased

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.deliveries import LEDGER_STATES
from service.deliveries.store.models import Delivery
from service.deliveries.store.restores import doubt_of_restored
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition, EditionChunk, EditionPaper
from service.papers.domain.types import AnnounceType
from service.papers.store.models import PaperRow
from service.platform.database.pg_arrays import is_among
from service.subscribers.store.models import Subscriber


def insert_edition(
    session: Session, cadence: Cadence, on: date, now: datetime, *, sends_now: bool
) -> Edition | None:
    """A new open edition, or None where another process made it first."""
    inserted = session.execute(
        insert(Edition)
        .values(
            cadence=cadence,
            local_date=on,
            state=EditionState.OPEN,
            opened_at=now,
            sends_now=sends_now,
        )
        .on_conflict_do_nothing()
        .returning(Edition.id)
    ).scalar_one_or_none()
    return session.get(Edition, inserted) if inserted else None


def find_edition(session: Session, cadence: Cadence, on: date) -> Edition | None:
    return session.execute(
        select(Edition).where(Edition.cadence == cadence, Edition.local_date == on)
    ).scalar_one_or_none()


def other_editions(edition: Edition) -> Select[int]:
    """Select the ids of the other editions of the same cadence."""
    return select(Edition.id).where(Edition.cadence == edition.cadence, Edition.id != edition.id)


def get_edition(session: Session, edition_id: int) -> Edition | None:
    return session.get(Edition, edition_id)


def list_editions(session: Session, since: date) -> Sequence[Edition]:
    return (
        session.execute(
            select(Edition)
            .where(Edition.local_date >= since)
            .order_by(Edition.local_date, Edition.cadence)
        )
        .scalars()
        .all()
    )


def list_open(session: Session) -> Sequence[Edition]:
    """Editions that still have chunks to compose."""
    return (
        session.execute(
            select(Edition).where(Edition.state == EditionState.OPEN).order_by(Edition.id)
        )
        .scalars()
        .all()
    )


def published_since(session: Session, since: date) -> frozenset[tuple[Cadence, date]]:
    rows = session.execute(
        select(Edition.cadence, Edition.local_date).where(Edition.local_date >= since)
    )
    return frozenset((cadence, on) for cadence, on in rows)


def assign_papers(session: Session, edition: Edition, lookback: timedelta) -> int:
    """Give the edition every work that no edition of its cadence has carried; returns how many.

    By assignment and not by a window of times: a paper committed a second after the last edition
    was opened, or days late, is simply not assigned yet. The unique key (cadence, paper) makes it
    one edition for each paper, whoever runs this twice; of several papers that are one work the
    one announced first is taken.
    """
    earlier = session.execute(
        select(func.max(Edition.local_date)).where(
            Edition.cadence == edition.cadence, Edition.local_date < edition.local_date
        )
    ).scalar_one()
    is_late = PaperRow.first_announced_on <= earlier if earlier else literal(value=False)
    carried = aliased(PaperRow)
    is_carried = (
        select(literal(1))
        .select_from(EditionPaper)
        .join(carried, carried.id == EditionPaper.paper_id)
        .where(EditionPaper.cadence == edition.cadence, _work(carried) == _work(PaperRow))
        .exists()
    )
    free = (
        select(
            literal(edition.id),
            PaperRow.id,
            literal(edition.cadence, Edition.cadence.type),
            is_late,
        )
        .ext(distinct_on(_work(PaperRow)))
        .where(
            PaperRow.first_announced_on <= edition.local_date,
            PaperRow.first_announced_on > edition.local_date - lookback,
            PaperRow.announced_as.in_([t for t in AnnounceType if t.is_first]),
            PaperRow.is_withdrawn.is_(False),
            ~is_carried,
        )
        .order_by(_work(PaperRow), PaperRow.first_announced_on, PaperRow.id)
    )
    assigned = session.execute(
        insert(EditionPaper)
        .from_select(["edition_id", "paper_id", "cadence", "is_late"], free)
        .on_conflict_do_nothing()
        .returning(EditionPaper.paper_id)
    ).all()
    return len(assigned)


def _work(paper: type[PaperRow]) -> ColumnElement[int]:
    return func.coalesce(paper.work_id, paper.id)


def get_edition_papers(session: Session, edition_id: int) -> dict[int, bool]:
    """The edition's papers: id -> whether it is late."""
    rows = session.execute(
        select(EditionPaper.paper_id, EditionPaper.is_late).where(
            EditionPaper.edition_id == edition_id
        )
    )
    return dict(rows.all())


def count_late_by_day(session: Session, edition_id: int) -> dict[date, int]:
    """The edition's late papers, by the day on which they were announced."""
    rows = session.execute(
        select(PaperRow.first_announced_on, func.count())
        .join(EditionPaper, EditionPaper.paper_id == PaperRow.id)
        .where(EditionPaper.edition_id == edition_id, EditionPaper.is_late)
        .group_by(PaperRow.first_announced_on)
        .order_by(PaperRow.first_announced_on)
    )
    return {on: count for on, count in rows if on is not None}


def plan_chunks(session: Session, edition: Edition, size: int) -> list[int]:
    """Cut the active readers of the cadence into chunks of ids; returns the chunks' ids."""
    numbered = (
        select(
            Subscriber.id,
            ((func.row_number().over(order_by=Subscriber.id) - 1) // size).label("number"),
        )
        .where(Subscriber.state == SubscriberState.ACTIVE, Subscriber.cadence == edition.cadence)
        .subquery()
    )
    ranges = select(literal(edition.id), func.min(numbered.c.id), func.max(numbered.c.id)).group_by(
        numbered.c.number
    )
    planned = session.execute(
        insert(EditionChunk)
        .from_select(["edition_id", "first_subscriber_id", "last_subscriber_id"], ranges)
        .returning(EditionChunk.id)
    ).scalars()
    return sorted(planned)


def open_chunks(session: Session, edition_id: int) -> list[int]:
    """The chunks not yet composed."""
    return list(
        session.execute(
            select(EditionChunk.id)
            .where(EditionChunk.edition_id == edition_id, EditionChunk.composed_at.is_(None))
            .order_by(EditionChunk.id)
        ).scalars()
    )


def claim_chunk(session: Session, chunk_id: int) -> EditionChunk | None:
    """The chunk, locked, or None if it is composed already. Waits for whoever is composing it."""
    # Composing a chunk takes longer than the ten seconds a lock may otherwise be waited for.
    session.execute(text("SET LOCAL lock_timeout = 0"))
    chunk = session.execute(
        select(EditionChunk).where(EditionChunk.id == chunk_id).with_for_update()
    ).scalar_one_or_none()
    return chunk if chunk is not None and chunk.composed_at is None else None


def freeze_if_composed(session: Session, edition_id: int, now: datetime) -> bool:
    """Freeze the edition when its last chunk is composed: count the rows, let them be sent.

    Safe to repeat and to race: the edition's row is locked, and the count is taken once.
    """
    edition = session.execute(
        select(Edition)
        .where(Edition.id == edition_id)
        .with_for_update()
        # The session may have read it before somebody else froze it.
        .execution_options(populate_existing=True)
    ).scalar_one()
    if edition.state is not EditionState.OPEN or open_chunks(session, edition_id):
        return False
    doubt_of_restored(
        session, edition.id, edition.cadence, edition.local_date, now, sends_now=edition.sends_now
    )
    edition.state = EditionState.FROZEN
    edition.frozen_at = now
    edition.candidate_count = session.execute(
        select(func.count()).select_from(Delivery).where(Delivery.edition_id == edition_id)
    ).scalar_one()
    session.flush()
    return True


def count_states(session: Session, edition_id: int) -> dict[tuple[DeliveryState, str], int]:
    """The edition's deliveries by state and, for skips and failures, by reason."""
    reason = func.split_part(Delivery.reason, ":", 1)
    rows = session.execute(
        select(Delivery.state, reason, func.count())
        .where(Delivery.edition_id == edition_id)
        .group_by(Delivery.state, reason)
    )
    return {(state, why): count for state, why, count in rows}


def close_finished(session: Session, now: datetime) -> list[int]:
    """Close frozen editions with no row left to send; returns their ids."""
    unfinished = (
        select(literal(1))
        .where(
            Delivery.edition_id == Edition.id,
            Delivery.state.in_([s for s in DeliveryState if not s.is_final]),
        )
        .exists()
    )
    return list(
        session.execute(
            update(Edition)
            .where(Edition.state == EditionState.FROZEN, ~unfinished)
            .values(state=EditionState.CLOSED, closed_at=now)
            .returning(Edition.id)
        ).scalars()
    )


def set_coverage(session: Session, edition: Edition, coverage: dict[str, Any]) -> None:
    edition.coverage = coverage
    session.flush()


def last_digests_at(
    session: Session, subscriber_ids: Sequence[int], edition_id: int
) -> dict[int, datetime]:
    """When each reader's last digest before this edition was opened, if there was one."""
    rows = session.execute(
        select(Delivery.subscriber_id, func.max(Edition.opened_at))
        .join(Edition, Edition.id == Delivery.edition_id)
        .where(
            is_among(Delivery.subscriber_id, subscriber_ids),
            Delivery.state.in_(LEDGER_STATES),
            Delivery.edition_id != edition_id,
        )
        .group_by(Delivery.subscriber_id)
    )
    return {subscriber_id: at for subscriber_id, at in rows if subscriber_id is not None}
