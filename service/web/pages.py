"""From a template to a page: one Jinja environment in which everything is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.domain.categories import category_name
from service.logs import mask_addresses
from service.mail import calendars, marking, sentences
from service.mail.safety import finalize, safe_url
from service.web import fields, wording

TEMPLATE_DIR = Path(__file__).parent / "templates"

_FILTERS: tuple[Callable[..., object], ...] = (
    category_name, mask_addresses,
    fields.field_name, fields.other_categories, fields.origin_category,
    marking.excerpt, marking.first_sentences, marking.mark,
    safe_url,
    sentences.byline, sentences.clock, sentences.count_of, sentences.how_often,
    calendars.long_date, calendars.moment, calendars.plain_date, calendars.short_date,
    wording.announced_how, wording.cadence_name, wording.paragraphs, wording.pdf_url,
    wording.short_cadence,
)  # fmt: skip


class Pages:
    """The compiled templates of one application; threads share one."""

    def __init__(self, **everywhere: object) -> None:
        """`everywhere` is what each template may use: names and addresses that never change."""
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATE_DIR),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update({each.__name__: each for each in _FILTERS})
        self._environment.globals.update(everywhere)

    def show(
        self,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> HTMLResponse:
        """The page. The same values always give the same bytes."""
        return HTMLResponse(self.write(template, **values), status_code=status, headers=headers)

    def write(self, template: str, **values: object) -> str:
        """A template's text: a page, or a piece of one."""
        return self._environment.get_template(template).render(**values)
