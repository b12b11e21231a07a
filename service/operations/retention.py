"""Keep each kind of row for as long as it should be kept, and make the months to come.

Every step is a transaction of its own and may run twice. What others are using is left for the next
run, an hour later; `monitoring.py` reports a month that is still there days after it should have gone.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.months import month_of, next_month
from service.deliveries.store.months import (
    COPIES,
    EVENTS,
    drop_month,
    empty_month,
    list_months,
    make_month_ahead,
)
from service.operations.domain.retention import QUARANTINED, UNCONFIRMED, KeptDays, is_over
from service.operations.store.retention import Aged, delete_aged, delete_editions
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.subscribers.delete_unconfirmed import delete_unconfirmed

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Removed:
    """What a run removed: months emptied of events or copies and months dropped are there no more.

    `busy` are those that others were using; `rows` counts by table.
    """

    dropped: tuple[int, ...]
    busy: tuple[int, ...]
    rows: dict[str, int]


def apply_retention(sessions: sessionmaker[Session], kept: KeptDays, now: datetime) -> Removed:
    """Make the partitions of this month and the next, and delete what is older than it is kept."""
    for month in (month_of(now), next_month(month_of(now))):
        # An edition makes its month if this fails until then.
        make_month_ahead(sessions, month)
    dropped, busy = _remove_months(sessions, kept, now)
    rows = {aged.table: delete_aged(sessions, aged) for aged in _list_aged(kept, now)}
    # Editions whose month was dropped a moment ago, or before an earlier run was interrupted.
    before = now - timedelta(days=kept.keep_deliveries_days)
    rows["editions"] = delete_editions(sessions, before)
    rows["subscribers"] = delete_unconfirmed(sessions, now - UNCONFIRMED, now)
    removed = Removed(tuple(dropped), tuple(busy), {name: n for name, n in rows.items() if n})
    if removed.dropped or removed.rows or removed.busy:
        values = {"dropped": removed.dropped, "busy": removed.busy}
        log.info("apply_retention", **values, rows=removed.rows)
    return removed


def _remove_months(
    sessions: sessionmaker[Session], kept: KeptDays, now: datetime
) -> tuple[list[int], list[int]]:
    """Drop and empty months; return those that were dropped, and those in use."""
    dropped, busy = [], []
    with transaction(sessions) as session:
        months = list_months(session)
    for month in months:
        if is_over(month, kept.keep_deliveries_days, now):
            is_done = drop_month(sessions, month)
            dropped += [month] * is_done
        else:
            tables = [
                *(EVENTS if is_over(month, kept.keep_events_days, now) else ()),
                *(COPIES if is_over(month, kept.keep_copies_days, now) else ()),
            ]
            is_done = not tables or empty_month(sessions, tables, month)
        busy += [month] * (not is_done)
    return dropped, busy


def _list_aged(kept: KeptDays, now: datetime) -> tuple[Aged, ...]:
    """Return the rows that are deleted one by one: those of no edition, and other tables'."""
    events = now - timedelta(days=kept.keep_events_days)
    copies = now - timedelta(days=kept.keep_copies_days)
    deliveries = now - timedelta(days=kept.keep_deliveries_days)
    return (
        Aged("delivery_events_single", "created_at", events, "id, delivery_id"),
        Aged("mail_copies_single", "created_at", copies, "delivery_id"),
        # After the copies that need them, which are never younger.
        Aged("mail_parts_single", "stored_at", copies, "month, id"),
        Aged("deliveries_single", "created_at", deliveries),
        Aged("bounce_events", "created_at", deliveries),
        Aged("quarantined_mails", "created_at", now - QUARANTINED),
    )
