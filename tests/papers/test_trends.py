"""Trends of stored papers."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers, upvoted

from service.editions.domain.ranking import rank_papers
from service.papers.domain.types import AnnounceType
from service.papers.store.read import get_papers
from service.papers.trends import refresh_recent_trends, refresh_trends
from service.platform.database.engine import make_sessions


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


def test_a_list_of_today_moves_a_paper_of_last_month(session: Session, now: datetime) -> None:
    on = now.date() - timedelta(days=30)
    told = [make_announcement(n, f"P{n}") for n in (1, 2)]
    ids = store_papers(session, told, on=on)
    sessions = make_sessions(session.get_bind().engine)
    assert refresh_recent_trends(sessions, now) == 0
    seen = replace(told[0], signals=upvoted(40), announce_type=AnnounceType.LISTED)
    store_papers(session, [seen], on=now.date(), category="daily")
    assert refresh_recent_trends(sessions, now) > 0
    session.rollback()
    papers = get_papers(session, ids.values())
    first, second = (papers[ids[one.key]] for one in told)
    assert first.announced_on == on
    assert first.trend > second.trend


def test_a_paper_of_last_month_that_nobody_looked_at_since_keeps_its_trend(
    session: Session, now: datetime
) -> None:
    on = now.date() - timedelta(days=30)
    store_papers(session, [make_announcement(1, "P1", signals=upvoted(9))], on=on)
    store_papers(session, [make_announcement(2, "P2")], on=on)
    sessions = make_sessions(session.get_bind().engine)
    assert refresh_recent_trends(sessions, now) == 0
