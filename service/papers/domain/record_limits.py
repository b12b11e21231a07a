"""Limits of every field of a paper that a source states, applied where a source makes its records.

A limit is far above what honest sources send (arXiv's longest abstract has 1,920 characters, its
longest list of authors 5,154) and far below what PostgreSQL's indexes and text search take. A record
whose identity or title is absurd is refused; any other absurd value is left out and named.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from service.papers.domain.types import ParsedAnnouncement, Signals

# What code raises over absurd input: a fault of the entry, not of the database or the network.
FAULTS: Final = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip

MOST_ENTRIES: Final = 10_000
MOST_AUTHORS: Final = 10_000
MOST_CATEGORIES: Final = 100
MOST_KEYWORDS: Final = 100

IDENTIFIER: Final = 500
TITLE: Final = 3_000
ABSTRACT: Final = 100_000
AUTHOR: Final = 300
CATEGORY: Final = 100
DOI: Final = 500
# Also details of events, which are unique: an index takes 2,700 bytes.
JOURNAL: Final = 600
CODE_URL: Final = 600
COMMENT: Final = 5_000
LICENSE: Final = 500
URL: Final = 2_000
SUMMARY: Final = 20_000
# All authors in one field, before it is split.
AUTHORS_TEXT: Final = 1_000_000

_LARGEST: Final = 2**31 - 1
_LAST_VERSION: Final = 9_999
_YEARS: Final = range(1900, 2101)
# What a parser returns for a date that is given and is none; no paper is so old.
NO_DATE: Final = datetime.min.replace(tzinfo=UTC)
# Stands for a character that no document may hold, where a parser had to replace one.
NO_CHARACTER: Final = "\U000f0000"
# Stands for a byte that is no text: what it was, nobody can know, so its record is not stored.
NO_TEXT: Final = "\U000f0001"
# NUL and lone surrogates, which PostgreSQL refuses; other control characters, which mails refuse.
_UNSTORABLE = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff{NO_CHARACTER}]")


def drop_unstorable(text: str) -> str:
    """Return a text without the characters that no database or mail takes."""
    return _UNSTORABLE.sub("", text)


class NotText(ValueError):
    """A record with a byte that is no text in its document's encoding."""


def limit_record(one: ParsedAnnouncement) -> ParsedAnnouncement:
    """Return a record whose every value can be stored; `refused` names what was left out.

    Raises ValueError, with the reason, where identifier, version or title is absurd, and NotText.
    """
    _check_identity(one)
    record = _Limits()
    limited = replace(
        one,
        title=record.text("title", one.title, TITLE),
        abstract=record.text("abstract", one.abstract, ABSTRACT),
        authors=record.texts("author", one.authors, AUTHOR, MOST_AUTHORS),
        categories=record.texts("category", one.categories, CATEGORY, MOST_CATEGORIES),
        primary_category=record.text("category", one.primary_category or "", CATEGORY) or None,
        url=record.text("link", one.url, URL),
        license=record.text("license", one.license, LICENSE),
        doi=record.text("DOI", one.doi, DOI),
        journal_ref=record.text("journal", one.journal_ref, JOURNAL),
        comment=record.text("comment", one.comment, COMMENT),
        published_at=record.date("date", one.published_at),
        signals=_limit_signals(record, one.signals) if one.signals else None,
    )
    return replace(limited, refused=tuple(record.refused.values()))


def _check_identity(one: ParsedAnnouncement) -> None:
    name = f"{one.identifier[:60]}…" if len(one.identifier) > IDENTIFIER else one.identifier
    if len(one.identifier) > IDENTIFIER or len(one.key) > 2 * IDENTIFIER:
        raise ValueError(f"{name} is an identifier of {len(one.identifier):,} characters")
    if _UNSTORABLE.search(one.key + one.identifier):
        raise ValueError(f"{name} is an identifier with characters that no text has")
    if not 1 <= one.version <= _LAST_VERSION:
        raise ValueError(f"{name} has a version {str(one.version)[:20]}")
    if len(one.title) > TITLE:
        raise ValueError(f"{name} has a title of {len(one.title):,} characters")
    if not drop_unstorable(one.title).strip():
        raise ValueError(f"{name} has no title")


def _limit_signals(record: "_Limits", signals: Signals) -> Signals:
    stars = signals.github_stars
    return Signals(
        upvotes=record.count("upvotes", signals.upvotes) or 0,
        comments=record.count("comments", signals.comments) or 0,
        github_stars=None if stars is None else record.count("stars", stars),
        github_url=record.text("code link", signals.github_url, CODE_URL),
        summary=record.text("summary", signals.summary, SUMMARY),
        keywords=record.texts("keyword", signals.keywords, CATEGORY, MOST_KEYWORDS),
    )


@dataclass(slots=True)
class _Limits:
    """The values left out so far, each kind once: a record can hold thousands."""

    refused: dict[str, str] = field(default_factory=dict)

    def text(self, what: str, value: str, longest: int) -> str:
        if NO_TEXT in value:
            raise NotText(f"{what} with a byte that is no text")
        if len(value) > longest:
            self.refused.setdefault(what, f"{what} of {len(value):,} characters")
            return ""
        clean = drop_unstorable(value)
        if clean != value:
            self.refused.setdefault(what, f"{what} with characters that no text has")
        return clean.strip() if clean != value else value

    def texts(self, what: str, values: Sequence[str], longest: int, most: int) -> tuple[str, ...]:
        if len(values) > most:
            self.refused[what] = f"{what} number {most + 1:,} and later, of {len(values):,}"
        kept = (self.text(what, value, longest) for value in values[:most])
        return tuple(value for value in kept if value)

    def count(self, what: str, value: int) -> int | None:
        if 0 <= value <= _LARGEST:
            return value
        self.refused[what] = f"{what} of over {_LARGEST:,}" if value > 0 else f"{what} below 0"
        return None

    def date(self, what: str, value: datetime | None) -> datetime | None:
        if value is None or value.year in _YEARS:
            return value
        self.refused[what] = f"{what} that is none"
        return None
