"""The exact mail a reader would get, built like a real one and then taken back."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.store.claimed_rows import Claim
from service.deliveries.store.models import Delivery
from service.editions.compose import compose_subscribers
from service.editions.prepare import prepare_edition
from service.editions.store.editions import find_edition, insert_edition
from service.editions.store.models import Edition
from service.messages.build import build_envelope
from service.messages.edition_data import EditionDataCache, gather_edition_data
from service.messages.identity import make_renderer
from service.platform.settings.settings import Settings
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import Candidate


@dataclass(frozen=True, slots=True)
class MailPreview:
    """`payload` is the message as it would go out, None where there would be none (`reason`)."""

    edition_on: date
    payload: bytes | None
    paper_count: int = 0
    reason: str = ""


def preview_digest(
    sessions: sessionmaker[Session], settings: Settings, subscriber_id: int, on: date, now: datetime
) -> MailPreview:
    """A reader's digest of a date: the frozen one if it exists, else what it would be now.

    It is composed in a transaction that is rolled back: no edition, no row, no mail stays. What
    the mail is made of is kept, and the mail is written after it.
    """
    with sessions() as session:
        try:
            found = _read(session, settings, subscriber_id, on, now)
            session.expunge_all()
        finally:
            session.rollback()
    if isinstance(found, MailPreview):
        return found
    edition, claim, editions = found
    envelope, _ = build_envelope(claim, editions, settings, make_renderer(settings), now)
    return MailPreview(edition.local_date, envelope.payload, len(claim.delivery.paper_ids))


def _read(
    session: Session, settings: Settings, subscriber_id: int, on: date, now: datetime
) -> tuple[Edition, Claim, EditionDataCache] | MailPreview:
    """What the mail is to be made of, or why there is none."""
    subscriber = session.get_one(Subscriber, subscriber_id)
    edition = find_edition(session, subscriber.cadence, on) or _open(
        session, settings, subscriber, on, now
    )
    delivery = _find_delivery(session, edition.id, subscriber.id)
    if delivery is None:
        candidate = Candidate(
            subscriber.id, subscriber.hour, subscriber.timezone, subscriber.has_empty_digests
        )
        compose_subscribers(session, settings, edition, [candidate], now)
        delivery = _find_delivery(session, edition.id, subscriber.id)
    if delivery is None or delivery.digest is None:
        reason = delivery.reason if delivery else "no delivery"
        return MailPreview(edition.local_date, None, reason=reason)
    claim, editions = Claim(delivery, subscriber), EditionDataCache()
    gather_edition_data(session, [claim], editions)
    return edition, claim, editions


def _find_delivery(session: Session, edition_id: int, subscriber_id: int) -> Delivery | None:
    return session.scalar(
        select(Delivery).where(
            Delivery.edition_id == edition_id, Delivery.subscriber_id == subscriber_id
        )
    )


def _open(
    session: Session, settings: Settings, subscriber: Subscriber, on: date, now: datetime
) -> Edition:
    edition = insert_edition(session, subscriber.cadence, on, now, sends_now=True)
    if edition is None:
        raise LookupError("the edition was opened by somebody else just now; try again")
    prepare_edition(session, settings, edition, now)
    return edition
