"""One request's look at the papers of the last days: what a topic brings, and what else it might be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from time import monotonic
from typing import Final, TypeAlias

from rapidfuzz import process
from rapidfuzz.distance import OSA
from rapidfuzz.fuzz import token_sort_ratio
from sqlalchemy.orm import Session

from service.papers.domain.categories import is_foreign
from service.papers.domain.category_names import CATEGORY_NAMES
from service.papers.domain.tsvector import Lexemes
from service.papers.store.read import get_papers
from service.platform.settings.settings import Settings
from service.similarity.embeddings.vector_pool import ModelVectors
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
    FromSource,
    Leaf,
    Like,
    Not,
    Or,
    Prefix,
    Text,
    fold_words,
    iterate_leaves,
)
from service.topics.domain.matching.bitsets import PaperSet
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
from service.topics.like_clauses import like_query_on, topic_condition
from service.topics.store.recent import find_ids
from service.topics.store.to_sql import fetch_lexemes
from service.topics.topics import TopicPreview

EXAMPLES: Final = 10

# Past this, one statement for the whole topic costs less than one for each of its clauses.
_MOST_SINGLE_LOOKUPS = 12

# What is kept is read anew past this share of papers that changed since, and past half a day, long
# before the changes that it follows are forgotten.
_MOST_WORN = 0.25
_OLDEST_SECONDS = 43_200.0

# A day that brings more than this asks for a narrower topic.
_MANY_A_DAY = 20
_NEAR_NAME, _NEAR_WORD = 86, 2

# Their answer follows from what is watched of a paper; a trend moves without being told.
_KEPT_LEAVES = (Text, Prefix, Author, Category, FromSource, Announced)


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
class KeptDays:
    """The last days in one state of the store, and what clauses found in them, by `_Key`."""

    span: tuple[date, date]
    state: str
    index: RecentIndex
    read_at: float
    vectors: ModelVectors | None = None
    answers: dict[_Key, PaperSet] = field(default_factory=dict)

    @property
    def is_worn(self) -> bool:
        is_old = monotonic() - self.read_at > _OLDEST_SECONDS
        return is_old or self.index.worn_share > _MOST_WORN


_Key: TypeAlias = tuple[str, bool]


class PreviewLookup:
    """One request's look at what is kept."""

    def __init__(
        self, session: Session, settings: Settings, kept: KeptDays, query: Query, most_kept: int
    ) -> None:
        self._settings = settings
        self._most_kept = most_kept
        self._session = session
        self._index = kept.index
        self._vectors = kept.vectors
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

    def _narrow(self, text: str, papers: PaperSet) -> tuple[Suggestion, ...]:
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

    def _count(self, suggestions: list[Suggestion], within: PaperSet) -> list[Suggestion]:
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

    def _find(self, query: Query) -> PaperSet:
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

    def _known(self, query: Query) -> PaperSet | None:
        answer = self._answers.get((canonical(query), self._is_replaced))
        if answer is not None or isinstance(query, And | Or | Not):
            return answer
        lexemes = self._lexicon[fold_words(query.text)] if isinstance(query, Text) else {}
        return self._index.find_here(query, lexemes)

    def _look_up(self, leaf: Leaf) -> PaperSet:
        known = self._known(leaf)
        return self._keep(leaf, self._ask(leaf)) if known is None else known & self._reach.papers

    def _ask(self, query: Query) -> PaperSet:
        if isinstance(query, Like) and self._vectors is not None:
            like_query = like_query_on(self._session, self._settings, query.text, self._vectors)
            return self._index.bits_of(self._vectors.find_like(like_query))
        if self._is_replaced and not wants_replaced(query):
            query = And((query, Announced(replaced=True)))
        condition = topic_condition(self._session, self._settings, query)
        found = find_ids(self._session, condition, self._span, is_replaced=self._is_replaced)
        return self._index.bits_of(found)

    def _keep(self, query: Query, found: PaperSet) -> PaperSet:
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
