"""The templates as Jinja sees them: where they lie, what is escaped, what they may call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from service.mail import calendars, changing, marking, markup, plain, sentences
from service.mail.cards import Cards
from service.mail.opened import passes_open
from service.mail.safety import finalize, isolated, own_url, safe_url

_FILTERS: tuple[Callable[..., object], ...] = (
    changing.changed,
    marking.mark, marking.first_sentences, marking.shorten,
    markup.marked_because, markup.marked_byline,
    plain.wrap, plain.underline, plain.one_line, plain.said_byline, plain.said_because,
    safe_url, own_url, isolated,
    sentences.below, sentences.beyond, sentences.befell, sentences.byline, sentences.clock, sentences.count_of,
    sentences.coverage_line, sentences.excerpt,
    sentences.how_often, sentences.is_more_than, sentences.listed_topics, sentences.marked_words, sentences.nothing_line,
    sentences.say, sentences.subject_topic, sentences.thousands, sentences.topic_title,
    calendars.long_date, calendars.moment, calendars.plain_date, calendars.said_in,
    calendars.short_date,
)  # fmt: skip


def make_environment(template_dir: Path, own_dir: Path | None) -> Environment:
    """Templates of `template_dir`; a file of the same name in `own_dir` is taken instead."""
    folders = [own_dir, template_dir] if own_dir else [template_dir]
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=_is_escaped,  # noqa: S701 - it escapes all but the text twin
        undefined=StrictUndefined,
        finalize=finalize,
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
