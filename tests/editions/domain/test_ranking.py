"""The order of papers: by trend and upvotes, then by freshness, then by identifier; total."""

from datetime import date
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from service.papers.domain.paper_order import rank_papers
from service.papers.domain.types import AnnounceType, PaperView


def make_paper(
    number: int, upvotes: int = 0, announced_as: AnnounceType = AnnounceType.NEW
) -> PaperView:
    identifier = f"2609.{number:05d}"
    return PaperView(
        id=number,
        key=f"arxiv:{identifier}",
        source="arxiv",
        identifier=identifier,
        title="A title",
        abstract="An abstract.",
        authors=("Ada Lovelace",),
        categories=("cs.CL",),
        primary_category="cs.CL",
        announced_as=announced_as,
        announced_on=date(2026, 9, 18),
        url="",
        upvotes=upvotes,
    )


PAPERS = st.lists(
    st.builds(
        make_paper,
        number=st.integers(1, 99),
        upvotes=st.integers(0, 3),
        announced_as=st.sampled_from(AnnounceType),
    ),
    unique_by=lambda paper: paper.key,
    max_size=12,
)


@given(PAPERS, st.randoms())
def test_the_order_does_not_depend_on_the_order_in_which_papers_came(
    papers: list[PaperView], random: Random
) -> None:
    shuffled = list(papers)
    random.shuffle(shuffled)
    assert rank_papers(shuffled) == rank_papers(papers)
    assert sorted(rank_papers(papers), key=id) == sorted(papers, key=id)


@given(PAPERS)
def test_no_paper_stands_before_one_with_more_upvotes(papers: list[PaperView]) -> None:
    upvotes = [paper.upvotes for paper in rank_papers(papers)]
    assert upvotes == sorted(upvotes, reverse=True)


def test_new_comes_before_cross_before_listed_and_the_newest_first() -> None:
    papers = [
        make_paper(1, announced_as=AnnounceType.LISTED),
        make_paper(2, announced_as=AnnounceType.REPLACE),
        make_paper(3),
        make_paper(4, announced_as=AnnounceType.CROSS),
        make_paper(5),
        make_paper(6, upvotes=1, announced_as=AnnounceType.LISTED),
    ]
    assert [paper.id for paper in rank_papers(papers)] == [6, 5, 3, 4, 1, 2]
