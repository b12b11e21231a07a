"""A digest is the same after a trip through JSON, and rows of the first release are still read."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from service.deliveries.domain.digest import (
    Digest,
    DigestEntry,
    DigestGroup,
    Happening,
    digest_from_json,
    digest_to_json,
    named_papers,
    newest_json,
    note_key,
    note_keys,
    read_entry,
    read_happenings,
)
from service.papers.domain.types import PaperEventKind
from service.topics.domain.types import Reason

REASONS = st.builds(
    Reason,
    st.sampled_from(["cat:cs.CL", "prompt", 'ti:"prompt tuning"']),
    st.sampled_from(["title", "abstract", "category", "author"]),
    st.sampled_from([(), ("prompt",), ("Bengio", "Y.")]),
    st.booleans(),
)
ENTRIES = st.lists(
    st.builds(
        DigestEntry,
        st.integers(1, 2**53),
        st.lists(REASONS, max_size=3).map(tuple),
        st.booleans(),
        st.sampled_from([0, 2, 30]),
    ),
    max_size=4,
).map(tuple)
DIGESTS = st.builds(
    Digest,
    st.lists(
        st.builds(DigestGroup, st.sampled_from(["", "“Ünï”"]), ENTRIES, st.integers(0, 9)),
        max_size=3,
    ).map(tuple),
    st.lists(st.integers(1, 2**53), max_size=5).map(tuple),
    st.lists(
        st.builds(Happening, st.integers(1, 9), st.sampled_from(PaperEventKind), st.just("v2")),
        max_size=2,
    ).map(tuple),
    ENTRIES,
)


@given(DIGESTS)
def test_a_digest_comes_back_from_json_as_it_was(digest: Digest) -> None:
    assert digest_from_json(json.loads(json.dumps(digest_to_json(digest)))) == digest


@given(DIGESTS)
def test_a_row_can_be_read_entry_by_entry(digest: Digest) -> None:
    newest = newest_json(digest_to_json(digest))
    keys = note_keys(newest)
    groups = [(title, ids, notes) for title, _, ids, notes in newest["groups"]]
    for group, (title, ids, notes) in zip(digest.groups, groups, strict=True):
        assert group.title == title
        read = [read_entry(newest, *pair) for pair in zip(ids, notes, strict=True)]
        assert tuple(read) == group.entries
        assert [keys[note] for note in notes] == [note_key(entry) for entry in read]
    assert read_happenings(newest) == digest.happenings
    told = [one.paper_id for one in digest.happenings]
    assert sorted(named_papers(newest)) == sorted([*digest.paper_ids, *told])


def test_a_reason_that_many_papers_share_is_written_once() -> None:
    reasons = (Reason("a long clause that costs room", "title", ("a", "long", "clause")),)
    group = DigestGroup("", tuple(DigestEntry(n, reasons) for n in range(25)))
    assert json.dumps(digest_to_json(Digest((group,)))).count("long clause") == 1


def test_all_papers_of_a_digest_are_named_those_nobody_asked_for_last() -> None:
    group = DigestGroup("", (DigestEntry(3), DigestEntry(1)))
    assert Digest((group,), cut_ids=(9,), also=(DigestEntry(2),)).paper_ids == (3, 1, 2)


def test_a_row_of_the_first_release_is_read() -> None:
    first = {
        "groups": [
            {
                "title": "First",
                "papers": [
                    {"id": 7, "reasons": [["au:x", "author", ["X. Y."], True]], "seen": True},
                    {"id": 8, "reasons": [], "seen": False, "revision": 3},
                ],
            }
        ],
        "cut": [4, 5],
        "happenings": [[9, "withdrawn", "v2"]],
    }
    reasons = (Reason("au:x", "author", ("X. Y.",), is_guess=True),)
    entries = (DigestEntry(7, reasons, is_maybe_seen=True), DigestEntry(8, revision=3))
    assert digest_from_json(newest_json(first)) == digest_from_json(first)
    assert {*named_papers(first)} == {7, 8, 9}
    assert digest_from_json(first) == Digest(
        (DigestGroup("First", entries),),
        (4, 5),
        (Happening(9, PaperEventKind.WITHDRAWN, "v2"),),
    )


def test_a_row_of_the_second_release_is_read() -> None:
    second = {
        "v": 2,
        "told": [["prompt", "title", ["prompt"], False], ["au:x", "author", ["X. Y."], True]],
        "groups": [["First", 4, [[7, [0, 1], 1], [8, [], 0, 3], [9, [1]]]]],
        "cut": [4, 5],
        "happenings": [],
        "also": [[12, []]],
    }
    words = Reason("prompt", "title", ("prompt",))
    author = Reason("au:x", "author", ("X. Y.",), is_guess=True)
    entries = (
        DigestEntry(7, (words, author), is_maybe_seen=True),
        DigestEntry(8, revision=3),
        DigestEntry(9, (author,)),
    )
    groups = (DigestGroup("First", entries, 4),)
    assert digest_from_json(newest_json(second)) == digest_from_json(second)
    assert {*named_papers(second)} == {7, 8, 9, 12}
    assert digest_from_json(second) == Digest(groups, (4, 5), also=(DigestEntry(12),))
