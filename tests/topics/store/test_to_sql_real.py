"""Matching in memory and Postgres agree on topics made of words of real papers."""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session
from support.matching import (
    LIKES,
    SWITCHES,
    Circumstances,
    Draft,
    Memory,
    pairs_in_postgres,
    store_papers,
)

from service.papers.domain.categories import is_known
from service.papers.domain.types import AnnounceType
from service.topics.domain.language import Query, QueryError, parse_query


def _real_drafts(real_data: Path, count: int) -> list[Draft]:
    with gzip.open(real_data / "bulk/dev/arxiv_cs.jsonl.gz", "rt", encoding="utf-8") as lines:
        step = 36_000 // count
        records = [json.loads(line) for line in islice(lines, 0, step * count, step)]
    return [_real_draft(number, record) for number, record in enumerate(records)]


def _real_draft(number: int, record: dict[str, Any]) -> Draft:
    """Return a real paper with an invented announcement, the same in every run."""
    # Some records carry MSC and ACM classes beside arXiv's own categories.
    categories = tuple(code for code in record["categories"] if is_known(code))
    came = Circumstances(
        sources=("arxiv", "huggingface") if number % 7 == 0 else ("arxiv",),
        trend=number * 37 % 1000 / 10,
        primary_category=categories[0] if categories else "",
        announced_as=[AnnounceType.NEW, AnnounceType.NEW, AnnounceType.CROSS, None][number % 4],
        is_replaced=number % 5 == 0,
    )
    return record["title"], record["abstract"], tuple(record["authors"]), categories, came


def real_topics(drafts: Sequence[Draft]) -> st.SearchStrategy[str]:
    """Generate topics from pieces of the papers, so that many of them match."""
    # By index: Hypothesis would otherwise print whole papers for every topic.
    chosen, made = st.integers(0, len(drafts) - 1), _Pieces(drafts)
    leaves = st.one_of(
        st.builds(
            made.words, chosen, st.integers(0, 300), st.sampled_from([1, 1, 1, 2, 3]), _FIELDS
        ),
        st.builds(made.prefix, chosen, st.integers(0, 300), st.integers(2, 7), _FIELDS),
        st.builds(made.author, chosen, st.integers(0, 20), st.integers(0, 2)),
        st.builds(made.category, chosen, st.integers(0, 5), is_archive=st.booleans()),
        st.sampled_from(["src:hf", "src:arxiv", *LIKES]),
        st.builds(lambda sign, at: f"trend{sign}{at}", st.sampled_from("<>"), st.integers(0, 100)),
    )
    nested = st.recursive(leaves, _join_real, max_leaves=8)
    return st.tuples(nested, st.sampled_from(SWITCHES)).map(" ".join)


def _join_real(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    shapes = ["({} {})", "({} OR {})", "({} -{})", "({} NOT ({} OR {}))", "(({} {}) OR ({} -{}))"]
    return st.builds(
        lambda shape, four: shape.format(*four),
        st.sampled_from(shapes),
        st.lists(parts, min_size=4, max_size=4),
    )


_FIELDS = st.sampled_from(["", "", "ti:", "abs:"])


class _Pieces:
    """Clauses that are satisfied by the paper they are made of."""

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self._drafts = drafts

    def words(self, number: int, at: int, count: int, field: str) -> str:
        title, abstract, *_ = self._drafts[number]
        words = f"{title} {abstract}".translate(_NO_QUOTES).split()
        start = at % len(words)
        return f'{field}"{" ".join(words[start : start + count])}"'

    def prefix(self, number: int, at: int, length: int, field: str) -> str:
        abstract = self._drafts[number][1]
        words = [word for word in abstract.split() if word.isalpha() and len(word) > 2]
        return f"{field}{words[at % len(words)][:length]}*" if words else "model*"

    def author(self, number: int, at: int, form: int) -> str:
        authors = self._drafts[number][2]
        if not authors:
            return 'au:"Y. Bengio"'
        name = authors[at % len(authors)].translate(_NO_QUOTES)
        return f'au:"{[name, name.split()[-1], name[0] + ". " + name.split()[-1]][form]}"'

    def category(self, number: int, at: int, *, is_archive: bool) -> str:
        categories = self._drafts[number][3]
        if not categories:
            return "cat:cs.*"
        code = categories[at % len(categories)]
        return f"cat:{code.partition('.')[0]}.*" if is_archive else f"cat:{code}"


_NO_QUOTES = str.maketrans("", "", '"“”„‟')


@pytest.mark.real
@pytest.mark.timeout(1800)
def test_memory_and_postgres_agree_on_real_papers(session: Session, real_data: Path) -> None:
    """Compare 5,000 topics on 10,000 papers in the full run, a tenth of both otherwise."""
    whole = bool(os.environ.get("PAPERBOY_TEST_WHOLE"))
    drafts = _real_drafts(real_data, 10_000 if whole else 1_500)
    papers = store_papers(session, drafts)
    session.execute(text("ANALYZE papers"))
    memory = Memory(papers)
    matched: list[int] = []

    @settings(
        max_examples=100 if whole else 16,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(real_topics(drafts), min_size=50, max_size=50))
    def agree(texts: list[str]) -> None:
        topics = list(_readable(texts))
        pairs = pairs_in_postgres(session, topics)
        assert memory.find_pairs(session, topics) == pairs
        found = Counter(topic for topic, _ in pairs)
        matched.extend(found[number] for number in range(len(topics)))

    agree()
    # The comparison means little unless many papers matched.
    assert len(matched) > (4_500 if whole else 600)
    assert sum(count > 0 for count in matched) > len(matched) / 3
    assert sum(matched) > 20 * len(matched)


def _readable(texts: Iterable[str]) -> Iterator[Query]:
    for each in texts:
        with suppress(QueryError):
            yield parse_query(each)
