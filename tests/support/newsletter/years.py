"""A year of mail made by SQL in seconds, and which partitions a transaction reads."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.months import IDS, end_of, month_of
from service.deliveries.store.months import make_month

_FILL = (
    """INSERT INTO subscribers (email, email_key, state, cadence, hour, timezone, created_at)
       SELECT n || '@years.example', n || '@years.example', 'unsubscribed', 'daily', 7, 'UTC', :at
       FROM generate_series(1, :rows) AS n ON CONFLICT DO NOTHING""",
    """INSERT INTO editions (cadence, local_date, state, opened_at, frozen_at, closed_at, candidate_count)
       VALUES ('daily', CAST(:at AS date), 'closed', :at, :at, :at, :rows)""",
    """INSERT INTO deliveries (id, kind, edition_id, subscriber_id, state, attempt, due_at,
           send_not_after, message_id, paper_ids, digest, created_at, updated_at)
       SELECT editions.month * :ids + nextval('deliveries_id_seq'), 'digest', editions.id,
           subscribers.id, 'sent', 1, :at, :at, '14 octets of it'::bytea, '{1,2,3}',
           sha512(CAST(subscribers.id AS text)::bytea) || sha512(CAST(-subscribers.id AS text)::bytea), :at, :at
       FROM editions, subscribers WHERE opened_at = :at AND email_key LIKE '%@years.example'""",
    """INSERT INTO delivery_events (delivery_id, attempt, state, detail, created_at)
       SELECT id, 1, 'sent', '250 2.0.0 taken', :at FROM deliveries WHERE created_at = :at""",
    """INSERT INTO mail_copies SELECT id, NULL, 'hash', 'recipe' FROM deliveries WHERE created_at = :at""",
    """INSERT INTO mail_parts (month, key, body, stored_at) VALUES (:month, 'part', 'body', :at)""",
)


def fill_months(
    sessions: sessionmaker[Session], until: datetime, count: int, rows: int
) -> list[int]:
    """Add an edition of `rows` sent digests in each of the `count` months before that of `until`."""
    at = until.replace(day=2)
    months = []
    for _ in range(count):
        at = (at.replace(day=1) - timedelta(days=1)).replace(day=2)
        months.append(month_of(at))
        given = {"at": at, "rows": rows, "ids": IDS, "month": months[-1]}
        with sessions.begin() as session:
            make_month(session, months[-1])
            for statement in _FILL:
                session.execute(text(statement), given)
    with sessions.kw["bind"].connect().execution_options(isolation_level="AUTOCOMMIT") as direct:
        direct.exec_driver_sql("VACUUM (ANALYZE)")
    return months[::-1]


def after(month: int, **span: float) -> datetime:
    """Return the moment this long after the end of a month."""
    return end_of(month).astimezone(UTC) + timedelta(**span)


_READ = """
SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0), seq_scan FROM pg_stat_xact_user_tables
WHERE relname ~ '^(deliveries|delivery_events|mail_copies|mail_parts)_[0-9]+$'
"""


@contextmanager
def counting_reads(engine: Engine) -> Iterator[Counter[int]]:
    """Count the rows that transactions read of each month, by PostgreSQL's own statistics."""
    reads: Counter[int] = Counter()

    def note(connection: Connection) -> None:
        if connection.invalidated:
            return  # a sender's lock has ended
        for name, rows, scans in connection.exec_driver_sql(_READ):
            # A scan of a whole partition counts also where it is empty.
            reads[int(name.rpartition("_")[2])] += rows + scans
        # Otherwise they stay in this view for a second, and the next transaction counts them again.
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")

    engine.dispose()
    for moment in ("commit", "rollback"):
        event.listen(engine, moment, note)
    try:
        yield reads
    finally:
        for moment in ("commit", "rollback"):
            event.remove(engine, moment, note)
