"""What is said of a day: gaps, the line and the note, alone and for several days together."""

from dataclasses import replace
from datetime import date

import pytest

from service.editions.domain.coverage import Coverage, Gap, GapKind, join_coverages, parse_coverage
from service.editions.domain.day_report import BatchFacts, describe_day
from service.papers.domain.types import BatchState, SourceAnswer
from service.presentation.coverage import coverage_line, coverage_text

MONDAY, TUESDAY, SATURDAY = date(2026, 9, 21), date(2026, 9, 22), date(2026, 9, 26)
READ = BatchFacts(
    source="arxiv",
    category="cs.LG",
    state=BatchState.COMPLETE,
    answer=SourceAnswer.READ,
    found_count=86,
    expected_count=86,
)
AWAY = BatchFacts(
    source="arxiv", category="cs.CL", state=BatchState.CLOSED, answer=SourceAnswer.UNREACHABLE
)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {},
            "86 checked; cs.CL could not be reached. arXiv could not be reached today:"
            " cs.CL is missing; it will come late, marked.",
        ),
        (
            {"expected_count": 25},
            "86 of 111 announced papers checked. cs.CL could not be read; its papers come late, marked.",
        ),
        (
            {"answer": SourceAnswer.UNREADABLE},
            "86 checked; cs.CL could not be read. cs.CL could not be read; its papers come late, marked.",
        ),
        (
            {"answer": SourceAnswer.SILENT},
            "86 checked; nothing is confirmed for cs.CL."
            " arXiv announced nothing that we could confirm in cs.CL.",
        ),
        ({"answer": SourceAnswer.NOTHING}, "86 of 86 announced papers checked"),
        (
            {"state": BatchState.EXPECTED},
            "86 checked; cs.CL could not be reached. Not complete yet: cs.CL."
            " cs.CL could not be reached so far.",
        ),
        (
            {"state": BatchState.EXPECTED, "answer": SourceAnswer.SILENT},
            "86 papers checked so far. Not complete yet: cs.CL.",
        ),
    ],
)
def test_what_is_said_of_one_category_beside_a_good_one(
    changes: dict[str, object], text: str
) -> None:
    coverage = describe_day(MONDAY, [replace(AWAY, **changes), READ], 86)  # type: ignore[arg-type]
    assert coverage_text(coverage) == text
    assert coverage.is_complete is (text == "86 of 86 announced papers checked")
    assert parse_coverage(coverage.as_json()) == coverage


def test_all_of_a_source_away_is_said_of_the_source() -> None:
    both = [AWAY, replace(AWAY, category="cs.LG")]
    coverage = describe_day(MONDAY, both, 0)
    assert coverage_text(coverage) == (
        "No papers read. arXiv could not be reached today. What it announced will come late, marked."
    )
    assert coverage.in_past().note.startswith("arXiv could not be reached on that day.")
    two = [*both, replace(READ, category="cs.CV")]
    assert describe_day(MONDAY, two, 86).note == (
        "arXiv could not be reached today: cs.CL and cs.LG are missing; they will come late, marked."
    )
    single = replace(AWAY, source="biorxiv", category="")
    assert describe_day(MONDAY, [single], 0).note.startswith("bioRxiv could not be reached today.")


def test_at_the_weekend_nothing_is_missing() -> None:
    coverage = describe_day(SATURDAY, [AWAY], 0)
    assert (coverage.is_complete, coverage.gaps) == (True, ())
    assert coverage.note == "arXiv announces nothing at the weekend."


def test_several_days_name_the_day_on_which_a_category_was_away() -> None:
    whole = describe_day(TUESDAY, [replace(READ, category="cs.CL")], 86)
    joined = join_coverages({MONDAY: describe_day(MONDAY, [AWAY, READ], 86), TUESDAY: whole})
    assert (joined.announced, joined.is_complete) == (172, False)
    assert joined.note == (
        "Monday 21 September: arXiv could not be reached on that day:"
        " cs.CL is missing; it will come late, marked."
    )
    assert coverage_line(joined) == "172 papers checked; some days of cs.CL are missing"
    always = join_coverages({on: describe_day(on, [AWAY], 0) for on in (MONDAY, TUESDAY)})
    assert always.gaps == (Gap("cs.CL", GapKind.UNREACHED),)


def test_many_names_do_not_fill_the_line() -> None:
    gaps = tuple(Gap(f"cs.X{number}", GapKind.UNREACHED) for number in range(30))
    line = coverage_line(Coverage(announced=5, checked=5, is_complete=False, gaps=gaps))
    assert line == "5 checked; cs.X0, cs.X1, cs.X2 and 27 more could not be reached"
