"""What a digest says of earlier papers and of the day's completeness."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from service.deliveries.domain.states import DeliveryKind
from service.editions.domain.coverage import Coverage
from service.messages.contexts.digest import DigestContext, DigestHappening
from service.messages.rendering.digest_phrases import befell
from service.messages.rendering.renderer import Renderer
from service.papers.domain.types import PaperEventKind
from service.presentation.coverage import coverage_line

TUESDAY, WEDNESDAY, OLD = date(2026, 4, 21), date(2026, 4, 22), date(2026, 4, 1)


@pytest.mark.parametrize(
    ("kind", "detail", "said"),
    [
        (PaperEventKind.WITHDRAWN, "v2", "withdrawn (v2)"),
        (PaperEventKind.REVISED, "v3", "substantially revised (v3)"),
        (PaperEventKind.PUBLISHED, "10.1000/abc", "published (10.1000/abc)"),
        (PaperEventKind.CODE, "https://github.com/a/b", "code released"),
        (PaperEventKind.WITHDRAWN, "", "withdrawn"),
    ],
)
def test_each_happening_has_its_words(kind: PaperEventKind, detail: str, said: str) -> None:
    assert befell(DigestHappening(title="T", url="", kind=kind, detail=detail)) == said


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (((TUESDAY, 3),), "3 late from Tuesday"),
        (((TUESDAY, 2), (WEDNESDAY, 1)), "2 late from Tuesday and 1 from Wednesday"),
        (((OLD, 1), (TUESDAY, 2)), "3 late from earlier days"),
        ((), "3 late from earlier days"),
    ],
)
def test_late_papers_name_their_day_while_the_name_is_clear(
    days: tuple[tuple[date, int], ...], said: str
) -> None:
    coverage = Coverage(announced=412, checked=412, late=3, late_days=days)
    assert coverage_line(coverage) == f"412 of 412 announced papers checked · {said}"


def test_what_befell_earlier_papers_stands_in_both_parts_and_unsafe_links_in_neither(
    renderer: Renderer, make_digest: Callable[..., DigestContext]
) -> None:
    told = (
        DigestHappening(
            title="A paper <with> an end",
            url="https://arxiv.org/abs/2604.90002",
            kind=PaperEventKind.WITHDRAWN,
        ),
        DigestHappening(title="Bait", url="javascript:alert(1)", kind=PaperEventKind.CODE),
    )
    mail = renderer.render(DeliveryKind.DIGEST, make_digest(happenings=told))
    for text in (mail.html, mail.text):
        assert "What became of papers you were sent" in text
        assert "https://arxiv.org/abs/2604.90002" in text
        assert "javascript:" not in text
    assert "A paper &lt;with&gt; an end" in mail.html
    assert "* A paper <with> an end: withdrawn" in mail.text


def test_every_digest_says_at_its_foot_how_whole_the_day_was(
    renderer: Renderer, make_digest: Callable[..., DigestContext]
) -> None:
    mail = renderer.render(DeliveryKind.DIGEST, make_digest())
    foot = mail.html.rpartition("You asked for this")[2]
    assert "412 of 412 announced papers checked" in foot
    assert "/status" in foot
    assert "412 of 412 announced papers checked" in mail.text.rpartition("You asked for this")[2]
