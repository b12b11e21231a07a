"""Validation and preview of topics as subscribers write them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain

from sqlalchemy.orm import Session

from service.papers.domain.types import PaperView
from service.papers.store.read import announced_day, count_by_day, find_paper_ids, find_papers
from service.platform.settings.settings import Settings
from service.similarity.availability import NOT_HERE, is_available
from service.similarity.domain.vectors import like_keys
from service.topics.domain.language import (
    Query,
    QueryError,
    canonical,
    leaf_texts,
    like_leaves,
    parse_query,
    wants_replaced,
)
from service.topics.domain.matching.compiled import Lexicon
from service.topics.domain.matching.paper_index import meaningless_leaves
from service.topics.domain.query_limits import check_size
from service.topics.like_clauses import topic_condition
from service.topics.store.to_sql import fetch_lexemes

MOST_TOPICS = 20


class TopicError(ValueError):
    """A topic that cannot be used: its text, and the position of the error (0-based) or None."""

    def __init__(self, topic: str, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.topic = topic
        self.position = position


@dataclass(frozen=True, slots=True)
class TopicPreview:
    """Papers a topic would have brought: how many on each day of the span, and the newest ones."""

    per_day: tuple[tuple[date, int], ...]
    newest: tuple[PaperView, ...]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.per_day)


def validate_topic(session: Session, text: str, *, is_public: bool = True) -> Query:
    """Parse a topic and check its words with Postgres; raises `TopicError` with the position.

    A public one, from a visitor or subscriber, has the limits of `query_limits`, too.
    """
    return read_topic(session, text, is_public=is_public)[0]


def read_topic(session: Session, text: str, *, is_public: bool = True) -> tuple[Query, Lexicon]:
    """Return what `validate_topic` returns, with the lexemes of its words."""
    query = _parse(text, is_public=is_public)
    lexicon = fetch_lexemes(session, leaf_texts(query))
    _check_words(session, text, query, lexicon)
    return query, lexicon


def _parse(text: str, *, is_public: bool) -> Query:
    try:
        query = parse_query(text)
        if is_public:
            check_size(text, query)
    except QueryError as error:
        raise TopicError(text, str(error), error.position) from error
    return query


def _check_words(
    session: Session, text: str, query: Query, lexicon: Lexicon, *, is_saved: bool = False
) -> None:
    empty = sorted({leaf.text for leaf in meaningless_leaves(query, lexicon)})
    if empty:
        words = ", ".join(f"“{word}”" for word in empty)
        message = f"{words} is too common a word to search for; add what it is about."
        raise TopicError(text, message, max(0, text.casefold().find(empty[0].casefold())))
    likes = like_leaves(query).values()
    if likes and not is_saved and not is_available(session):
        raise TopicError(text, NOT_HERE, max(0, text.casefold().find("like:")))
    keys = [key for leaf in likes if leaf.is_key for key in like_keys(leaf.text)]
    known = find_paper_ids(session, keys)
    for key in keys:
        if key not in known:
            message = f'There is no paper {key} here yet; describe it: like:"some words".'
            raise TopicError(text, message, max(0, text.find(key.partition(":")[2])))


def check_topics(
    session: Session, texts: Iterable[str], saved: Collection[str] = (), *, is_public: bool = True
) -> dict[str, str | TopicError]:
    """Return the canonical form of each distinct text, or what is wrong with it.

    One query has the words of all of them. A text in `saved` is kept with its `like:` clause, though
    texts can no longer be compared, and with more clauses than a public one may have: other changes
    of its subscriber must not fail for it.
    """
    parsed: dict[str, Query | TopicError] = {}
    for text in dict.fromkeys(texts):
        try:
            parsed[text] = _parse(text, is_public=is_public and text not in saved)
        except TopicError as error:
            parsed[text] = error
    queries = [query for query in parsed.values() if not isinstance(query, TopicError)]
    lexicon = fetch_lexemes(session, chain.from_iterable(map(leaf_texts, queries)))
    return {
        text: _canonical_or_error(session, text, query, lexicon, is_saved=text in saved)
        for text, query in parsed.items()
    }


def _canonical_or_error(
    session: Session, text: str, query: Query | TopicError, lexicon: Lexicon, *, is_saved: bool
) -> str | TopicError:
    if isinstance(query, TopicError):
        return query
    try:
        _check_words(session, text, query, lexicon, is_saved=is_saved)
    except TopicError as error:
        return error
    return canonical(query)


def preview_topic(
    session: Session, settings: Settings, text: str, until: date, days: int = 30, limit: int = 10
) -> TopicPreview:
    """Return what the topic would have brought in the `days` days up to and including `until`.

    A replaced paper, where the topic wants those, counts on the day of its last replacement.
    """
    query = validate_topic(session, text, is_public=False)
    condition = topic_condition(session, settings, query)
    since = until - timedelta(days=days - 1)
    on = announced_day(is_replaced=wants_replaced(query))
    counts = count_by_day(session, condition, (since, until), on)
    newest = find_papers(session, condition, (since, until), limit, on)
    every_day = (since + timedelta(days=n) for n in range(days))
    return TopicPreview(tuple((on, counts.get(on, 0)) for on in every_day), tuple(newest))
