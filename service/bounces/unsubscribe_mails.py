"""Unsubscribe by mail: a mail to the signed address in List-Unsubscribe ends that subscription.

The address is the proof, as the token in a link is, so the sender does not matter: people read
mail under other addresses than the subscribed one. It ends nothing once the subscriber moved to
another address, since the old mailbox may have a new owner. Nothing is answered, so no loop can begin.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from service.bounces.inbound.bounce_mail import BounceMail
from service.bounces.store.bounces import NewBounce, insert_bounce
from service.deliveries.domain.return_path import Leaving, parse_unsubscribe_address
from service.deliveries.domain.states import BounceVerdict
from service.platform.settings.settings import Settings
from service.subscribers.lifecycle import leave
from service.subscribers.store.subscribers import get_subscriber

# The largest bigint of PostgreSQL; no subscriber has a larger id.
_LARGEST_ID = 2**63 - 1


def find_leaving(
    settings: Settings, mail: BounceMail, receivers: tuple[str, ...] = ()
) -> list[Leaving]:
    """Return the subscribers whom a mail unsubscribes: none for auto-replies and bounces."""
    if mail.is_automatic:
        return []
    domain, secrets = settings.bounce_domain, settings.secret_key
    found = (
        parse_unsubscribe_address(address, domain, secrets)
        for address in (*receivers, *mail.sent_to)
    )
    return sorted({each for each in found if each is not None and each.id <= _LARGEST_ID})


def apply_unsubscribe_mail(
    session: Session,
    settings: Settings,
    source: str,
    leaving: Leaving,
    mail: BounceMail,
    now: datetime,
) -> bool:
    """Unsubscribe once per mail; return false if this mail or this subscriber is known as gone.

    The event's key keeps a mail that is read again from ending a subscription begun after it.
    """
    subscriber_id = leaving.id
    subscriber = get_subscriber(session, subscriber_id, lock=True)
    if subscriber is None or subscriber.link_key != leaving.link_key:
        return False
    sent_at = mail.sent_at or now
    event = insert_bounce(
        session,
        NewBounce(
            # Without a Message-ID `mail.key` is a hash of the body, which two mails may share.
            key=f"unsubscribe:{subscriber_id}:{mail.key}:{mail.sent_at or ''}",
            source=source,
            delivery_id=None,
            subscriber_id=subscriber_id,
            verdict=BounceVerdict.UNSUBSCRIBE,
            weight=0,
            code="",
            detail="",
            occurred_at=min(sent_at, now),
        ),
        now,
    )
    if event is None:
        return False
    event.settled_at = now
    return leave(session, settings, subscriber_id, "mail", now)
