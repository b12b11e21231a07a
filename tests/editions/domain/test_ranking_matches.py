"""The order under a topic: relevance, trend and authors, all monotonic; then spread clusters."""

from dataclasses import replace
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.oracles import order_matches, rank_matches, spread

from service.editions.domain.ranking import (
    FOLLOWED,
    MOST_IN_A_ROW,
    PaperRank,
    find_followed,
    is_cluster_spread,
    ranks,
    weigh_reasons,
)
from service.papers.domain.paper_order import rank_papers
from service.papers.domain.types import AnnounceType, PaperView
from service.topics.domain.types import Reason

Match = tuple[int, tuple[Reason, ...]]


def make_paper(
    number: int,
    author: str = "",
    title: str = "",
    trend: float = 50.0,
    announced_as: AnnounceType = AnnounceType.NEW,
) -> PaperView:
    identifier = f"2609.{number:05d}"
    return PaperView(
        id=number,
        key=f"arxiv:{identifier}",
        source="arxiv",
        identifier=identifier,
        title=title or "A title",
        abstract="An abstract.",
        authors=(author,) if author else (),
        categories=("cs.CL",),
        primary_category="cs.CL",
        announced_as=announced_as,
        announced_on=date(2026, 9, 18),
        url="",
        trend=trend,
    )


PAPERS = st.lists(
    st.builds(
        make_paper,
        number=st.integers(1, 99),
        author=st.sampled_from(["", "Ada Lovelace", "Grace Hopper", "Emmy Noether"]),
        trend=st.sampled_from([0.0, 3.0, 47.5, 50.0, 95.0, 100.0]),
        announced_as=st.sampled_from(AnnounceType),
    ),
    unique_by=lambda paper: paper.id,
    max_size=14,
)
REASONS = st.lists(
    st.builds(
        Reason,
        clause=st.sampled_from(["a", "b", "au:c", "cat:cs.CL"]),
        field=st.sampled_from(["title", "abstract", "author", "category"]),
        words=st.just(("a",)),
        is_guess=st.booleans(),
    ),
    max_size=4,
).map(tuple)


@st.composite
def matched_papers(draw: st.DrawFn) -> tuple[list[PaperView], list[Match]]:
    papers = draw(PAPERS)
    return papers, [(paper.id, draw(REASONS)) for paper in papers]


@given(matched_papers(), st.frozensets(st.integers(1, 99)), st.randoms())
def test_the_order_does_not_depend_on_the_order_of_matches(
    given_: tuple[list[PaperView], list[Match]], followed: frozenset[int], random: Random
) -> None:
    papers, matches = given_
    ranked = rank_matches(matches, ranks(papers), followed)
    random.shuffle(papers)
    random.shuffle(matches)
    matches = [(i, tuple(random.sample(reasons, len(reasons)))) for i, reasons in matches]
    assert rank_matches(matches, ranks(papers), followed) == ranked
    assert sorted(ranked) == sorted(i for i, _ in matches)


@given(matched_papers(), st.data())
def test_leaving_papers_out_keeps_the_order_of_the_others(
    given_: tuple[list[PaperView], list[Match]], data: st.DataObject
) -> None:
    papers, matches = given_
    kept = data.draw(st.frozensets(st.sampled_from([paper.id for paper in papers] or [0])))
    whole = order_matches(matches, ranks(papers))
    some = order_matches([match for match in matches if match[0] in kept], ranks(papers))
    assert some == [i for i in whole if i in kept]


def better_places(reasons: tuple[Reason, ...]) -> list[tuple[Reason, ...]]:
    """Return the same reasons with changes that make the match at least as good."""
    new = Reason("another", "abstract", ("another",))
    raised = tuple(r._replace(field="title") if r.field == "abstract" else r for r in reasons)
    sure = tuple(r._replace(is_guess=False) for r in reasons)
    follow = Reason("au:somebody", "author", ("Somebody",))
    return [(*reasons, new), raised, sure, (*reasons, follow)]


@given(matched_papers(), st.data())
def test_no_factor_that_grows_lowers_a_paper(
    given_: tuple[list[PaperView], list[Match]], data: st.DataObject
) -> None:
    papers, matches = given_
    if not papers:
        return
    at = data.draw(st.integers(0, len(papers) - 1))
    number = papers[at].id
    before = order_matches(matches, ranks(papers)).index(number)
    for reasons in better_places(matches[at][1]):
        changed = [*matches[:at], (number, reasons), *matches[at + 1 :]]
        assert order_matches(changed, ranks(papers)).index(number) <= before
    raised = replace(papers[at], trend=min(100.0, papers[at].trend + 7))
    higher = ranks([*papers[:at], raised, *papers[at + 1 :]])
    assert order_matches(matches, higher).index(number) <= before
    assert order_matches(matches, ranks(papers), {number}).index(number) <= before


@given(PAPERS)
def test_papers_with_equal_matches_are_ordered_as_on_a_page(papers: list[PaperView]) -> None:
    reasons = (Reason("a", "title", ("a",)),)
    ranked = order_matches(((paper.id, reasons) for paper in papers), ranks(papers))
    assert ranked == [paper.id for paper in rank_papers(papers)]


A, B = (Reason(name, "title", (name,)) for name in "ab")
A_BELOW = Reason("a", "abstract", ("a",))
BY_NAME = Reason("au:c", "author", ("C. D.",))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ((A,), (A_BELOW,)),
        ((A, B), (A,)),
        ((A_BELOW,), ()),
        ((A_BELOW, BY_NAME), (A_BELOW,)),
        ((BY_NAME,), (BY_NAME._replace(is_guess=True),)),
        ((BY_NAME._replace(is_guess=True),), ()),
    ],
)
def test_a_better_match_weighs_more(better: tuple[Reason, ...], worse: tuple[Reason, ...]) -> None:
    assert weigh_reasons(better) > weigh_reasons(worse)


def test_a_clause_counts_once_at_its_best_place_and_categories_and_likeness_do_not() -> None:
    inside = Reason("cat:cs.CL", "category", ("cs.CL",))
    near = Reason('like:"graphs"', "meaning")
    assert weigh_reasons((A, A_BELOW)) == weigh_reasons((A_BELOW, A)) == weigh_reasons((A,))
    assert weigh_reasons((A, inside)) == weigh_reasons((A, near)) == weigh_reasons((A,))
    assert weigh_reasons((A,), FOLLOWED) == weigh_reasons((A, BY_NAME))


def test_the_worked_example_of_the_documentation() -> None:
    papers = [make_paper(1), make_paper(2, trend=97.0), make_paper(3, trend=10.0), make_paper(4)]
    matches = [(1, (A,)), (2, (A_BELOW,)), (3, (A, B)), (4, (A_BELOW, BY_NAME))]
    scores = {i: weigh_reasons(reasons) * ranks(papers)[i].trend for i, reasons in matches}
    assert scores == {1: 24_000, 2: 30_704, 3: 22_960, 4: 32_000}
    assert rank_matches(matches, ranks(papers)) == [4, 2, 1, 3]


def test_an_author_followed_by_another_topic_counts_here_too() -> None:
    papers = [make_paper(1), make_paper(2)]
    mine: list[Match] = [(1, (BY_NAME,)), (2, (BY_NAME._replace(is_guess=True),))]
    assert find_followed(mine) == {1}
    matches = [(1, (A_BELOW,)), (2, (A_BELOW,))]
    assert rank_matches(matches, ranks(papers)) == [2, 1]
    assert rank_matches(matches, ranks(papers), find_followed(mine)) == [1, 2]


CLUSTERS = st.lists(st.integers(0, 3), max_size=16)


def has_run(clusters: list[int]) -> bool:
    length = MOST_IN_A_ROW + 1
    return any(len(set(clusters[n : n + length])) == 1 for n in range(len(clusters) - length + 1))


@given(CLUSTERS)
def test_spreading_moves_papers_and_drops_none(clusters: list[int]) -> None:
    rank = {i: PaperRank(1000, i, cluster) for i, cluster in enumerate(clusters)}
    placed = spread(range(len(clusters)), rank)
    assert sorted(placed) == list(range(len(clusters)))
    assert spread(placed, rank) == placed
    assert is_cluster_spread(clusters) is not has_run(clusters)
    if not has_run(clusters):
        assert placed == list(range(len(clusters)))
    # Within a cluster the order stays, and the best paper stays first.
    for one in set(clusters):
        assert [i for i in placed if clusters[i] == one] == [
            i for i, cluster in enumerate(clusters) if cluster == one
        ]
    assert placed[:1] == [0][: len(clusters)]


@given(CLUSTERS)
def test_a_cluster_stands_in_a_row_only_where_nothing_else_is_left(clusters: list[int]) -> None:
    rank = {i: PaperRank(1000, i, cluster) for i, cluster in enumerate(clusters)}
    placed = [clusters[i] for i in spread(range(len(clusters)), rank)]
    for n in range(len(placed) - MOST_IN_A_ROW):
        row = placed[n : n + MOST_IN_A_ROW + 1]
        if len(set(row)) == 1:
            assert set(placed[n:]) == set(row)


def test_papers_of_one_first_author_or_one_title_are_a_cluster() -> None:
    papers = [
        make_paper(1, "Lovelace, Ada", "On Engines and their Languages, Part I"),
        make_paper(2, "Ada Lovelace", "Something Else Entirely Today"),
        make_paper(3, "Grace Hopper", "On Engines and Their Languages, Part II"),
        make_paper(4, "Emmy Noether", "Erratum"),
        make_paper(5, "Marie Curie", "Erratum"),
        make_paper(6, "", "Another Thing to Read"),
        make_paper(7, "", "One More Thing for You"),
    ]
    clusters = {i: rank.cluster for i, rank in ranks(papers).items()}
    assert clusters[1] == clusters[2] == clusters[3]
    assert len({clusters[i] for i in (1, 4, 5, 6, 7)}) == 5


def test_the_third_paper_of_an_author_follows_one_of_another() -> None:
    papers = [make_paper(n, "Ada Lovelace", f"{n * 'x'} y z") for n in range(9, 4, -1)]
    papers += [make_paper(2, "Grace Hopper", "u v w"), make_paper(1, "Emmy Noether", "r s t")]
    matches = [(paper.id, (A,)) for paper in papers]
    assert rank_matches(matches, ranks(papers)) == [9, 8, 2, 7, 6, 1, 5]
