"""Confirmations to a mailbox, counted over all its spellings and after its subscriber was deleted."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery

# What stands for a mailbox in the occasion of a mail whose subscriber was deleted unconfirmed.
_MAILBOX = "'to ' || encode(sha256(convert_to(name || mailbox_key, 'UTF8')), 'hex')"
_COUNT_TO_MAILBOX = text(f"""
WITH mails AS (
  SELECT mails.kind, mails.created_at
  FROM subscribers AS one
  JOIN subscribers AS spelled USING (mailbox_key)
  JOIN deliveries AS mails ON mails.subscriber_id = spelled.id AND mails.edition_id IS NULL
  WHERE one.id = :id
      AND mails.created_at >= coalesce(spelled.unsubscribed_at, spelled.created_at)
  UNION ALL
  SELECT kind, created_at FROM deliveries
  WHERE edition_id IS NULL AND subscriber_id IS NULL
      AND kind = ANY(CAST(CAST(:kinds AS text[]) AS delivery_kind[]))
      AND occasion = (SELECT {_MAILBOX} FROM subscribers, installations WHERE id = :id)
)
SELECT max(created_at), count(*) FROM mails
WHERE kind = ANY(CAST(CAST(:kinds AS text[]) AS delivery_kind[])) AND created_at >= :since
""")  # noqa: S608  # all parts are constants
_LIST_COUNTED = text(f"""
SELECT deliveries.id, {_MAILBOX}
FROM deliveries, subscribers, installations
WHERE deliveries.subscriber_id = :id AND deliveries.edition_id IS NULL AND subscribers.id = :id
    AND kind = ANY(CAST(CAST(:kinds AS text[]) AS delivery_kind[])) AND deliveries.created_at >= :since
""")  # noqa: S608  # all parts are constants
_UNMARK_MAILBOXES = text("""
UPDATE deliveries SET occasion = ''
WHERE edition_id IS NULL AND subscriber_id IS NULL AND occasion LIKE 'to %' AND created_at < :before
""")


class MailboxCount(NamedTuple):
    """When the last mail of some kinds was queued, and how many were."""

    last_at: datetime | None
    mails: int


def count_to_mailbox(
    session: Session, kinds: Iterable[DeliveryKind], subscriber_id: int, since: datetime
) -> MailboxCount:
    """Return the mails since a time to all spellings of a subscriber's mailbox, tags included.

    Those before a subscriber left do not count: somebody who comes back is asked at once.
    """
    session.flush()  # a textual statement does not autoflush
    given = {"id": subscriber_id, "kinds": [kind.value for kind in kinds], "since": since}
    return MailboxCount(*session.execute(_COUNT_TO_MAILBOX, given).one())


@contextmanager
def counting_on(
    session: Session, kinds: Iterable[DeliveryKind], subscriber_id: int, since: datetime
) -> Iterator[None]:
    """Let a subscriber's mails since a time be counted to the mailbox, although the block deletes it.

    They keep a hash of the mailbox until `unmark_mailboxes`.
    """
    given = {"id": subscriber_id, "kinds": [kind.value for kind in kinds], "since": since}
    counted = session.execute(_LIST_COUNTED, given).all()
    yield
    for number, mailbox in counted:
        session.execute(update(Delivery).where(Delivery.id == number).values(occasion=mailbox))


def unmark_mailboxes(session: Session, before: datetime) -> None:
    """Forget to which deleted subscribers the mails before a time went."""
    session.execute(_UNMARK_MAILBOXES, {"before": before})
