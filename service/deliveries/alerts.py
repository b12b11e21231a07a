"""Alerts to the operator: one mail per occasion, however many workers notice it (idempotent)."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.refusal_words import mask_names
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import MailRow, insert_mail_row
from service.deliveries.store.models import Delivery
from service.platform import linear_regex
from service.platform.database.engine import transaction
from service.platform.logs import get_logger, mask_addresses
from service.platform.settings.settings import Settings

# Two days, because the fault itself may prevent mail from being sent.
ALERT_LIFETIME = timedelta(days=2)
# Alerts about unknown words in a day.
MOST_UNKNOWN = 5
_UNKNOWN = "unknown reply "
_NUMBER = linear_regex.compile(r"\w*\d[\w.-]*")
# The reason of an alert that no mail tells of.
_NO_ADDRESS = "no address"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The text of an alert: what is wrong, the evidence, and what to do."""

    subject: str
    detail: str
    hint: str = ""


def alert_operator(
    session: Session, settings: Settings, occasion: str, alert: Alert, now: datetime
) -> int | None:
    """Queue one mail to `ALERT_TO`, log the alert, and return the delivery's id.

    Without an address a skipped row stands for the mail, so that the alert is logged only once. Return
    None then, and if this occasion has its row already. `occasion` is a
    unique key of one event (`breaker example.org 2026-09-18T05:00:00+00:00`), not of a kind of
    events: a second alert with the same key is dropped.
    """
    until = now + ALERT_LIFETIME
    kind, value = DeliveryKind.OPERATOR_ALERT, dataclasses.asdict(alert)
    row = MailRow(kind, None, occasion, now, now, until, alert=value)
    number = insert_mail_row(session, row, skipped="" if settings.alert_to else _NO_ADDRESS)
    if number is not None:
        log.error("alert", occasion=occasion, subject=alert.subject, detail=alert.detail)
    return number if settings.alert_to else None


def find_last_alert(session: Session, occasions: str) -> Delivery | None:
    """Return the newest alert whose occasion begins with this text."""
    return session.scalar(
        select(Delivery)
        .where(
            Delivery.edition_id.is_(None),
            Delivery.kind == DeliveryKind.OPERATOR_ALERT,
            Delivery.occasion.startswith(occasions),
        )
        .order_by(Delivery.id.desc())
        .limit(1)
    )


def report_relay(
    sessions: sessionmaker[Session], settings: Settings, relay: str, reply: str, now: datetime
) -> None:
    """Alert the operator, once a day, about a relay that refuses us or has not answered for minutes."""
    alert = Alert(
        subject=f"The relay {relay} takes no mail",
        detail=f"The relay said: {reply}",
        hint="Check SMTP_URL and the relay's account. Mail stays queued and is sent afterwards.",
    )
    with transaction(sessions) as session:
        alert_operator(session, settings, f"relay {relay} {now.date()}", alert, now)


def report_hanging(
    sessions: sessionmaker[Session], settings: Settings, relay: str, count: int, now: datetime
) -> None:
    """Alert the operator, once a day, about a relay that is paused because too many messages hang."""
    alert = Alert(
        subject=f"The relay {relay} does not answer",
        detail=(
            f"{count} messages of one process hang: the relay has not replied. It gets no others until"
            " some of these have a reply."
        ),
        hint=(
            "Look into the relay's log. A message without a reply for ten minutes is in doubt; all other"
            " mail stays queued, or goes through another relay."
        ),
    )
    with transaction(sessions) as session:
        alert_operator(session, settings, f"hanging {relay} {now.date()}", alert, now)


def wording_of(reply: str) -> str:
    """Return a reply without what differs from mail to mail: numbers, queue ids, names."""
    return _NUMBER.sub("0", mask_names(reply).lower())


def report_unknown(session: Session, settings: Settings, reply: str, now: datetime) -> None:
    """Alert the operator, once for each wording, about a failure in words that no rule understands.

    At most MOST_UNKNOWN a day, since strangers choose the words.
    """
    wording = wording_of(reply)
    if not any(map(str.isalpha, wording)):
        return
    occasion = f"{_UNKNOWN}{sha256(wording.encode('utf-8', 'replace')).hexdigest()[:20]}"
    count = select(func.count()).where(
        Delivery.edition_id.is_(None),
        Delivery.kind == DeliveryKind.OPERATOR_ALERT,
        Delivery.occasion.startswith(_UNKNOWN),
        Delivery.created_at > now - timedelta(days=1),
    )
    if (session.scalar(count) or 0) >= MOST_UNKNOWN:
        return
    alert = Alert(
        subject="A receiver refuses mail in words that Paperboy does not understand",
        detail=mask_addresses(reply)[:1000],
        hint="It counts against no reader. If it is about you, see to it; nothing more comes of it.",
    )
    alert_operator(session, settings, occasion, alert, now)


def report_mailbox(
    sessions: sessionmaker[Session], settings: Settings, reason: str, now: datetime
) -> None:
    """Alert the operator, once a day, that the bounce mailbox cannot be read."""
    alert = Alert(
        subject="The bounce mailbox cannot be read",
        detail=reason,
        hint="No bounce is lost: they wait in the mailbox. See PAPERBOY_BOUNCE_MAILBOX.",
    )
    with transaction(sessions) as session:
        alert_operator(session, settings, f"mailbox {now.date()}", alert, now)
