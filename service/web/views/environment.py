"""Rendering of pages: one Jinja environment with autoescape."""

from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.messages.rendering.slots import sanitize
from service.papers.domain.categories import category_name
from service.platform.logs import mask_addresses
from service.platform.time_zones import zone_name
from service.presentation import (
    arrivals,
    coverage,
    dates,
    excerpts,
    formulas,
    highlight,
    markdown,
    phrases,
)
from service.presentation.sanitize import safe_url
from service.web.views import category_labels, labels, periods

TEMPLATE_DIR = Path(__file__).parents[1] / "templates"

_FILTERS: tuple[Callable[..., object], ...] = (
    category_name, mask_addresses,
    category_labels.field_name, category_labels.other_categories, category_labels.origin_category,
    formulas.typeset, excerpts.telling_excerpt, highlight.excerpt, highlight.first_sentences, highlight.mark,
    safe_url, markdown.note_html,
    coverage.coverage_text,
    arrivals.arrival_text, arrivals.arrival_time,
    phrases.byline, phrases.clock, phrases.comes_at, phrases.comes_when, phrases.count_of,
    dates.long_date, dates.moment, dates.plain_date, dates.short_date,
    labels.announced_how, labels.cadence_name, labels.edition_name, labels.html_url, labels.may_have_link, labels.paragraphs, labels.pdf_url,
    labels.short_cadence, labels.source_title, zone_name,
    periods.cell_title, periods.period_title, periods.short_title,
)  # fmt: skip


class Pages:
    """The compiled templates of one application; thread-safe."""

    def __init__(self, **template_globals: object) -> None:
        """`template_globals` are constants available in every template."""
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATE_DIR),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=sanitize,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update({function.__name__: function for function in _FILTERS})
        self._environment.globals.update(template_globals)

    def show(
        self,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> HTMLResponse:
        """Return the page; deterministic: equal values give equal bytes."""
        return HTMLResponse(self.write(template, **values), status_code=status, headers=headers)

    def write(self, template: str, **values: object) -> str:
        """Return the text of a rendered template, which is a page or a fragment."""
        return self._environment.get_template(template).render(**values)
