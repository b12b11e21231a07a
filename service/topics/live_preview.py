"""What a topic would have brought, fast enough to be asked for while it is typed.

The papers of the last 30 days are kept as sets in each process and follow the store by what changed
in it; what a clause finds is asked of Postgres once and kept until then. So a preview says exactly
what the archive would say, of a paper that came a moment ago too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from threading import Lock, Thread
from time import monotonic
from typing import Final, TypeAlias

from rapidfuzz import process
from rapidfuzz.distance import OSA
from rapidfuzz.fuzz import token_sort_ratio
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.categories import is_foreign
from service.papers.domain.category_names import CATEGORY_NAMES
from service.papers.domain.tsvector import Lexemes
from service.papers.store.paper_changes import list_changes
from service.papers.store.read import get_papers
from service.platform.caches import register_cache
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.similarity.embeddings.vector_pool import Shelf
from service.topics.domain.language import (
    Query,
    QueryError,
    canonical,
    leaf_texts,
    parse_query,
    wants_replaced,
)
from service.topics.domain.language.canonical import normalize
from service.topics.domain.language.syntax_tree import (
    And,
    Announced,
    Author,
    Category,
    Leaf,
    Like,
    Not,
    Or,
    Prefix,
    Source,
    Text,
    fold_words,
    iterate_leaves,
)
from service.topics.domain.matching.bitsets import Bits
from service.topics.domain.matching.paper_index import meaningless_leaves
from service.topics.domain.matching.recent_index import RecentIndex
from service.topics.domain.refinements import (
    Companions,
    Suggestion,
    choose,
    name_categories,
    narrow,
    plain_words,
    respell,
    widen,
)
from service.topics.like_clauses import fill_shelf, follow_shelf, probe_on, topic_condition
from service.topics.store.recent import (
    count_recent,
    covers,
    find_ids,
    iterate_common_words,
    open_view,
    read_recent,
)
from service.topics.store.to_sql import fetch_lexemes
from service.topics.topics import TopicPreview, preview_topic, read_topic

DAYS: Final = 30
EXAMPLES: Final = 10
_READING_MS: Final = 60_000
# Past this, one statement for the whole topic costs less than one for each of its clauses.
_MOST_SINGLE_LOOKUPS = 12
# A word of fewer than one in so many papers is found by its index at once.
_COMMON_PART = 40
# Reading the last days anew may take this share of the time; in between Postgres is asked plainly.
_REFRESH_SHARE = 0.05
# What is kept is read anew past this share of papers that changed since, and past half a day, long
# before the changes that it follows are forgotten.
_MOST_WORN = 0.25
_OLDEST_SECONDS = 43_200.0
# A day that brings more than this asks for a narrower topic.
_MANY_A_DAY = 20
_NEAR_NAME, _NEAR_WORD = 86, 2
_QUERY_CANCELED = "57014"
# Their answer follows from what is watched of a paper; a trend moves without being told.
_KEPT_LEAVES = (Text, Prefix, Author, Category, Source, Announced)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PreviewLimits:
    """What one preview may cost, and how much is kept for the next."""

    # A preview is one of many while somebody types; a topic that needs longer gets a polite answer.
    time_limit_ms: int = 2_000
    # A span that holds as many papers is read beside the requests and not in one.
    many_papers: int = 1_000
    # Following costs some 40 microseconds a paper; a visitor does not wait for more than these.
    most_followed: int = 3_000
    # Answers of clauses.
    most_kept: int = 512


PREVIEW_LIMITS: Final = PreviewLimits()


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


@dataclass(frozen=True, slots=True)
class _Kept:
    """The last days in one state of the store, and what clauses found in them, by `_Key`."""

    span: tuple[date, date]
    state: str
    index: RecentIndex
    read_at: float
    shelf: Shelf | None = None
    answers: dict[_Key, Bits] = field(default_factory=dict)

    @property
    def is_worn(self) -> bool:
        is_old = monotonic() - self.read_at > _OLDEST_SECONDS
        return is_old or self.index.worn_share > _MOST_WORN


_Key: TypeAlias = tuple[str, bool]
"""The canonical text of a clause, and whether it was asked of replaced papers too."""


class LivePreviews:
    """The previews of one process. Threads share it."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: Settings,
        limits: PreviewLimits = PREVIEW_LIMITS,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._limits = limits
        self._kept: _Kept | None = None
        self._following = Lock()
        self._reading = Lock()
        self._rests_until = 0.0
        register_cache("previewed clauses", self, maximum=limits.most_kept)

    def preview(self, session: Session, text: str, until: date) -> LivePreview:
        """What `text` would have brought in the 30 days up to and including `until`.

        `session` must be fresh: its transaction is made to see one state of the store, and to
        read only. Raises `TopicError`, and `TooBroad` for what takes more than two seconds.
        """
        try:
            state = open_view(session, self._limits.time_limit_ms)
            query = read_topic(session, text)
            kept = self._keep_up(session, _span_until(until), state)
            if kept is None:
                matched = preview_topic(session, self._settings, text, until, DAYS, EXAMPLES)
                return LivePreview(matched, sum(1 for _, n in matched.per_day if n))
            return self._look(session, kept, query).preview(text)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") == _QUERY_CANCELED:
                raise TooBroad from error
            raise

    def _look(self, session: Session, kept: _Kept, query: Query) -> _Looking:
        return _Looking(session, self._settings, kept, query, self._limits.most_kept)

    def count_entries(self) -> int:
        kept = self._kept
        return len(kept.answers) if kept else 0

    def forget_entries(self) -> None:
        with self._following:
            self._kept = None

    def warm(self, until: date) -> None:
        """Read the last days before anybody asks, beside whatever else the process does."""
        self._read_beside(_span_until(until))

    def _keep_up(self, session: Session, span: tuple[date, date], state: str) -> _Kept | None:
        """The last days as this transaction sees them; None while they are better not read."""
        kept = self._kept
        if kept is None or kept.span != span or kept.is_worn:
            if count_recent(session, span) < self._limits.many_papers:
                with self._following:
                    self._kept = self._read(session, span, state)
                return self._kept
            self._read_beside(span)
            if kept is None or kept.span != span:
                return None
        if not covers(state, kept.state):
            return None  # another request follows a state that this one, begun earlier, cannot see
        changed = list_changes(session, kept.state)
        if not changed:
            return kept
        if len(changed) > self._limits.most_followed:
            self._read_beside(span)
            return None
        return self._follow(session, kept, state, changed)

    def _follow(
        self, session: Session, kept: _Kept, state: str, changed: Sequence[int]
    ) -> _Kept | None:
        """Take over the papers that came or changed; those that went, or left the span, go."""
        with self._following:
            if self._kept is kept:
                papers = read_recent(session, kept.span, changed)
                index = kept.index.with_changes(papers, changed)
                shelf = kept.shelf and follow_shelf(session, kept.shelf, changed, index.paper_ids)
                self._kept = _Kept(kept.span, state, index, kept.read_at, shelf)
                return self._kept
        return self._keep_up(session, kept.span, state)

    def _read(self, session: Session, span: tuple[date, date], state: str) -> _Kept:
        return _Kept(span, state, RecentIndex(read_recent(session, span)), monotonic())

    def _read_beside(self, span: tuple[date, date]) -> None:
        """Read the last days anew, in a thread of its own, unless one is at it or rests."""
        if monotonic() >= self._rests_until and self._reading.acquire(blocking=False):
            Thread(target=self._read_anew, args=(span,), daemon=True).start()

    def _read_anew(self, span: tuple[date, date]) -> None:
        """The same with the common words: one in half of all papers takes Postgres a tenth of a
        second, and all of them together some seconds, which no request should wait for."""
        started = monotonic()
        try:
            with transaction(self._sessions) as session:
                kept = self._read(session, span, open_view(session, _READING_MS))
                fewest = max(1, len(kept.index) // _COMMON_PART)
                rows = iterate_common_words(session, span, fewest)
                kept.index.learn_words({word: kept.index.bits_of(ids) for word, ids in rows})
                shelf = fill_shelf(session, self._settings, kept.index.paper_ids)
            kept.index.learn_spellings()
            with self._following:
                self._kept = replace(kept, shelf=shelf)
        except SQLAlchemyError as error:
            log.warning("preview.words", reason=type(error).__name__)
        finally:
            self._rests_until = monotonic() + (monotonic() - started) / _REFRESH_SHARE
            self._reading.release()


def _span_until(until: date) -> tuple[date, date]:
    return until - timedelta(days=DAYS - 1), until


class _Looking:
    """One request's look at what is kept."""

    def __init__(
        self, session: Session, settings: Settings, kept: _Kept, query: Query, most_kept: int
    ) -> None:
        self._settings = settings
        self._most_kept = most_kept
        self._session = session
        self._index = kept.index
        self._shelf = kept.shelf
        self._answers = kept.answers
        self._span = kept.span
        self._query = query
        self._is_replaced = wants_replaced(query)
        self._reach = kept.index.reach(is_replaced=self._is_replaced)
        self._lexicon: dict[str, Lexemes] = {}

    def preview(self, text: str) -> LivePreview:
        self._learn([self._query])
        papers = self._find(self._query)
        days_known = self._reach.days_known
        preview = LivePreview(self._describe(papers), days_known)
        total = papers.bit_count()
        if total > _MANY_A_DAY * max(1, days_known):
            return replace(preview, narrower=self._narrow(text, papers))
        if not days_known:
            return preview
        return replace(preview, instead=self._look_around(is_found=total > 0))

    def _describe(self, papers: Bits) -> TopicPreview:
        since, until = self._span
        counts = self._reach.count_by_day(papers)
        days = [since + timedelta(days=n) for n in range((until - since).days + 1)]
        ids = self._index.ids_of(papers, self._reach, EXAMPLES)
        newest = get_papers(self._session, ids)
        return TopicPreview(
            tuple((on, counts.get(on, 0)) for on in days),
            tuple(newest[paper_id] for paper_id in ids),
        )

    def _narrow(self, text: str, papers: Bits) -> tuple[Suggestion, ...]:
        total = papers.bit_count()
        companions = Companions(
            self._index.count_by_category(papers),
            self._index.count_title_words(papers, self._reach),
            total,
        )
        return choose(self._count(narrow(text, self._query, companions), papers), total)

    def _look_around(self, *, is_found: bool) -> tuple[Suggestion, ...]:
        """What the reader may have meant: by a category's name, or by what found nothing."""
        query = self._query
        suggested = name_categories(_closest_categories(plain_words(query)))
        if not is_found:
            respelled = respell(query, lambda leaf: bool(self._look_up(leaf)), self._closest_words)
            suggested = [*respelled, *suggested, *widen(query)]
        if not suggested:
            return ()
        distinct = list({each.topic: each for each in suggested}.values())
        counted = self._count(distinct, self._reach.papers)
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
        # Only the whole topic tells which cross-lists are meant; normalized, its clause says so too.
        normal, within = normalize(query), self._reach.papers
        if len(self._unknown(normal)) > _MOST_SINGLE_LOOKUPS:
            return self._keep(normal, within & self._ask(normal))
        return self._keep(normal, self._index.find(normal, within, self._known, self._look_up))

    def _unknown(self, query: Query) -> set[Leaf]:
        """The leaves that Postgres would have to be asked about."""
        if self._known(query) is not None:
            return set()
        if isinstance(query, And | Or):
            return {leaf for each in query.operands for leaf in self._unknown(each)}
        return self._unknown(query.operand) if isinstance(query, Not) else {query}

    def _known(self, query: Query) -> Bits | None:
        answer = self._answers.get((canonical(query), self._is_replaced))
        if answer is not None or isinstance(query, And | Or | Not):
            return answer
        lexemes = self._lexicon[fold_words(query.text)] if isinstance(query, Text) else {}
        return self._index.find_here(query, lexemes)

    def _look_up(self, leaf: Leaf) -> Bits:
        known = self._known(leaf)
        return self._keep(leaf, self._ask(leaf)) if known is None else known & self._reach.papers

    def _ask(self, query: Query) -> Bits:
        if isinstance(query, Like) and self._shelf is not None:
            probe = probe_on(self._session, self._settings, query.text, self._shelf)
            return self._index.bits_of(self._shelf.find_like(probe))
        if self._is_replaced and not wants_replaced(query):
            query = And((query, Announced(replaced=True)))
        condition = topic_condition(self._session, self._settings, query)
        found = find_ids(self._session, condition, self._span, is_replaced=self._is_replaced)
        return self._index.bits_of(found)

    def _keep(self, query: Query, found: Bits) -> Bits:
        if all(isinstance(leaf, _KEPT_LEAVES) for leaf in iterate_leaves(query)):
            if len(self._answers) >= self._most_kept:
                # All at once: to pick the oldest, threads that share this would have to wait.
                self._answers.clear()
            self._answers[canonical(query), self._is_replaced] = found
        return found


def _closest_categories(words: str) -> list[str]:
    """The category whose name these words nearly are, if any."""
    names = {code: name.lower() for code, name in CATEGORY_NAMES.items() if not is_foreign(code)}
    best = process.extractOne(words, names, scorer=token_sort_ratio, score_cutoff=_NEAR_NAME)
    return [best[2]] if best else []
