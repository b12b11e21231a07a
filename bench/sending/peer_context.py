"""Template contexts of digests for the peer of `send.py`, as finished strings.

The costly part of rendering is done here, in the peer's favour: texts are shortened, words marked,
markup escaped, lines wrapped and links signed.
"""

from collections.abc import Iterator
from typing import Any

from service.messages.contexts.digest import DigestContext, DigestPaper
from service.messages.rendering import digest_phrases, html_filters, text_part
from service.presentation import dates, highlight, phrases, reasons


def make_context(mail: DigestContext) -> dict[str, Any]:
    """Return the template context of one subscriber's digest, as finished strings."""
    nothing = "" if mail.total else digest_phrases.nothing_line(mail)
    topics = reasons.listed_topics(mail.topics)
    noun = "topics" if len(mail.topics) > 1 else "topic"
    since = dates.plain_date(mail.subscribed_on, mail.locale)
    often = phrases.how_often(mail.cadence)
    heading = f"{since} with {noun} {topics}" if topics else since
    first = [highlight.shorten(one.paper.title, 90) for one in mail.papers[:3]]
    links = mail.links
    return {
        "preview": nothing or " · ".join(first),
        "nothing": nothing,
        "nothing_text": text_part.wrap(nothing),
        "total": phrases.count_of(mail.total, "paper"),
        "groups": list(_groups(mail)),
        "cut": phrases.count_of(mail.cut_count, "more paper") if mail.cut_count else "",
        "everything": f"{links.browser}?all=1",
        "subscribed_on": since,
        "noun": noun,
        "topics": topics,
        "asked_text": text_part.wrap(f"You asked for this on {heading}. It comes {often}."),
        "preferences": links.preferences,
        "pause": links.pause,
        "browser": links.browser,
        "unsubscribe": links.unsubscribe,
    }


def _groups(mail: DigestContext) -> Iterator[dict[str, Any]]:
    number = 0
    for group in mail.groups:
        title = phrases.topic_title(group.title)
        papers: list[dict[str, Any]] = []
        for entry in group.papers:
            number += 1
            words = _words(entry, mail.excerpt_characters)
            papers.append(
                {"number": str(number)} | words | _links(entry, mail.links.change, group.topic_id)
            )
        yield {"title": title, "underline": text_part.underline(title), "papers": papers}


def _words(entry: DigestPaper, limit: int) -> dict[str, str]:
    """Return the texts of a card, as markup and as lines of the text part."""
    paper = entry.paper
    wanted = reasons.marked_words(entry.reasons)
    title, excerpt = highlight.shorten(paper.title, 300), digest_phrases.excerpt(entry, limit)
    return {
        "id": str(paper.id),
        "title": highlight.mark(title, wanted),
        "title_text": text_part.wrap(title, "    ").lstrip(),
        "byline": html_filters.marked_byline(entry),
        "byline_text": text_part.wrap(text_part.text_byline(entry)),
        "excerpt": highlight.mark(excerpt, wanted),
        "excerpt_text": text_part.wrap(excerpt),
        "why": html_filters.marked_because(entry.reasons),
        "why_text": text_part.wrap(text_part.text_because(entry.reasons)),
    }


def _links(entry: DigestPaper, change: str, topic_id: int) -> dict[str, Any]:
    links = entry.links
    topic = f"&topic={topic_id}" if topic_id else ""
    return {
        "abstract": links.abstract,
        "pdf": links.pdf,
        "keep": f"{change}{links.keep}",
        "more": f"{change}{links.more}{topic}",
    }
