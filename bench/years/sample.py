"""One morning composed and sent by the service's own code, in a database of its own: what a year repeats."""

import sys
from collections import Counter
from pathlib import Path

import psycopg
from mornings.rows import PAPERS, complete_day, store_morning
from sqlalchemy import event

ROOT = Path(__file__).resolve().parents[2]
# The transport that answers without a network is that of the tests.
sys.path[:0] = [str(ROOT / "tests")]

from support.newsletter.press import PlannedTransport  # noqa: E402  # the path must come first

from service.deliveries.domain.recipients import Cadence  # noqa: E402
from service.deliveries.domain.states import Phase, SendOutcome  # noqa: E402
from service.editions.publish import CHUNK_SIZE, publish_now  # noqa: E402
from service.messages.identity import make_sending_renderer  # noqa: E402
from service.messages.mime.mime import Envelope  # noqa: E402
from service.papers.domain.announcement_days import announcement_date  # noqa: E402
from service.platform.clock import system_clock  # noqa: E402
from service.platform.database.engine import make_engine, make_sessions  # noqa: E402
from service.platform.settings.settings import Settings  # noqa: E402
from service.sending.deliver import deliver  # noqa: E402
from service.sending.sender import Sender  # noqa: E402

SUBSCRIBERS, TOPICS = 400, 200
KEY = "a-key-that-is-only-used-in-benches"
# Each is copied into the schema `sample` of a year's database. The id of a paper is its place, 1 to PAPERS.
_COPIED = {
    "papers": "SELECT * FROM papers ORDER BY id",
    "paper_meanings": "SELECT paper_id, model, dense, sparse FROM paper_meanings",
    "parts": "SELECT row_number() OVER (ORDER BY id) AS n, length(key) AS key_bytes, body FROM mail_parts"
    " WHERE month > 0",
    "shapes": "SELECT row_number() OVER (ORDER BY id) - 1 AS n, paper_ids, digest, message_id, last_reply,"
    " relay, content_hash, recipe FROM deliveries JOIN mail_copies ON delivery_id = id"
    " WHERE edition_id IS NOT NULL AND state = 'sent'",
}


def send_sample(database_url: str, data: Path) -> dict[str, float]:
    """Compose and send a morning of a few hundred subscribers in an empty schema.

    Return the statements that composing and sending need for a digest.
    """
    now = system_clock()
    store_morning(database_url, data, SUBSCRIBERS, TOPICS, now)
    complete_day(database_url, now)
    settings = Settings(
        database_url=database_url,
        base_url="https://papers.example.org",
        mail_from="Paperboy <digest@papers.example.org>",
        bounce_domain="bounces.example.org",
        secret_key=KEY,
    )
    engine = make_engine(database_url)
    sessions = make_sessions(engine)
    statements: Counter[str] = Counter()
    step = "composing"

    def count(*_: object) -> None:
        statements[step] += 1

    event.listen(engine, "after_cursor_execute", count)
    edition_id = publish_now(sessions, settings, Cadence.DAILY, announcement_date(now), now)
    step = "sending"
    transport = PlannedTransport(plan=_accept)
    sender = Sender(sessions, settings, make_sending_renderer(settings), transport, system_clock)
    sent = deliver(sender, edition_id)
    engine.dispose()
    if sent.sent != SUBSCRIBERS:
        raise SystemExit(f"year.py: of the sample only {sent.sent} digests were sent")
    return {
        # A chunk has as many statements for its thousand subscribers.
        "compose_statements": round(statements["composing"] / CHUNK_SIZE, 3),
        "send_statements": round(statements["sending"] / SUBSCRIBERS, 3),
    }


def _accept(envelope: Envelope) -> SendOutcome:
    """Return what Postfix answers to a message."""
    queued = f"2.0.0 Ok: queued as {hash(envelope.recipient) & 0xFFFFFFFFFF:011X}"
    return SendOutcome(Phase.REPLIED, 250, queued, "relay1.example.org")


def copy_sample(sample_url: str, database_url: str) -> None:
    """Copy the sample's rows into the schema `sample` of another database."""
    with psycopg.connect(sample_url) as source, psycopg.connect(database_url) as target:
        target.execute("CREATE SCHEMA sample")
        for name, query in _COPIED.items():
            _copy_rows(source, target, name, query)


def _copy_rows(
    source: psycopg.Connection[tuple[object, ...]],
    target: psycopg.Connection[tuple[object, ...]],
    name: str,
    query: str,
) -> None:
    source.execute(f"CREATE TEMP TABLE copied AS {query}")
    columns = source.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'copied'::regclass AND attnum > 0 ORDER BY attnum"
    ).fetchall()
    target.execute(
        f"CREATE TABLE sample.{name} ({', '.join(f'{c} {kind}' for c, kind in columns)})"
    )
    with (
        source.cursor() as reader,
        target.cursor() as writer,
        reader.copy("COPY copied TO STDOUT") as rows,
        writer.copy(f"COPY sample.{name} FROM STDIN") as written,
    ):
        for block in rows:
            written.write(block)
    source.execute("DROP TABLE copied")


__all__ = ["PAPERS", "SUBSCRIBERS", "copy_sample", "send_sample"]
