"""What the operator must know: one mail for each occasion, however many workers notice it."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import MailRow, insert_mail_row
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings

# The very thing that is wrong may keep the mail from leaving: it gets two days.
ALERT_LIFETIME = timedelta(days=2)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing that is wrong: what, how we know, and what to do."""

    subject: str
    detail: str
    hint: str = ""


def alert_operator(
    session: Session, settings: Settings, occasion: str, alert: Alert, now: datetime
) -> int | None:
    """Queue one mail to `ALERT_TO`, and say the same in the log; returns the delivery's id.

    None where this occasion has its mail already, or where no address is set. `occasion` names one
    event (`breaker example.org 2026-09-18T05:00:00+00:00`), not a kind of events: what is said
    under a key once is never said again.
    """
    if not settings.alert_to:
        log.error("alert", occasion=occasion, subject=alert.subject, detail=alert.detail)
        return None
    until = now + ALERT_LIFETIME
    kind, told = DeliveryKind.OPERATOR_ALERT, dataclasses.asdict(alert)
    number = insert_mail_row(session, MailRow(kind, None, occasion, now, now, until, alert=told))
    if number is not None:
        log.error("alert", occasion=occasion, subject=alert.subject, detail=alert.detail)
    return number


def report_relay(
    sessions: sessionmaker[Session], settings: Settings, relay: str, reply: str, now: datetime
) -> None:
    """Tell the operator, once a day, of a relay that refuses us, or does not answer for minutes."""
    alert = Alert(
        subject=f"The relay {relay} takes no mail",
        detail=f"It said: {reply}",
        hint="Check SMTP_URL and the relay's account. Rows stay queued and go out with it.",
    )
    with transaction(sessions) as session:
        alert_operator(session, settings, f"relay {relay} {now.date()}", alert, now)


def report_mailbox(
    sessions: sessionmaker[Session], settings: Settings, reason: str, now: datetime
) -> None:
    """Tell the operator, once a day, that the bounce mailbox cannot be read."""
    alert = Alert(
        subject="The bounce mailbox cannot be read",
        detail=reason,
        hint="Bounces wait there and are not lost; see PAPERBOY_BOUNCE_MAILBOX.",
    )
    with transaction(sessions) as session:
        alert_operator(session, settings, f"mailbox {now.date()}", alert, now)
