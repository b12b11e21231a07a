"""What comes back, believed only with proof: recorded once, told to the delivery and its reader.

A bounce counts if it came to a signed return path or quotes a Message-ID of ours, which nobody
else can make; from a provider that has proved itself (or an operator who vouches) the address
alone will do. All else is counted and forgotten: it would let anybody unsubscribe anybody.
"""

import hmac
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from service.bounces.domain.thresholds import ARRIVED, next_score, state_after
from service.bounces.inbound.listener import BounceListener
from service.bounces.inbound.mailbox import read_mailbox
from service.bounces.inbound.notice import Notice, notices_of_mail
from service.bounces.inbound.parse import BounceMail, NotReadable, parse_bounce
from service.bounces.store.bounces import (
    NewBounce,
    insert_bounce,
    list_bounces,
    list_unsettled,
    lock_delivery,
    move_by_evidence,
    settle_event,
)
from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.return_path import read_return_path
from service.deliveries.domain.states import BounceVerdict
from service.deliveries.store.models import Delivery
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import email_key
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import find_by_email, get_subscriber
from service.subscribers.store.suppressions import insert_suppression

# `<digest.123.…@…>`, see `service.messages.mime.mime.message_id`.
_OUR_ID = re.compile(r"<[a-z_]{1,30}\.(\d{1,18})\.[0-9a-f]{20}@[^<>@\s]{1,255}>", re.ASCII)
# Postgres' bigint; larger numbers are nobody's.
_LARGEST_ID = 2**63 - 1

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordedNotice:
    """What became of one notice.

    `outcome` is `recorded`, `known` (it came before), `arrived` (it says that the mail arrived),
    or `unattributed` (it proves nothing about any mail of ours).
    """

    outcome: str
    verdict: BounceVerdict
    address: str = ""
    delivery_id: int | None = None
    code: str = ""
    detail: str = ""
    is_suppressed: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """One mail read: what it says, and what became of it. `fault` is why it could not be read."""

    mail: BounceMail | None
    recorded: tuple[RecordedNotice, ...] = ()
    fault: str = ""


@dataclass(slots=True)
class Tally:
    """What a run over many mails came to."""

    mails: int = 0
    unreadable: int = 0
    suppressed: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, reading: Reading) -> None:
        self.mails += 1
        self.unreadable += bool(reading.fault)
        if reading.mail is not None:
            self.verdicts[reading.mail.verdict] += 1
        for one in reading.recorded:
            self.outcomes[one.outcome] += 1
            self.suppressed += one.is_suppressed


def is_our_return_path(settings: Settings, address: str) -> bool:
    """Whether an address is a return path that we signed: what a listener asks at RCPT."""
    return read_return_path(address, settings.bounce_domain, settings.secret_key) is not None


@dataclass(frozen=True, slots=True)
class Channel:
    """Where notices are recorded from: `source` names the channel in every row.

    With `trusts_addresses` an address is enough to find its reader: the sender has proved itself.
    """

    settings: Settings
    source: str
    trusts_addresses: bool = False


def read_bounce_mail(
    sessions: sessionmaker[Session],
    channel: Channel,
    raw: bytes,
    now: datetime,
    receivers: tuple[str, ...] = (),
) -> Reading:
    """Read a raw mail and record what it says. Never raises for what the mail holds."""
    try:
        mail = parse_bounce(raw)
    except NotReadable as error:
        log.info("bounce.unreadable", source=channel.source, reason=str(error))
        return Reading(None, fault=str(error))
    notices = notices_of_mail(mail, receivers)
    return Reading(mail, tuple(record_notices(sessions, channel, notices, now)))


def record_notices(
    sessions: sessionmaker[Session], channel: Channel, notices: Iterable[Notice], now: datetime
) -> list[RecordedNotice]:
    """Record each notice in a transaction of its own, so that a bad one costs only itself."""
    told = []
    for notice in notices:
        with transaction(sessions) as session:
            told.append(record_notice(session, channel, notice, now))
    seen = Counter(one.outcome for one in told)
    if told:
        log.info("bounce.recorded", source=channel.source, **seen)
    return told


def record_notice(
    session: Session, channel: Channel, notice: Notice, now: datetime
) -> RecordedNotice:
    """Record one notice in the caller's transaction; the same one again changes nothing.

    The delivery is locked before its reader, as the senders do it.
    """
    delivery = _find_delivery(session, channel.settings, notice)
    subscriber = _find_subscriber(session, channel, notice, delivery)
    if delivery is None and subscriber is None:
        return _tell("unattributed", notice)
    if notice.verdict in ARRIVED:
        if delivery is not None:
            move_by_evidence(session, delivery, state_after(notice.verdict), "it arrived", now)
        return _tell("arrived", notice, delivery)
    # A receiver's words name the address, which must not come back after an erasure.
    detail = notice.detail[:1000] if subscriber is not None else ""
    event_id = insert_bounce(
        session, _new_bounce(channel, notice, delivery, subscriber, detail, now), now
    )
    if event_id is None:
        return _tell("known", notice, delivery)
    said = f"{notice.verdict}: {detail}" if detail else str(notice.verdict)
    state = state_after(notice.verdict)
    if delivery is None or move_by_evidence(session, delivery, state, said, now):
        settle_event(session, event_id, now)
    is_new = subscriber is not None and _judge(session, channel.settings, subscriber, now)
    return _tell("recorded", notice, delivery, is_suppressed=is_new)


def _tell(
    outcome: str, notice: Notice, delivery: Delivery | None = None, *, is_suppressed: bool = False
) -> RecordedNotice:
    return RecordedNotice(
        outcome,
        notice.verdict,
        notice.address,
        delivery.id if delivery is not None else None,
        notice.code,
        notice.detail[:300],
        is_suppressed,
    )


def _new_bounce(
    channel: Channel,
    notice: Notice,
    delivery: Delivery | None,
    subscriber: Subscriber | None,
    detail: str,
    now: datetime,
) -> NewBounce:
    # What a stranger's clock says is held between our own sending and our own now.
    earliest = delivery.created_at if delivery is not None else now
    occurred_at = min(max(notice.occurred_at or now, earliest), now)
    return NewBounce(
        key=notice.key,
        source=channel.source,
        delivery_id=delivery.id if delivery is not None else None,
        subscriber_id=subscriber.id if subscriber is not None else None,
        verdict=notice.verdict,
        weight=notice.weight,
        code=notice.code[:20],
        detail=detail,
        occurred_at=occurred_at,
    )


def _find_delivery(session: Session, settings: Settings, notice: Notice) -> Delivery | None:
    """The delivery that a mark of ours names, locked."""
    for path in notice.return_paths:
        named = read_return_path(path, settings.bounce_domain, settings.secret_key)
        if named is not None and named <= _LARGEST_ID:
            found = lock_delivery(session, named)
            if found is not None:
                return found
    for identity in notice.message_ids:
        mark = _OUR_ID.fullmatch(identity)
        found = lock_delivery(session, int(mark[1])) if mark else None
        if found is not None and hmac.compare_digest(found.message_id, identity):
            return found
    return None


def _find_subscriber(
    session: Session, channel: Channel, notice: Notice, delivery: Delivery | None
) -> Subscriber | None:
    if delivery is not None:
        if delivery.subscriber_id is None:
            return None
        return get_subscriber(session, delivery.subscriber_id, lock=True)
    if channel.trusts_addresses and "@" in notice.address:
        return find_by_email(session, email_key(notice.address), lock=True)
    return None


def _judge(session: Session, settings: Settings, subscriber: Subscriber, now: datetime) -> bool:
    """Suppress a reader whose bounces have come to that; true if it is new.

    Only mails made since the reader last proved the address count: what bounced before is over.
    """
    events = list_bounces(session, subscriber.id, subscriber.confirmed_at)
    score = next_score(events, now)
    if score.suppress is None:
        return False
    is_new = insert_suppression(
        session, subscriber.email_key, settings.secret_key, score.suppress, score.why, now
    )
    subscriber.state = SubscriberState.SUPPRESSED
    if is_new:
        log.info("bounce.suppressed", subscriber_id=subscriber.id, reason=score.suppress)
    return is_new


def settle_bounces(sessions: sessionmaker[Session], now: datetime) -> int:
    """Move the deliveries whose bounce was faster than the sender's record; returns how many."""
    moved = 0
    with transaction(sessions) as session:
        for row in list_unsettled(session):
            delivery = lock_delivery(session, row.delivery_id) if row.delivery_id else None
            detail = f"{row.verdict}: {row.detail}" if row.detail else str(row.verdict)
            state = state_after(row.verdict)
            if delivery is None or move_by_evidence(session, delivery, state, detail, now):
                row.settled_at = now
                moved += delivery is not None
    return moved


def read_bounce_mailbox(
    sessions: sessionmaker[Session], settings: Settings, clock: Callable[[], datetime]
) -> Tally:
    """Read what waits in the operator's bounce mailbox; each mail in transactions of its own.

    Raises `MailboxUnavailable`; what was read before stays read.
    """
    total = Tally()
    channel = Channel(settings, "mailbox")
    if settings.bounce_mailbox:
        read_mailbox(
            settings.bounce_mailbox,
            lambda raw: total.add(read_bounce_mail(sessions, channel, raw, clock())),
        )
    return total


def open_listener(
    sessions: sessionmaker[Session],
    settings: Settings,
    clock: Callable[[], datetime],
    *,
    lmtp: bool = False,
) -> BounceListener:
    """A listener that records what comes to our signed return paths; not started yet."""
    channel = Channel(settings, "lmtp" if lmtp else "smtp")

    def take(raw: bytes, receivers: tuple[str, ...]) -> None:
        read_bounce_mail(sessions, channel, raw, clock(), receivers)

    return BounceListener(lambda address: is_our_return_path(settings, address), take, lmtp=lmtp)
