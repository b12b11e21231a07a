"""Preview of a subscriber's digest: built like a real one, then rolled back."""

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
from service.messages.build import build_mail
from service.messages.edition_data import EditionDataCache, gather_edition_data
from service.messages.identity import make_renderer
from service.platform.settings.settings import Settings
from service.subscribers.store.candidates import Candidate
from service.subscribers.store.models import Subscriber


@dataclass(frozen=True, slots=True)
class MailPreview:
    """A previewed message; `payload` is None where nothing would be sent (see `reason`).

    `state` is that of the frozen delivery, empty where the digest was composed for the preview.
    """

    payload: bytes | None
    paper_count: int = 0
    reason: str = ""
    state: str = ""


def preview_digest(
    sessions: sessionmaker[Session], settings: Settings, subscriber_id: int, on: date, now: datetime
) -> MailPreview:
    """Return a subscriber's digest of a date: the frozen one, or one composed now.

    It is composed in a transaction that is rolled back, so no edition and no delivery stays. The
    message is rendered after the rollback, from data that was read before it.
    """
    with sessions() as session:
        try:
            result = _compose(session, settings, subscriber_id, on, now)
            session.expunge_all()
        finally:
            session.rollback()
    if isinstance(result, MailPreview):
        return result
    claim, editions, state = result
    built = build_mail(claim, editions, settings, make_renderer(settings), now)
    paper_count = len(claim.delivery.paper_ids)
    return MailPreview(built.envelope.payload, paper_count, state=state)


def _compose(
    session: Session, settings: Settings, subscriber_id: int, on: date, now: datetime
) -> tuple[Claim, EditionDataCache, str] | MailPreview:
    """Return the data of the message, or a preview with the reason why there is none."""
    subscriber = session.get_one(Subscriber, subscriber_id)
    edition = find_edition(session, subscriber.cadence, on) or _open(
        session, settings, subscriber, on, now
    )
    delivery = _find_delivery(session, edition.id, subscriber.id)
    state = str(delivery.state) if delivery else ""
    if delivery is None:
        candidate = Candidate(*(getattr(subscriber, name) for name in Candidate._fields))
        compose_subscribers(session, settings, edition, [candidate], now)
        delivery = _find_delivery(session, edition.id, subscriber.id)
    if delivery is None or delivery.digest is None:
        return MailPreview(None, reason=delivery.reason if delivery else "no delivery")
    claim, editions = Claim(delivery, subscriber), EditionDataCache()
    gather_edition_data(session, [claim], editions)
    return claim, editions, state


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
        raise LookupError("another process has just opened this edition; try again")
    prepare_edition(session, settings, edition, now)
    return edition
