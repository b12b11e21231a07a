"""Sizes of an edition's messages, from a sample built again as the senders built it."""

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.store.claimed_rows import Claim
from service.deliveries.store.models import Delivery
from service.messages.build import build_mail
from service.messages.edition_data import EditionDataCache, gather_edition_data
from service.messages.identity import make_renderer
from service.platform.settings.settings import Settings
from service.subscribers.store.models import Subscriber

SAMPLE = 200


def message_sizes(
    sessions: sessionmaker[Session], edition_id: int, settings: Settings
) -> list[int]:
    """Return the payload sizes of the edition's first rows, in bytes."""
    renderer, editions = make_renderer(settings), EditionDataCache()
    with sessions() as session:
        rows = session.execute(
            select(Delivery, Subscriber)
            .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
            .where(Delivery.edition_id == edition_id)
            .order_by(Delivery.id)
            .limit(SAMPLE)
        ).all()
        claims = [Claim(delivery, subscriber) for delivery, subscriber in rows]
        gather_edition_data(session, claims, editions)
    built = [
        build_mail(claim, editions, settings, renderer, claim.delivery.created_at).envelope
        for claim in claims
    ]
    return [len(envelope.payload) for envelope in built]
