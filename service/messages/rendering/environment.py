"""The templates as Jinja sees them: where they lie, what is escaped, what they may call."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from service.messages.rendering import digest_phrases, html_filters, slots, text_part
from service.messages.rendering.fast_path.paper_cards import Cards
from service.messages.rendering.fast_path.symbolic import passes_open
from service.messages.rendering.slots import sanitize
from service.presentation import coverage, dates, highlight, phrases, reasons
from service.presentation.sanitize import isolated, require_own_url, safe_url

_FILTERS: tuple[Callable[..., object], ...] = (
    slots.changed,
    highlight.mark, highlight.first_sentences, highlight.shorten,
    html_filters.marked_because, html_filters.marked_byline,
    text_part.wrap, text_part.underline, text_part.one_line, text_part.said_byline, text_part.said_because,
    safe_url, require_own_url, isolated,
    phrases.below, phrases.beyond, digest_phrases.update_label, phrases.byline, phrases.clock, phrases.count_of,
    coverage.coverage_line, digest_phrases.excerpt,
    phrases.how_often, phrases.is_more_than, reasons.listed_topics, reasons.marked_words, digest_phrases.nothing_line,
    phrases.say, digest_phrases.subject_topic, phrases.thousands, phrases.topic_title,
    dates.long_date, dates.moment, dates.plain_date, dates.said_in,
    dates.short_date,
)  # fmt: skip


def make_environment(template_dir: Path, own_dir: Path | None) -> Environment:
    """Templates of `template_dir`; a file of the same name in `own_dir` is taken instead."""
    folders = [own_dir, template_dir] if own_dir else [template_dir]
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=_is_escaped,  # noqa: S701 - it escapes all but the text twin
        undefined=StrictUndefined,
        finalize=sanitize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = {function.__name__: function for function in _FILTERS}
    environment.filters.update(filters)
    cards = Cards(environment)
    # Cards are written of one paper, and nothing about it is left open.
    environment = environment.overlay()
    opened = {name: passes_open(function) for name, function in filters.items()}
    environment.filters = {**environment.filters, **opened}
    environment.filters["html_cards"] = cards.filter_for(
        "_base/paper.mjml", "card", marks_last=True
    )
    environment.filters["html_briefs"] = cards.filter_for("_base/paper.mjml", "brief")
    environment.filters["text_cards"] = cards.filter_for(
        "_base/paper.txt", "card", is_numbered=True
    )
    return environment


def _is_escaped(name: str | None) -> bool:
    # Jinja's own default knows .html and .xml; it would leave .mjml open to any title.
    return name is None or not name.endswith(".txt")
