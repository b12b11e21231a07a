"""Explain which mails a subscriber got on a date, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session, sessionmaker

from service.bounces.store.models import BounceEvent
from service.deliveries.domain.digest import ALSO_TITLE, UPDATES_TITLE, Digest
from service.deliveries.domain.digest_json import BROKEN_DIGEST, digest_from_json
from service.deliveries.domain.message_ids import restore_message_id
from service.deliveries.store.deliveries import list_events
from service.deliveries.store.models import Delivery
from service.editions.domain.coverage import Coverage, parse_coverage
from service.editions.store.models import Edition
from service.operations.figures import ProviderLine, provider_line
from service.operations.store import edition_reports
from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers
from service.platform.database.engine import transaction
from service.presentation.waits import waits_line
from service.sending.domain.providers import provider_of
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import find_by_email, get_named_topics
from service.subscribers.store.suppressions import find_reason
from service.topics.domain.measure import write_measure
from service.topics.domain.types import Reason


@dataclass(frozen=True, slots=True)
class PaperStory:
    """One paper of a story: why it matched, and whether it was cut."""

    key: str
    title: str
    topic: str
    reasons: tuple[str, ...]
    is_maybe_seen: bool


@dataclass(frozen=True, slots=True)
class EventStory:
    """A step of a delivery; of a try also the SMTP phase (`replied`: to the message) and the relay."""

    at: datetime
    attempt: int
    state: str
    detail: str
    phase: str = ""
    relay: str = ""


@dataclass(frozen=True, slots=True)
class BounceStory:
    """A bounce or complaint; `source` is the channel it came by."""

    at: datetime
    source: str
    verdict: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class EditionName:
    """Which edition a delivery belongs to."""

    edition_id: int
    cadence: str
    on: date


@dataclass(frozen=True, slots=True)
class DeliveryStory:
    """One delivery: its papers, the papers that were cut, and every step with the relay's reply.

    `carried_into` is the edition into which its papers were carried over; `carried_from` are the
    editions whose papers were carried over into this one. `coverage` is what the edition covers;
    `waits` says which papers wait for a later one.
    """

    kind: str
    edition_id: int | None
    cadence: str
    state: str
    reason: str
    due_at: datetime
    attempt: int
    message_id: str
    papers: tuple[PaperStory, ...]
    cut: tuple[str, ...]
    events: tuple[EventStory, ...]
    bounces: tuple[BounceStory, ...] = ()
    carried_into: EditionName | None = None
    carried_from: tuple[EditionName, ...] = ()
    coverage: Coverage | None = None
    waits: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """The mails of a subscriber on one date.

    `topics` are the queries of the topics with these `topic_names`, and `comes` says when their papers come. `suppressed` is the reason why the address gets no mail, or empty; `limit_state` is the current
    limit of its mail `provider`; `bounces` are those that belong to no delivery.
    """

    email: str
    on: date
    state: str
    topics: tuple[str, ...]
    topic_names: tuple[str, ...]
    comes: tuple[str, ...]
    deliveries: tuple[DeliveryStory, ...]
    suppressed: str = ""
    provider: str = ""
    limit_state: ProviderLine | None = None
    bounces: tuple[BounceStory, ...] = ()


@dataclass(frozen=True, slots=True)
class SubscriberStory:
    """All about an address: its story of a date, and its latest mails, newest first.

    `story` is None where no subscriber has the address; then `suppressed` is why it gets no mail.
    """

    story: Story | None
    mails: tuple[edition_reports.SubscriberDay, ...] = ()
    suppressed: str = ""


def find_subscriber_story(
    sessions: sessionmaker[Session], key: str, on: date, secrets: tuple[str, ...], domain: str = ""
) -> SubscriberStory:
    """Return the story of the address with a key (see `email_key`) on a date; see `explain_date`."""
    with transaction(sessions) as session:
        subscriber = find_by_email(session, key)
        if subscriber is None:
            return SubscriberStory(None, suppressed=find_reason(session, key, secrets) or "")
        mails = edition_reports.list_subscriber_days(session, subscriber.id)
        return SubscriberStory(explain_date(session, subscriber, on, secrets, domain), tuple(mails))


def explain_date(
    session: Session,
    subscriber: Subscriber,
    on: date,
    secrets: tuple[str, ...] = (),
    domain: str = "",
) -> Story:
    """Return a subscriber's deliveries of a date: digests of its editions, other mails queued on it.

    `secrets` are the keys with which suppressed addresses are hashed; `domain` is that of the envelope,
    which Message-IDs have.
    """
    rows = session.execute(
        select(Delivery, Edition)
        .outerjoin(Edition, Edition.id == Delivery.edition_id)
        .where(Delivery.subscriber_id == subscriber.id)
        .order_by(Delivery.created_at, Delivery.id)
    ).all()
    bounces = edition_reports.list_subscriber_bounces(session, subscriber.id)
    deliveries = [
        _delivery_story(session, delivery, edition, bounces, domain)
        for delivery, edition in rows
        if (edition.local_date if edition else delivery.created_at.date()) == on
    ]
    known = {delivery.id for delivery, _ in rows}
    topics = get_named_topics(session, [subscriber.id]).get(subscriber.id, [])
    provider = provider_of(subscriber.email)
    limit_state = edition_reports.find_limit(session, provider)
    return Story(
        email=subscriber.email,
        on=on,
        state=subscriber.state,
        topics=tuple(topic.query for topic in topics),
        topic_names=tuple(topic.name for topic in topics),
        comes=tuple(write_measure(topic.measure) for topic in topics),
        deliveries=tuple(deliveries),
        suppressed=find_reason(session, subscriber.email_key, secrets) or "",
        provider=provider,
        limit_state=provider_line(limit_state) if limit_state else None,
        bounces=tuple(_bounce(row) for row in bounces if row.delivery_id not in known),
    )


def _bounce(row: BounceEvent) -> BounceStory:
    return BounceStory(row.occurred_at, row.source, row.verdict, row.code, row.detail)


def _delivery_story(
    session: Session,
    delivery: Delivery,
    edition: Edition | None,
    bounces: Sequence[BounceEvent],
    domain: str,
) -> DeliveryStory:
    try:
        digest = digest_from_json(delivery.digest)
    except BROKEN_DIGEST:
        digest = Digest(())  # Its mail failed, and the reason is shown.
    updated = [update.paper_id for update in digest.updates]
    papers = get_papers(session, [*digest.paper_ids, *updated, *digest.cut_ids])
    return DeliveryStory(
        kind=delivery.kind,
        edition_id=delivery.edition_id,
        cadence=edition.cadence if edition else "",
        coverage=parse_coverage(edition.coverage) if edition else None,
        state=delivery.state,
        reason=delivery.reason,
        due_at=delivery.due_at,
        attempt=delivery.attempt,
        message_id=restore_message_id(delivery.kind, delivery.id, delivery.message_id, domain),
        papers=tuple(_list_papers(digest, papers)),
        cut=tuple(papers[i].key for i in digest.cut_ids if i in papers),
        waits=waits_line(digest.waits),
        events=tuple(
            EventStory(
                event.created_at, event.attempt, event.state, event.detail, event.phase, event.relay
            )
            for event in list_events(session, delivery)
        ),
        bounces=tuple(_bounce(row) for row in bounces if row.delivery_id == delivery.id),
        carried_into=next(iter(_editions(session, Delivery.id == delivery.carried_into_id)), None),
        carried_from=_editions(
            session,
            and_(
                Delivery.subscriber_id == delivery.subscriber_id,
                Delivery.carried_into_id == delivery.id,
            ),
        ),
    )


def _list_papers(digest: Digest, papers: Mapping[int, PaperView]) -> Iterator[PaperStory]:
    """Yield every paper of a mail in the mail's order: topics, suggestions, updates."""
    groups = [(group.title, group.entries) for group in digest.groups]
    for title, entries in [*groups, (ALSO_TITLE, digest.also)]:
        for entry in entries:
            if (paper := papers.get(entry.paper_id)) is not None:
                reasons = tuple(_reason_text(reason) for reason in entry.reasons)
                yield PaperStory(paper.key, paper.title, title, reasons, entry.is_maybe_seen)
    for update in digest.updates:
        if (paper := papers.get(update.paper_id)) is not None:
            what = f"{update.kind} {update.detail}".strip()
            yield PaperStory(paper.key, paper.title, UPDATES_TITLE, (what,), is_maybe_seen=False)


def _editions(session: Session, condition: ColumnElement[bool]) -> tuple[EditionName, ...]:
    """Return the editions of the deliveries that meet a condition."""
    rows = session.execute(
        select(Edition.id, Edition.cadence, Edition.local_date)
        .join(Delivery, Delivery.edition_id == Edition.id)
        .where(condition)
        .order_by(Edition.id)
    )
    return tuple(EditionName(number, cadence, on) for number, cadence, on in rows)


def _reason_text(reason: Reason) -> str:
    guess = " (a guess)" if reason.is_guess else ""
    return f"{reason.clause} in the {reason.field}{guess}"
