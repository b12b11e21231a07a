"""Trends of stored papers."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers, upvoted

from service.papers.domain.paper_order import rank_papers
from service.papers.domain.types import AnnounceType
from service.papers.store.read import get_papers
from service.papers.trends import refresh_recent_trends, refresh_trends
from service.platform.database.engine import make_sessions


def test_the_last_paper_of_a_list_ranks_above_papers_not_on_it(
    session: Session, now: datetime
) -> None:
    votes = {1: 90, 2: 61, 3: 60, 4: 1}
    drafts = [make_announcement(n, f"P{n}", signals=upvoted(votes[n])) for n in votes]
    drafts += [make_announcement(n, f"P{n}") for n in (5, 6, 7, 8, 9)]
    ids = store_papers(session, drafts)
    refresh_trends(session, now.date(), now)
    papers = get_papers(session, ids.values())
    ranked = [paper.title for paper in rank_papers(papers.values())]
    assert ranked == ["P1", "P2", "P3", "P4", "P9", "P8", "P7", "P6", "P5"]


def test_without_a_list_every_paper_is_neutral(session: Session, now: datetime) -> None:
    ids = store_papers(session, [make_announcement(n, f"P{n}") for n in (1, 2)])
    refresh_trends(session, now.date(), now)
    papers = get_papers(session, ids.values())
    assert {paper.trend for paper in papers.values()} == {50.0}


def test_todays_list_changes_last_months_trend(session: Session, now: datetime) -> None:
    on = now.date() - timedelta(days=30)
    drafts = [make_announcement(n, f"P{n}") for n in (1, 2)]
    ids = store_papers(session, drafts, on=on)
    sessions = make_sessions(session.get_bind().engine)
    assert refresh_recent_trends(sessions, now) == 0
    seen = replace(drafts[0], signals=upvoted(40), announce_type=AnnounceType.LISTED)
    store_papers(session, [seen], on=now.date(), category="daily")
    assert refresh_recent_trends(sessions, now) > 0
    session.rollback()
    papers = get_papers(session, ids.values())
    first, second = (papers[ids[one.key]] for one in drafts)
    assert first.announced_on == on
    assert first.trend > second.trend


def test_a_paper_of_last_month_without_new_signals_keeps_its_trend(
    session: Session, now: datetime
) -> None:
    on = now.date() - timedelta(days=30)
    store_papers(session, [make_announcement(1, "P1", signals=upvoted(9))], on=on)
    store_papers(session, [make_announcement(2, "P2")], on=on)
    sessions = make_sessions(session.get_bind().engine)
    assert refresh_recent_trends(sessions, now) == 0
