"""A digest: every matched paper once, shown or cut, and the same after a trip through JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from service.domain.digest import (
    TRENDING_TITLE,
    Digest,
    DigestEntry,
    DigestGroup,
    Happening,
    Matches,
    Reader,
    compose_digest,
    digest_from_json,
    digest_to_json,
)
from service.domain.types import AnnounceType, Paper, PaperEventKind, Reason

SOME = Paper(
    id=0,
    key="",
    source="arxiv",
    identifier="",
    title="A title",
    abstract="An abstract.",
    authors=(),
    categories=("cs.CL",),
    primary_category="cs.CL",
    announced_as=AnnounceType.NEW,
    announced_on=date(2026, 9, 18),
    url="",
)
PAPERS = {n: replace(SOME, id=n, key=f"arxiv:2609.{n:05d}") for n in range(1, 13)}
REASONS = (Reason("cat:cs.CL", "category", ("cs.CL",)),)
TOPICS = ("a", "b", "c")
IDS = st.integers(1, 15)
READERS = st.builds(
    Reader,
    subscriber_id=st.just(1),
    topics=st.permutations(TOPICS)
    .flatmap(lambda order: st.integers(0, 3).map(lambda n: order[:n]))
    .map(lambda chosen: tuple((f"Topic {t}", t) for t in chosen)),
    seen_ids=st.frozensets(IDS, max_size=4),
    carried_ids=st.frozensets(IDS, max_size=3),
).map(lambda reader: replace(reader, seen_ids=reader.seen_ids - reader.carried_ids))
MATCHES = st.dictionaries(
    st.sampled_from(TOPICS), st.frozensets(IDS).map(lambda ids: dict.fromkeys(sorted(ids), REASONS))
)


def matched(reader: Reader, matches: Matches) -> set[int]:
    """What the reader should be told of, shown or cut."""
    found = {i for _, topic in reader.topics for i in matches.get(topic, {})}
    wanted = found | reader.carried_ids if reader.topics else set(PAPERS)
    return (wanted & PAPERS.keys()) - reader.seen_ids


@given(READERS, MATCHES, st.integers(1, 12))
def test_what_is_shown_and_what_is_cut_are_what_matched_and_no_paper_twice(
    reader: Reader, matches: Matches, max_papers: int
) -> None:
    digest = compose_digest(reader, matches, PAPERS, max_papers)
    if digest is None:
        assert not matched(reader, matches)
        return
    told = [*digest.paper_ids, *digest.cut_ids]
    assert len(told) == len(set(told))
    assert set(told) == matched(reader, matches)
    assert 1 <= len(digest.paper_ids) <= max_papers
    assert not digest.cut_ids or len(digest.paper_ids) == max_papers


@given(READERS, MATCHES, st.integers(1, 12))
def test_a_digest_comes_back_from_json_as_it_was(
    reader: Reader, matches: Matches, max_papers: int
) -> None:
    digest = compose_digest(reader, matches, PAPERS, max_papers)
    if digest is not None:
        assert digest_from_json(json.loads(json.dumps(digest_to_json(digest)))) == digest


@given(READERS, MATCHES)
def test_only_carried_papers_are_marked_as_maybe_seen(reader: Reader, matches: Matches) -> None:
    digest = compose_digest(reader, matches, PAPERS, 12)
    for group in digest.groups if digest else ():
        for entry in group.entries:
            assert entry.is_maybe_seen is (entry.paper_id in reader.carried_ids)


def test_every_field_of_a_reason_survives_json() -> None:
    reasons = (
        Reason("au:bengio_y", "author", ("Bengio", "Y."), is_guess=True),
        Reason("x", "title"),
    )
    digest = Digest((DigestGroup("“Ünïcode”", (DigestEntry(2**53, reasons, True),)),), (4, 5))
    assert digest_from_json(json.loads(json.dumps(digest_to_json(digest)))) == digest


def test_a_paper_stands_under_the_first_topic_that_brought_it() -> None:
    reader = Reader(1, (("Second", "b"), ("First", "a")))
    matches = {"a": {1: REASONS, 2: REASONS}, "b": {2: REASONS, 3: REASONS}}
    digest = compose_digest(reader, matches, PAPERS, 10)
    assert digest is not None
    placed = {group.title: [e.paper_id for e in group.entries] for group in digest.groups}
    assert placed == {"Second": [3, 2], "First": [1]}


def test_a_followed_author_counts_under_every_topic() -> None:
    by_name = (Reason("au:c", "author", ("C. D.",)),)
    matches = {"a": {1: REASONS, 2: REASONS, 3: REASONS}, 'au:"c d"': {1: by_name}}
    stranger = compose_digest(Reader(1, (("First", "a"),)), matches, PAPERS, 10)
    follower = compose_digest(Reader(1, (("First", "a"), ("C", 'au:"c d"'))), matches, PAPERS, 10)
    assert stranger is not None
    assert follower is not None
    assert stranger.paper_ids == (3, 2, 1)
    assert follower.paper_ids == (1, 3, 2)


def test_a_topic_whose_papers_were_all_cut_has_no_group() -> None:
    reader = Reader(1, (("First", "a"), ("Second", "b")))
    digest = compose_digest(reader, {"a": {1: REASONS}, "b": {2: REASONS}}, PAPERS, 1)
    assert digest is not None
    assert [group.title for group in digest.groups] == ["First"]
    assert digest.cut_ids == (2,)


def test_a_paper_cut_under_one_topic_and_shown_under_none_is_cut_once() -> None:
    reader = Reader(1, (("First", "a"), ("Second", "b")))
    both = {1: REASONS, 2: REASONS}
    digest = compose_digest(reader, {"a": both, "b": both}, PAPERS, 1)
    assert digest == Digest((DigestGroup("First", (DigestEntry(2, REASONS),)),), (1,))


def test_a_carried_paper_whose_topic_is_gone_comes_again() -> None:
    reader = Reader(1, (("First", "a"),), carried_ids=frozenset({7, 1}))
    digest = compose_digest(reader, {"a": {1: REASONS}}, PAPERS, 10)
    assert digest is not None
    assert [(g.title, [e.paper_id for e in g.entries]) for g in digest.groups] == [
        ("First", [1]),
        ("From your last edition", [7]),
    ]
    assert all(e.is_maybe_seen for g in digest.groups for e in g.entries)


def test_a_reader_without_topics_gets_what_is_trending() -> None:
    noticed = {n: replace(PAPERS[n], upvotes=9, trend=float(10 * n)) for n in (5, 6, 7)}
    reader = Reader(1, seen_ids=frozenset({7}), carried_ids=frozenset({2}))
    digest = compose_digest(reader, {}, PAPERS | noticed, 2)
    assert digest is not None
    assert [group.title for group in digest.groups] == [TRENDING_TITLE]
    assert digest.paper_ids == (6, 5)
    assert digest.cut_ids == (2,)


def test_where_nobody_has_noticed_anything_yet_everything_new_is_told() -> None:
    digest = compose_digest(Reader(1, seen_ids=frozenset({12})), {}, PAPERS, 2)
    assert digest is not None
    assert digest.paper_ids == (11, 10)
    assert set(digest.cut_ids) == PAPERS.keys() - {10, 11, 12}


def test_what_befell_a_paper_is_told_beside_new_ones_and_never_alone() -> None:
    happening = Happening(99, PaperEventKind.WITHDRAWN, "v2")
    reader = Reader(1, (("First", "a"),), happenings=(happening,))
    assert compose_digest(reader, {}, PAPERS, 5) is None
    digest = compose_digest(reader, {"a": {1: REASONS}}, PAPERS, 5)
    assert digest is not None
    assert digest.happenings == (happening,)
    assert 99 not in digest.paper_ids
    assert digest_from_json(json.loads(json.dumps(digest_to_json(digest)))) == digest


def test_an_empty_digest_is_none() -> None:
    reader = Reader(1, (("First", "a"),), seen_ids=frozenset({1}))
    assert compose_digest(reader, {"a": {1: REASONS, 99: REASONS}}, PAPERS, 10) is None
    assert compose_digest(reader, {}, PAPERS, 10) is None
    assert compose_digest(Reader(1), {}, {}, 10) is None
