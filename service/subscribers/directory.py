"""Subscribers for the operator: a page of the list, the list as CSV, one subscriber's history."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO

from sqlalchemy.orm import Session, sessionmaker

from service.platform.database.engine import transaction
from service.subscribers.store import directory as store
from service.subscribers.store.directory import SubscriberFilter
from service.subscribers.store.models import Consent, Subscriber
from service.subscribers.store.subscribers import get_named_topics
from service.subscribers.validate import WEEKDAYS
from service.topics.domain.measure import write_measure
from service.topics.domain.types import NamedTopic

# So many subscribers are read in one transaction of an export.
_EXPORT_ROWS = 10_000
_COLUMNS = (
    "email", "state", "cadence", "hour", "timezone", "timing", "empty_digests", "ai_summaries",
    "full_cards", "max_papers", "weekly_topics_on", "confirmed_at", "paused_until",
)  # fmt: skip
# A spreadsheet runs a cell that begins with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One line of a subscriber's history: `paused by the operator ada on /admin`."""

    at: datetime
    text: str


def list_history(session: Session, subscriber_id: int) -> list[ChangeLine]:
    """Return what began, changed and ended a subscription, newest first."""
    changes = [_describe(row) for row in store.list_changes(session, subscriber_id)]
    return changes[::-1]


def _describe(row: Consent) -> ChangeLine:
    where = f"on {row.page}" if row.page.startswith("/") else f"by {_with_the(row.page)}"
    return ChangeLine(row.created_at, f"{row.action} {where}")


def _with_the(cause: str) -> str:
    return f"the {cause}" if cause.startswith("operator") else cause


def write_csv(sessions: sessionmaker[Session], chosen: SubscriberFilter) -> Iterator[str]:
    """Yield the chosen subscribers as CSV in the form that `subscribers import` takes.

    Each piece is read in a transaction of its own, so none is open while a slow client reads.
    """
    with transaction(sessions) as session:
        topic_count = store.count_topic_columns(session)
    numbers = range(1, topic_count + 1)
    yield _csv(
        [[*_COLUMNS, *(f"topic{part}{n}" for n in numbers for part in ("", "_name", "_comes"))]]
    )
    last_id = 0
    while True:
        with transaction(sessions) as session:
            found = store.list_after(session, chosen, last_id, _EXPORT_ROWS)
            topics = get_named_topics(session, [subscriber.id for subscriber in found])
        if not found:
            return
        last_id = found[-1].id
        yield _csv([_cells(subscriber, topics) for subscriber in found])


def _cells(subscriber: Subscriber, topics: Mapping[int, Sequence[NamedTopic]]) -> list[str]:
    cells = [
        subscriber.email,
        subscriber.state,
        subscriber.cadence,
        str(subscriber.hour),
        subscriber.timezone,
        subscriber.timing,
        "yes" if subscriber.has_empty_digests else "no",
        "yes" if subscriber.has_ai_summaries else "no",
        str(subscriber.full_cards),
        str(subscriber.max_papers or ""),
        WEEKDAYS[subscriber.weekly_topics_on],
        subscriber.confirmed_at.isoformat() if subscriber.confirmed_at else "",
        subscriber.paused_until.isoformat() if subscriber.paused_until else "",
        *(
            cell
            for topic in topics.get(subscriber.id, [])
            for cell in (topic.query, topic.name, write_measure(topic.measure))
        ),
    ]
    return disarm(cells)


def disarm(cells: Sequence[str]) -> list[str]:
    """Return the cells with a space before each formula, which importing removes."""
    return [f" {cell}" if cell.startswith(_FORMULA) else cell for cell in cells]


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
