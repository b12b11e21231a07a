"""Composing: every matched paper once, shown or cut, in the order that ranking.py defines."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.oracles import rank_matches

from service.deliveries.domain.digest import (
    NEWEST_TITLE,
    TRENDING_TITLE,
    Digest,
    DigestEntry,
    PaperUpdate,
)
from service.editions.domain.compose import EditionSubscriber, MatchedTopic, compose_digest
from service.editions.domain.edition_index import EditionIndex
from service.editions.domain.ranking import order_entries, ranks
from service.papers.domain.author_names import author_key
from service.papers.domain.paper_order import is_noticed
from service.papers.domain.types import AnnounceType, PaperEventKind, PaperView
from service.topics.domain.language import canonical, parse_query
from service.topics.domain.matching.clause_index import IndexedPaper
from service.topics.domain.matching.compiled import clause_texts

WORDS = ("alpha", "beta", "gamma", "delta")
AUTHORS = ("Ada Lovelace", "Grace Hopper", "G. Hopper", "Emmy Noether")
TOPICS = (
    *WORDS,
    *("alpha beta", "alpha -beta", "ti:alpha", 'abs:"beta gamma"', "alpha OR (beta -delta)"),
    *("cat:cs.CL", "au:hopper", 'au:"Grace Hopper"', "alpha au:lovelace", "al* beta", "trend>60"),
    *("beta replaced:", "gamma replaced:only", "alpha cross:no", "nothing"),
)


def make_paper(number: int, title: str = "", abstract: str = "", **others: Any) -> PaperView:
    paper = PaperView(
        id=number,
        key=f"arxiv:2609.{number:05d}",
        source="arxiv",
        identifier="",
        title=title,
        abstract=abstract,
        authors=(),
        categories=("cs.CL",),
        primary_category="cs.CL",
        announced_as=AnnounceType.NEW,
        announced_on=date(2026, 9, 18),
        url="",
    )
    return replace(paper, **others)


def lexemes(text: str) -> dict[str, tuple[int, ...]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for at, word in enumerate(text.split(), start=1):
        found[word].append(at)
    return {word: tuple(positions) for word, positions in found.items()}


def make_index(
    papers: Iterable[PaperView], revisions: dict[int, int] | None = None
) -> EditionIndex:
    papers = list(papers)
    indexed = [
        IndexedPaper(
            paper.id,
            lexemes(paper.title),
            lexemes(paper.abstract),
            paper.authors,
            frozenset(paper.categories),
            paper.title.split(),
            paper.abstract.split(),
            primary_category=paper.primary_category,
            trend=paper.trend,
            is_first=paper.id not in (revisions or {}),
            is_replaced=paper.id in (revisions or {}),
            is_cross=paper.announced_as is AnnounceType.CROSS,
        )
        for paper in papers
    ]
    texts = clause_texts(canonical(parse_query(topic)) for topic in TOPICS)
    lexicon = {text: lexemes(text) for text in texts}
    return EditionIndex({paper.id: paper for paper in papers}, indexed, revisions, lexicon)


def topic_of(topic_id: int, text: str) -> MatchedTopic:
    return MatchedTopic(topic_id, f"Topic {text}", canonical(parse_query(text)))


TEXTS = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
PAPERS = st.lists(
    st.builds(
        make_paper,
        number=st.integers(1, 40),
        title=TEXTS,
        abstract=TEXTS,
        authors=st.lists(st.sampled_from(AUTHORS), max_size=2).map(tuple),
        trend=st.sampled_from([0.0, 50.0, 61.0, 95.0, 100.0]),
        upvotes=st.sampled_from([0, 0, 5]),
        announced_as=st.sampled_from([AnnounceType.NEW, AnnounceType.CROSS]),
        categories=st.sampled_from([("cs.CL",), ("cs.LG",)]),
    ),
    max_size=25,
    unique_by=lambda paper: paper.id,
)
IDS = st.frozensets(st.integers(1, 45), max_size=5)
SUBSCRIBERS = st.builds(
    EditionSubscriber,
    topics=st.lists(st.sampled_from(TOPICS), max_size=4, unique=True).map(
        lambda chosen: tuple(topic_of(n, text) for n, text in enumerate(chosen, start=1))
    ),
    seen_ids=IDS,
    carried_ids=IDS,
    unsent_ids=IDS,
).map(lambda subscriber: replace(subscriber, seen_ids=subscriber.seen_ids - subscriber.carried_ids))
REVISIONS = st.dictionaries(st.integers(1, 40), st.integers(2, 9), max_size=6)


def make_indexes() -> st.SearchStrategy[EditionIndex]:
    return st.builds(
        lambda papers, revisions: make_index(
            papers, {i: v for i, v in revisions.items() if i in {paper.id for paper in papers}}
        ),
        PAPERS,
        REVISIONS,
    )


def listed_in(digest: Digest | None) -> list[int]:
    return [*digest.paper_ids, *digest.cut_ids] if digest else []


def expected(subscriber: EditionSubscriber, index: EditionIndex) -> set[int]:
    """Return the papers that should be shown or cut, computed without bit sets."""
    wanted = set()
    for topic in subscriber.topics:
        for paper_id, _ in index.paper_index.match(parse_query(topic.canonical)):
            if paper_id not in subscriber.seen_ids or paper_id in index.revisions:
                wanted.add(paper_id)
    if not subscriber.topics:
        new = index.papers.keys() - index.revisions.keys() - subscriber.seen_ids
        wanted = {i for i in new if is_noticed(index.papers[i])} or new
    return wanted | (subscriber.carried_ids & index.papers.keys())


@settings(max_examples=300)
@given(SUBSCRIBERS, make_indexes(), st.integers(1, 12))
def test_shown_and_cut_papers_are_all_matches_and_no_paper_is_there_twice(
    subscriber: EditionSubscriber, index: EditionIndex, max_papers: int
) -> None:
    digest = compose_digest(subscriber, index, max_papers)
    listed = listed_in(digest)
    assert len(listed) == len(set(listed))
    assert set(listed) == expected(subscriber, index)
    if digest is not None:
        assert 1 <= len(digest.paper_ids) <= max_papers
        assert not digest.cut_ids or len(digest.paper_ids) == max_papers
        for entry in (entry for group in digest.groups for entry in group.entries):
            assert entry.is_maybe_seen is (
                entry.paper_id in subscriber.carried_ids - subscriber.unsent_ids
            )
            assert entry.revision == index.revisions.get(entry.paper_id, 0)


@given(
    SUBSCRIBERS, make_indexes(), st.integers(1, 12), st.lists(st.integers(500, 2000), min_size=1)
)
def test_what_was_learned_hides_no_paper_and_adds_none(
    subscriber: EditionSubscriber, index: EditionIndex, max_papers: int, factors: list[int]
) -> None:
    learned = [factors[at % len(factors)] for at in range(len(index.ids))]
    digest = compose_digest(replace(subscriber, learned=learned), index, max_papers)
    listed = listed_in(digest)
    assert len(listed) == len(set(listed))
    assert set(listed) == expected(subscriber, index)


@given(st.sampled_from(TOPICS), make_indexes(), IDS)
def test_factors_that_change_nothing_change_no_order(
    topic: str, index: EditionIndex, followed: frozenset[int]
) -> None:
    text = canonical(parse_query(topic))
    bits = sum(1 << at for at, paper_id in enumerate(index.ids) if paper_id in followed)
    found = index.find(text)
    same = index.order(text, found, bits, learned=[1000] * len(index.ids))
    assert same == index.order(text, found, bits)


@settings(max_examples=300)
@given(st.sampled_from(TOPICS), make_indexes(), IDS)
def test_the_order_is_that_of_ranking(
    topic: str, index: EditionIndex, followed: frozenset[int]
) -> None:
    text = canonical(parse_query(topic))
    matches = list(index.paper_index.match(parse_query(topic)))
    expected_order = rank_matches(matches, ranks(index.papers.values()), followed)
    bits = sum(1 << at for at, paper_id in enumerate(index.ids) if paper_id in followed)
    ordered = [index.ids[at] for at in index.order(text, index.find(text), bits)]
    assert ordered == expected_order
    # So do papers of two indexes that are joined.
    entries = [DigestEntry(*match) for match in reversed(matches)]
    joined = order_entries(entries, index.papers, followed, {})
    own = ranks(index.papers[entry.paper_id] for entry in entries)
    assert [entry.paper_id for entry in joined] == rank_matches(matches, own, followed)


@settings(max_examples=300)
@given(st.sampled_from(TOPICS), make_indexes(), IDS, st.integers(1, 8))
def test_the_first_papers_are_those_of_the_whole_order(
    topic: str, index: EditionIndex, followed: frozenset[int], most: int
) -> None:
    text = canonical(parse_query(topic))
    bits = sum(1 << at for at, paper_id in enumerate(index.ids) if paper_id in followed)
    whole = index.order(text, index.find(text), bits)
    assert index.order(text, index.find(text), bits, most) == whole[:most]


def test_a_followed_author_counts_under_every_topic() -> None:
    quiet = make_paper(1, abstract="alpha", authors=("Grace Hopper",))
    loud = make_paper(2, title="alpha", authors=("Emmy Noether",))
    index = make_index([quiet, loud])
    topics = (topic_of(1, "alpha"), topic_of(2, 'au:"Grace Hopper"'))
    assert author_key("Grace Hopper") in topics[1].canonical
    for _ in range(2):
        digest = compose_digest(EditionSubscriber(topics), index, 10)
        assert digest is not None
        assert digest.paper_ids == (1, 2)
    digest = compose_digest(EditionSubscriber(topics[:1]), index, 10)
    assert digest is not None
    assert digest.paper_ids == (2, 1)


def test_a_paper_is_listed_under_the_first_topic_that_matches_it() -> None:
    index = make_index([make_paper(1, "alpha"), make_paper(2, "alpha beta"), make_paper(3, "beta")])
    digest = compose_digest(
        EditionSubscriber((topic_of(8, "beta"), topic_of(9, "alpha"))), index, 10
    )
    assert digest is not None
    placed = [(g.title, g.topic_id, [e.paper_id for e in g.entries]) for g in digest.groups]
    assert placed == [("Topic beta", 8, [3, 2]), ("Topic alpha", 9, [1])]
    assert [r.clause for e in digest.groups[0].entries for r in e.reasons] == ["beta", "beta"]


def test_a_topic_whose_papers_were_all_cut_has_no_group() -> None:
    index = make_index([make_paper(1, "alpha"), make_paper(2, "beta")])
    digest = compose_digest(
        EditionSubscriber((topic_of(1, "alpha"), topic_of(2, "beta"))), index, 1
    )
    assert digest is not None
    assert [group.title for group in digest.groups] == ["Topic alpha"]
    assert digest.cut_ids == (2,)


def test_a_carried_paper_without_its_topic_comes_again_from_any_edition() -> None:
    old = make_paper(99)
    index = make_index([make_paper(1, "alpha"), make_paper(7, "beta")])
    subscriber = EditionSubscriber((topic_of(1, "alpha"),), carried_ids=frozenset({99, 7, 1, 1234}))
    digest = compose_digest(subscriber, index, 10, {99: old})
    assert digest is not None
    assert [(g.title, [e.paper_id for e in g.entries]) for g in digest.groups] == [
        ("Topic alpha", [1]),
        ("From your last edition", [99, 7]),
    ]
    assert all(e.is_maybe_seen for g in digest.groups for e in g.entries)
    digest = compose_digest(subscriber, index, 2, {99: old})
    assert digest is not None
    assert (digest.paper_ids, digest.cut_ids) == ((1, 99), (7,))


def test_a_subscriber_without_topics_gets_trending_papers() -> None:
    noticed = [make_paper(n, upvotes=9, trend=float(10 * n)) for n in (5, 6, 7)]
    index = make_index([make_paper(1), make_paper(2), *noticed])
    subscriber = EditionSubscriber(seen_ids=frozenset({7}), carried_ids=frozenset({2}))
    digest = compose_digest(subscriber, index, 2)
    assert digest is not None
    assert [group.title for group in digest.groups] == [TRENDING_TITLE]
    assert (digest.paper_ids, digest.cut_ids) == ((6, 5), (2,))


def test_without_any_upvotes_the_newest_papers_are_listed_and_called_so() -> None:
    index = make_index([make_paper(n) for n in range(1, 5)], {3: 2})
    digest = compose_digest(EditionSubscriber(seen_ids=frozenset({4})), index, 1)
    assert digest is not None
    assert [group.title for group in digest.groups] == [NEWEST_TITLE]
    assert (digest.paper_ids, digest.cut_ids) == ((2,), (1,))


@pytest.mark.parametrize("upvotes", [0, 1])
def test_a_digest_without_topics_is_the_best_25_of_the_day_and_cuts_none(upvotes: int) -> None:
    index = make_index([make_paper(n, upvotes=upvotes * n) for n in range(1, 41)])
    digest = compose_digest(EditionSubscriber(), index, 100)
    assert digest is not None
    assert (digest.paper_ids, digest.cut_ids) == (tuple(range(40, 15, -1)), ())


def test_a_newer_version_of_a_sent_paper_comes_for_topics_with_replacements() -> None:
    index = make_index([make_paper(1, "beta")], {1: 3})
    updates = (
        PaperUpdate(1, PaperEventKind.REVISED, "v3"),
        PaperUpdate(1, PaperEventKind.CODE, "url"),
    )
    subscriber = EditionSubscriber((topic_of(1, "beta"),), frozenset({1}), updates=updates)
    assert compose_digest(subscriber, index, 5) is None
    asking = replace(subscriber, topics=(topic_of(1, "beta replaced:"),))
    digest = compose_digest(asking, index, 5)
    assert digest is not None
    (entry,) = digest.groups[0].entries
    assert (entry.paper_id, entry.revision) == (1, 3)
    assert digest.updates == updates[1:]


def test_paper_updates_come_with_new_papers_and_never_alone() -> None:
    update = PaperUpdate(99, PaperEventKind.WITHDRAWN, "v2")
    subscriber = EditionSubscriber((topic_of(1, "alpha"),), updates=(update,))
    assert compose_digest(subscriber, make_index([make_paper(1, "beta")]), 5) is None
    digest = compose_digest(subscriber, make_index([make_paper(1, "alpha")]), 5)
    assert digest is not None
    assert digest.updates == (update,)
    assert 99 not in digest.paper_ids


@pytest.mark.parametrize("topics", [(), (topic_of(1, "nothing"),)])
def test_an_empty_digest_is_none(topics: tuple[MatchedTopic, ...]) -> None:
    assert compose_digest(EditionSubscriber(topics), make_index([]), 10) is None
    index = make_index([make_paper(1, "alpha")])
    assert compose_digest(EditionSubscriber(topics, frozenset({1})), index, 10) is None
