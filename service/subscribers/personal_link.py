"""Mail the personal link again to a person who has lost it: one request for every state.

The page's answer is the same for every address; only the mail, if any, differs. The subscriber's
row is locked, so that a double click or two requests at once queue one mail.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryKind
from service.platform.signing.address_hash import email_key
from service.platform.signing.tokens import Token, TokenEnded, is_held_by
from service.subscribers import queue_mails
from service.subscribers.store import subscribers as store
from service.subscribers.store.models import Subscriber
from service.subscribers.store.suppressions import is_suppressed


def request_link(
    session: Session, address: str, secrets: tuple[str, ...], now: datetime, *, vote_for: int = 0
) -> bool:
    """Queue the mail that fits the state of a valid address, if any; return whether it is queued.

    That of a subscriber has the link to `vote_for` a paper, by its id, too.
    """
    subscriber = store.find_by_email(session, email_key(address), lock=True)
    if subscriber is None:
        return False
    return _queue_link(session, subscriber, secrets, now, is_holder=False, vote_for=vote_for)


def renew_link(session: Session, link: Token, secrets: tuple[str, ...], now: datetime) -> None:
    """Do the same for the holder of one of our links, which was in a mail to this subscriber.

    Raises `TokenEnded` for a link that was ended: its holder is a stranger.
    """
    subscriber = store.get_subscriber(session, link.subject, lock=True)
    if subscriber is not None:
        if not is_held_by(link, subscriber):
            raise TokenEnded
        _queue_link(session, subscriber, secrets, now, is_holder=True)


def _queue_link(
    session: Session,
    subscriber: Subscriber,
    secrets: tuple[str, ...],
    now: datetime,
    *,
    is_holder: bool,
    vote_for: int = 0,
) -> bool:
    """Queue the one mail that a subscriber's state allows, at most one an hour.

    A suppressed address gets none, and one that left without confirming none either: its owner
    never wanted our mail. One that left gets a way back, once a day. Strangers, who can ask as well,
    have only a few sent; the holder of a link of ours has no such maximum.
    """
    if is_suppressed(session, subscriber.email_key, secrets):
        return False
    gap = queue_mails.LINK_GAP
    match subscriber.state:
        case SubscriberState.ACTIVE | SubscriberState.PAUSED:
            most = None if is_holder else queue_mails.MOST_LINKS_A_DAY
            return queue_mails.queue_personal_link(
                session, subscriber, now, gap=gap, most=most, vote_for=vote_for
            )
        case SubscriberState.PENDING:
            moves = subscriber.moves_from_id is not None
            kind = DeliveryKind.ADDRESS_CHANGE if moves else DeliveryKind.CONFIRMATION
            most = None if is_holder else queue_mails.MOST_CONFIRMATIONS
            allowed = queue_mails.Allowed(gap, most)
            return queue_mails.queue_confirmation(session, subscriber, now, kind, allowed=allowed)
        case SubscriberState.UNSUBSCRIBED if subscriber.confirmed_at:
            most = None if is_holder else queue_mails.MOST_WAYS_BACK
            return queue_mails.queue_way_back(session, subscriber, now, most)
        case _:
            return False
