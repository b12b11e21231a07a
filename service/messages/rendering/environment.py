"""The Jinja environment of mail templates: loaders, autoescape and filters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.messages.rendering import digest_phrases, html_filters, slots, text_part
from service.messages.rendering.paper_cards import CardKind, Openings, WholeCards, cards_filter
from service.messages.rendering.slots import sanitize
from service.presentation import (
    arrivals,
    coverage,
    dates,
    formulas,
    highlight,
    markdown,
    phrases,
    reasons,
)
from service.presentation.sanitize import isolated, require_own_url, safe_url

_FILTERS: tuple[Callable[..., object], ...] = (
    slots.changed,
    html_filters.marked_field, phrases.named_field, digest_phrases.brief_facts,
    formulas.typeset, highlight.mark, highlight.first_sentences, highlight.shorten,
    html_filters.marked_because, html_filters.marked_byline, html_filters.marked_excerpt,
    text_part.wrap, text_part.underline, text_part.one_line, text_part.text_byline, text_part.text_because,
    text_part.text_excerpt,
    safe_url, require_own_url, isolated,
    phrases.below, phrases.beyond, digest_phrases.update_label, phrases.byline, phrases.clock, phrases.comes_at, phrases.count_of,
    arrivals.arrival_time, coverage.coverage_line, digest_phrases.excerpt,
    markdown.mail_note, text_part.note_lines,
    phrases.how_often, phrases.is_more_than, reasons.listed_topics, reasons.marked_words, reasons.quoted_words, digest_phrases.nothing_line,
    phrases.say, digest_phrases.subject_topic, digest_phrases.best_line, phrases.thousands, phrases.topic_title,
    dates.long_date, dates.moment, dates.plain_date, dates.lang_span,
    dates.short_date,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Templates:
    """The plain templates; `filters` are our own, `cards` those filters that show papers."""

    environment: Environment
    filters: Mapping[str, Callable[..., object]]
    cards: Mapping[str, CardKind]
    whole_cards: WholeCards
    openings: Openings


def load_templates(template_dir: Path, own_dir: Path | None) -> Templates:
    """Load templates from `template_dir`; a file of the same name in `own_dir` replaces ours."""
    environment = Environment(
        loader=FileSystemLoader([own_dir, template_dir] if own_dir else template_dir),
        autoescape=is_escaped,  # noqa: S701 - it escapes all but the text part
        undefined=StrictUndefined,
        finalize=sanitize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = {function.__name__: function for function in _FILTERS}
    environment.filters.update(filters)
    openings = Openings(environment)
    templates = Templates(environment, filters, _CARDS, WholeCards(environment), openings)
    for name, kind in _CARDS.items():
        place = templates.whole_cards.placer(kind)
        write = kind.writer(place, openings, openings.place_heading(kind))
        environment.filters[name] = cards_filter(write)
    return templates


_CARDS = {
    "html_cards": CardKind("_base/paper.mjml", "card"),
    "html_briefs": CardKind("_base/brief.mjml", "brief", has_headings=True),
    "text_cards": CardKind("_base/paper.txt", "card"),
    "text_briefs": CardKind("_base/brief.txt", "brief", has_headings=True),
}


def is_escaped(name: str | None) -> bool:
    """Return whether a template writes HTML."""
    # Jinja's `select_autoescape` covers .html and .xml only; .mjml would stay unescaped.
    return name is None or not name.endswith(".txt")
