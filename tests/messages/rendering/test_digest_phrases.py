"""Phrases of a digest that depend on its papers: updates and late days."""

from datetime import date

import pytest

from service.editions.domain.coverage import Coverage
from service.messages.contexts.digest import DigestUpdate
from service.messages.rendering.digest_phrases import update_label
from service.papers.domain.types import PaperEventKind
from service.presentation.coverage import coverage_line

TUESDAY, WEDNESDAY, OLD = date(2026, 4, 21), date(2026, 4, 22), date(2026, 4, 1)


@pytest.mark.parametrize(
    ("kind", "detail", "label"),
    [
        (PaperEventKind.WITHDRAWN, "v2", "withdrawn (v2)"),
        (PaperEventKind.REVISED, "v3", "substantially revised (v3)"),
        (PaperEventKind.PUBLISHED, "10.1000/abc", "published (10.1000/abc)"),
        (PaperEventKind.CODE, "https://github.com/a/b", "code released"),
        (PaperEventKind.WITHDRAWN, "", "withdrawn"),
    ],
)
def test_each_kind_of_update_has_a_label(kind: PaperEventKind, detail: str, label: str) -> None:
    assert update_label(DigestUpdate(title="T", url="", kind=kind, detail=detail)) == label


@pytest.mark.parametrize(
    ("days", "line"),
    [
        (((TUESDAY, 3),), "3 late from Tuesday"),
        (((TUESDAY, 2), (WEDNESDAY, 1)), "2 late from Tuesday and 1 from Wednesday"),
        (((OLD, 1), (TUESDAY, 2)), "3 late from earlier days"),
        ((), "3 late from earlier days"),
    ],
)
def test_late_papers_name_their_day_unless_it_is_ambiguous(
    days: tuple[tuple[date, int], ...], line: str
) -> None:
    coverage = Coverage(announced=412, checked=412, late=3, late_days=days)
    assert coverage_line(coverage) == f"412 of 412 announced papers checked · {line}"
