"""From a context to a mail: Jinja writes MJML and text, MJML becomes HTML that mail programs read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import mjml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from service.domain.types import DeliveryKind
from service.mail import marking, plain, sentences
from service.mail.contexts import (
    AlreadySubscribedContext,
    ConfirmationContext,
    DigestContext,
    DigestGroup,
    FarewellContext,
    MailContext,
    WelcomeContext,
)
from service.mail.encoding import wire_size
from service.mail.errors import MailTooLarge, RenderError
from service.mail.safety import finalize, own_url, safe_url

TEMPLATE_DIR = Path(__file__).resolve().parents[2] / "email_templates"
DEFAULT_MAX_BYTES = 90_000

CONTEXT_TYPES: dict[DeliveryKind, type[MailContext]] = {
    DeliveryKind.DIGEST: DigestContext,
    DeliveryKind.CONFIRMATION: ConfirmationContext,
    DeliveryKind.ALREADY_SUBSCRIBED: AlreadySubscribedContext,
    DeliveryKind.WELCOME: WelcomeContext,
    DeliveryKind.FAREWELL: FarewellContext,
}

# About 2 kB each.
_CARDS_KEPT = 4_096

# Excerpts get shorter in these steps before the first paper is taken out.
_EXCERPT_STEPS = (220, 120)
_BLANK_LINES = re.compile(r"\n{4,}")

_FILTERS: tuple[Callable[..., object], ...] = (
    marking.mark, marking.first_sentences, marking.shorten,
    plain.wrap, plain.numbered, plain.one_line, plain.said_byline, plain.said_because,
    safe_url, own_url,
    sentences.because, sentences.befell, sentences.byline, sentences.clock, sentences.count_of,
    sentences.coverage_line, sentences.facts, sentences.fields, sentences.how_often,
    sentences.listed_topics, sentences.long_date, sentences.marked_words, sentences.plain_date,
    sentences.short_date, sentences.subject_topic, sentences.topic_title,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """What a mail says, before headers: a one-line subject, and the same content twice."""

    subject: str
    html: str
    text: str


class Renderer:
    """The compiled templates of one process. Rendering changes nothing in it: threads share one."""

    def __init__(self, template_dir: Path | None = None) -> None:
        self._environment = _environment(template_dir or TEMPLATE_DIR)

    def render(self, kind: DeliveryKind, context: MailContext) -> RenderedMail:
        """The mail of `kind`, of whatever size. Raises `RenderError`, one line without addresses."""
        if type(context) is not CONTEXT_TYPES[kind]:
            raise RenderError(f"the {kind} email cannot be made of a {type(context).__name__}")
        try:
            subject = " ".join(self._write(kind, "subject.txt", context).split())
            markup = self._write(kind, "body.mjml", context, subject)
            return RenderedMail(
                subject=subject,
                html=_compact(mjml.mjml2html(markup)),
                text=_tidy(self._write(kind, "body.txt", context, subject)),
            )
        except RenderError:
            raise
        except (TemplateError, ValueError) as error:
            raise RenderError(f"the {kind} email cannot be rendered: {error}") from error

    def fit(self, context: DigestContext, max_bytes: int = DEFAULT_MAX_BYTES) -> RenderedMail:
        """The digest as a message of at most `max_bytes`, both parts encoded and headers counted.

        Gmail hides what comes after 102 kB, and the unsubscribe link comes last. So first the
        excerpts get shorter, then papers move behind "and 23 more", the last of each topic
        first. The same context always gives the same mail. Raises `MailTooLarge` where even a
        mail without papers is too large.
        """
        shorter = min(context.excerpt_characters, _EXCERPT_STEPS[-1])
        for limit in (context.excerpt_characters, *_EXCERPT_STEPS):
            if limit <= context.excerpt_characters:
                mail = self._within(replace(context, excerpt_characters=limit), max_bytes)
                if mail:
                    return mail
        return self._with_fewer_papers(replace(context, excerpt_characters=shorter), max_bytes)

    def _with_fewer_papers(self, context: DigestContext, max_bytes: int) -> RenderedMail:
        best = self._within(keep_first(context, 0), max_bytes)
        if best is None:
            raise MailTooLarge(f"a digest without papers is larger than {max_bytes} bytes")
        fits, too_many = 0, len(context.papers)
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            mail = self._within(keep_first(context, middle), max_bytes)
            if mail:
                best, fits = mail, middle
            else:
                too_many = middle
        return best

    def _within(self, context: DigestContext, max_bytes: int) -> RenderedMail | None:
        mail = self.render(DeliveryKind.DIGEST, context)
        return mail if wire_size(mail.text, mail.html) <= max_bytes else None

    def _write(self, kind: DeliveryKind, name: str, context: MailContext, subject: str = "") -> str:
        template = self._environment.get_template(f"{kind}/{name}")
        return template.render(mail=context, subject=subject)


def keep_first(context: DigestContext, count: int) -> DigestContext:
    """`context` with `count` papers, the others counted as cut.

    The best of every topic stay before the second best of any, so that no topic disappears while
    another shows ten papers.
    """
    places = [
        (rank, group)
        for group, value in enumerate(context.groups)
        for rank in range(len(value.papers))
    ]
    kept = [group for _, group in sorted(places)[:count]]
    groups = tuple(
        DigestGroup(title=value.title, papers=value.papers[: kept.count(group)])
        for group, value in enumerate(context.groups)
        if group in kept
    )
    return replace(context, groups=groups, cut_count=context.total - len(kept))


def _environment(template_dir: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(template_dir),
        autoescape=_is_escaped,  # noqa: S701 - it escapes all but the text twin
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    environment.filters["html_card"] = _cached_card(environment, "_base/paper.mjml")
    environment.filters["text_card"] = _cached_card(environment, "_base/paper.txt")
    return environment


def _cached_card(environment: Environment, template: str) -> Callable[..., str]:
    # One paper under one topic looks the same to every reader, and a worker sends thousands of
    # mails in a row about the same papers: this makes a digest of 25 papers four times cheaper.
    card: Callable[..., str] = vars(environment.get_template(template).module)["card"]
    return lru_cache(maxsize=_CARDS_KEPT)(card)


def _is_escaped(name: str | None) -> bool:
    # Jinja's own default knows .html and .xml; it would leave .mjml open to any title.
    return name is None or not name.endswith(".txt")


def _compact(html: str) -> str:
    # Templates are written in lines for people; mail programs count the bytes.
    return re.sub(r"\n\s*", "\n", html)


def _tidy(text: str) -> str:
    lines = (line.rstrip() for line in text.strip().splitlines())
    return _BLANK_LINES.sub("\n\n\n", "\n".join(lines)) + "\n"
