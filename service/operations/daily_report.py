"""The operator's daily report: one mail each morning with the figures of the last day."""

from dataclasses import asdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import MailRow, insert_mail_row
from service.operations.store.counts import count_day
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings

# A report of yesterday helps nobody the day after.
LIFETIME = timedelta(hours=20)


def report_hour(settings: Settings) -> int:
    """Return the hour of the report in `digest_timezone`: an hour after that of new digests."""
    return min(settings.digest_hour + 1, 23)


def queue_report(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> bool:
    """Queue today's report once its hour has come; return whether this call did.

    Idempotent: the date is its mail's unique occasion. Its day is the one that ended at that hour.
    """
    until = now.astimezone(ZoneInfo(settings.digest_timezone)).replace(
        hour=report_hour(settings), minute=0, second=0, microsecond=0
    )
    if not (settings.alert_to and settings.daily_report) or now < until:
        return False
    with transaction(sessions) as session:
        # In local time, so that a day of 23 or 25 hours is one day as well.
        figures = count_day(session, until - timedelta(days=1), until)
        row = MailRow(
            DeliveryKind.DAILY_REPORT,
            None,
            f"report {until.date()}",
            now,
            now,
            now + LIFETIME,
            alert={"until": until.isoformat(), **asdict(figures)},
        )
        return insert_mail_row(session, row) is not None
