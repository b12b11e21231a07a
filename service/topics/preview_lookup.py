"""The preview of one request: the papers that a topic brings, and suggestions for other topics."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeAlias

from rapidfuzz import process
from rapidfuzz.distance import OSA
from rapidfuzz.fuzz import token_sort_ratio
from sqlalchemy.orm import Session

from service.papers.domain.categories import is_foreign
from service.papers.domain.category_names import CATEGORY_NAMES
from service.papers.domain.tsvector import Lexemes
from service.papers.store.read import get_papers
from service.platform.settings.settings import Settings
from service.platform.work_budget import spend
from service.topics.domain import refinements
from service.topics.domain.language import (
    Query,
    QueryError,
    canonical,
    leaf_texts,
    parse_query,
    wants_replaced,
)
from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.language.canonical import normalize
from service.topics.domain.matching.bitsets import PaperSet
from service.topics.domain.matching.compiled import Lexicon
from service.topics.domain.matching.paper_index import meaningless_leaves
from service.topics.domain.matching.recent_index import RecentIndex
from service.topics.domain.query_limits import check_size
from service.topics.like_clauses import like_query_on, topic_condition
from service.topics.store.recent import find_ids
from service.topics.store.to_sql import fetch_lexemes
from service.topics.topics import TopicPreview

if TYPE_CHECKING:
    # On NumPy, which is an extra.
    from service.similarity.embeddings.vector_pool import ModelVectors

EXAMPLES: Final = 10

# With more clauses than this, one statement for the whole topic costs less than one per clause.
_MOST_SINGLE_LOOKUPS = 12

# A snapshot is reloaded past this share of changed papers, and after half a day, long before the
# log of changes that keeps it current is pruned.
_MOST_STALE = 0.25
_OLDEST_SECONDS = 43_200.0

# Above so many papers a day, narrower topics are suggested.
_MANY_A_DAY = 20
_NEAR_NAME, _NEAR_WORD = 86, 2

# Leaves whose result also changes without a logged change of a paper, as trends do.
_UNCACHED_LEAVES = (syntax.TrendLimit, syntax.Like)

# Steps (`work_budget`) of a comparison with many words, and of one clause of a condition in SQL.
_WORDS_A_STEP, _STEPS_A_CONDITION = 100, 20


@dataclass(frozen=True, slots=True)
class LivePreview:
    """The papers that a topic would have brought, and suggestions for other topics.

    `days_known` counts days with any announcement. `narrower` is empty unless the topic brings many
    papers a day, `instead` unless it brings none or is the name of a category.
    """

    matched: TopicPreview
    days_known: int
    narrower: tuple[refinements.Suggestion, ...] = ()
    instead: tuple[refinements.Suggestion, ...] = ()


@dataclass(frozen=True, slots=True)
class RecentDays:
    """The papers of the last days in one database snapshot, with cached results of clauses.

    `newest` is the last day on which any stored papers were new, also after these days.
    """

    span: tuple[date, date]
    state: str
    newest: date
    index: RecentIndex
    read_at: float
    vectors: ModelVectors | None = None
    answers: dict[_Key, PaperSet] = field(default_factory=dict)

    @property
    def is_stale(self) -> bool:
        is_old = monotonic() - self.read_at > _OLDEST_SECONDS
        return is_old or self.index.stale_share > _MOST_STALE


_Key: TypeAlias = tuple[str, bool]
"""The canonical text of a clause, and whether replaced papers count."""


class PreviewLookup:
    """The evaluation of one query over a snapshot."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        days: RecentDays,
        topic: tuple[Query, Lexicon],
        capacity: int,
    ) -> None:
        """`topic` is a query with the lexemes of its words."""
        query, lexicon = topic
        self._settings = settings
        self._capacity = capacity
        self._session = session
        self._index = days.index
        self._vectors = days.vectors
        self._answers = days.answers
        # Results that hold for this request only.
        self._own_answers: dict[_Key, PaperSet] = {}
        self._span = days.span
        self._query = query
        self._is_replaced = wants_replaced(query)
        self._reach = days.index.reach(is_replaced=self._is_replaced)
        self._lexicon: dict[str, Lexemes] = {**lexicon}

    def preview(self, text: str) -> LivePreview:
        """Return the preview of the query, which was written as `text`."""
        papers = self._find(self._query)
        days_known = self._reach.days_known
        preview = LivePreview(self._describe(papers), days_known)
        total = papers.bit_count()
        if total > _MANY_A_DAY * max(1, days_known):
            return replace(preview, narrower=self._narrow(text, papers))
        if not days_known:
            return preview
        return replace(preview, instead=self._look_around(is_found=total > 0))

    @property
    def is_in_memory(self) -> bool:
        """Whether the papers of these days that the query wants are found without Postgres.

        Its leaves are categories and words of many papers.
        """
        leaves = syntax.iterate_leaves(self._query)
        is_plain = all(isinstance(leaf, syntax.Text | syntax.Category) for leaf in leaves)
        return is_plain and not self._unknown(self._query)

    @property
    def is_rare(self) -> bool:
        """Whether the query needs a word that few papers have, of these days and probably of others."""
        return self._index.knows_words and self._needs_rare_word(self._query)

    def _needs_rare_word(self, query: Query) -> bool:
        if isinstance(query, syntax.And):
            return any(map(self._needs_rare_word, query.operands))
        if not isinstance(query, syntax.Text) or query.field != "any" or self._known(query):
            return False
        return len(self._lexicon[syntax.fold_words(query.text)]) == 1

    def find_newest(self, most: int) -> list[int]:
        """Return the ids of the newest `most` papers of these days that the query wants, newest first."""
        return self._index.ids_of(self._find(self._query), self._reach, most)

    def _describe(self, papers: PaperSet) -> TopicPreview:
        since, until = self._span
        counts = self._reach.count_by_day(papers)
        days = [since + timedelta(days=n) for n in range((until - since).days + 1)]
        ids = self._index.ids_of(papers, self._reach, EXAMPLES)
        newest = get_papers(self._session, ids)
        return TopicPreview(
            tuple((on, counts.get(on, 0)) for on in days),
            tuple(newest[paper_id] for paper_id in ids),
        )

    def _narrow(self, text: str, papers: PaperSet) -> tuple[refinements.Suggestion, ...]:
        total = papers.bit_count()
        companions = refinements.Companions(
            self._index.count_by_category(papers),
            self._index.count_title_words(papers, self._reach),
            total,
        )
        return refinements.choose(
            self._count(refinements.narrow(text, self._query, companions), papers), total
        )

    def _look_around(self, *, is_found: bool) -> tuple[refinements.Suggestion, ...]:
        """Return topics that may have been meant: a category by its name, or another spelling."""
        query = self._query
        suggested = refinements.name_categories(
            _closest_categories(refinements.normalise_line(query))
        )
        if not is_found:
            respelled = refinements.respell(
                query, lambda leaf: bool(self._look_up(leaf)), self._closest_words
            )
            suggested = [*respelled, *suggested, *refinements.widen(query, self._find_part)]
        distinct = list({each.topic: each for each in suggested}.values())
        counted = self._count(distinct, self._reach.papers)
        return tuple(each for each in counted if each.count)[:4]

    def _find_part(self, part: Query) -> PaperSet:
        """Return the papers of one operand; all where they depend on the rest of the topic."""
        if isinstance(part, syntax.Announced):
            return self._reach.papers
        normal = normalize(part)
        return self._index.find(normal, self._reach.papers, self._known, self._look_up)

    def _closest_words(self, word: str) -> list[str]:
        """Return words of titles that differ from `word` by a letter or two, likeliest first."""
        known = self._index.title_words
        spend(len(known) // _WORDS_A_STEP)
        distance = 1 if len(word) < 5 else _NEAR_WORD
        near = process.extract(
            word, known.keys(), scorer=OSA.distance, score_cutoff=distance, limit=20
        )
        ranked = sorted((far, -known[found], found) for found, far, _ in near)
        return [found for far, _, found in ranked if far][:2]

    def _count(
        self, suggestions: list[refinements.Suggestion], within: PaperSet
    ) -> list[refinements.Suggestion]:
        """Return the usable suggestions with the number of papers that each brings."""
        usable: list[tuple[refinements.Suggestion, Query]] = []
        for each in suggestions:
            try:
                query = parse_query(each.topic)
                check_size(each.topic, query)
                usable.append((each, query))
            except QueryError:
                continue  # a topic of the greatest length has no room for one more clause
        self._fetch_lexemes([query for _, query in usable])
        return [
            replace(each, count=(within & self._find(query)).bit_count())
            for each, query in usable
            if not meaningless_leaves(query, self._lexicon)
        ]

    def _fetch_lexemes(self, queries: list[Query]) -> None:
        """Fetch the lexemes of all texts that are not known yet, in one statement."""
        texts = {text for query in queries for text in leaf_texts(query)} - self._lexicon.keys()
        if texts:
            self._lexicon.update(fetch_lexemes(self._session, texts))

    def _find(self, query: Query) -> PaperSet:
        # Which papers are cross-lists depends on the whole topic; normalizing adds it to the leaf.
        normal, within = normalize(query), self._reach.papers
        key = (canonical(normal), self._is_replaced)
        answer = self._own_answers.get(key, self._answers.get(key))
        if answer is not None:
            return within & answer
        if len(self._unknown(normal)) > _MOST_SINGLE_LOOKUPS:
            return self._cache(normal, within & self._fetch(normal))
        return self._cache(normal, self._index.find(normal, within, self._known, self._look_up))

    def _unknown(self, query: Query) -> set[syntax.Leaf]:
        """Return the leaves that only Postgres can evaluate."""
        return {leaf for leaf in syntax.iterate_leaves(query) if self._known(leaf) is None}

    def _known(self, query: Query) -> PaperSet | None:
        # Of larger parts no results are cached, and to write each of them would be quadratic.
        if isinstance(query, syntax.And | syntax.Or | syntax.Not):
            return None
        key = (canonical(query), self._is_replaced)
        answer = self._own_answers.get(key, self._answers.get(key))
        if answer is not None:
            return answer
        lexemes = (
            self._lexicon[syntax.fold_words(query.text)] if isinstance(query, syntax.Text) else {}
        )
        return self._index.find_here(query, lexemes)

    def _look_up(self, leaf: syntax.Leaf) -> PaperSet:
        known = self._known(leaf)
        return self._cache(leaf, self._fetch(leaf)) if known is None else known & self._reach.papers

    def _fetch(self, query: Query) -> PaperSet:
        if isinstance(query, syntax.Like) and self._vectors is not None:
            like_query = like_query_on(self._session, self._settings, query.text, self._vectors)
            return self._index.bits_of(self._vectors.find_like(like_query))
        if self._is_replaced and not wants_replaced(query):
            query = syntax.And((query, syntax.Announced(replaced=True)))
        spend(sum(1 for _ in syntax.iterate_leaves(query)) * _STEPS_A_CONDITION)
        condition = topic_condition(self._session, self._settings, query)
        found = find_ids(self._session, condition, self._span, is_replaced=self._is_replaced)
        return self._index.bits_of(found)

    def _cache(self, query: Query, found: PaperSet) -> PaperSet:
        if not any(isinstance(leaf, _UNCACHED_LEAVES) for leaf in syntax.iterate_leaves(query)):
            if len(self._answers) >= self._capacity:
                # Cleared as a whole: an LRU order would need a lock among the threads.
                self._answers.clear()
            self._answers[canonical(query), self._is_replaced] = found
        else:
            self._own_answers[canonical(query), self._is_replaced] = found
        return found


def _closest_categories(words: str) -> list[str]:
    """Return the category whose name is nearly these words, if any."""
    names = {code: name.lower() for code, name in CATEGORY_NAMES.items() if not is_foreign(code)}
    best = process.extractOne(words, names, scorer=token_sort_ratio, score_cutoff=_NEAR_NAME)
    return [best[2]] if best else []
