"""Where to look into the ledger: the editions that have a paper, and each subscriber's last digest."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, literal_column, select, text, union
from sqlalchemy.orm import Session

from service.deliveries.domain.months import IDS
from service.deliveries.store.models import Delivery
from service.deliveries.store.sent_papers import LEDGER_STATES, PaperPlace
from service.editions.store.models import Edition, EditionExtra, EditionPaper, EditionRevision
from service.platform.database.text_formats import is_among

# In which of the newest editions a last digest is looked for: yesterday's of all cadences, then ten days'.
_STEPS = ((0, 4), (4, 32))


# One look into the unique key for each cadence, instead of reading all editions.
_USED_CADENCES = text("""
SELECT cadence FROM unnest(enum_range(NULL::cadence)) AS cadence
WHERE EXISTS (SELECT FROM editions WHERE editions.cadence = cadence.cadence)
""").columns(cadence=Edition.cadence.type)


def find_places(session: Session, paper_ids: Collection[int], edition_id: int) -> list[PaperPlace]:
    """Return the other editions, of any cadence, that have these papers, as new or replaced."""
    if not paper_ids:
        return []
    # All cadences that have editions are named, because the unique key begins with it.
    used = session.scalars(_USED_CADENCES).all()
    if not used:
        return []
    chosen = union(
        *(
            select(Edition.id, Edition.month, table.paper_id)
            .join(table, table.edition_id == Edition.id)
            .where(
                table.cadence.in_(used),
                is_among(table.paper_id, paper_ids),
                Edition.id != edition_id,
            )
            for table in (EditionPaper, EditionRevision)
        ),
        select(Edition.id, Edition.month, EditionExtra.paper_id)
        .join(EditionExtra, EditionExtra.edition_id == Edition.id)
        .where(is_among(EditionExtra.paper_id, paper_ids), Edition.id != edition_id),
    )
    return [PaperPlace(*row) for row in session.execute(chosen)]


def last_digests_at(
    session: Session, subscriber_ids: Sequence[int], edition_id: int
) -> dict[int, datetime]:
    """Return when the edition of each subscriber's previous digest was opened, if there was one.

    The newest editions have it for nearly all; of the others every digest is read.
    """
    newest = session.execute(
        select(Edition.id, Edition.month, Edition.opened_at)
        .where(Edition.id != edition_id)
        .order_by(Edition.opened_at.desc())
        .limit(_STEPS[-1][1])
    ).all()
    found: dict[int, datetime] = {}
    for start, end in _STEPS:
        editions = newest[start:end]
        missing = [i for i in subscriber_ids if i not in found]
        if editions and missing:
            months = [month for _, month, _ in editions]
            found |= _find_last(session, missing, edition_id, [row.id for row in editions], months)
    missing = [i for i in subscriber_ids if i not in found]
    return found | (_find_last(session, missing, edition_id) if missing and newest else {})


def _find_last(
    session: Session,
    subscriber_ids: Sequence[int],
    edition_id: int,
    editions: Sequence[int] = (),
    months: Sequence[int] = (),
) -> dict[int, datetime]:
    """Return when the last digest of each, of these editions or of all, was opened."""
    chosen = (
        select(Delivery.subscriber_id, func.max(Edition.opened_at))
        .join(Edition, Edition.id == Delivery.edition_id)
        .where(
            is_among(Delivery.subscriber_id, subscriber_ids),
            Delivery.state.in_(LEDGER_STATES),
            Delivery.edition_id != edition_id,
        )
        .group_by(Delivery.subscriber_id)
    )
    if editions:
        chosen = chosen.where(
            is_among(Delivery.edition_id, editions),
            # Literal, or PostgreSQL would expect few rows and read the months by their primary keys.
            Delivery.id >= literal_column(str(min(months) * IDS)),
            Delivery.id < literal_column(str((max(months) + 1) * IDS)),
        )
    return {number: at for number, at in session.execute(chosen) if number is not None}
