"""Labels of volumes and cadences."""

import pytest
from support.cited_papers import make_paper

from service.deliveries.domain.recipients import Cadence
from service.web.views.labels import (
    cadence_name,
    edition_name,
    html_url,
    pdf_url,
    short_cadence,
    volume,
)


@pytest.mark.parametrize(
    ("total", "days", "text"),
    [
        (0, 20, "no papers yet"),
        (3, 0, "no papers yet"),
        (80, 20, "about 4 papers a day"),
        (20, 20, "about 1 paper a day"),
        (9, 20, "about 2 papers a week"),
        (1, 21, "about 1 paper a month"),
        (1, 90, "less than one paper a month"),
    ],
)
def test_a_volume_is_given_in_the_unit_that_fits(total: int, days: int, text: str) -> None:
    assert volume(total, days) == text


def test_every_cadence_has_labels() -> None:
    assert len({cadence_name(cadence) for cadence in Cadence}) == len(Cadence)
    assert [short_cadence(c) for c in Cadence] == [
        "Daily", "Weekdays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays",
        "Sundays", "Monthly",
    ]  # fmt: skip
    assert edition_name("weekly-thursday") == "Thursday’s weekly"
    assert [edition_name(c) for c in ("weekly", "monthly")] == ["Weekly", "Monthly"]
    assert short_cadence("hourly") == "hourly"


BIORXIV = "https://www.biorxiv.org/content/10.1101/2026.01.01.1v2"


@pytest.mark.parametrize(
    ("key", "source", "url", "pdf", "html"),
    [
        ("arxiv:2312.00001", "arxiv", "https://arxiv.org/abs/2312.00001", "https://arxiv.org/pdf/2312.00001",
         "https://arxiv.org/html/2312.00001"),
        ("arxiv:2311.00001", "arxiv", "https://arxiv.org/abs/2311.00001", "https://arxiv.org/pdf/2311.00001", ""),
        ("arxiv:math/0611800", "arxiv", "https://arxiv.org/abs/math/0611800", "https://arxiv.org/pdf/math/0611800", ""),
        ("biorxiv:10.1101/2026.01.01.1", "biorxiv", BIORXIV, f"{BIORXIV}.full.pdf", f"{BIORXIV}.full"),
        ("doi:10.1000/x", "journal.cats", "https://cats.example/x", "", ""),
    ],
)  # fmt: skip
def test_a_paper_has_pdf_and_html_where_its_source_has_them(
    key: str, source: str, url: str, pdf: str, html: str
) -> None:
    paper = make_paper(key=key, source=source, url=url)
    assert (pdf_url(paper), html_url(paper)) == (pdf, html)
