"""Votes and picks as pages, orders and trends read them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.papers.domain.votes import VoteCount
from service.papers.store.models import Paper, Pick, Vote
from service.platform.database.text_formats import is_among


def vote_count() -> ScalarSelect[int]:
    """Return the SQL expression of a paper's votes: one index look-up."""
    return (
        select(func.count())
        .where(Vote.paper_id == Paper.id, Vote.withdrawn_at.is_(None))
        .correlate(Paper)
        .scalar_subquery()
    )


def vote_weight() -> ColumnElement[float]:
    """Return the SQL expression to sort papers by votes: their weight, which bounds stuffing."""
    return (
        select(func.coalesce(func.sum(Vote.weight), 0.0))
        .where(Vote.paper_id == Paper.id, Vote.withdrawn_at.is_(None))
        .correlate(Paper)
        .scalar_subquery()
    )


def pick_sentence() -> ColumnElement[str]:
    """Return the SQL expression of the operator's sentence about a paper, "" where there is none."""
    sentence = select(Pick.sentence).where(Pick.paper_id == Paper.id).correlate(Paper)
    return func.coalesce(sentence.scalar_subquery(), "")


def get_vote_weights(
    session: Session, ids: Iterable[int]
) -> dict[int, list[tuple[datetime, float]]]:
    """Return the votes of papers that count: id -> [(when, weight)], oldest first."""
    rows = session.execute(
        select(Vote.paper_id, Vote.created_at, Vote.weight)
        .where(is_among(Vote.paper_id, ids), Vote.withdrawn_at.is_(None))
        .order_by(Vote.created_at, Vote.id)
    )
    votes: defaultdict[int, list[tuple[datetime, float]]] = defaultdict(list)
    for paper_id, at, weight in rows:
        votes[paper_id].append((at, weight))
    return dict(votes)


def get_pick_times(session: Session, ids: Iterable[int]) -> dict[int, datetime]:
    """Return when each of these papers was picked; others are left out."""
    rows = session.execute(
        select(Pick.paper_id, Pick.picked_at).where(is_among(Pick.paper_id, ids))
    )
    return dict(rows.all())


def list_days_judged(session: Session, since: datetime) -> list[date]:
    """Return the announcement dates of papers that got or lost a vote, or were picked, since then."""
    voted = select(Vote.paper_id).where(Vote.changed_at >= since)
    judged = voted.union(select(Pick.paper_id).where(Pick.picked_at >= since))
    days = select(Paper.first_announced_on).where(Paper.id.in_(judged)).distinct()
    return [on for on in session.scalars(days) if on]


class PickedPaper(NamedTuple):
    """A pick as the operator sees it."""

    paper_id: int
    key: str
    title: str
    sentence: str
    picked_at: datetime


def list_picks(session: Session, limit: int) -> list[PickedPaper]:
    """Return the latest picks, newest first."""
    rows = session.execute(
        select(Paper.id, Paper.key, Paper.title, Pick.sentence, Pick.picked_at)
        .join(Pick, Pick.paper_id == Paper.id)
        .order_by(Pick.picked_at.desc(), Paper.id.desc())
        .limit(limit)
    )
    return [PickedPaper(*row) for row in rows]


def record_pick(session: Session, paper_id: int, sentence: str, now: datetime) -> None:
    """Pick a paper, or change its sentence: the time of the first pick stays."""
    statement = insert(Pick).values(paper_id=paper_id, sentence=sentence, picked_at=now)
    session.execute(
        statement.on_conflict_do_update(index_elements=["paper_id"], set_={"sentence": sentence})
    )


def delete_pick(session: Session, paper_id: int) -> bool:
    """Take a pick back; return whether there was one."""
    gone = delete(Pick).where(Pick.paper_id == paper_id).returning(Pick.paper_id)
    return session.scalar(gone) is not None


class VotedPaper(NamedTuple):
    """A paper with its votes of some time."""

    key: str
    title: str
    votes: VoteCount


def list_voted(
    session: Session, since: datetime, until: datetime | None = None
) -> Sequence[VotedPaper]:
    """Return the papers voted for from `since` until before `until`, those with the most votes first."""
    # A vote changes no earlier than it is given: that condition has an index.
    is_recent = [Vote.changed_at >= since, Vote.created_at >= since, Vote.withdrawn_at.is_(None)]
    if until is not None:
        is_recent.append(Vote.created_at < until)
    by_domain = (
        select(
            Vote.paper_id,
            Vote.domain,
            func.count().label("of_domain"),
            func.sum(Vote.weight).label("weight"),
        )
        .where(*is_recent)
        .group_by(Vote.paper_id, Vote.domain)
    )
    counts: defaultdict[int, list[tuple[int, str, float]]] = defaultdict(list)
    for paper_id, domain, count, weight in session.execute(by_domain):
        counts[paper_id].append((count, domain, weight))
    rows = session.execute(select(Paper.id, Paper.key, Paper.title).where(Paper.id.in_(counts)))
    voted = [VotedPaper(key, title, _count(counts[paper_id])) for paper_id, key, title in rows]
    return sorted(voted, key=lambda one: (-one.votes.count, one.key))


def _count(domains: Sequence[tuple[int, str, float]]) -> VoteCount:
    most, domain, _ = max(domains)
    count = sum(number for number, _, _ in domains)
    return VoteCount(count, sum(weight for _, _, weight in domains), domain, most)
