"""The ready-made topics of computer science bring papers, and not too many, on real days."""

import gzip
import json
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers

from service.papers.domain.categories import is_known
from service.papers.store.models import Paper
from service.topics.domain.language import parse_query
from service.topics.domain.ready_made import READY_FIELDS
from service.topics.store.to_sql import to_sql

COMPUTER_SCIENCE = (
    "Language models and text",
    "Learning",
    "Vision and graphics",
    "Robots and people",
    "Systems, security, data",
    "Algorithms and information",
)
# Other fields are left out, since these archives hold few papers of them on some days.
MOST_A_DAY = 150


@pytest.mark.real
def test_every_ready_made_topic_of_computer_science_brings_papers_but_not_too_many(
    session: Session, real_data: Path
) -> None:
    with gzip.open(real_data / "bulk/dev/arxiv_cs.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    every_sixth = records[::6]
    days = len({record["announced"] for record in records}) / 6
    for start in range(0, len(every_sixth), 500):
        announcements = [
            make_announcement(
                start + n,
                record["title"],
                abstract=record["abstract"],
                authors=("A B",),
                categories=tuple(code for code in record["categories"] if is_known(code)),
            )
            for n, record in enumerate(every_sixth[start : start + 500], start=1)
        ]
        store_papers(session, announcements)
    topics = [t for field in READY_FIELDS if field.name in COMPUTER_SCIENCE for t in field.topics]
    assert len(topics) > 50
    counts = {
        topic.name: session.scalar(
            select(func.count()).select_from(Paper).where(to_sql(parse_query(topic.query)))
        )
        for topic in topics
    }
    assert [name for name, count in counts.items() if not count] == []
    assert [name for name, count in counts.items() if (count or 0) / days > MOST_A_DAY] == []
