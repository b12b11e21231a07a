"""Insert and query deliveries: the digests of an edition and all other emails."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.deliveries.domain.months import IDS
from service.deliveries.domain.states import (
    NEXT_STATES,
    DeliveryKind,
    DeliveryState,
    Phase,
    SkipReason,
)
from service.deliveries.store.fate_log import log_fates
from service.deliveries.store.models import Delivery, DeliveryEvent
from service.deliveries.store.packed_digests import pack_digest
from service.platform.database.copy_rows import copy_rows
from service.platform.database.engine import log_on_commit
from service.platform.database.text_formats import is_among, write_numbers
from service.platform.logs import get_logger

log = get_logger(__name__)
_T = TypeVar("_T")


class DigestRow(NamedTuple):
    """One candidate of an edition: a digest to send (`digest`, JSON), or a named reason not to."""

    subscriber_id: int
    due_at: datetime
    send_not_after: datetime
    skip_reason: str = ""
    paper_ids: tuple[int, ...] = ()
    digest: Mapping[str, Any] | None = None


_COPIED = (
    "id, kind, edition_id, subscriber_id, state, reason, due_at, send_not_after, paper_ids, digest,"
    " created_at, updated_at"
)


def insert_digests(
    session: Session, edition_id: int, rows: Sequence[DigestRow], now: datetime
) -> int:
    """Insert the edition's rows of some subscribers; existing rows stay. Return how many are new.

    Idempotent. It uses COPY, which takes a quarter of the time of INSERT but has no ON CONFLICT, so
    existing rows are queried first. The chunk's lock lets only one process compose a subscriber; if
    another inserted a row in between, the unique key would abort this transaction.
    """
    existing = set(
        session.scalars(
            select(Delivery.subscriber_id).where(
                Delivery.edition_id == edition_id,
                is_among(Delivery.subscriber_id, [row.subscriber_id for row in rows]),
            )
        )
    )
    missing = [row for row in rows if row.subscriber_id not in existing]
    ids = session.scalars(_NEXT_IDS, {"count": len(missing), "edition_id": edition_id}).all()
    rows_to_copy = (
        _copied_values(number, edition_id, row, now)
        for number, row in _spread([*zip(ids, missing, strict=True)])
    )
    copy_rows(session, f"deliveries ({_COPIED})", rows_to_copy)
    skipped = [row.subscriber_id for row in missing if row.skip_reason]
    log_on_commit(
        session,
        log,
        "compose",
        edition_id=edition_id,
        queued=len(missing) - len(skipped),
        skipped=len(skipped),
        skipped_subscriber_ids=skipped,
    )
    return len(missing)


# The pages that a chunk's rows take, or some more.
_PAGES = 40


def _spread(rows: Sequence[_T]) -> Iterator[_T]:
    """Yield rows so that those that are claimed together come to lie on different pages.

    Each step of sending writes a new version of the row. Of a page that is claimed as a whole all
    versions would go to new pages, and none fits where one has become free until a vacuum comes by. Of
    some rows of a page they take the place of each other, and the table stays half as large.
    """
    for place in range(_PAGES):
        yield from rows[place::_PAGES]


# The month before the number: the partition of the edition's month.
_NEXT_IDS = text(f"""
SELECT editions.month * {IDS} + nextval('deliveries_id_seq')
FROM editions, generate_series(1, :count) WHERE editions.id = :edition_id
""")  # noqa: S608  # a constant


def _copied_values(number: int, edition_id: int, row: DigestRow, now: datetime) -> tuple[Any, ...]:
    state = DeliveryState.SKIPPED if row.skip_reason else DeliveryState.QUEUED
    digest = None if row.digest is None else pack_digest(row.digest)
    return (
        number, DeliveryKind.DIGEST.value, edition_id, row.subscriber_id, state.value, row.skip_reason,
        row.due_at, row.send_not_after, write_numbers(row.paper_ids), digest, now, now,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class MailRow:
    """A mail that is not an edition's digest. `digest` has the papers that it shows, `paper_ids`
    those that it adds to the ledger. An `alert` goes to the operator and has no subscriber.
    """

    kind: DeliveryKind
    subscriber_id: int | None
    occasion: str
    created_at: datetime
    due_at: datetime
    send_not_after: datetime
    digest: dict[str, Any] | None = None
    paper_ids: tuple[int, ...] = ()
    alert: dict[str, Any] | None = None


def insert_mail(
    session: Session,
    kind: DeliveryKind,
    subscriber_id: int,
    occasion: str,
    now: datetime,
    send_not_after: datetime,
) -> int | None:
    """Queue a transactional mail; return its id, or None if its occasion has a mail already."""
    row = MailRow(kind, subscriber_id, occasion, now, now, send_not_after)
    return insert_mail_row(session, row)


_INSERT_MAILS = text("""
INSERT INTO deliveries
    (kind, subscriber_id, occasion, state, due_at, send_not_after, created_at, updated_at)
SELECT CAST(:kind AS delivery_kind), id, :occasion, 'queued', :now, :until, :now, :now
FROM unnest(CAST(:ids AS bigint[])) AS id
ON CONFLICT DO NOTHING
RETURNING deliveries.id
""")


def insert_mails(
    session: Session,
    kind: DeliveryKind,
    subscriber_ids: Iterable[int],
    occasion: str,
    now: datetime,
    send_not_after: datetime,
) -> None:
    """Queue one transactional mail for each subscriber who has none of this occasion yet."""
    values = {"kind": kind.value, "occasion": occasion, "now": now, "until": send_not_after}
    bound = {**values, "ids": write_numbers(subscriber_ids)}
    queued = len(session.scalars(_INSERT_MAILS, bound).all())
    log_on_commit(session, log, "mails.queued", kind=kind, mails=queued)


def insert_mail_row(session: Session, row: MailRow, skipped: str = "") -> int | None:
    """Queue a mail with its own times and papers; return None if its occasion has one already.

    With a reason in `skipped` it is not sent, and only stands for its occasion.
    """
    number = session.scalar(
        insert(Delivery)
        .values(
            kind=row.kind,
            subscriber_id=row.subscriber_id,
            occasion=row.occasion,
            state=DeliveryState.SKIPPED if skipped else DeliveryState.QUEUED,
            reason=skipped,
            due_at=row.due_at,
            digest=row.digest,
            alert=row.alert,
            paper_ids=list(row.paper_ids),
            send_not_after=row.send_not_after,
            created_at=row.created_at,
            updated_at=row.created_at,
        )
        .on_conflict_do_nothing()
        .returning(Delivery.id)
    )
    if number is not None and not skipped:
        values = {"delivery_id": number, "kind": row.kind, "subscriber_id": row.subscriber_id}
        log_on_commit(session, log, "mail.queued", **values)
    return number


def record_event(
    session: Session, delivery: Delivery, state: DeliveryState, detail: str, now: datetime
) -> None:
    session.add(
        DeliveryEvent(
            delivery_id=delivery.id,
            attempt=delivery.attempt,
            state=state,
            detail=detail[:1000],
            created_at=now,
        )
    )
    log_fates(session, [(delivery.id, state, detail)])


def get_delivery(session: Session, delivery_id: int) -> Delivery | None:
    return session.get(Delivery, delivery_id)


def list_events(session: Session, delivery: Delivery) -> list[DeliveryEvent]:
    """Return what happened to a delivery, in order; that a relay accepted it is in its row."""
    events = list(
        session.scalars(
            select(DeliveryEvent)
            .where(DeliveryEvent.delivery_id == delivery.id)
            .order_by(DeliveryEvent.id)
        )
    )
    if delivery.sent_at is not None:
        later = sum(event.state in NEXT_STATES[DeliveryState.SENT] for event in events)
        events.insert(len(events) - later, _sent_event(delivery, delivery.sent_at))
    return events


def _sent_event(delivery: Delivery, sent_at: datetime) -> DeliveryEvent:
    return DeliveryEvent(
        delivery_id=delivery.id,
        attempt=delivery.attempt,
        state=DeliveryState.SENT,
        detail=delivery.last_reply,
        created_at=sent_at,
        phase=Phase.REPLIED,
        relay=delivery.relay,
    )


# The kinds whose papers count in the ledger; a welcome only shows sample papers.
PAPER_KINDS = (DeliveryKind.DIGEST, DeliveryKind.CATCH_UP)


# As the partial index `ix_deliveries_unsent` has it, so that nothing else of a subscriber's is read.
_IS_UNSENT = text(
    "carried_into_id IS NULL"
    " AND (state IN ('carried', 'failed') OR state = 'skipped' AND reason = 'late')"
)


def find_carried(
    session: Session, subscriber_ids: Sequence[int], since: datetime
) -> dict[int, list[Delivery]]:
    """Return digests whose papers must be carried over: once in doubt, refused, or too late.

    Those that no relay accepted (failed or too late) are carried over only if created after
    `since`, a month ago: old papers are of little use to a subscriber whose mail fails for longer.
    """
    rows = session.scalars(
        select(Delivery).where(
            is_among(Delivery.subscriber_id, subscriber_ids),
            _IS_UNSENT,
            or_(
                Delivery.state == DeliveryState.CARRIED,
                and_(Delivery.kind.in_(PAPER_KINDS), Delivery.created_at > since),
            ),
        )
    )
    carried: dict[int, list[Delivery]] = {}
    for delivery in rows:
        if delivery.subscriber_id is not None:
            carried.setdefault(delivery.subscriber_id, []).append(delivery)
    return carried


def mark_carried(
    session: Session, edition_id: int, carried: Mapping[int, Sequence[Delivery]]
) -> None:
    """Record which digest of the new edition contains the carried papers."""
    for subscriber_id, deliveries in carried.items():
        into = (
            select(Delivery.id)
            .where(Delivery.edition_id == edition_id, Delivery.subscriber_id == subscriber_id)
            .scalar_subquery()
        )
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_([delivery.id for delivery in deliveries]))
            .values(carried_into_id=into)
        )


def _are_single(kind: DeliveryKind, subscriber_id: int) -> tuple[ColumnElement[bool], ...]:
    """Select a subscriber's mails of a kind that belongs to no edition; no month is searched."""
    return (
        Delivery.edition_id.is_(None),
        Delivery.kind == kind,
        Delivery.subscriber_id == subscriber_id,
    )


def latest_mail_at(session: Session, kind: DeliveryKind, subscriber_id: int) -> datetime | None:
    """Return when a subscriber's last mail of a kind was queued."""
    return session.execute(
        select(func.max(Delivery.created_at)).where(*_are_single(kind, subscriber_id))
    ).scalar_one()


def next_number(session: Session, kind: DeliveryKind, subscriber_id: int) -> int:
    """Return the number after the highest among the occasions of a subscriber's mails of a kind."""
    occasions = session.scalars(select(Delivery.occasion).where(*_are_single(kind, subscriber_id)))
    return max((int(each) for each in occasions if each.isdecimal()), default=0) + 1


def count_mails(
    session: Session, kind: DeliveryKind, subscriber_id: int, since: datetime | None = None
) -> int:
    """Return how many mails of a kind were queued for a subscriber, in all or since a time."""
    counted = select(func.count()).where(*_are_single(kind, subscriber_id))
    if since is not None:
        counted = counted.where(Delivery.created_at >= since)
    return session.execute(counted).scalar_one()


def skip_queued_mail(
    session: Session, kind: DeliveryKind, subscriber_id: int, reason: SkipReason, now: datetime
) -> None:
    """Skip a subscriber's mails of a kind that no sender has claimed yet."""
    session.execute(
        update(Delivery)
        .where(*_are_single(kind, subscriber_id), Delivery.state == DeliveryState.QUEUED)
        .values(state=DeliveryState.SKIPPED, reason=reason, updated_at=now)
    )


def make_due(session: Session, edition_id: int, now: datetime) -> int:
    """Make an edition's waiting rows due now; return how many."""
    rows = session.execute(
        update(Delivery)
        .where(
            Delivery.edition_id == edition_id,
            Delivery.state == DeliveryState.QUEUED,
            Delivery.due_at > now,
        )
        .values(due_at=now)
        .returning(Delivery.id)
    ).all()
    return len(rows)
