"""The rows before a morning of `match.py`: papers, subscribers, topics, an edition, like queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

import psycopg
from sqlalchemy.orm import Session

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from matching.topics import BenchPaper
from service.deliveries.domain.recipients import Cadence
from service.editions.domain.edition_index import EditionIndex
from service.editions.edition_cache import LoadedEdition
from service.editions.store.chunks import plan_chunks
from service.editions.store.edition_papers import assign_papers
from service.editions.store.editions import find_edition, insert_edition
from service.papers.domain.tsvector import parse_tsvector
from service.platform.database.engine import make_engine, make_sessions, transaction
from service.platform.settings.settings import Settings
from service.similarity.embed_papers import count_lexemes, learn_meanings
from service.topics.compile_topics import compile_topics
from service.topics.domain.language import like_leaves, parse_query
from service.topics.domain.language.syntax_tree import fold_words
from service.topics.like_queries import make_like_queries

NOW = datetime(2026, 9, 18, 5, tzinfo=UTC)
ON = NOW.date()
CHUNK = 1_000


@dataclass(frozen=True)
class Size:
    """The size of the bench. `corpus`: papers from which the words of topics are drawn; `like_queries`:
    like queries that are really compiled; `rounds`: runs of both sides of the comparison.
    """

    papers: int
    topics: int
    subscriptions: int
    digests: int
    sql_topics: int
    corpus: int
    like_queries: int
    rounds: int


def settings_of(database_url: str) -> Settings:
    return Settings(database_url=database_url)


def store_papers(
    database_url: str, papers: Sequence[BenchPaper], on: date = ON, now: datetime = NOW
) -> None:
    """Copy papers, new on this date, into an empty schema and update its statistics."""
    columns = (
        "key, source, sources, identifier, version, title, title_raw, abstract, abstract_raw, authors,"
        " author_keys, categories, primary_category, url, first_announced_on, first_announced_at,"
        " announced_as, created_at, updated_at"
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY papers ({columns}) FROM STDIN") as copy,
        ):
            for number, paper in enumerate(papers):
                copy.write_row(_paper_row(number, paper, on, now))
        connection.execute("VACUUM (ANALYZE) papers")


def _paper_row(number: int, paper: BenchPaper, on: date, now: datetime) -> tuple[object, ...]:
    identifier = f"2609.{number:05d}"
    return (
        f"arxiv:{identifier}",
        "arxiv",
        ["arxiv"],
        identifier,
        1,
        paper.title,
        paper.title,
        paper.abstract,
        paper.abstract,
        list(paper.authors),
        list(paper.author_keys),
        list(paper.categories),
        paper.categories[0] if paper.categories else "",
        f"https://arxiv.org/abs/{identifier}",
        on,
        now,
        "new",
        now,
        now,
    )


def find_silent(database_url: str, words: set[str]) -> set[str]:
    """Return the words that Postgres does not index."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT word, to_tsvector('english', word)::text FROM unnest(%s::text[]) AS word",
            [sorted(words)],
        )
        return {fold_words(word) for word, vector in rows if not parse_tsvector(vector)}


def store_subscriptions(database_url: str, topics: Sequence[str], count: int) -> None:
    """Store subscribers with three topics each; every topic has one, the rest is drawn evenly."""
    chance = Random(3)  # noqa: S311  # the same readers in every run
    chosen = [*topics, *chance.choices(topics, k=count - len(topics))]
    chance.shuffle(chosen)
    subscribers = (count + 2) // 3
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        with cursor.copy(
            "COPY subscribers (id, email, email_key, state, cadence, hour, timezone, created_at)"
            " FROM STDIN"
        ) as copy:
            for number in range(1, subscribers + 1):
                address = f"reader-{number}@example.org"
                copy.write_row((number, address, address, "active", "daily", 7, "UTC", NOW))
        with cursor.copy(
            "COPY topics (subscriber_id, name, query, canonical, position, created_at) FROM STDIN"
        ) as copy:
            for subscriber in range(subscribers):
                # A subscriber who drew a topic twice has it once: a handful in a million.
                for at, topic in enumerate(
                    dict.fromkeys(chosen[subscriber * 3 : subscriber * 3 + 3])
                ):
                    copy.write_row((subscriber + 1, topic[:40], topic, topic, at, NOW))
        cursor.execute("ANALYZE")


def compile_all(database_url: str) -> None:
    """Compile all topics at once, as saving them does."""
    compile_topics(make_sessions(make_engine(database_url)))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) canonicals, clauses, topics")


def store_edition(database_url: str, size: Size) -> None:
    sessions = make_sessions(make_engine(database_url))
    with transaction(sessions) as session:
        edition = insert_edition(session, Cadence.DAILY, ON, NOW, sends_now=True)
        assert edition is not None
        edition.paper_count = assign_papers(session, edition, timedelta(days=14))
        assert edition.paper_count == size.papers
        plan_chunks(session, edition, CHUNK)


def prepare_likes(database_url: str, topics: Sequence[str], papers: int, like_queries: int) -> int:
    """Embed the papers, as at ingest, and store like queries, as when topics are saved.

    Compiling a like query reads the whole store and takes some 20 to 40 ms, so only `like_queries`
    are compiled, and copied into the rows of the other clauses.
    """
    sessions, settings = make_sessions(make_engine(database_url)), settings_of(database_url)
    assert learn_meanings(sessions, settings) == papers
    count_lexemes(sessions, settings)
    texts = sorted(
        {
            leaf.text
            for topic in topics
            if "like:" in topic
            for leaf in like_leaves(parse_query(topic)).values()
        }
    )
    with transaction(sessions) as session:
        make_like_queries(session, settings, texts[:like_queries])
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_COPY_PROBES, [texts[like_queries:], min(like_queries, len(texts))])
    return len(texts)


_COPY_PROBES = """
INSERT INTO probes (text, model, generation, dense, sparse, dense_factor, sparse_factor, threshold)
SELECT wanted.text, model, generation, dense, sparse, dense_factor, sparse_factor, threshold
FROM unnest(%s::text[]) WITH ORDINALITY AS wanted (text, number)
JOIN (SELECT *, row_number() OVER (ORDER BY id) - 1 AS place FROM probes) AS made
ON made.place = wanted.number %% %s
"""


def open_index(session: Session) -> EditionIndex:
    """Return the edition index, as composing builds it."""
    edition = find_edition(session, Cadence.DAILY, ON)
    assert edition is not None
    return LoadedEdition(session, edition).index
