"""What the operator must know: one mail for each occasion, however many workers notice it."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.deliveries.store.deliveries import insert_alert
from service.messages.contexts.transactional import Alert
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings

# The very thing that is wrong may keep the mail from leaving: it gets two days.
ALERT_LIFETIME = timedelta(days=2)

log = get_logger(__name__)


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
    number = insert_alert(session, occasion, dataclasses.asdict(alert), now, until)
    if number is not None:
        log.error("alert", occasion=occasion, subject=alert.subject, detail=alert.detail)
    return number
