"""Queue the transactional mails of a subscriber's life."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from service.deliveries.domain.digest import (
    NEWEST_TITLE,
    TRENDING_TITLE,
    Digest,
    DigestEntry,
    DigestGroup,
)
from service.deliveries.domain.digest_json import digest_to_json
from service.deliveries.domain.states import SIGN_UP_FIELD, DeliveryKind
from service.deliveries.store import deliveries
from service.deliveries.store.mailbox_counts import count_to_mailbox
from service.papers.best_of_day import find_best_of_day
from service.platform.settings.settings import Settings
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_named_topics
from service.topics.topics import TopicError, preview_topic

# A day later, the mail would only confuse.
MAIL_LIFETIME = timedelta(hours=24)

# One confirmation a day and three in thirty days to a mailbox, whatever its spelling, so that the
# form cannot be used to flood it; and no stranger can keep its owner out for longer than that.
CONFIRMATION_GAP = timedelta(hours=24)
MOST_CONFIRMATIONS = 3
CONFIRMATIONS_LAPSE = timedelta(days=30)
CONFIRMATION_KINDS = (DeliveryKind.CONFIRMATION, DeliveryKind.ADDRESS_CHANGE)

# A person who has lost the link asks again at once; nobody needs it more often than this. Anybody can
# type an address, so strangers may have a few sent, and fewer to a person who has left.
LINK_GAP = timedelta(hours=1)
MOST_LINKS_A_DAY = 3
MOST_WAYS_BACK = 3
_DAY = timedelta(hours=24)

# Subscribers change a topic several times in a row; one mail covers all of the changes.
SETTLING = timedelta(minutes=10)
_PREVIEW_DAYS = 7
_NO_PAPERS = digest_to_json(Digest(()))
_PREVIEW_PAPERS = 3


class Allowed(NamedTuple):
    """At most one mail in `gap`, and `most` until they lapse (None: as many as needed)."""

    gap: timedelta = CONFIRMATION_GAP
    most: int | None = MOST_CONFIRMATIONS

    def has_room(self, last_at: datetime | None, count: int, now: datetime) -> bool:
        """Return whether one more may follow the last of `count`."""
        is_too_soon = last_at is not None and now - last_at < self.gap
        return not is_too_soon and (self.most is None or count < self.most)


def queue_confirmation(
    session: Session,
    subscriber: Subscriber,
    now: datetime,
    kind: DeliveryKind = DeliveryKind.CONFIRMATION,
    *,
    allowed: Allowed = Allowed(),  # noqa: B008  # a constant
    sign_up_id: int | None = None,
) -> bool:
    """Ask an address to confirm, as often as is `allowed`, all kinds together.

    The link confirms the sign-up of `sign_up_id`, or what is stored. Return whether a mail is queued.
    """
    since = now - CONFIRMATIONS_LAPSE
    last_at, mails = count_to_mailbox(session, CONFIRMATION_KINDS, subscriber.id, since)
    if not allowed.has_room(last_at, mails, now):
        return False
    number = deliveries.next_number(session, kind, subscriber.id)
    named = None if sign_up_id is None else {**_NO_PAPERS, SIGN_UP_FIELD: sign_up_id}
    until = now + MAIL_LIFETIME
    row = deliveries.MailRow(kind, subscriber.id, str(number), now, now, until, digest=named)
    return deliveries.insert_mail_row(session, row) is not None


def _queue(
    session: Session,
    subscriber: Subscriber,
    kind: DeliveryKind,
    occasion: str,
    now: datetime,
    shown: Digest | None = None,
) -> bool:
    """Queue a mail once for its occasion; `shown` has the papers that stand in it."""
    digest = digest_to_json(shown) if shown else None
    until = now + MAIL_LIFETIME
    row = deliveries.MailRow(kind, subscriber.id, occasion, now, now, until, digest=digest)
    return deliveries.insert_mail_row(session, row) is not None


def queue_personal_link(
    session: Session,
    subscriber: Subscriber,
    now: datetime,
    *,
    gap: timedelta = _DAY,
    most: int | None = MOST_LINKS_A_DAY,
    vote_for: int = 0,
) -> bool:
    """Queue the mail with a subscriber's links, at most once in `gap` and `most` times a day.

    With the id of a paper to `vote_for`, it has the link that does so, too.
    """
    kind, allowed = DeliveryKind.PERSONAL_LINK, Allowed(gap, most)
    if not _has_room(session, subscriber, kind, now, allowed, now - _DAY):
        return False
    voted = Digest((DigestGroup("", (DigestEntry(vote_for),)),)) if vote_for else None
    return _queue(session, subscriber, kind, _hour(now), now, voted)


def queue_fresh_links(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Queue the mail with a subscriber's links after all earlier ones were ended, however often."""
    occasion = f"links {subscriber.link_epoch}"
    _queue(session, subscriber, DeliveryKind.PERSONAL_LINK, occasion, now)


def queue_way_back(
    session: Session, subscriber: Subscriber, now: datetime, most: int | None = MOST_WAYS_BACK
) -> bool:
    """Queue the farewell again for a person who left and asks for the link.

    At most one a day, and `most` in thirty days, with the farewell itself where it is sent.
    """
    left_at = subscriber.unsubscribed_at or subscriber.created_at
    kind, since = DeliveryKind.FAREWELL, max(left_at, now - CONFIRMATIONS_LAPSE)
    if not _has_room(session, subscriber, kind, now, Allowed(_DAY, most), since):
        return False
    return _queue(session, subscriber, kind, _hour(now), now)


def _has_room(
    session: Session,
    subscriber: Subscriber,
    kind: DeliveryKind,
    now: datetime,
    allowed: Allowed,
    since: datetime,
) -> bool:
    """Return whether another mail of a kind is `allowed`; those before `since` have lapsed.

    Exact where the caller holds the subscriber's row; the occasion catches most other races.
    """
    last = deliveries.latest_mail_at(session, kind, subscriber.id)
    return allowed.has_room(last, deliveries.count_mails(session, kind, subscriber.id, since), now)


def _hour(now: datetime) -> str:
    return f"{now:%Y-%m-%dT%H}"


def queue_welcome(
    session: Session, settings: Settings, subscriber: Subscriber, now: datetime
) -> None:
    """Queue the welcome mail after a confirmation, with recent papers that match the topics."""
    occasion = (subscriber.confirmed_at or now).isoformat()
    shown = _recent_papers(session, settings, subscriber, now)
    kind, until = DeliveryKind.WELCOME, now + MAIL_LIFETIME
    row = deliveries.MailRow(kind, subscriber.id, occasion, now, now, until, digest=shown)
    deliveries.insert_mail_row(session, row)


def _recent_papers(
    session: Session, settings: Settings, subscriber: Subscriber, now: datetime
) -> dict[str, Any]:
    """Return the newest papers of the first topics with matches, frozen like a digest.

    Without topics: the best papers of the latest day, as a digest would have them.
    """
    topics = get_named_topics(session, [subscriber.id]).get(subscriber.id, [])
    groups: list[DigestGroup] = []
    shown: set[int] = set()
    if not topics and (best := find_best_of_day(session, now.date(), _PREVIEW_PAPERS)):
        title = TRENDING_TITLE if best.is_trending else NEWEST_TITLE
        groups.append(DigestGroup(title, tuple(DigestEntry(paper.id) for paper in best.papers)))
    for topic in topics:
        room = _PREVIEW_PAPERS - len(shown)
        if not room:
            break
        try:
            found = preview_topic(
                session, settings, topic.query, now.date(), _PREVIEW_DAYS, _PREVIEW_PAPERS
            ).newest
        except TopicError:
            # The language or the dictionary changed since the topic was saved.
            continue
        ids = [paper.id for paper in found if paper.id not in shown][:room]
        if ids:
            shown.update(ids)
            groups.append(DigestGroup(topic.name, tuple(map(DigestEntry, ids))))
    return digest_to_json(Digest(tuple(groups)))


def queue_topics_changed(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Queue a mail with the present topics, at most once a day, `SETTLING` after the change."""
    kind, day = DeliveryKind.TOPICS_CHANGED, now.date().isoformat()
    due = now + SETTLING
    row = deliveries.MailRow(kind, subscriber.id, day, now, due, due + MAIL_LIFETIME)
    deliveries.insert_mail_row(session, row)


def queue_paused(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Queue a mail that confirms a pause, with a link to resume; once a day for each end date."""
    occasion = f"{now.date()} until {subscriber.paused_until}"
    _queue(session, subscriber, DeliveryKind.PAUSED, occasion, now)


def queue_resumed(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Queue a mail that says that digests are resumed; at most once a day."""
    _queue(session, subscriber, DeliveryKind.RESUMED, now.date().isoformat(), now)


def queue_farewell(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Queue the farewell mail, with a link to return."""
    occasion = (subscriber.unsubscribed_at or now).isoformat()
    _queue(session, subscriber, DeliveryKind.FAREWELL, occasion, now)


def queue_address_notice(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Queue a notice to the old address that mails go to another one now, with a link to undo."""
    _queue(session, subscriber, DeliveryKind.ADDRESS_NOTICE, now.isoformat(), now)
