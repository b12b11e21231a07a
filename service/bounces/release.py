"""Undo suppressions in bulk by the reply that caused them, when it turns out to be our fault.

A reader whose subscription a wrong suppression ended gets it back as it was, without signing up
again. Complaints, unsubscriptions and erasures are never undone.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from service.bounces.store.bounces import forgive_bounces
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import address_hash
from service.subscribers.store.subscribers import (
    get_subscriber,
    list_suppressed_keys,
    restore_suppressed,
    was_released_because,
)
from service.subscribers.store.suppressions import delete_suppression, select_caused_by

# Fewer letters are in nearly every reply.
LEAST_LETTERS = 4
# Of different replies that a count shows.
MOST_SHOWN = 10


class NoSuchReply(LookupError):
    """The text is too short, or in no reply that suppressed an address; its text says which."""


@dataclass(frozen=True, slots=True)
class CausedSuppressions:
    """The suppressions that replies with a text caused.

    `subscriber_ids` are those of the readers that they ended, `others` counts addresses without a
    reader (erased since). `replies` are the commonest replies with their counts.
    """

    subscriber_ids: tuple[int, ...]
    others: int
    replies: tuple[tuple[str, int], ...]


def find_caused(session: Session, settings: Settings, text: str) -> CausedSuppressions:
    """Return the suppressions that replies with a text caused, none if all are released already.

    Upper and lower case are the same. Raises `NoSuchReply`.
    """
    wanted = clean_text(text)
    rows = select_caused_by(session, wanted)
    if not rows and not was_released_because(session, wanted):
        raise NoSuchReply(f"no address was suppressed by a reply with {wanted!r}")
    hashes = {row.address_hash for row in rows}
    ids = _find_subscribers(session, settings, hashes) if hashes else []
    counts = Counter(row.reply for row in rows).most_common(MOST_SHOWN)
    return CausedSuppressions(tuple(ids), len(rows) - len(ids), tuple(counts))


def clean_text(text: str) -> str:
    """Return a text on one line. Raises `NoSuchReply` if it could be in any reply."""
    wanted = " ".join(text.split())
    if sum(map(str.isalnum, wanted)) < LEAST_LETTERS:
        raise NoSuchReply(f"the text of a reply needs at least {LEAST_LETTERS} letters or digits")
    return wanted


def _find_subscribers(session: Session, settings: Settings, hashes: set[bytes]) -> Sequence[int]:
    secrets = settings.secret_key
    return [
        number
        for number, key in list_suppressed_keys(session)
        if any(address_hash(key, secret) in hashes for secret in secrets)
    ]


def release_caused(
    sessions: sessionmaker[Session], settings: Settings, text: str, now: datetime
) -> int:
    """Lift the suppressions that replies with a text caused; return how many readers are back.

    Each reader is released in a transaction of its own, which locks it first as a bounce does. What
    one of two concurrent runs has released, the other leaves alone. Raises `NoSuchReply`.
    """
    wanted = clean_text(text)
    with transaction(sessions) as session:
        found = find_caused(session, settings, wanted)
    released = 0
    for number in found.subscriber_ids:
        with transaction(sessions) as session:
            released += _release(session, settings, number, wanted, now)
    return released


def _release(
    session: Session, settings: Settings, subscriber_id: int, text: str, now: datetime
) -> bool:
    subscriber = get_subscriber(session, subscriber_id, lock=True)
    if subscriber is None:
        return False
    if not delete_suppression(session, subscriber.email_key, settings.secret_key):
        return False
    # Otherwise the next soft bounce would suppress the reader again.
    forgive_bounces(session, subscriber.id)
    restore_suppressed(session, subscriber, text, now)
    return True
