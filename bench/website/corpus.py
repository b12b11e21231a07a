"""A store of real papers for `web.py`: 100,000 rows over a year, a quarter of them recent.

The real papers are repeated with other identifiers until there are enough. The last 30 days have a
quarter of all papers, which is three to four times arXiv's rate: the hard case for a preview.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Literal
from unittest.mock import patch

import psycopg
from sqlalchemy import select

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.papers.domain.announcement_days import announcement_date, is_announcement_day
from service.papers.domain.author_keys import author_index_keys
from service.papers.domain.categories import canonical_category, is_known
from service.papers.domain.latex.readable import to_readable, to_readable_line
from service.papers.store.models import Paper
from service.papers.store.read import list_ids_since
from service.platform.database.engine import make_engine, make_sessions, transaction
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose, Token
from service.similarity.embed_papers import count_lexemes, learn_papers
from service.similarity.embeddings.embedders import Embedder
from service.similarity.store.corpus import POOL_SIZE

FILES = ("arxiv_cs", "arxiv_astro", "arxiv_hep", "hf_daily")
RECENT_DAYS, ALL_DAYS = 30, 365
_BATCH = 5_000
_COLUMNS = (
    "key", "source", "identifier", "version", "title", "title_raw", "abstract", "abstract_raw",
    "authors", "author_keys", "categories", "primary_category", "url", "comment",
    "first_announced_on", "first_announced_at", "announced_as", "created_at", "updated_at",
)  # fmt: skip


@dataclass(frozen=True)
class RealPaper:
    """The data of a paper for previews, searches and pages, with readable TeX."""

    title: str
    abstract: str
    authors: tuple[str, ...]
    author_keys: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def text(self) -> str:
        """What is embedded."""
        return f"{self.title}\n{self.abstract}"


def read_papers(data: Path, most: int) -> list[RealPaper]:
    """Return at most `most` real papers, drawn evenly from all files."""
    raw = [line for name in FILES for line in _read_lines(data / "bulk" / "dev" / name)]
    Random(4).shuffle(raw)  # noqa: S311  # a repeatable draw, no secret
    return [_read_paper(line) for line in islice(raw, most)]


def _read_lines(stem: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(f"{stem}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _read_paper(line: dict[str, Any]) -> RealPaper:
    authors = tuple(to_readable_line(name) for name in line["authors"] or ())
    codes = [canonical_category(code) for code in line["categories"] or () if is_known(code)]
    return RealPaper(
        to_readable_line(line["title"]),
        to_readable(line["abstract"] or ""),
        authors,
        tuple(sorted({key for name in authors for key in author_index_keys(name)})),
        tuple(dict.fromkeys(codes)) or ("cs.LG",),
    )


def spread_days(count: int, until: date) -> list[date]:
    """Return `count` announcement days, oldest first: a quarter in the last 30 days, the rest before."""
    days = [until - timedelta(days=n) for n in range(ALL_DAYS)]
    days = [on for on in reversed(days) if is_announcement_day(on)]
    recent = [on for on in days if on > until - timedelta(days=RECENT_DAYS)]
    older = [on for on in days if on <= until - timedelta(days=RECENT_DAYS)]
    quarter = count // 4
    early = [older[n * len(older) // (count - quarter)] for n in range(count - quarter)]
    return early + [recent[n * len(recent) // quarter] for n in range(quarter)]


def store_papers(database_url: str, papers: list[RealPaper], count: int, until: date) -> None:
    """Copy `count` papers into an empty schema and update its statistics."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        copy = f"COPY papers ({', '.join(_COLUMNS)}) FROM STDIN"
        days = spread_days(count, until)
        for start in range(0, count, _BATCH):
            with connection.cursor() as cursor, cursor.copy(copy) as rows:
                for number in range(start, min(start + _BATCH, count)):
                    rows.write_row(_make_row(number, papers[number % len(papers)], days[number]))
        connection.execute("VACUUM (ANALYZE) papers")


def ingest_papers(database_url: str, papers: list[RealPaper], first: int, count: int) -> None:
    """Commit one more batch of today, as an ingest does; `first` is the number of its first paper."""
    until = announcement_date(datetime.now(UTC))
    with psycopg.connect(database_url, autocommit=True) as connection:
        copy = f"COPY papers ({', '.join(_COLUMNS)}) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(copy) as rows:
            for number in range(first, first + count):
                rows.write_row(_make_row(number, papers[number % len(papers)], until))


def learn_recent(database_url: str, name: Literal["wordllama", "minilm"], model: Embedder) -> None:
    """Embed the papers of the last 30 days, and at least those of a whole reference pool: what the
    site holds in memory.
    """
    sessions = make_sessions(make_engine(database_url))
    settings = Settings(database_url=database_url, embedder=name)
    since = announcement_date(datetime.now(UTC)) - timedelta(days=RECENT_DAYS)
    with transaction(sessions) as session:
        pool = select(Paper.id).order_by(Paper.id.desc()).limit(POOL_SIZE)
        ids = sorted({*list_ids_since(session, since), *session.scalars(pool)})
    with patch("service.similarity.like_paper.load_embedder", lambda _: model):
        learn_papers(sessions, settings, ids)
    count_lexemes(sessions, settings)


def _make_row(number: int, paper: RealPaper, on: date) -> tuple[object, ...]:
    identifier = f"{on:%y%m}.{number:06d}"
    at = datetime(on.year, on.month, on.day, 4, tzinfo=UTC)
    return (
        f"bench:{identifier}", "arxiv", identifier, 1, paper.title, paper.title, paper.abstract,
        paper.abstract, list(paper.authors), list(paper.author_keys), list(paper.categories),
        paper.categories[0], f"https://arxiv.org/abs/{identifier}", "", on, at, "new", at, at,
    )  # fmt: skip


def add_subscribers(database_url: str, count: int) -> list[Token]:
    """Add subscribers; return their links to unsubscribe, unsigned."""
    now = datetime.now(UTC)
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "INSERT INTO subscribers (email, email_key, state, cadence, hour, timezone,"
            " created_at, confirmed_at)"
            " SELECT format('reader%%s@example.org', n), format('reader%%s@example.org', n),"
            " 'active', 'daily', 7, 'UTC', now(), now() FROM generate_series(1, %s) n"
            " RETURNING id, link_key",
            [count],
        ).fetchall()
    return [Token(Purpose.UNSUBSCRIBE, id_, now, key=key) for id_, key in rows]
