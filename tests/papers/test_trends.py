"""Trends of stored papers."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers, upvoted

from service.deliveries.domain.recipients import Cadence
from service.papers.domain.paper_order import rank_papers
from service.papers.domain.types import AnnounceType
from service.papers.store.read import get_papers
from service.papers.store.votes import list_voted, record_pick
from service.papers.trends import OwnSignals, refresh_recent_trends, refresh_trends
from service.platform.database.engine import make_sessions
from service.subscribers.domain.sign_up import Preferences, ValidSignUp
from service.subscribers.store.insert_subscribers import insert_subscribers
from service.subscribers.store.models import Subscriber
from service.subscribers.store.votes import CastVote, cast_vote, withdraw_vote


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


def test_a_vote_and_a_pick_raise_a_paper_until_they_are_switched_off(
    session: Session, now: datetime
) -> None:
    ids = store_papers(session, [make_announcement(n, f"P{n}") for n in (1, 2, 3)])
    one, two, three = ids.values()
    (subscriber,) = add_voters(session, now, "a@one.example")
    assert cast_vote(session, subscriber, one, now) is CastVote.GIVEN
    record_pick(session, two, "Read this.", now)
    refresh_trends(session, now.date(), now)
    trend = {i: paper.trend for i, paper in get_papers(session, ids.values()).items()}
    # A pick counts as ten votes, and a paper with neither stands below both.
    assert trend[two] > trend[one] > trend[three]
    refresh_trends(session, now.date(), now, OwnSignals(has_votes=False, has_picks=False))
    assert {paper.trend for paper in get_papers(session, ids.values()).values()} == {50.0}


def test_a_vote_of_a_stuffed_group_moves_a_paper_less_than_votes_of_strangers(
    session: Session, now: datetime
) -> None:
    ids = store_papers(session, [make_announcement(n, f"P{n}") for n in (1, 2)])
    stuffed, honest = ids.values()
    for subscriber in add_voters(session, now, *(f"r{n}@stuffed.example" for n in range(20))):
        cast_vote(session, subscriber, stuffed, now)
    for n in range(9):
        at = now - timedelta(days=40 + n)
        (subscriber,) = add_voters(session, at, f"r@site{n}.example")
        cast_vote(session, subscriber, honest, now)
    refresh_trends(session, now.date(), now)
    papers = get_papers(session, ids.values())
    assert (papers[stuffed].votes, papers[honest].votes) == (20, 9)
    assert papers[honest].trend > papers[stuffed].trend
    (outlier,) = [one for one in list_voted(session, now) if one.votes.is_outlier]
    assert (outlier.title, outlier.votes.domain) == ("P1", "stuffed.example")


def test_a_vote_for_last_months_paper_and_its_end_change_that_day(
    session: Session, now: datetime
) -> None:
    on = now.date() - timedelta(days=30)
    ids = store_papers(session, [make_announcement(n, f"P{n}") for n in (1, 2)], on=on)
    paper_id = min(ids.values())
    sessions = make_sessions(session.get_bind().engine)
    (subscriber,) = add_voters(session, now, "a@one.example")
    cast_vote(session, subscriber, paper_id, now)
    session.commit()
    assert refresh_recent_trends(sessions, now) > 0
    withdraw_vote(session, subscriber.id, paper_id, now)
    session.commit()
    assert refresh_recent_trends(sessions, now) > 0


def add_voters(session: Session, confirmed_at: datetime, *emails: str) -> list[Subscriber]:
    chosen = Preferences(Cadence.DAILY, 7, "UTC", topics=())
    new = [ValidSignUp(email, email, chosen) for email in emails]
    ids = insert_subscribers(session, new, confirmed_at, is_confirmed=True)
    return [session.get_one(Subscriber, i) for i in ids]
