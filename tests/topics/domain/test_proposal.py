"""What a file of papers suggests: groups, words, authors, categories."""

from service.topics.domain.language import parse_query
from service.topics.domain.proposal import (
    FilePaper,
    ProposalKind,
    count_groups,
    has_description,
    propose,
    without_notices,
)
from service.topics.domain.query_limits import is_public_size

CATS = [
    FilePaper(
        f"Sleeping cats {n}",
        f"arxiv:2609.0000{n}",
        f"Sleeping cats in long winters {n}",
        "We watch sleeping cats. Long winters are cold.",
        ("Ada Lovelace", f"Person{n} Other"),
        ("cs.CL", "cs.LG"),
    )
    for n in range(1, 5)
]
DOGS = [
    FilePaper(
        f"Barking {n}", "", f'Barking "dogs" at night {n}', "", ("A. Lovelace",), ("cs.LG", "x")
    )
    for n in range(1, 4)
]
PAPERS = [*CATS, *DOGS]


def of_kind(kind: ProposalKind) -> list[str]:
    groups = [[0, 1, 2, 3], [4, 5, 6]]
    words = {1: ["barking", "dogs"]}
    return [topic.query for topic in propose(PAPERS, groups, words) if topic.kind == kind]


def test_groups_are_likes_of_stored_papers_or_of_words() -> None:
    cats, dogs = of_kind(ProposalKind.GROUP)
    assert cats == "like:2609.00001,2609.00002,2609.00003,2609.00004"
    assert dogs == 'like:"barking dogs"'
    assert [has_description(PAPERS, group) for group in ([0, 1], [0, 4], [4])] == [
        False,
        True,
        False,
    ]
    first = propose(PAPERS, [[0, 1, 2, 3]])[0]
    assert first.is_ticked
    assert first.papers == tuple(paper.label for paper in CATS)
    assert "leeping cats" in first.name


def test_authors_and_categories_recur() -> None:
    # An initial may stand for anybody, and one paper is no habit.
    assert of_kind(ProposalKind.AUTHOR) == ['au:"Ada Lovelace"']
    assert of_kind(ProposalKind.CATEGORY) == ["cat:cs.LG", "cat:cs.CL"]


def test_words_are_ticked_where_there_are_no_groups() -> None:
    (words,) = (t for t in propose(PAPERS) if t.kind == ProposalKind.WORDS)
    assert words.is_ticked
    assert '"sleeping cats"' in words.query
    assert "watch sleeping" in words.query or "long winters" in words.query
    assert set(words.papers) <= {paper.label for paper in PAPERS}


def test_every_proposal_is_a_topic_that_a_reader_may_save() -> None:
    for topic in propose(PAPERS, [[0, 4], [1, 2], [3], [5, 6]], {0: ["word"] * 200, 3: []}):
        assert parse_query(topic.query)
        assert is_public_size(topic.query)
        assert topic.papers
    assert propose([]) == ()
    assert propose([FilePaper("x")], [[0]]) == ()


def test_a_group_for_fifteen_papers() -> None:
    assert [count_groups(n) for n in (1, 15, 16, 45, 46)] == [1, 1, 2, 3, 4]


def test_a_sentence_of_all_abstracts_is_no_subject() -> None:
    notice = "© 2026 A Publisher. All rights reserved."
    subjects = ("cats in winter", "dogs at night", "proofs of lemmas", "rusty bridges")
    written = [
        FilePaper(f"On {each}", abstract=f"Here are sleeping {each}. {notice}") for each in subjects
    ]
    (words,) = (t.query for t in propose(written) if t.kind == ProposalKind.WORDS)
    assert "rights reserved" in words
    read = without_notices(written)
    assert [paper.abstract for paper in read] == [f"Here are sleeping {each}." for each in subjects]
    assert not [t for t in propose(read) if t.kind == ProposalKind.WORDS]
    assert without_notices(PAPERS) == PAPERS  # Copies of one abstract are no notice.
    assert without_notices(written[:1]) == written[:1]
