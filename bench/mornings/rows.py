"""The rows before a morning: real papers, topics from a corpus, subscribers, and the day's batches."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from random import Random

import psycopg
from matching.stage import find_silent, prepare_likes, store_papers
from matching.topics import LIKES, count_vocabulary, draw_topics, read_papers
from sqlalchemy.orm import Session, sessionmaker

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.editions.domain.edition_index import EditionIndex
from service.editions.edition_cache import load_index
from service.editions.match_topics import match_stored_topics
from service.papers.domain.announcement_days import announcement_date
from service.papers.watched_sources import gating_sources, watched_categories
from service.platform.database.engine import make_engine, make_sessions, transaction
from service.platform.settings.settings import Settings
from service.topics.compile_topics import compile_topics
from service.topics.domain.names import name_topics
from service.topics.store.save_compiled import save_compiled_topics

PAPERS = 1_500
# Distinct ones; they have more than 5,000 distinct clauses.
TOPICS = 8_000
TOPICS_EACH = 3
PAPERS_A_MAIL = 12
# Papers from whose words topics are drawn; none of them is of the day.
_CORPUS = 8_000
# Drawn for each topic that is taken: many match no paper of the day, and some match hundreds.
_DRAWN = 4
_DRAWN_AT_LEAST = 1_000
_TRIED = 4_000
_LIKE_QUERIES = 100
_COMPILED_AT_ONCE = 2_000


@dataclass(frozen=True)
class Topics:
    """The topics of the subscribers, as (query, row id of its compiled form), and what was measured."""

    chosen: Sequence[tuple[str, int]]
    clause_count: int
    papers_a_mail: float


def store_morning(
    database_url: str, data: Path, subscribers: int, topic_count: int, now: datetime
) -> Topics:
    """Store everything that is there before the day is complete, in an empty schema."""
    settings = Settings(database_url=database_url)
    sessions = make_sessions(make_engine(database_url))
    on = announcement_date(now)
    store_papers(database_url, read_papers(data, PAPERS), on, now)
    topics = _store_topics(sessions, settings, data, topic_count)
    _store_subscribers(database_url, topics.chosen, subscribers, now)
    # It also deletes the compiled topics that were drawn and not taken.
    compile_topics(sessions)
    _open_batches(database_url, settings, on, now)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        row = connection.execute("SELECT count(*) FROM clauses WHERE kind <> 'group'").fetchone()
    assert row is not None
    return Topics(topics.chosen, row[0], topics.papers_a_mail)


def complete_day(database_url: str, now: datetime) -> None:
    """Record that the sources' last batch is in, as an ingest does."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE batches SET state = 'complete', completed_at = %s", [now])


def _store_topics(
    sessions: sessionmaker[Session], settings: Settings, data: Path, count: int
) -> Topics:
    """Compile topics, and choose those with which a mail has `PAPERS_A_MAIL` papers on average."""
    corpus = read_papers(data, _CORPUS, PAPERS)
    silent = find_silent(settings.database_url, count_vocabulary(corpus))
    drawn = draw_topics(corpus, count * _DRAWN + _DRAWN_AT_LEAST, silent)
    numbers: dict[str, int] = {}
    for start in range(0, len(drawn), _COMPILED_AT_ONCE):
        with transaction(sessions) as session:
            numbers |= save_compiled_topics(session, drawn[start : start + _COMPILED_AT_ONCE])
    prepare_likes(settings.database_url, drawn, PAPERS, _LIKE_QUERIES)
    with transaction(sessions) as session:
        paper_ids = [
            row[0] for row in session.connection().exec_driver_sql("SELECT id FROM papers")
        ]
        index = load_index(session, paper_ids, {})
        match_stored_topics(session, settings, index, numbers.values())
    chosen, papers_a_mail = choose_topics(drawn, index, count, settings.digest_max_papers)
    return Topics([(text, numbers[text]) for text in chosen], 0, papers_a_mail)


def choose_topics(
    drawn: Sequence[str], index: EditionIndex, count: int, most_papers: int
) -> tuple[list[str], float]:
    """Return `count` topics that match a paper, and the papers of a mail with three of them.

    Of the drawn ones the broadest are left out, as many as it takes, but no `like:`.
    """
    counts = {topic: found for topic in drawn if (found := index.find(topic).bit_count())}
    likes = [topic for topic in counts if topic.startswith("like:")][: round(count * LIKES)]

    def choose(limit: int) -> list[str]:
        narrow = [t for t, n in counts.items() if n <= limit and not t.startswith("like:")]
        return likes + narrow[: count - len(likes)]

    limits = range(1, max(counts.values()))
    limit = bisect_left(
        limits, float(PAPERS_A_MAIL), key=lambda n: _papers_a_mail(choose(n), index, most_papers)
    )
    chosen = choose(limits[limit])
    if len(chosen) < count:
        raise SystemExit(f"morning.py: {count:,} topics of {PAPERS_A_MAIL} papers a mail: too many")
    return chosen, _papers_a_mail(chosen, index, most_papers)


def _papers_a_mail(topics: Sequence[str], index: EditionIndex, most_papers: int) -> float:
    chance = Random(5)  # noqa: S311  # the same sample each time
    shown = 0
    for _ in range(_TRIED):
        papers = 0
        for topic in chance.choices(topics, k=TOPICS_EACH):
            papers |= index.find(topic)
        shown += min(most_papers, papers.bit_count())
    return shown / _TRIED


def _store_subscribers(
    database_url: str, topics: Sequence[tuple[str, int]], count: int, now: datetime
) -> None:
    """Store subscribers whose digests are due as soon as the day is complete."""
    chance = Random(3)  # noqa: S311  # the same subscribers in every run
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY subscribers ({_SUBSCRIBER_COLUMNS}) FROM STDIN") as copy:
            for number in range(1, count + 1):
                copy.write_row(_subscriber_row(number, now))
        with cursor.copy(f"COPY topics ({_TOPIC_COLUMNS}) FROM STDIN") as copy:
            for number in range(1, count + 1):
                for row in _topic_rows(number, chance.sample(topics, TOPICS_EACH), now):
                    copy.write_row(row)
        cursor.execute("SELECT setval('subscribers_id_seq', %s)", [count])


_SUBSCRIBER_COLUMNS = (
    "id, email, email_key, state, cadence, hour, timezone, timing, created_at, confirmed_at"
)
_TOPIC_COLUMNS = "subscriber_id, name, query, canonical, canonical_id, position, created_at"


def _subscriber_row(number: int, now: datetime) -> tuple[object, ...]:
    email = f"reader{number}@site{number % 997}.example"
    return (number, email, email, "active", "daily", 7, "UTC", "when_complete", now, now)


def _topic_rows(
    number: int, topics: Sequence[tuple[str, int]], now: datetime
) -> Iterator[tuple[object, ...]]:
    names = name_topics([(query, "") for query, _ in topics])
    for at, ((query, canonical_id), name) in enumerate(zip(topics, names, strict=True)):
        yield number, name, query, query, canonical_id, at, now


def _open_batches(database_url: str, settings: Settings, on: date, now: datetime) -> None:
    """Store the day's batches, which lack nothing but the mark that they are complete."""
    expected = [(s, c) for s in gating_sources(settings) for c in watched_categories(settings, s)]
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO batches (source, category, announced_on, state, answer, created_at)"
            " VALUES (%s, %s, %s, 'partial', 'read', %s)",
            [(source, category, on, now) for source, category in expected],
        )
        cursor.execute(
            "INSERT INTO announcements (batch_id, paper_id, announce_type, version)"
            " SELECT batches.id, papers.id, 'new', 1 FROM papers JOIN batches"
            " ON papers.id %% %s = batches.id %% %s",
            [len(expected), len(expected)],
        )
