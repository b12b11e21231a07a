"""Everything we hold about one reader, as plain values for a JSON file."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import inspect, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.bounces.store.models import BounceEventRow
from service.deliveries.store.models import Delivery, DeliveryEvent
from service.papers.store.read import get_papers
from service.platform.database.base import Base
from service.subscribers.store.models import Consent, Subscriber
from service.subscribers.store.models_feedback import Opinion, TopicChange
from service.topics.store.models import Topic

Row = TypeVar("Row", bound=Base)


def export_reader(session: Session, reader: Subscriber) -> dict[str, Any]:
    """The reader's rows in every table that names them (GDPR Art. 15 and 20).

    All columns, so that a column added later is not forgotten here; times are ISO 8601 in UTC.
    Papers are named by their keys, because our numbers mean nothing elsewhere.
    """
    deliveries = _rows(session, Delivery, Delivery.subscriber_id, [reader.id])
    ids = [delivery.id for delivery in deliveries]
    events = _rows(session, DeliveryEvent, DeliveryEvent.delivery_id, ids)
    opinions = _rows(session, Opinion, Opinion.subscriber_id, [reader.id])
    changes = _rows(session, TopicChange, TopicChange.subscriber_id, [reader.id])
    sent = {i for delivery in deliveries for i in delivery.paper_ids}
    papers = get_papers(session, sent.union(opinion.paper_id for opinion in opinions))
    return {
        "subscriber": _columns(reader),
        "topics": [
            _columns(row) for row in _rows(session, Topic, Topic.subscriber_id, [reader.id])
        ],
        "consents": [
            _columns(row) for row in _rows(session, Consent, Consent.subscriber_id, [reader.id])
        ],
        "opinions": [_columns(opinion) for opinion in opinions],
        "topic_changes": [_columns(change) for change in changes],
        "deliveries": [_columns(delivery) for delivery in deliveries],
        "delivery_events": [_columns(event) for event in events],
        "bounce_events": [
            _columns(row)
            for row in _rows(session, BounceEventRow, BounceEventRow.subscriber_id, [reader.id])
        ],
        "papers": {str(number): papers[number].key for number in sorted(papers)},
    }


def _rows(
    session: Session, table: type[Row], column: InstrumentedAttribute[Any], ids: list[int]
) -> list[Row]:
    key = inspect(table).primary_key
    return list(session.execute(select(table).where(column.in_(ids)).order_by(*key)).scalars())


def _columns(row: Base) -> dict[str, Any]:
    names = [attribute.key for attribute in inspect(type(row)).column_attrs]
    return {name: _plain(getattr(row, name)) for name in names}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value
