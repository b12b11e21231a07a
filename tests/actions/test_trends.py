"""Trends of stored papers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session
from support.web_papers import make_announcement, store_papers, upvoted

from service.actions.trends import refresh_trends
from service.domain.ranking import rank_papers
from service.store.reading import get_papers


def test_the_least_noticed_of_a_list_stands_above_those_not_on_it(
    session: Session, now: datetime
) -> None:
    votes = {1: 90, 2: 61, 3: 60, 4: 1}
    told = [make_announcement(n, f"P{n}", signals=upvoted(votes[n])) for n in votes]
    ids = store_papers(session, [*told, *(make_announcement(n, f"P{n}") for n in (5, 6, 7, 8, 9))])
    refresh_trends(session, now.date(), now)
    papers = get_papers(session, ids.values())
    ranked = [paper.title for paper in rank_papers(papers.values())]
    assert ranked == ["P1", "P2", "P3", "P4", "P9", "P8", "P7", "P6", "P5"]


def test_without_a_list_everybody_is_neutral(session: Session, now: datetime) -> None:
    ids = store_papers(session, [make_announcement(n, f"P{n}") for n in (1, 2)])
    refresh_trends(session, now.date(), now)
    papers = get_papers(session, ids.values())
    assert {paper.trend for paper in papers.values()} == {50.0}
