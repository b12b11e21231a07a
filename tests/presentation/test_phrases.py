"""Dates, bylines, marks and reasons in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from service.deliveries.domain.recipients import Cadence
from service.editions.domain.coverage import Coverage
from service.messages.contexts.digest import DigestContext, DigestGroup, DigestPaper
from service.messages.rendering.digest_phrases import facts, subject_topic
from service.messages.rendering.text_part import said_because, said_byline
from service.papers.domain.types import AnnounceType
from service.presentation.coverage import coverage_line
from service.presentation.dates import long_date, short_date
from service.presentation.phrases import byline, how_often, topic_title
from service.presentation.reasons import because, listed_topics, marked_words
from service.topics.domain.types import Reason

MakeEntry = Callable[..., DigestPaper]


def test_dates_are_english_whatever_the_locale() -> None:
    assert long_date(date(2026, 4, 21)) == "Tuesday 21 April 2026"
    assert short_date(date(2026, 12, 6)) == "Sun 6 Dec"


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
def test_a_byline_names_three_and_a_count(
    make_entry: MakeEntry, authors: tuple[str, ...], names: tuple[str, ...], more: int
) -> None:
    by = byline(make_entry(authors=authors).paper)
    assert (by.names, by.more) == (names, more)


def test_the_text_byline_says_names_fields_and_facts(make_entry: MakeEntry) -> None:
    assert said_byline(make_entry(upvotes=4)) == (
        "Ada Example and Bo Sample · Computation and Language, Machine Learning · new · ▲\u00a04"
    )
    many = make_entry(authors=tuple("ABCDE"), categories=("cs.CL",))
    assert said_byline(many) == "A, B, C and 2 more · Computation and Language · new"
    assert said_byline(make_entry(authors=(), categories=(), primary_category="")) == "new"


def test_every_mark_of_a_paper_is_said(make_entry: MakeEntry) -> None:
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


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ([], ""),
        (
            [
                Reason('"prompt tuning"', "title", ("prompt", "tuning")),
                Reason("cat:cs.CL", "category", ("cs.CL",)),
            ],
            "You get this because the title says “prompt tuning” and it is in "
            "Computation and Language (cs.CL).",
        ),
        (
            [Reason("a", "title", ("a",)), Reason("a", "abstract", ("a",))],
            "You get this because the title says “a”.",
        ),
        (
            [
                Reason("a", "title", ("a",)),
                Reason("b", "abstract", ("b",)),
                Reason('au:"Y. Bengio"', "author", ("Y. Bengio",), is_guess=True),
            ],
            "You get this because the title says “a”, the abstract says “b” and “Y. Bengio” "
            "may be whom you follow.",
        ),
        (
            [Reason("au:Bengio", "author"), Reason("cat:cs.*", "category")],
            "You get this because it is by “Bengio” and it is in cs.*.",
        ),
        (
            [Reason("x", "title", ("x",)), Reason("y", "title", ("y",)), Reason("z", "title")],
            "You get this because the title says “x”, “y” and “z”.",
        ),
        ([Reason("new:today", "other")], "You get this because it matches “today”."),
    ],
)
def test_a_reason_is_one_sentence(reasons: list[Reason], expected: str) -> None:
    assert said_because(reasons) == expected


def test_only_words_of_the_text_are_marked_there() -> None:
    reasons = [
        Reason('"prompt tuning"', "title", ("prompt tuning",)),
        Reason('"prompt tuning"', "abstract", ("prompt tuning",)),
        Reason("cat:cs.CL", "category", ("cs.CL",)),
        Reason("au:Bengio", "author", ("Bengio",)),
    ]
    assert marked_words(reasons) == ("prompt tuning",)
    assert [piece.text for piece in because(reasons) if piece.is_marked] == [
        "prompt tuning",
        "Bengio",
    ]


def test_coverage_admits_what_is_missing() -> None:
    assert coverage_line(Coverage(announced=1, checked=1)) == "1 of 1 announced paper checked"
    partial = Coverage(announced=1412, checked=380, late=3, is_complete=False)
    assert coverage_line(partial) == (
        "380 of 1,412 announced papers checked, not all of the day · 3 late from earlier days"
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
def test_the_subject_names_topics_only_where_they_are_short(
    make_digest: Callable[..., DigestContext],
    make_entry: MakeEntry,
    titles: list[str],
    expected: str,
) -> None:
    groups = tuple(DigestGroup(title=title, papers=(make_entry(),)) for title in titles)
    assert subject_topic(make_digest(groups=groups)) == expected


def test_topics_are_listed_as_the_reader_wrote_them() -> None:
    assert topic_title("“prompt\n tuning”") == "prompt tuning"
    assert topic_title('"a" OR "b"') == '"a" OR "b"'
    assert listed_topics(['"a b"', "cat:cs.CL", "c"]) == "“a b”, “cat:cs.CL” and “c”"
    assert listed_topics([str(n) for n in range(14)]).endswith("“11” and 2 more")


def test_each_cadence_has_its_words() -> None:
    assert [how_often(cadence) for cadence in Cadence] == [
        "every day",
        "every weekday",
        "once a week",
    ]
