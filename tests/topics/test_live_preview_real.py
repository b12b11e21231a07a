"""The preview, the archive and the morning's match find the same real papers."""

import gzip
import json
import random
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from support.web.papers import FRIDAY, make_announcement, store_papers

from service.papers.store.models import Paper
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.topics.domain.language import leaf_texts, parse_query
from service.topics.domain.matching.paper_index import match_papers
from service.topics.live_preview import LivePreviews
from service.topics.store.index_rows import index_papers
from service.topics.store.to_sql import fetch_lexemes
from service.topics.topics import TopicError, preview_topic


def read_real(real_data: Path, count: int) -> list[dict[str, list[str]]]:
    with gzip.open(real_data / "bulk/dev/arxiv_cs.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, 0, 60 * count, 60)]


def make_topics(papers: list[dict[str, list[str]]], count: int) -> Iterator[str]:
    chance = random.Random(5)  # the same topics in every run
    titles = [[w for w in str(p["title"]).split() if w.isalpha()] for p in papers]
    titles = [title for title in titles if len(title) > 2]
    for _ in range(count):
        words = [chance.choice(chance.choice(titles)) for _ in range(10)]
        phrase = " ".join(chance.choice([*pairwise(chance.choice(titles))]))
        code = chance.choice(papers)["categories"][0]
        name = chance.choice(papers)["authors"][0]
        yield chance.choice(
            [
                words[0],
                f"{words[0]} -{words[1]}",
                f'"{phrase}"',
                f"ti:{words[0]} OR cat:{code}",
                f'au:"{name}"',
                " OR ".join(words),
                f'({words[0]} OR "{phrase}") -cat:{code}',
            ]
        )


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.no_cover
@pytest.mark.timeout(900)
def test_preview_archive_and_daily_match_agree_on_real_papers(
    sessions: sessionmaker[Session], session: Session, real_data: Path, settings: Settings
) -> None:
    previews = LivePreviews(sessions, settings)
    papers = read_real(real_data, 400)
    announcements = [
        make_announcement(
            n,
            str(paper["title"]),
            abstract=paper["abstract"],
            authors=tuple(paper["authors"]),
            categories=tuple(paper["categories"]),
        )
        for n, paper in enumerate(papers, start=1)
    ]
    store_papers(session, announcements)
    day = index_papers(session, list(session.scalars(select(Paper.id))))
    found_count = 0
    for topic in make_topics(papers, 120):
        try:
            with transaction(sessions) as own:
                found = previews.preview(own, topic, FRIDAY)
        except TopicError:
            continue
        query = parse_query(topic)
        lexicon = fetch_lexemes(session, leaf_texts(query))
        matched = {paper for _, paper, _ in match_papers([(1, query)], day, lexicon)}
        assert found.matched == preview_topic(session, settings, topic, FRIDAY), topic
        assert found.matched.total == len(matched), topic
        assert {paper.id for paper in found.matched.newest} <= matched
        found_count += bool(matched)
    assert found_count > 70
