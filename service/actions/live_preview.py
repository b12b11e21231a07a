"""What a topic would have brought, fast enough to be asked for while it is typed.

The last 30 days are kept as sets of papers in each process; what a clause finds is asked of
Postgres once and kept until a paper changes. So a preview says exactly what the archive would say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from threading import Lock, Thread
from time import monotonic
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA
from rapidfuzz.fuzz import token_sort_ratio
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from service.actions.likes import topic_condition
from service.actions.topics import TopicPreview, preview_topic, read_topic
from service.config import Settings
from service.domain.categories import is_foreign
from service.domain.category_names import CATEGORY_NAMES
from service.domain.matching import meaningless_leaves
from service.domain.narrowing import (
    Companions,
    Suggestion,
    choose,
    name_categories,
    narrow,
    plain_words,
    respell,
    widen,
)
from service.domain.paper_sets import Bits, Lexemes
from service.domain.query import (
    Query,
    QueryError,
    canonical,
    leaf_texts,
    parse_query,
    wants_replaced,
)
from service.domain.query_tree import (
    And,
    Announced,
    Author,
    Category,
    Leaf,
    Not,
    Or,
    Text,
    fold_words,
    iterate_leaves,
)
from service.domain.recent_papers import RecentIndex
from service.logs import get_logger
from service.store.engine import transaction
from service.store.reading import get_papers
from service.store.recent import (
    find_ids,
    freeze_view,
    iterate_common_words,
    limit_time,
    prefer_indexes,
    read_fingerprint,
    read_recent,
    read_snapshot,
)
from service.store.topic_sql import fetch_lexemes

DAYS: Final = 30
EXAMPLES: Final = 10
# A preview is one of many while somebody types; a topic that needs longer gets a polite answer.
TIME_LIMIT_MS: Final = 2_000
# Past this, one statement for the whole topic costs less than one for each of its clauses.
_MOST_SINGLE_LOOKUPS = 12
_MOST_KEPT = 512
# A word of fewer than one in so many papers is found by its index at once.
_COMMON_PART = 40
# Reading the last days anew may take this share of the time; in between Postgres is asked plainly.
_REFRESH_SHARE = 0.05
# A day that brings more than this asks for a narrower topic.
_MANY_A_DAY = 20
_NEAR_NAME, _NEAR_WORD = 86, 2
_QUERY_CANCELED = "57014"
# Their answer follows from a paper's own row, which the fingerprint watches; others' may not.
_KEPT_LEAVES = (Text, Author, Category)

log = get_logger(__name__)


class TooBroad(Exception):
    """The preview took too long; the topic itself is fine."""


@dataclass(frozen=True, slots=True)
class LivePreview:
    """What a topic would have brought, and what else it might be.

    `days_known` is on how many days of the span anything was announced here. `narrower` is empty
    unless the topic brings many papers a day, `instead` unless it brings none or is the name of a
    category.
    """

    matched: TopicPreview
    days_known: int
    narrower: tuple[Suggestion, ...] = ()
    instead: tuple[Suggestion, ...] = ()


@dataclass(slots=True)
class _Kept:
    """One reading of the last days, and what clauses found in it, by their canonical text."""

    span: tuple[date, date]
    fingerprint: tuple[int, int]
    index: RecentIndex
    answers: dict[str, Bits]


class LivePreviews:
    """The previews of one process. Threads share it."""

    def __init__(
        self, sessions: sessionmaker[Session], settings: Settings, many_papers: int = 4_000
    ) -> None:
        """Where the span holds `many_papers`, common words are learned beside the requests."""
        self._sessions = sessions
        self._settings = settings
        self._many_papers = many_papers
        self._kept: _Kept | None = None
        self._snapshot = ""
        self._reading = Lock()
        self._rests_until = 0.0

    def preview(self, session: Session, text: str, until: date) -> LivePreview:
        """What `text` would have brought in the 30 days up to and including `until`.

        `session` must be fresh: its transaction is made to see one state of the store, and to
        read only. Raises `TopicError`, and `TooBroad` for what takes more than two seconds.
        """
        try:
            freeze_view(session)
            limit_time(session, TIME_LIMIT_MS)
            prefer_indexes(session)
            query = read_topic(session, text)
            kept = self._keep_up(session, (until - timedelta(days=DAYS - 1), until))
            if kept is None or wants_replaced(query):
                matched = preview_topic(session, self._settings, text, until, DAYS, EXAMPLES)
                return LivePreview(matched, sum(1 for _, n in matched.per_day if n))
            return _Looking(session, self._settings, kept).preview(text, query)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") == _QUERY_CANCELED:
                raise TooBroad from error
            raise

    def _keep_up(self, session: Session, span: tuple[date, date]) -> _Kept | None:
        """The last days as this transaction sees them; None while they are better not read anew."""
        snapshot = read_snapshot(session)
        kept = self._kept
        if kept and kept.span == span and snapshot == self._snapshot:
            return kept
        fingerprint = read_fingerprint(session, *span)
        if kept is None or (kept.span, kept.fingerprint) != (span, fingerprint):
            kept = self._read_anew(session, span, fingerprint)
        if kept is not None:
            self._snapshot = snapshot
        return kept

    def _read_anew(
        self, session: Session, span: tuple[date, date], fingerprint: tuple[int, int]
    ) -> _Kept | None:
        with self._reading:
            kept = self._kept
            if kept and (kept.span, kept.fingerprint) == (span, fingerprint):
                return kept
            started = monotonic()
            if started < self._rests_until:
                return None
            kept = _Kept(span, fingerprint, RecentIndex(read_recent(session, *span)), {})
            self._kept = kept
            took = monotonic() - started
            self._rests_until = monotonic() + took / _REFRESH_SHARE
        if len(kept.index.ids) >= self._many_papers:
            # A word in half of all papers takes Postgres a tenth of a second, and all of them
            # together some seconds: too long for the request that came first.
            Thread(target=self._learn_common_words, args=(kept,), daemon=True).start()
        return kept

    def _learn_common_words(self, kept: _Kept) -> None:
        fewest = max(1, len(kept.index.ids) // _COMMON_PART)
        try:
            with transaction(self._sessions) as session:
                freeze_view(session)
                # What was committed since the span was read would not fit what is kept of it.
                if read_fingerprint(session, *kept.span) == kept.fingerprint:
                    rows = iterate_common_words(session, *kept.span, fewest)
                    kept.index.learn_words({word: kept.index.bits_of(ids) for word, ids in rows})
                    kept.index.learn_spellings()
        except SQLAlchemyError as error:
            log.warning("preview.words", reason=type(error).__name__)


class _Looking:
    """One request's look at what is kept."""

    def __init__(self, session: Session, settings: Settings, kept: _Kept) -> None:
        self._settings = settings
        self._session = session
        self._index = kept.index
        self._answers = kept.answers
        self._span = kept.span
        self._lexicon: dict[str, Lexemes] = {}

    def preview(self, text: str, query: Query) -> LivePreview:
        self._learn([query])
        papers = self._find(query)
        preview = LivePreview(self._describe(papers), self._index.days_known)
        total = papers.bit_count()
        if total > _MANY_A_DAY * max(1, self._index.days_known):
            return replace(preview, narrower=self._narrow(text, query, papers))
        if not self._index.days_known:
            return preview
        return replace(preview, instead=self._look_around(query, is_found=total > 0))

    def _describe(self, papers: Bits) -> TopicPreview:
        since, until = self._span
        counts = self._index.count_by_day(papers)
        days = [since + timedelta(days=n) for n in range((until - since).days + 1)]
        ids = self._index.ids_of(papers, EXAMPLES)
        newest = get_papers(self._session, ids)
        return TopicPreview(
            tuple((on, counts.get(on, 0)) for on in days),
            tuple(newest[paper_id] for paper_id in ids),
        )

    def _narrow(self, text: str, query: Query, papers: Bits) -> tuple[Suggestion, ...]:
        total = papers.bit_count()
        companions = Companions(
            self._index.count_by_category(papers), self._index.count_title_words(papers), total
        )
        return choose(self._count(narrow(text, query, companions), papers), total)

    def _look_around(self, query: Query, *, is_found: bool) -> tuple[Suggestion, ...]:
        """What the reader may have meant: by a category's name, or by what found nothing."""
        suggested = name_categories(_closest_categories(plain_words(query)))
        if not is_found:
            respelled = respell(query, lambda leaf: bool(self._look_up(leaf)), self._closest_words)
            suggested = [*respelled, *suggested, *widen(query)]
        if not suggested:
            return ()
        distinct = list({each.topic: each for each in suggested}.values())
        everything = self._index.everything
        counted = self._count(distinct, everything)
        return tuple(each for each in counted if each.count)[:4]

    def _closest_words(self, word: str) -> list[str]:
        """The corpus' own words that differ from `word` by a letter or two, the likeliest first."""
        known = self._index.title_words
        distance = 1 if len(word) < 5 else _NEAR_WORD
        near = process.extract(
            word, known.keys(), scorer=OSA.distance, score_cutoff=distance, limit=20
        )
        ranked = sorted((far, -known[found], found) for found, far, _ in near)
        return [found for far, _, found in ranked if far][:2]

    def _count(self, suggestions: list[Suggestion], within: Bits) -> list[Suggestion]:
        """The suggestions with how many papers each brings, without those that cannot be used."""
        usable: list[tuple[Suggestion, Query]] = []
        for each in suggestions:
            try:
                usable.append((each, parse_query(each.topic)))
            except QueryError:
                continue  # a reader's topic at its longest has no room for one more clause
        self._learn([query for _, query in usable])
        return [
            replace(each, count=(within & self._find(query)).bit_count())
            for each, query in usable
            if not meaningless_leaves(query, self._lexicon)
        ]

    def _learn(self, queries: list[Query]) -> None:
        """Ask for the lexemes of all texts at once."""
        texts = {text for query in queries for text in leaf_texts(query)} - self._lexicon.keys()
        if texts:
            self._lexicon.update(fetch_lexemes(self._session, texts))

    def _find(self, query: Query) -> Bits:
        # What counts as a cross-list hangs on the whole topic, so its parts cannot be asked alone.
        is_whole = any(isinstance(leaf, Announced) for leaf in iterate_leaves(query))
        if is_whole or len(self._unknown(query)) > _MOST_SINGLE_LOOKUPS:
            return self._ask(query)
        return self._keep(query, self._index.find(query, self._known, self._look_up))

    def _unknown(self, query: Query) -> set[Leaf]:
        """The leaves that Postgres would have to be asked about."""
        if self._known(query) is not None:
            return set()
        if isinstance(query, And | Or):
            return {leaf for each in query.operands for leaf in self._unknown(each)}
        return self._unknown(query.operand) if isinstance(query, Not) else {query}

    def _known(self, query: Query) -> Bits | None:
        answer = self._answers.get(canonical(query))
        if answer is not None or isinstance(query, And | Or | Not):
            return answer
        lexemes = self._lexicon[fold_words(query.text)] if isinstance(query, Text) else {}
        return self._index.find_here(query, lexemes)

    def _look_up(self, leaf: Leaf) -> Bits:
        known = self._known(leaf)
        return self._ask(leaf) if known is None else known

    def _ask(self, query: Query) -> Bits:
        found = find_ids(
            self._session, topic_condition(self._session, self._settings, query), *self._span
        )
        return self._keep(query, self._index.bits_of(found))

    def _keep(self, query: Query, found: Bits) -> Bits:
        if all(isinstance(leaf, _KEPT_LEAVES) for leaf in iterate_leaves(query)):
            if len(self._answers) >= _MOST_KEPT:
                # All at once: to pick the oldest, threads that share this would have to wait.
                self._answers.clear()
            self._answers[canonical(query)] = found
        return found


def _closest_categories(words: str) -> list[str]:
    """The category whose name these words nearly are, if any."""
    names = {code: name.lower() for code, name in CATEGORY_NAMES.items() if not is_foreign(code)}
    best = process.extractOne(words, names, scorer=token_sort_ratio, score_cutoff=_NEAR_NAME)
    return [best[2]] if best else []
