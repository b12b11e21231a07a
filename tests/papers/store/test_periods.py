from datetime import date
from random import Random

from sqlalchemy import literal
from sqlalchemy.orm import Session
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers, upvoted

from service.papers.domain.paper_order import rank_papers
from service.papers.domain.types import AnnounceType
from service.papers.store.models import Paper
from service.papers.store.periods import BY_DAY, BY_TREND, PaperChoice, has_upvotes, list_ranked
from service.papers.store.read import list_papers_announced_on

KINDS = (AnnounceType.NEW, AnnounceType.CROSS, AnnounceType.LISTED)


def test_the_order_in_sql_is_that_of_rank_papers(session: Session) -> None:
    draw = Random(7)
    store_papers(
        session,
        [
            make_announcement(
                number,
                f"Paper {number}",
                # A locale's order would put the hyphen and the letters elsewhere.
                key=f"arxiv:{draw.choice(['cs/', 'CS-', '26.'])}{number:05d}",
                announce_type=draw.choice(KINDS),
                signals=upvoted(draw.randrange(3)) if number % 2 else None,
            )
            for number in range(1, 61)
        ],
    )
    for paper in session.query(Paper):
        paper.trend = draw.choice([25.0, 50.0, 75.0])
    session.commit()
    expected = [paper.id for paper in rank_papers(list_papers_announced_on(session, FRIDAY))]
    choice = PaperChoice((FRIDAY, FRIDAY))
    first, total = list_ranked(session, choice, literal(0), BY_TREND, (0, 25))
    rest, _ = list_ranked(session, choice, literal(0), BY_TREND, (25, 50))
    assert [each.id for each in (*first, *rest)] == expected
    assert total == 60
    assert list_ranked(session, choice, literal(0), BY_TREND, (60, 5)) == ([], 0)


def test_the_newest_day_comes_first_whatever_its_votes(session: Session) -> None:
    old = store_papers(session, [make_announcement(9, "Old", signals=upvoted(5))], on=THURSDAY)
    new = store_papers(session, [make_announcement(1, "New")])
    choice = PaperChoice((date(2026, 9, 14), date(2026, 9, 20)))
    found, _ = list_ranked(session, choice, literal(0), BY_DAY, (0, 5))
    assert [each.id for each in found] == [*new.values(), *old.values()]
    assert has_upvotes(session, choice.span)
    assert not has_upvotes(session, (FRIDAY, FRIDAY))
