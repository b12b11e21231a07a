"""A paper that an answer names several times becomes one announcement and is never lost."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.domain.repeats import merge_repeats
from service.papers.domain.types import AnnounceType, BadEntry, ParsedAnnouncement, ParsedBatch

POSTED = datetime(2026, 9, 7, tzinfo=UTC)


def draft(number: int, version: int = 1, title: str = "A title") -> ParsedAnnouncement:
    is_first = version == 1
    return ParsedAnnouncement(
        key=f"arxiv:2609.0000{number}",
        source="arxiv",
        identifier=f"2609.0000{number}",
        version=version,
        announce_type=AnnounceType.NEW if is_first else AnnounceType.REPLACE,
        title=title,
        abstract="An abstract.",
        authors=(),
        categories=("cs.CL",),
        published_at=POSTED if is_first else None,
    )


def test_a_repeated_paper_is_a_bad_entry_at_its_own_place() -> None:
    unreadable = (BadEntry(1, "has no title"), BadEntry(3, "has no identifier"))
    # The source's order: paper 1, unreadable, paper 2, unreadable, papers 1 and 3.
    answer = ParsedBatch(
        (draft(1), draft(2), draft(1, 2, "Again"), draft(3)), unreadable, is_truncated=True
    )
    once = merge_repeats(answer, has_versions=False)
    assert once.announcements == (draft(1), draft(2), draft(3))
    assert once.bad_entries == (*unreadable, BadEntry(4, "repeats 2609.00001"))
    assert once == replace(answer, announcements=once.announcements, bad_entries=once.bad_entries)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (3, 1, 2), (2, 1, 3)])
def test_several_versions_on_a_day_are_one_new_paper_with_the_last_ones_text(
    order: tuple[int, ...],
) -> None:
    answer = ParsedBatch(tuple(draft(1, version, f"Title {version}") for version in order))
    once = merge_repeats(answer, has_versions=True)
    (paper,) = once.announcements
    assert (paper.version, paper.title, paper.announce_type) == (3, "Title 3", AnnounceType.NEW)
    assert paper.published_at == POSTED
    assert once.bad_entries == ()


def test_revisions_alone_are_a_replacement() -> None:
    answer = ParsedBatch((draft(1, 2), draft(1, 3)))
    (paper,) = merge_repeats(answer, has_versions=True).announcements
    assert (paper.version, paper.announce_type) == (3, AnnounceType.REPLACE)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3))), st.booleans())
def test_every_paper_is_announced_once_in_the_order_of_first_mention(
    named: list[tuple[int, int]], has_versions: bool
) -> None:
    answer = ParsedBatch(tuple(draft(number, version) for number, version in named))
    once = merge_repeats(answer, has_versions=has_versions)
    keys = [one.key for one in answer.announcements]
    assert [one.key for one in once.announcements] == list(dict.fromkeys(keys))
    repeats = Counter(keys).total() - len(set(keys))
    assert len(once.bad_entries) == (0 if has_versions else repeats)
    assert merge_repeats(once, has_versions=has_versions) == once
