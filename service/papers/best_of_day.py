"""The best papers of the latest day: what a digest without topics would show."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from service.papers.domain.paper_order import MOST_WITHOUT_TOPICS, pick_best
from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers, latest_day, list_papers_announced_on


@dataclass(frozen=True, slots=True)
class BestOfDay:
    """The best papers of a day, best first; the newest where `is_trending` is false."""

    on: date
    is_trending: bool
    papers: tuple[PaperView, ...]


def find_best_of_day(
    session: Session, until: date, most: int = MOST_WITHOUT_TOPICS
) -> BestOfDay | None:
    """Return the best papers of the last day up to `until` that has any; None where there is none."""
    on = latest_day(session, until)
    if on is None:
        return None
    is_trending, listed = pick_best(list_papers_announced_on(session, on), most)
    papers = get_papers(session, [paper.id for paper in listed])
    return BestOfDay(on, is_trending, tuple(papers[paper.id] for paper in listed))
