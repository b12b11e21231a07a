"""Write the days of a year by SQL, each as one real morning leaves it, and apply retention each month.

A delivery has the four versions that sending makes of it: queued, claimed, in flight, sent. A month's rows
are vacuumed when autovacuum would do it, so its relations grow as they do in service. The months between the
second and the last two are written in one version each, because that takes a quarter of the time, into pages
that are as full as sending leaves them; their indexes are a little smaller than in service.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from time import perf_counter

import psycopg
from scales.model import PART_BYTES_A_PAPER

from service.deliveries.domain.months import IDS, month_of
from service.operations.retention import apply_retention
from service.platform.database.engine import make_engine, make_sessions
from service.platform.settings.settings import Settings

# When autovacuum begins: this share of a table's rows is dead.
_DEAD = 0.2
# The dead versions that a morning leaves of each delivery.
_VERSIONS = 3
# A time before anybody looks at the last day.
_OPENED = time(0, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Year:
    """So many days that end with `until`, each with a digest for every subscriber."""

    subscribers: int
    papers_a_day: int
    days: int
    until: date

    def dates(self) -> list[date]:
        """Return the days, oldest first."""
        return [self.until - timedelta(days=n) for n in reversed(range(self.days))]


def write_year(database_url: str, year: Year, note: Callable[[str], None]) -> float:
    """Write all days into an empty schema that has the sample.

    Return the microseconds that the last vacuum of a whole month took for each of its rows.
    """
    numbered = list(enumerate(year.dates()))
    months = [list(days) for _, days in groupby(numbered, lambda day: _month(day[1]))]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_SUBSCRIBERS, [year.subscribers, _at(year.dates()[0])])
        connection.execute("ANALYZE subscribers")
        row = connection.execute("SELECT avg(length(body) + 60) FROM sample.parts").fetchone()
    assert row is not None
    vacuums: list[float] = []
    parts = round(year.papers_a_day * PART_BYTES_A_PAPER / float(row[0]))

    def write_mail(number: int) -> float:
        written[number].result()
        is_middle = 1 < number < len(months) - 2
        fill = measure_fill(database_url, _month(months[1][0][1])) if is_middle else 0
        return _write_mail(database_url, year, months[number], parts, fill)

    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(2) as beside:
        written = [first.submit(_write_papers, database_url, year, days) for days in months]
        # The months in the middle are measured by the second.
        for numbers in (range(min(2, len(months))), range(2, len(months))):
            for number, mail in [(each, beside.submit(write_mail, each)) for each in numbers]:
                days = months[number]
                vacuums.append(mail.result() / len(days) / year.subscribers * 1e6)
                _apply_retention(database_url, days[-1][1])
                note(f"written until {days[-1][1]}")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT setval('deliveries_id_seq', %s), setval('papers_id_seq', %s),"
            " setval('mail_parts_id_seq', %s), setval('editions_id_seq', %s)",
            [year.days * year.subscribers, year.days * year.papers_a_day, 10**9, year.days],
        )
        connection.execute("VACUUM (ANALYZE)")
    return max(vacuums[-2:])


def _month(on: date) -> int:
    return month_of(_at(on))


def _at(on: date) -> datetime:
    return datetime.combine(on, _OPENED)


def _apply_retention(database_url: str, on: date) -> None:
    """Do what `worker-default` does once an hour, on the morning after a month's last day."""
    engine = make_engine(database_url)
    settings = Settings(database_url=database_url)
    now = _at(on + timedelta(days=1))
    # What others use just now is left for the next run.
    while apply_retention(make_sessions(engine), settings, now).busy:
        pass
    engine.dispose()


def _write_papers(database_url: str, year: Year, days: Sequence[tuple[int, date]]) -> None:
    """Write the papers of some days, and the editions that have them."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for number, on in days:
            given = {
                "number": number,
                "on": on,
                "at": _at(on),
                "papers": year.papers_a_day,
                "first": number * year.papers_a_day,
                "last": (number + 1) * year.papers_a_day,
                "subscribers": year.subscribers,
            }
            for statement in _PAPERS:
                connection.execute(statement, given)


def _write_mail(
    database_url: str, year: Year, days: Sequence[tuple[int, date]], parts: int, fill: int
) -> float:
    """Write a month's digests; each day has so many parts, like those of the sample.

    With `fill`, in per cent of a page, in one version. Return the seconds of the last vacuum.
    """
    month = _month(days[0][1])
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SELECT make_month(%s)", [month])
        connection.execute("SET session_replication_role = replica")
        # It would not know that a day takes a second here.
        connection.execute(f"ALTER TABLE deliveries_{month} SET (autovacuum_enabled = off)")
        if fill:
            connection.execute(f"ALTER TABLE deliveries_{month} SET (fillfactor = {fill})")
        dead, took = 0, 0.0
        for place, (number, on) in enumerate(days):
            given = {
                "edition": number + 1,
                "at": _at(on),
                "month": month,
                "papers": year.papers_a_day,
                "first_paper": number * year.papers_a_day,
                "first_id": month * IDS + number * year.subscribers,
                "subscribers": year.subscribers,
                "first_part": number * 10**6,
                "parts": parts,
            }
            for statement in _MAIL_AT_ONCE if fill else _MAIL:
                connection.execute(statement, given)
            dead += 0 if fill else _VERSIONS * year.subscribers
            if dead > _DEAD * (place + 1) * year.subscribers:
                took = _vacuum(connection, month)
                dead = 0
        connection.execute(f"ALTER TABLE deliveries_{month} RESET (autovacuum_enabled)")
        return took if dead == 0 and took else _vacuum(connection, month)


def measure_fill(database_url: str, month: int) -> int:
    """Return how full the pages of a month are that was written as sending does it, in per cent."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(_FILL_OF_PAGES.format(month=month)).fetchone()
    assert row is not None
    return int(row[0])


def _vacuum(connection: psycopg.Connection[tuple[object, ...]], month: int) -> float:
    began = perf_counter()
    connection.execute(f"VACUUM deliveries_{month}")
    return perf_counter() - began


# Of a page 24 bytes are its header, and each row has a pointer of 4.
_FILL_OF_PAGES = """
SELECT least(100, round(100.0 * count(*) * (avg(pg_column_size(one.*)) + 4)
    / (pg_relation_size('deliveries_{month}') / 8192 * 8168)))
FROM deliveries_{month} AS one
"""
_SUBSCRIBERS = """
WITH numbers AS (SELECT n, format('reader%%s@site%%s.example', n, n %% 997) AS email
                 FROM generate_series(1, %s) AS n),
given AS (SELECT %s::timestamptz AS at),
added AS (
  INSERT INTO subscribers (email, email_key, state, cadence, hour, timezone, timing, created_at, confirmed_at)
  SELECT email, email, 'active', 'daily', 7, 'UTC', 'when_complete', at, at FROM numbers, given ORDER BY n
  RETURNING id
), agreed AS (
  INSERT INTO consents (subscriber_id, action, text_version, page, created_at)
  SELECT id, action, '1', '/', at FROM added, given, unnest(ARRAY['requested', 'confirmed']) AS action
)
INSERT INTO topics (subscriber_id, name, query, canonical, position, created_at)
SELECT id, word, word, word, place, at
FROM added, given, generate_series(0, 2) AS place, format('subject%%s', id %% 3000 * 3 + place) AS word
"""
_PAPERS = (
    """
INSERT INTO batches (source, category, announced_on, state, answer, announced_count, created_at, completed_at)
SELECT 'arxiv', categories.name, %(on)s, 'complete', 'read', %(papers)s / 5, %(at)s, %(at)s
FROM unnest(ARRAY['cs.AI', 'cs.CL', 'cs.CV', 'cs.LG', 'stat.ML']) AS categories (name)
""",
    """
INSERT INTO papers (
  id, key, source, sources, identifier, version, title, title_raw, abstract, abstract_raw, authors, author_keys,
  categories, primary_category, url, first_announced_on, first_announced_at, announced_as, created_at, updated_at
)
SELECT %(first)s + id, 'arxiv:' || name, 'arxiv', sources, name, 1, title, title_raw, abstract, abstract_raw,
  authors, author_keys, categories, primary_category, 'https://arxiv.org/abs/' || name, %(on)s, %(at)s, 'new',
  %(at)s, %(at)s
FROM sample.papers, format('%%s.%%s', to_char(%(on)s::date, 'YYMM'), %(number)s * 10000 + id) AS name
WHERE id <= %(papers)s
""",
    """
INSERT INTO paper_identifiers (value, paper_id)
SELECT key, id FROM papers WHERE id > %(first)s AND id <= %(last)s
""",
    """
INSERT INTO paper_versions (paper_id, version, title_raw, abstract_raw, seen_at)
SELECT id, 1, title_raw, abstract_raw, %(at)s FROM papers WHERE id > %(first)s AND id <= %(last)s
""",
    """
INSERT INTO paper_meanings (paper_id, model, dense, sparse, paper_updated_at)
SELECT %(first)s + paper_id, model, dense, sparse, %(at)s FROM sample.paper_meanings WHERE paper_id <= %(papers)s
""",
    """
INSERT INTO announcements (batch_id, paper_id, announce_type, version)
SELECT batches.id, papers.id, 'new', 1 FROM papers JOIN batches
ON announced_on = %(on)s AND papers.id %% 5 = batches.id %% 5
WHERE papers.id > %(first)s AND papers.id <= %(last)s
""",
    # Each day twelve papers are revised in substance: of twelve earlier days, where there are so many.
    """
INSERT INTO paper_events (paper_id, kind, detail, created_at)
SELECT id, 'revised', format('v%%s', %(number)s), %(at)s
FROM papers JOIN unnest(ARRAY[1, 3, 7, 14, 20, 30, 45, 60, 90, 120, 150, 180]) AS age
ON papers.id = greatest(0, %(number)s - age) * %(papers)s + 1 + age %% %(papers)s
WHERE %(number)s > 0 ON CONFLICT DO NOTHING
""",
    """
INSERT INTO editions (
  id, cadence, local_date, covers_from, state, opened_at, frozen_at, closed_at, candidate_count, paper_count,
  coverage
)
VALUES (
  %(number)s + 1, 'daily', %(on)s, %(on)s, 'closed', %(at)s, %(at)s, %(at)s, %(subscribers)s, %(papers)s,
  jsonb_build_object('announced', %(papers)s, 'checked', %(papers)s, 'is_complete', true)
)
""",
    """
INSERT INTO edition_papers (edition_id, paper_id, cadence)
SELECT %(number)s + 1, id, 'daily' FROM papers WHERE id > %(first)s AND id <= %(last)s
""",
    """
INSERT INTO edition_chunks (edition_id, first_subscriber_id, last_subscriber_id, composed_at)
SELECT %(number)s + 1, n, least(n + 999, %(subscribers)s), %(at)s
FROM generate_series(1, %(subscribers)s, 1000) AS n
""",
)
_PARTS = """
INSERT INTO mail_parts (month, id, key, body, stored_at)
SELECT %(month)s, %(first_part)s + place,
       substring(sha256(convert_to(format('%%s %%s', %(edition)s, place), 'UTF8')), 1, key_bytes), body, %(at)s
FROM generate_series(0, %(parts)s - 1) AS place JOIN sample.parts
ON n = place %% (SELECT count(*) FROM sample.parts) + 1
ORDER BY 3
"""
_COPIES = """
INSERT INTO mail_copies (delivery_id, content_hash, recipe)
SELECT %(first_id)s + s, content_hash, recipe
FROM generate_series(1, %(subscribers)s) AS s
JOIN sample.shapes ON n = (s * 7 + %(edition)s * 13) %% (SELECT count(*) FROM sample.shapes)
ORDER BY s
"""
# One of two hundred was deferred once, with an event.
_EVENTS = """
INSERT INTO delivery_events (delivery_id, attempt, state, detail, created_at, phase, relay)
SELECT %(first_id)s + s, 1, 'queued', '451 4.7.1 greylisted, try again later', %(at)s, 'rcpt', 'relay1.example.org'
FROM generate_series(1, %(subscribers)s, 200) AS s
"""
_MAIL = (
    """
WITH shifted AS MATERIALIZED (
  SELECT n, digest,
         ARRAY(SELECT %(first_paper)s + 1 + id %% %(papers)s FROM unnest(paper_ids) AS id)::int[] AS paper_ids
  FROM sample.shapes
)
INSERT INTO deliveries (
  id, kind, edition_id, subscriber_id, state, due_at, send_not_after, paper_ids, digest, created_at, updated_at
)
SELECT %(first_id)s + s, 'digest', %(edition)s, s, 'queued', %(at)s, %(at)s + interval '12 hours', paper_ids,
       digest, %(at)s, %(at)s
FROM generate_series(1, %(subscribers)s) AS s
JOIN shifted ON n = (s * 7 + %(edition)s * 13) %% (SELECT count(*) FROM sample.shapes)
ORDER BY s
""",
    """
UPDATE deliveries SET state = 'claimed', attempt = 1, lease_owner = 4711, lease_until = %(at)s, updated_at = %(at)s
WHERE id > %(first_id)s AND id <= %(first_id)s + %(subscribers)s
""",
    _PARTS,
    _COPIES,
    """
UPDATE deliveries SET state = 'in_flight', message_id = shapes.message_id
FROM sample.shapes
WHERE n = (subscriber_id * 7 + %(edition)s * 13) %% (SELECT count(*) FROM sample.shapes)
  AND deliveries.id > %(first_id)s AND deliveries.id <= %(first_id)s + %(subscribers)s
""",
    """
UPDATE deliveries SET state = 'sent', lease_owner = NULL, lease_until = NULL, last_reply = shapes.last_reply,
  relay = shapes.relay, sent_at = %(at)s + deliveries.subscriber_id * interval '1 ms', updated_at = %(at)s
FROM sample.shapes
WHERE n = (subscriber_id * 7 + %(edition)s * 13) %% (SELECT count(*) FROM sample.shapes)
  AND deliveries.id > %(first_id)s AND deliveries.id <= %(first_id)s + %(subscribers)s
""",
    _EVENTS,
)
_INSERT_SENT = """
WITH shifted AS MATERIALIZED (
  SELECT shapes.*,
         ARRAY(SELECT %(first_paper)s + 1 + id %% %(papers)s FROM unnest(paper_ids) AS id)::int[] AS own_ids
  FROM sample.shapes
)
INSERT INTO deliveries (
  id, kind, edition_id, subscriber_id, state, attempt, due_at, send_not_after, paper_ids, digest, message_id,
  last_reply, relay, sent_at, created_at, updated_at
)
SELECT %(first_id)s + s, 'digest', %(edition)s, s, 'sent', 1, %(at)s, %(at)s + interval '12 hours', own_ids,
       digest, message_id, last_reply, relay, %(at)s + s * interval '1 ms', %(at)s, %(at)s
FROM generate_series(1, %(subscribers)s) AS s
JOIN shifted ON n = (s * 7 + %(edition)s * 13) %% (SELECT count(*) FROM sample.shapes)
ORDER BY s
"""
# Without the versions that are dead afterwards.
_MAIL_AT_ONCE = (_INSERT_SENT, _PARTS, _COPIES, _EVENTS)
