"""Record bounces and complaints that carry proof, once each, and update delivery and subscriber.

A bounce counts if it came to a signed return path or quotes a Message-ID of ours, which nobody
else can make. From an authenticated provider, or if an operator vouches for it, the address is
enough. All other notices are only counted: otherwise anybody could unsubscribe anybody.
"""

import hmac
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session, sessionmaker

from service.bounces.domain.thresholds import ARRIVED, next_score, state_after
from service.bounces.inbound.bounce_mail import BounceMail
from service.bounces.inbound.confined_parser import PARSER
from service.bounces.inbound.listener import BounceListener
from service.bounces.inbound.mailbox import QUARANTINE, fetch_mailbox
from service.bounces.inbound.mime_parts import NotReadable
from service.bounces.inbound.notice import BounceNotice, notices_of_mail
from service.bounces.quarantine import quarantine_file, record_quarantined, store_quarantined
from service.bounces.store import bounces as store
from service.bounces.store.models import BounceEvent
from service.bounces.unsubscribe_mails import apply_unsubscribe_mail, find_leaving
from service.deliveries.alerts import report_unknown
from service.deliveries.domain.message_ids import pack_message_id
from service.deliveries.domain.refusal_words import blames_our_name
from service.deliveries.domain.return_path import (
    Leaving,
    parse_return_path,
    parse_unsubscribe_address,
)
from service.deliveries.domain.states import BounceVerdict
from service.deliveries.store.models import Delivery
from service.platform import linear_regex
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.kinds import LISTENER
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import email_key
from service.sending.record_outcomes import known_names
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import end_by_suppression, find_by_email, get_subscriber
from service.subscribers.store.suppressions import insert_suppression, keep_reply

# `<digest.123.…@…>`, see `service.messages.mime.mime.message_id`.
_OUR_ID = linear_regex.compile(r"<[a-z_]{1,30}\.(\d{1,18})\.[0-9a-f]{20}@[^<>@\s]{1,255}>", "a")
# The largest bigint of PostgreSQL; no delivery has a larger id.
_LARGEST_ID = 2**63 - 1

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordedNotice:
    """The outcome of one notice.

    `outcome` is `recorded`, `unsubscribed`, `known` (a duplicate), `arrived` (it says that the mail
    arrived), or `unattributed` (it proves nothing about any mail of ours).
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
    """A parsed mail and its outcomes; `fault` says why it could not be parsed, else empty."""

    mail: BounceMail | None
    recorded: tuple[RecordedNotice, ...] = ()
    fault: str = ""


@dataclass(slots=True)
class Tally:
    """The counts of a run over many mails."""

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
        for notice in reading.recorded:
            self.outcomes[notice.outcome] += 1
            self.suppressed += notice.is_suppressed


def is_our_address(settings: Settings, address: str) -> bool:
    """Return whether we signed an address at the bounce domain; a listener calls it at RCPT."""
    domain, secrets = settings.bounce_domain, settings.secret_key
    parsers = (parse_return_path, parse_unsubscribe_address)
    return any(parse(address, domain, secrets) is not None for parse in parsers)


@dataclass(frozen=True, slots=True)
class Channel:
    """The way notices come in: `source` names it in every row.

    With `trusts_addresses` an address alone identifies its subscriber: the sender is authenticated.
    """

    settings: Settings
    source: str
    trusts_addresses: bool = False


def record_bounce_mail(
    sessions: sessionmaker[Session],
    channel: Channel,
    raw: bytes,
    now: datetime,
    receivers: tuple[str, ...] = (),
) -> Reading:
    """Parse a raw mail in a child process and record its notices.

    Never raises for the content of a mail. Raises `ParserUnavailable` where no mail can be parsed.
    """
    try:
        return _record_mail(sessions, channel, PARSER.parse(raw), now, receivers)
    except NotReadable as error:
        reason = str(error)
    except DataError:
        reason = "PostgreSQL refuses its values"
    log.info("bounce.unreadable", source=channel.source, reason=reason)
    return Reading(None, fault=reason)


def _record_mail(
    sessions: sessionmaker[Session],
    channel: Channel,
    mail: BounceMail,
    now: datetime,
    receivers: tuple[str, ...],
) -> Reading:
    leaving = find_leaving(channel.settings, mail, receivers)
    if leaving:
        return _unsubscribe_all(sessions, channel, mail, leaving, now)
    notices = notices_of_mail(mail, receivers)
    return Reading(mail, tuple(record_notices(sessions, channel, notices, now)))


def _unsubscribe_all(
    sessions: sessionmaker[Session],
    channel: Channel,
    mail: BounceMail,
    leaving: list[Leaving],
    now: datetime,
) -> Reading:
    """Unsubscribe each of them in a transaction of its own."""
    verdict = BounceVerdict.UNSUBSCRIBE
    recorded = []
    for each in leaving:
        with transaction(sessions) as session:
            is_new = apply_unsubscribe_mail(
                session, channel.settings, channel.source, each, mail, now
            )
        outcome = "unsubscribed" if is_new else "known"
        values = {"outcome": outcome, "verdict": verdict, "subscriber_id": each.id}
        log.info("bounce", source=channel.source, **values)
        recorded.append(RecordedNotice(outcome, verdict))
    # Apple's mails to unsubscribe look like complaints, and are none here.
    return Reading(replace(mail, verdict=verdict, recipients=()), tuple(recorded))


def record_notices(
    sessions: sessionmaker[Session],
    channel: Channel,
    notices: Iterable[BounceNotice],
    now: datetime,
) -> list[RecordedNotice]:
    """Record each notice in its own transaction, so that a bad one does not affect the others."""
    recorded = []
    for notice in notices:
        with transaction(sessions) as session:
            outcome = record_notice(session, channel, notice, now)
        log.info(
            "bounce",
            source=channel.source,
            outcome=outcome.outcome,
            verdict=outcome.verdict,
            delivery_id=outcome.delivery_id,
            code=outcome.code,
        )
        recorded.append(outcome)
    return recorded


def record_notice(
    session: Session, channel: Channel, notice: BounceNotice, now: datetime
) -> RecordedNotice:
    """Record one notice in the caller's transaction; idempotent by the notice's key.

    The delivery is locked before its subscriber, as senders do, so that they cannot deadlock.
    """
    delivery = _find_delivery(session, channel.settings, notice)
    subscriber = _find_subscriber(session, channel, notice, delivery)
    if subscriber is not None and notice.weight:
        names = known_names(subscriber.email_key, channel.settings)
        if blames_our_name(notice.detail, names):
            notice = replace(notice, verdict=BounceVerdict.CONFIGURATION, weight=0)
    if delivery is None and subscriber is None:
        return _make_outcome("unattributed", notice)
    if notice.verdict in ARRIVED:
        if delivery is not None:
            state = state_after(notice.verdict)
            store.apply_bounce(session, delivery, state, "it arrived", now)
        return _make_outcome("arrived", notice, delivery)
    # A receiver's reply contains the address, which must not be stored again after an erasure.
    detail = notice.detail[:1000] if subscriber is not None else ""
    bounce = _new_bounce(channel, notice, delivery, subscriber, detail, now)
    event = store.insert_bounce(session, bounce, now)
    if event is None:
        return _make_outcome("known", notice, delivery)
    _settle(session, event, delivery, now)
    if notice.verdict is BounceVerdict.UNKNOWN:
        report_unknown(session, channel.settings, notice.detail, now)
    is_new = subscriber is not None and _suppress(session, channel.settings, subscriber, now)
    return _make_outcome("recorded", notice, delivery, is_suppressed=is_new)


def _make_outcome(
    outcome: str,
    notice: BounceNotice,
    delivery: Delivery | None = None,
    *,
    is_suppressed: bool = False,
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
    notice: BounceNotice,
    delivery: Delivery | None,
    subscriber: Subscriber | None,
    detail: str,
    now: datetime,
) -> store.NewBounce:
    # The other server's clock may be wrong, so its time is clamped between our sending and now.
    earliest = delivery.created_at if delivery is not None else now
    occurred_at = min(max(notice.occurred_at or now, earliest), now)
    return store.NewBounce(
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


def _find_delivery(session: Session, settings: Settings, notice: BounceNotice) -> Delivery | None:
    """Lock and return the delivery named by a signed return path or a Message-ID of ours."""
    for path in notice.return_paths:
        delivery_id = parse_return_path(path, settings.bounce_domain, settings.secret_key)
        if delivery_id is not None and delivery_id <= _LARGEST_ID:
            found = store.lock_delivery(session, delivery_id)
            if found is not None:
                return found
    for message_id in notice.message_ids:
        match = _OUR_ID.fullmatch(message_id)
        found = store.lock_delivery(session, int(match[1])) if match else None
        if found is not None and hmac.compare_digest(found.message_id, pack_message_id(message_id)):
            return found
    return None


def _find_subscriber(
    session: Session, channel: Channel, notice: BounceNotice, delivery: Delivery | None
) -> Subscriber | None:
    if delivery is not None:
        if delivery.subscriber_id is None:
            return None
        return get_subscriber(session, delivery.subscriber_id, lock=True)
    if channel.trusts_addresses and "@" in notice.address:
        return find_by_email(session, email_key(notice.address), lock=True)
    return None


def _suppress(session: Session, settings: Settings, subscriber: Subscriber, now: datetime) -> bool:
    """Suppress a subscriber whose bounce score has reached the limit; true if that is new.

    Only mails made since the subscriber last confirmed the address count.
    """
    score = next_score(store.list_bounces(session, subscriber.id, subscriber.confirmed_at), now)
    if score.suppress is None:
        return False
    key, secrets = subscriber.email_key, settings.secret_key
    is_new = insert_suppression(session, key, secrets, score.suppress, score.why, now)
    if is_new:
        keep_reply(session, key, secrets, " | ".join(store.list_replies(session, subscriber.id)))
    end_by_suppression(session, subscriber, "a bounce or complaint", now)
    return is_new


def settle_bounces(sessions: sessionmaker[Session], now: datetime) -> int:
    """Update deliveries whose bounce came before the sender's own record; return how many."""
    moved = 0
    with transaction(sessions) as session:
        for row in store.list_unsettled(session):
            delivery = store.lock_delivery(session, row.delivery_id) if row.delivery_id else None
            moved += _settle(session, row, delivery, now) and delivery is not None
    return moved


def _settle(session: Session, row: BounceEvent, delivery: Delivery | None, now: datetime) -> bool:
    """Apply an event to its locked delivery; return false if it must be tried again later."""
    detail = f"{row.verdict}: {row.detail}" if row.detail else str(row.verdict)
    state = state_after(row.verdict)
    if delivery is not None and not store.apply_bounce(session, delivery, state, detail, now):
        return False
    row.settled_at = now
    return True


def fetch_bounce_mailbox(
    sessions: sessionmaker[Session], settings: Settings, clock: Callable[[], datetime]
) -> Tally:
    """Read the operator's bounce mailbox, each mail in its own transactions; return the counts.

    A mail that cannot be parsed is moved to the quarantine. Raises `MailboxUnavailable`; mails read
    before that stay recorded.
    """
    total = Tally()
    channel = Channel(settings, "mailbox")
    is_maildir = settings.bounce_mailbox.startswith("maildir:")

    def take(raw: bytes) -> Path | None:
        reading = record_bounce_mail(sessions, channel, raw, clock())
        total.add(reading)
        if not reading.fault:
            return None
        file = quarantine_file(settings, raw)
        place = str(file) if is_maildir else f"the mailbox's folder {QUARANTINE}"
        record_quarantined(sessions, channel.source, raw, reading.fault, place, clock())
        return file

    if settings.bounce_mailbox not in {"", LISTENER}:
        fetch_mailbox(settings.bounce_mailbox, take)
    return total


def open_listener(
    sessions: sessionmaker[Session],
    settings: Settings,
    clock: Callable[[], datetime],
    *,
    lmtp: bool = False,
) -> BounceListener:
    """Return a listener, not started yet, that records mails to the addresses that we signed."""
    channel = Channel(settings, "lmtp" if lmtp else "smtp")

    def take(raw: bytes, receivers: tuple[str, ...]) -> None:
        reading = record_bounce_mail(sessions, channel, raw, clock(), receivers)
        if reading.fault:
            # The sender is answered as for any other mail, so that it does not come again.
            place = store_quarantined(settings, raw)
            record_quarantined(sessions, channel.source, raw, reading.fault, place, clock())

    return BounceListener(lambda address: is_our_address(settings, address), take, lmtp=lmtp)
