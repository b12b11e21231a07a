"""A digest survives a round trip through JSON, whole and entry by entry."""

import json

from hypothesis import given
from hypothesis import strategies as st

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup, PaperUpdate
from service.deliveries.domain.digest_json import (
    digest_from_json,
    digest_to_json,
    find_updates,
    named_papers,
    parse_notes,
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
        st.builds(PaperUpdate, st.integers(1, 9), st.sampled_from(PaperEventKind), st.just("v2")),
        max_size=2,
    ).map(tuple),
    ENTRIES,
)


@given(DIGESTS)
def test_a_digest_survives_a_round_trip_through_json(digest: Digest) -> None:
    assert digest_from_json(json.loads(json.dumps(digest_to_json(digest)))) == digest


@given(DIGESTS)
def test_a_row_can_be_read_entry_by_entry(digest: Digest) -> None:
    value = digest_to_json(digest)
    notes = parse_notes(value)
    groups = [(title, ids, numbers) for title, _, ids, numbers in value["groups"]]
    for group, (title, ids, numbers) in zip(digest.groups, groups, strict=True):
        assert group.title == title
        pairs = zip(ids, numbers, strict=True)
        assert tuple(DigestEntry(one, *notes[number]) for one, number in pairs) == group.entries
    assert find_updates(value) == digest.updates
    updated = [update.paper_id for update in digest.updates]
    assert sorted(named_papers(value)) == sorted([*digest.paper_ids, *updated])


def test_a_reason_that_many_papers_share_is_written_once() -> None:
    reasons = (Reason("a long clause that costs room", "title", ("a", "long", "clause")),)
    group = DigestGroup("", tuple(DigestEntry(n, reasons) for n in range(25)))
    assert json.dumps(digest_to_json(Digest((group,)))).count("long clause") == 1


def test_all_papers_of_a_digest_are_listed_suggested_ones_last() -> None:
    group = DigestGroup("", (DigestEntry(3), DigestEntry(1)))
    assert Digest((group,), cut_ids=(9,), also=(DigestEntry(2),)).paper_ids == (3, 1, 2)


def test_the_stored_format_does_not_change() -> None:
    title = Reason("prompt", "title", ("prompt",))
    author = Reason("au:x", "author", ("X. Y.",), is_guess=True)
    entries = (
        DigestEntry(7, (title, author), is_maybe_seen=True),
        DigestEntry(8, revision=3),
        DigestEntry(9, (author,)),
    )
    digest = Digest(
        (DigestGroup("First", entries, 4),),
        (5, 6),
        (PaperUpdate(1, PaperEventKind.WITHDRAWN, "v2"),),
        (DigestEntry(12),),
    )
    assert json.loads(json.dumps(digest_to_json(digest))) == {
        "reasons": [["prompt", "title", ["prompt"], False], ["au:x", "author", ["X. Y."], True]],
        "notes": [[1, 0, 0, 1], [0, 3], [0, 0, 1], [0, 0]],
        "groups": [["First", 4, [7, 8, 9], [0, 1, 2]]],
        "cut": [5, 6],
        "updates": [[1, "withdrawn", "v2"]],
        "also": [[12], [3]],
    }


def test_a_row_without_a_digest_is_read_as_an_empty_one() -> None:
    assert digest_from_json(None) == Digest(())
