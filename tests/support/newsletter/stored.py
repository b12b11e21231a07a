"""The content of a database: whole, for tests that nothing changed, and deliveries held by provider."""

from sqlalchemy import Engine, Text, cast, func, select, text
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery
from service.operations.store.tables import Base
from service.papers.domain.types import AnnounceType
from service.papers.store.models import Announcement, Paper, PaperVersion
from support.sources.feeds import Told

Rows = tuple[str, ...]


def read_tables(engine: Engine) -> dict[str, Rows]:
    """Return every row of every table as JSON text, sorted, without generated columns."""
    with engine.connect() as connection:
        return {
            table.name: tuple(
                sorted(
                    connection.execute(
                        select(
                            cast(
                                func.to_jsonb(table.table_valued())
                                .op("-")("title_lexemes")
                                .op("-")("abstract_lexemes"),
                                Text,
                            )
                        ).select_from(table)
                    ).scalars()
                )
            )
            for table in Base.metadata.sorted_tables
            # The installation's name is there from the beginning, and `paper_changes` follows other tables.
            if table.name not in {"installations", "paper_changes"}
        }


def changed_tables(before: dict[str, Rows], after: dict[str, Rows]) -> set[str]:
    """Return the names of the tables that differ."""
    return {name for name, rows in after.items() if rows != before[name]}


def stored(session: Session, announcements: Told) -> Paper:
    """The row of a told paper, as it is committed now."""
    session.rollback()
    return session.execute(select(Paper).where(Paper.key == announcements.key)).scalar_one()


def versions(session: Session, paper_id: int) -> list[tuple[int, str]]:
    """Return the stored versions of a paper: (number, raw title)."""
    rows = session.execute(
        select(PaperVersion.version, PaperVersion.title_raw)
        .where(PaperVersion.paper_id == paper_id)
        .order_by(PaperVersion.version)
    )
    return [(version, title) for version, title in rows]


def list_uncompiled(engine: Engine) -> list[str]:
    """Return the topics that do not refer to the compiled topic of their text."""
    statement = text(
        "SELECT t.canonical FROM topics t LEFT JOIN canonicals c ON c.id = t.canonical_id"
        " WHERE c.text IS DISTINCT FROM t.canonical ORDER BY t.id"
    )
    with engine.connect() as connection:
        return list(connection.scalars(statement))


def count_lanes(session: Session) -> dict[str, int]:
    """How many rows wait for each provider. The service never asks: a lane may hold a million."""
    rows = session.execute(
        select(Delivery.lane, func.count())
        .where(Delivery.state == DeliveryState.QUEUED, Delivery.lane != "")
        .group_by(Delivery.lane)
    )
    return dict(rows.all())


def count_by_type(session: Session, batch_id: int) -> dict[AnnounceType, int]:
    """Return the number of papers in a batch, by announcement type."""
    rows = session.execute(
        select(Announcement.announce_type, func.count())
        .where(Announcement.batch_id == batch_id)
        .group_by(Announcement.announce_type)
    )
    return dict(rows.all())
