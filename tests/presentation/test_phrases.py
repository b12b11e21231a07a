"""Bylines, labels, coverage lines and subjects."""

from collections.abc import Callable
from datetime import date

import pytest

from service.deliveries.domain.recipients import Cadence, Timing
from service.editions.domain.coverage import Coverage
from service.messages.contexts.digest import DigestContext, DigestPaper, DigestSection
from service.messages.rendering.digest_phrases import facts, subject_topic
from service.messages.rendering.text_part import text_byline
from service.papers.domain.types import AnnounceType
from service.presentation.coverage import coverage_line
from service.presentation.phrases import byline, comes_at, how_often, topic_title
from service.presentation.reasons import listed_topics

MakeEntry = Callable[..., DigestPaper]


@pytest.mark.parametrize(
    ("authors", "names", "more"),
    [
        ((), (), 0),
        (("A B",), ("A B",), 0),
        (("A", "B", "C"), ("A", "B", "C"), 0),
        (("A", "B", "C", "D"), ("A", "B", "C"), 1),
        (tuple(f"N {i}" for i in range(3000)), ("N 0", "N 1", "N 2"), 2997),
    ],
)
def test_a_byline_has_three_names_and_a_count(
    make_entry: MakeEntry, authors: tuple[str, ...], names: tuple[str, ...], more: int
) -> None:
    by = byline(make_entry(authors=authors).paper)
    assert (by.names, by.more) == (names, more)


def test_the_text_byline_has_names_fields_and_labels(make_entry: MakeEntry) -> None:
    assert text_byline(make_entry(upvotes=4)) == (
        "Ada Example and Bo Sample · cs.CL, cs.LG · new · ▲\u00a04"
    )
    many = make_entry(authors=tuple("ABCDE"), categories=("cs.CL",))
    assert text_byline(many) == "A, B, C and 2 more · cs.CL · new"
    assert text_byline(make_entry(authors=(), categories=(), primary_category="")) == "new"


def test_a_paper_has_all_its_labels(make_entry: MakeEntry) -> None:
    entry = make_entry(
        is_withdrawn=True,
        announced_as=AnnounceType.REPLACE_CROSS,
        version=3,
        is_late=True,
        announced_on=date(2026, 4, 20),
        upvotes=1204,
        maybe_seen=True,
    )
    assert facts(entry) == (
        "withdrawn",
        "cross-listed from cs.CL",
        "updated to version 3",
        "late, announced Mon 20 Apr",
        "you may have seen this",
        "▲\u00a01,204",
    )
    assert facts(make_entry()) == ("new",)


def test_the_coverage_line_says_that_a_day_is_incomplete() -> None:
    assert coverage_line(Coverage(announced=1, checked=1)) == "1 of 1 announced paper checked"
    partial = Coverage(announced=1412, checked=380, late=3, is_complete=False)
    assert coverage_line(partial) == (
        "380 of 1,412 announced papers checked (day incomplete) · 3 late from earlier days"
    )


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        ([], ""),
        (['"prompt tuning"'], "prompt tuning"),
        (["a b", "c"], "a b and c"),
        (["a b", "c", "d"], "a b and 2 other topics"),
        (["a b", "c" * 60], "a b and 1 other topic"),
        (["x" * 60], ""),
        (["x" * 40, "y" * 40], ""),
        (["Trending"], ""),
    ],
)
def test_the_subject_names_topics_only_if_they_are_short(
    make_digest: Callable[..., DigestContext],
    make_entry: MakeEntry,
    titles: list[str],
    expected: str,
) -> None:
    groups = tuple(DigestSection(title=title, papers=(make_entry(),)) for title in titles)
    assert subject_topic(make_digest(groups=groups)) == expected


def test_topics_are_listed_by_name_and_never_quoted_twice() -> None:
    assert topic_title("“prompt\n tuning”") == "prompt tuning"
    assert topic_title('"a" OR "b"') == '"a" OR "b"'
    assert listed_topics(['"a b"', "cs.CL", "c"]) == "“a b”, “cs.CL” and “c”"
    assert listed_topics(['"a" OR "b"', "“best” of c"]) == "“'a' OR 'b'” and “‘best’ of c”"
    assert listed_topics([str(n) for n in range(14)]).endswith("“11” and 2 more")


def test_each_cadence_has_a_phrase() -> None:
    assert [how_often(cadence) for cadence in Cadence] == [
        "every day",
        "every weekday",
        *["once a week"] * 7,
        "once a month",
    ]


@pytest.mark.parametrize(
    ("cadence", "timing", "phrase"),
    [
        (Cadence.WEEKDAYS, Timing.AT_HOUR, "every weekday at 07:00, Tokyo time"),
        (Cadence.DAILY, Timing.WHEN_COMPLETE, "every day, as soon as a day’s papers are complete"),
        (Cadence.WEEKLY, Timing.AT_HOUR, "every Monday at 07:00, Tokyo time"),
        (Cadence.WEEKLY, Timing.WHEN_COMPLETE, "every Monday at 07:00, Tokyo time"),
    ],
)
def test_only_a_digest_of_days_can_come_as_soon_as_they_are_complete(
    cadence: Cadence, timing: Timing, phrase: str
) -> None:
    assert comes_at(cadence, 7, "Asia/Tokyo", timing) == phrase
