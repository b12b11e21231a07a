"""Export all data about one subscriber as plain values for a JSON file."""

from datetime import date
from typing import Any

from sqlalchemy import Column, RowMapping, Table, select
from sqlalchemy.orm import Session

from service.deliveries.store.models import Delivery, DeliveryEvent
from service.papers.store.read import get_papers
from service.platform.database.base import Base
from service.subscribers.store.models import Subscriber


def export_subscriber(session: Session, subscriber: Subscriber) -> dict[str, Any]:
    """Return the subscriber's rows in every table that names them (GDPR Art. 15 and 20).

    It covers all columns of all tables with a foreign key to subscribers, each under its table's
    name, so that tables added later are included. Times are ISO 8601 in UTC. Papers are named by
    their keys, because our ids mean nothing elsewhere.
    """
    own: Table = Subscriber.metadata.tables[Subscriber.__tablename__]
    (person,) = _rows(session, own.c.id, [subscriber.id])
    found = {key.table.name: _rows(session, key, [subscriber.id]) for key in _keys_to(own)}
    events: Column[Any] = DeliveryEvent.metadata.tables[DeliveryEvent.__tablename__].c.delivery_id
    deliveries = found[Delivery.__tablename__]
    found[DeliveryEvent.__tablename__] = _rows(session, events, [row["id"] for row in deliveries])
    sent = {paper_id for delivery in deliveries for paper_id in delivery["paper_ids"]}
    named = {row["paper_id"] for rows in found.values() for row in rows if "paper_id" in row}
    papers = get_papers(session, sent | named)
    return {
        "subscriber": _plain_row(person),
        **{name: [_plain_row(row) for row in rows] for name, rows in found.items()},
        "papers": {str(paper_id): papers[paper_id].key for paper_id in sorted(papers)},
    }


def _keys_to(own: Table) -> list[Column[Any]]:
    """Return the columns of other tables that are foreign keys to a subscriber's id."""
    return [
        key.parent
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column is own.c.id and table is not own
    ]


def _rows(session: Session, column: Column[Any], ids: list[int]) -> list[RowMapping]:
    rows = select(column.table).where(column.in_(ids)).order_by(*column.table.primary_key)
    return list(session.execute(rows).mappings())


# They open links, or are a hash of the address, and say nothing more about a person.
_LEFT_OUT = {"link_key", "link_epoch", "feed_key", "mailbox"}


def _plain_row(row: RowMapping) -> dict[str, Any]:
    return {str(name): _plain(value) for name, value in row.items() if name not in _LEFT_OUT}


def _plain(value: Any) -> Any:
    """Return a value for JSON; octets, as a Message-ID's signature, as hexadecimal digits."""
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date) else value
