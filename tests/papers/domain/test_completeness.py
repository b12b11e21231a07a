"""The state of a batch after an answer: complete, partial, or still yesterday's."""

from dataclasses import replace
from datetime import date
from itertools import product

import pytest

from service.papers.domain.completeness import (
    advance,
    judge_batch,
    judge_closed,
    later_answer,
    select_evidence,
)
from service.papers.domain.types import (
    AnnounceType,
    BadEntry,
    BatchState,
    ParsedAnnouncement,
    ParsedBatch,
    SourceAnswer,
)

FRIDAY, SATURDAY = date(2026, 9, 18), date(2026, 9, 19)
NEW = ParsedAnnouncement(
    key="arxiv:2609.00001",
    source="arxiv",
    identifier="2609.00001",
    version=1,
    announce_type=AnnounceType.NEW,
    title="A title",
    abstract="An abstract.",
    authors=("Ada Lovelace",),
    categories=("cs.CL",),
)
CROSS = replace(NEW, key="arxiv:2609.00002", announce_type=AnnounceType.CROSS)
BAD = BadEntry(3, "has no title")


def test_a_day_with_papers_is_complete_and_keeps_them() -> None:
    verdict = judge_batch(ParsedBatch((NEW, CROSS)), FRIDAY, repeated_count=0)
    assert verdict.state is BatchState.COMPLETE
    assert verdict.is_fresh
    assert verdict.note == ""


def test_freshness_is_judged_by_new_papers_or_by_all_if_there_are_none() -> None:
    assert select_evidence(ParsedBatch((CROSS, NEW))) == (NEW,)
    assert select_evidence(ParsedBatch((CROSS,))) == (CROSS,)


def test_a_list_may_show_the_same_papers_for_days() -> None:
    listed = ParsedBatch((replace(NEW, announce_type=AnnounceType.LISTED),))
    assert select_evidence(listed) == ()
    assert judge_batch(listed, FRIDAY, repeated_count=0).is_fresh


@pytest.mark.parametrize("announcements", [(NEW,), (NEW, CROSS), (CROSS,)])
def test_a_day_whose_new_papers_were_all_announced_before_is_still_yesterday(
    announcements: tuple[ParsedAnnouncement, ...],
) -> None:
    verdict = judge_batch(ParsedBatch(announcements), FRIDAY, repeated_count=1)
    assert verdict.state is BatchState.EXPECTED
    assert not verdict.is_fresh


def test_one_paper_that_is_not_repeated_makes_the_day_fresh() -> None:
    other = replace(NEW, key="arxiv:2609.00003")
    assert judge_batch(ParsedBatch((NEW, other)), FRIDAY, repeated_count=1).is_fresh


def test_yesterday_cut_at_the_limit_is_still_yesterday() -> None:
    verdict = judge_batch(ParsedBatch((NEW,), is_truncated=True), FRIDAY, repeated_count=1)
    assert verdict.state is BatchState.EXPECTED
    assert not verdict.is_fresh


def test_a_truncated_day_is_partial_and_says_so() -> None:
    verdict = judge_batch(ParsedBatch((NEW,), is_truncated=True), FRIDAY, repeated_count=0)
    assert (verdict.state, verdict.is_fresh) == (BatchState.PARTIAL, True)
    assert "limit" in verdict.note


def test_unreadable_entries_are_counted_and_the_day_is_complete() -> None:
    verdict = judge_batch(ParsedBatch((NEW,), (BAD, BAD)), FRIDAY, repeated_count=0)
    assert verdict.state is BatchState.COMPLETE
    name = f"entry {BAD.position + 1}: {BAD.reason}"
    assert verdict.note == f"2 entries unreadable: {name}; {name}"


def test_the_first_faults_are_named_and_the_others_counted() -> None:
    lacking = replace(NEW, refused=("comment of 9,000 characters",))
    parsed = ParsedBatch((NEW, lacking), (BAD,) * 1_200)
    note = judge_batch(parsed, FRIDAY, repeated_count=0).note
    assert note.startswith("1,200 entries unreadable: ")
    assert " and 1,197 more; 1 entry stored without an absurd value: " in note
    assert note.endswith(f"{NEW.identifier} (comment of 9,000 characters)")


def test_a_day_of_which_no_entry_could_be_read_is_not_complete() -> None:
    assert judge_batch(ParsedBatch((), (BAD,)), FRIDAY, 0).state is BatchState.PARTIAL


@pytest.mark.parametrize(
    ("on", "is_skip_day", "state"),
    [
        (FRIDAY, False, BatchState.EXPECTED),
        (FRIDAY, True, BatchState.COMPLETE),
        (SATURDAY, False, BatchState.COMPLETE),
        (SATURDAY, True, BatchState.COMPLETE),
    ],
)
def test_an_empty_day_is_complete_only_where_nothing_is_announced(
    on: date, is_skip_day: bool, state: BatchState
) -> None:
    verdict = judge_batch(ParsedBatch((), is_skip_day=is_skip_day), on, 0)
    assert verdict.state is state
    assert verdict.note


def test_a_batch_never_goes_back_and_a_closed_one_stays_closed() -> None:
    order = list(BatchState)
    for current, found in product(order, order):
        reached = advance(current, found)
        assert order.index(reached) == max(order.index(current), order.index(found))
    assert advance(BatchState.CLOSED, BatchState.EXPECTED) is BatchState.CLOSED


def test_a_day_with_fewer_papers_than_listed_is_partial() -> None:
    verdict = judge_batch(ParsedBatch((NEW, CROSS)), FRIDAY, 0, expected_count=3)
    assert (verdict.state, verdict.note) == (BatchState.PARTIAL, "2 of 3 papers so far")
    assert judge_batch(ParsedBatch((NEW, CROSS)), FRIDAY, 0, 2).state is BatchState.COMPLETE
    # An unreadable entry counts as a paper that came.
    assert judge_batch(ParsedBatch((NEW, CROSS), (BAD,)), FRIDAY, 0, 3).state is BatchState.COMPLETE


def test_an_empty_day_is_complete_where_the_listing_says_so() -> None:
    verdict = judge_batch(ParsedBatch(()), FRIDAY, 0, expected_count=0)
    assert (verdict.state, verdict.note) == (
        BatchState.COMPLETE,
        "the listing says: no updates today",
    )
    assert judge_batch(ParsedBatch(()), FRIDAY, 0, expected_count=4).state is BatchState.EXPECTED


@pytest.mark.parametrize(
    ("announced", "expected", "start"),
    [
        (0, None, "closed: nothing was announced that is confirmed"),
        (0, 0, "closed: nothing was announced that is confirmed"),
        (0, 8, "closed with 0 of 8 papers"),
        (5, 8, "closed with 5 of 8 papers"),
        (8, 8, "closed at the deadline"),
        (8, None, "closed at the deadline"),
    ],
)
def test_the_note_of_a_closed_batch_counts_the_missing_papers(
    announced: int, expected: int | None, start: str
) -> None:
    assert judge_closed(announced, expected).startswith(start)


def test_the_note_of_a_closed_batch_says_why_its_source_gave_nothing() -> None:
    refused, unread = SourceAnswer.UNREACHABLE, SourceAnswer.UNREADABLE
    assert judge_closed(0, None, refused, "arxiv.org: HTTP 503") == (
        "closed: the source could not be reached; arxiv.org: HTTP 503"
    )
    assert judge_closed(0, None, unread, "cut off").startswith(
        "closed: the source could not be read"
    )
    assert judge_closed(0, 8, refused, "HTTP 403").endswith("the rest comes late; HTTP 403")


@pytest.mark.parametrize(
    ("looks", "kept"),
    [
        (("unreachable", "read"), "read"),
        (("read", "unreachable"), "read"),
        (("unreachable", "silent"), "silent"),
        (("silent", "unreachable"), "unreachable"),
        (("nothing", "unreachable"), "nothing"),
        (("nothing", "read"), "read"),
    ],
)
def test_a_batch_keeps_the_last_answer_unless_an_earlier_one_said_more(
    looks: tuple[str, str], kept: str
) -> None:
    first, second = map(SourceAnswer, looks)
    assert later_answer(first, second) is SourceAnswer(kept)


def test_an_answer_without_any_paper_that_the_listing_names_shows_another_day() -> None:
    parsed = ParsedBatch((NEW, CROSS))
    listed = (NEW.identifier, "2609.99999")
    assert judge_batch(parsed, FRIDAY, 0, 2, listed).is_fresh
    verdict = judge_batch(parsed, FRIDAY, 0, 2, ("2609.99999",))
    assert (verdict.state, verdict.is_fresh) == (BatchState.EXPECTED, False)
    # Cross-listed papers are announced elsewhere, so they prove nothing.
    assert judge_batch(ParsedBatch((CROSS,)), FRIDAY, 0, 2, ("2609.99999",)).is_fresh
