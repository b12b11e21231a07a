"""Claims and sweeps in one edition with a million waiting rows: their time, and the indexes used.

A part of `send.py`; alone it measures 1,000,000 rows, or another number:

    .venv/bin/python bench/sending/queue_plan.py [ROWS]

Rows are claimed, put in flight and recorded by the senders' own statements, 100 at a time, at the
beginning, in the middle of the edition and near its end, when the indexes are full of dead entries.
`claim_first_ms` is the first claim of a new sender; later claims continue from its position.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sqlalchemy import text  # the path must come first
from sqlalchemy.orm import Session, sessionmaker

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.deliveries.domain.states import Decision, DeliveryState
from service.platform.database.engine import make_engine, make_sessions, transaction
from service.platform.database.migrate import upgrade
from service.platform.embedded import Embedded
from service.sending.gc_pause import reduced_gc
from service.sending.store.claim import Claimer, claim_due, hold_sender_lock, sweep_abandoned
from service.sending.store.in_flight import SendResult, put_in_flight, record_results

ROWS = 1_000_000
AT_ONCE = 100
CLAIMS = 60
_PASSED_AT_ONCE = 10_000
OWNER = 7
NOW = datetime(2026, 9, 18, 7, tzinfo=UTC)
LEASE = timedelta(minutes=15)
ACCEPTED = Decision(DeliveryState.SENT, "250 2.0.0 taken")

# There are as many subscribers as rows; the content of a digest does not matter here.
_FILL = (
    """INSERT INTO subscribers (email, email_key, state, cadence, hour, timezone, created_at)
       SELECT n || '@queue.example', n || '@queue.example', 'active', 'daily', 7, 'UTC', :now
       FROM generate_series(1, :rows) AS n""",
    """INSERT INTO editions (cadence, local_date, state, opened_at, frozen_at, candidate_count)
       VALUES ('daily', '2026-09-19', 'frozen', :now, :now, :rows)""",
    "SELECT make_month(month) FROM editions WHERE id = (SELECT max(id) FROM editions)",
    """INSERT INTO deliveries (id, kind, edition_id, subscriber_id, state, due_at, send_not_after,
                               digest, created_at, updated_at)
       SELECT 2609000000000000 + nextval('deliveries_id_seq'), 'digest',
              (SELECT max(id) FROM editions), id, 'queued',
              :now - id % 7200 * interval '1 second', :late, sha512(CAST(id AS text)::bytea) || sha512(CAST(-id AS text)::bytea), :now, :now
       FROM subscribers WHERE email_key LIKE '%@queue.example'""",
)
# Three updates, as in a real edition: claimed, in flight, sent; each leaves a dead row version.
_PASS = (
    "UPDATE deliveries SET state = 'claimed', attempt = 1, lease_owner = 7, lease_until = :late"
    " WHERE id IN (SELECT id FROM deliveries WHERE edition_id = :id AND state = 'queued'"
    " ORDER BY due_at, id LIMIT :rows)",
    "UPDATE deliveries SET state = 'in_flight' WHERE state = 'claimed'",
    "UPDATE deliveries SET state = 'sent', lease_owner = NULL, lease_until = NULL"
    " WHERE state = 'in_flight'",
)


def measure_queue(database_url: str, rows: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Return milliseconds of claims and sweeps, and the worst of them; print the claim's query plan."""
    sessions = make_sessions(make_engine(database_url))
    say(f"storing an edition of {rows:,} rows")
    with sessions.begin() as session:
        given = {"now": NOW, "late": NOW + timedelta(days=1), "rows": rows}
        for statement in _FILL:
            session.execute(text(statement), given)
        edition_id = session.execute(text("SELECT max(id) FROM editions")).scalar_one()
    with sessions.kw["bind"].connect().execution_options(isolation_level="AUTOCOMMIT") as direct:
        direct.exec_driver_sql("VACUUM (ANALYZE) deliveries")
    stages: list[dict[str, float]] = []
    with hold_sender_lock(sessions, OWNER), reduced_gc():
        for place, passed in (("start", 0), ("middle", rows // 2), ("end", rows * 2 // 5)):
            say(f"claiming at the {place} of the edition")
            _pass(sessions, edition_id, passed)
            stages.append(_measure_here(sessions, edition_id))
        for line in explain_claim(sessions, edition_id):
            print(f"  {line}", file=sys.stderr)
    return {
        "queue_rows": rows,
        "claim_ms": round(statistics.median(stage["claim_ms"] for stage in stages), 1),
        "claim_worst_ms": round(max(stage["claim_worst_ms"] for stage in stages), 1),
        "claim_first_ms": round(max(stage["claim_first_ms"] for stage in stages), 1),
        "sweep_ms": round(max(stage["sweep_ms"] for stage in stages), 1),
    }


def _pass(sessions: sessionmaker[Session], edition_id: int, rows: int) -> None:
    """Bring rows to their end state, many at a time but with the commits of many senders."""
    for _ in range(0, rows, _PASSED_AT_ONCE):
        given = {"id": edition_id, "rows": _PASSED_AT_ONCE, "late": NOW + LEASE}
        with transaction(sessions, is_lasting=False) as session:
            for statement in _PASS:
                session.execute(text(statement), given)
    if rows:
        # The last of those senders records its position, as senders do all the time.
        _claim_and_send(sessions, Claimer(OWNER, LEASE, edition_id))


def _measure_here(sessions: sessionmaker[Session], edition_id: int) -> dict[str, float]:
    claimer = Claimer(OWNER, LEASE, edition_id)
    first = _claim_and_send(sessions, claimer)
    claims = [_claim_and_send(sessions, claimer) for _ in range(CLAIMS)]
    with sessions.begin() as session:
        claim_due(session, claimer, AT_ONCE, NOW)
    began = time.monotonic()
    with sessions.begin() as session:
        sweep_abandoned(session, NOW + 2 * LEASE)
    sweep = time.monotonic() - began
    return {
        "claim_first_ms": first * 1e3,
        "claim_ms": statistics.median(claims) * 1e3,
        "claim_worst_ms": max(claims) * 1e3,
        "sweep_ms": sweep * 1e3,
    }


def _claim_and_send(sessions: sessionmaker[Session], claimer: Claimer) -> float:
    """Return the seconds of one claim, and bring its rows to their end state."""
    began = time.monotonic()
    with transaction(sessions, is_lasting=False) as session:
        claims = claim_due(session, claimer, AT_ONCE, NOW)
    took = time.monotonic() - began
    attempts = {one.id: one.attempt for one in claims}
    names = {one.id: f"<{one.id}@queue.example>" for one in claims}
    with transaction(sessions, is_lasting=False) as session:
        put_in_flight(session, attempts, names, NOW + LEASE)
        record_results(session, [SendResult(i, a, ACCEPTED) for i, a in attempts.items()], NOW)
    return took


def explain_claim(sessions: sessionmaker[Session], edition_id: int) -> list[str]:
    """Return Postgres' query plan of the claim's SELECT; nothing is changed."""
    found = text(
        "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) SELECT id FROM deliveries"
        " WHERE edition_id = :id AND state = 'queued' AND due_at <= :now"
        " ORDER BY due_at, id LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED"
    )
    with sessions() as session:
        return list(session.execute(found, {"id": edition_id, "now": NOW}).scalars())


def main() -> int:
    rows = int(sys.argv[1]) if sys.argv[1:] else ROWS
    with tempfile.TemporaryDirectory(prefix="pb-") as home:
        Path(home).chmod(0o755)
        with Embedded(Path(home), valkey=False) as servers:
            upgrade(servers.database_url)
            figures = measure_queue(
                servers.database_url,
                rows,
                lambda words: print(f"queue: {words} …", file=sys.stderr),
            )
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
