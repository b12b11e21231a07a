"""Which papers of a day each topic wants, and why: Postgres' meaning, without Postgres.

Papers and topics meet in sets of papers held as bits of one integer: bit i is the i-th paper.
AND, OR and NOT over a whole day are then one machine operation per 64 papers, and what one topic
looked up, every other topic with the same clause finds ready.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from service.domain.author_index import author_index_keys, author_query_keys
from service.domain.categories import expand
from service.domain.names import author_matches
from service.domain.paper_sets import (
    Bits,
    Evidence,
    Group,
    Lexemes,
    PhraseIndex,
    Reasons,
    collect_evidence,
    invert,
    iterate_bits,
    split_groups,
    unite,
)
from service.domain.query_tree import (
    And,
    Author,
    Category,
    Leaf,
    Not,
    Or,
    Query,
    Text,
    fold_words,
    iterate_leaves,
)
from service.domain.query_writing import normalize, write_leaf
from service.domain.tsvector import parse_tsvector
from service.domain.types import Reason

__all__ = [
    "DayIndex",
    "IndexedPaper",
    "Lexicon",
    "match_day",
    "match_query",
    "meaningless_leaves",
    "parse_tsvector",
]

Lexicon: TypeAlias = Mapping[str, Lexemes]
"""Folded text of a leaf -> its lexemes with their positions in `to_tsvector('english', text)`."""


@dataclass(frozen=True, slots=True)
class IndexedPaper:
    """What matching needs of a paper.

    `title` and `abstract` are its two `tsvector` columns, `authors` display names, `categories`
    canonical.
    """

    paper_id: int
    title: Lexemes
    abstract: Lexemes
    authors: tuple[str, ...]
    categories: frozenset[str]


class DayIndex:
    """The papers of a day turned round: from lexeme, author key and category to papers.

    Every text leaf of every query asked must stand in `lexicon` (see `leaf_texts`); one that does
    not raises `KeyError`.
    """

    def __init__(self, papers: Sequence[IndexedPaper], lexicon: Lexicon) -> None:
        self._papers = papers
        self._ids = [paper.paper_id for paper in papers]
        self._lexicon = lexicon
        self._everything: Bits = (1 << len(papers)) - 1
        self._titles = PhraseIndex([paper.title for paper in papers])
        self._abstracts = PhraseIndex([paper.abstract for paper in papers])
        self._categories = invert(paper.categories for paper in papers)
        self._keys_of = {
            name: author_index_keys(name) for paper in papers for name in paper.authors
        }
        self._author_keys = invert(self._iterate_author_keys())
        self._evidence: dict[Leaf, Evidence] = {}
        self._answers: dict[Query, tuple[Group, ...]] = {}

    def match(self, query: Query) -> Iterator[tuple[int, Reasons]]:
        """The ids of the papers `query` wants, each with the wanted leaves found in it."""
        for group in self._answer(normalize(query)):
            for position in iterate_bits(group.papers):
                yield self._ids[position], group.reasons

    def _answer(self, query: Query) -> tuple[Group, ...]:
        if query not in self._answers:
            papers = self._find(query)
            groups = (Group(papers, ()),) if papers else ()
            self._answers[query] = self._add_reasons(query, papers, groups)
        return self._answers[query]

    def _find(self, query: Query) -> Bits:
        if isinstance(query, And):
            papers = self._everything
            for each in query.operands:
                papers &= self._find(each)
                if not papers:
                    break  # so that a rare word spares looking up all the rest
            return papers
        if isinstance(query, Or):
            papers = 0
            for each in query.operands:
                papers |= self._find(each)
            return papers
        if isinstance(query, Not):
            return self._everything & ~self._find(query.operand)
        return self._look_up(query).papers

    def _add_reasons(
        self, query: Query, papers: Bits, groups: tuple[Group, ...]
    ) -> tuple[Group, ...]:
        """`groups` split by the leaves of `query` that hold; `papers` are those it counts for.

        A leaf in a branch that did not hold as a whole is no reason: of `(a b) OR c` a paper with
        a and c matched for c alone.
        """
        if not groups or not papers or isinstance(query, Not):
            return groups
        if isinstance(query, And | Or):
            for each in query.operands:
                counting = papers if isinstance(query, And) else papers & self._find(each)
                groups = self._add_reasons(each, counting, groups)
            return groups
        evidence = self._look_up(query)
        return tuple(split_groups(groups, papers & evidence.papers, evidence.groups))

    def _look_up(self, leaf: Leaf) -> Evidence:
        if leaf not in self._evidence:
            self._evidence[leaf] = self._gather(leaf)
        return self._evidence[leaf]

    def _gather(self, leaf: Leaf) -> Evidence:
        if isinstance(leaf, Text):
            return self._gather_text(leaf)
        if isinstance(leaf, Category):
            return self._gather_categories(leaf)
        return self._gather_authors(leaf)

    def _gather_text(self, leaf: Text) -> Evidence:
        lexemes = self._lexicon[leaf.text]
        titles = abstracts = 0
        if leaf.field != "abstract":
            titles = self._titles.find_phrase(lexemes)
        if leaf.field != "title":
            abstracts = self._abstracts.find_phrase(lexemes)
        clause = write_leaf(leaf)
        in_title = Reason(clause, "title", (leaf.text,))
        in_abstract = Reason(clause, "abstract", (leaf.text,))
        return collect_evidence(
            {
                (in_title,): titles & ~abstracts,
                (in_title, in_abstract): titles & abstracts,
                (in_abstract,): abstracts & ~titles,
            }
        )

    def _gather_categories(self, leaf: Category) -> Evidence:
        clause, members = write_leaf(leaf), expand(leaf.pattern)
        groups: dict[Reasons, Bits] = defaultdict(int)
        for position in iterate_bits(unite(self._categories, members)):
            found = tuple(sorted(self._papers[position].categories & members))
            groups[(Reason(clause, "category", found),)] |= 1 << position
        return collect_evidence(groups)

    def _gather_authors(self, leaf: Author) -> Evidence:
        clause, keys = write_leaf(leaf), author_query_keys(leaf.name)
        groups: dict[Reasons, Bits] = defaultdict(int)
        for position in iterate_bits(unite(self._author_keys, keys)):
            found = tuple(
                name
                for name in self._papers[position].authors
                if not keys.isdisjoint(self._keys_of[name])
            )
            is_guess = all(author_matches(leaf.name, name) != "exact" for name in found)
            groups[(Reason(clause, "author", found, is_guess),)] |= 1 << position
        return collect_evidence(groups)

    def _iterate_author_keys(self) -> Iterator[set[str]]:
        for paper in self._papers:
            yield {key for name in paper.authors for key in self._keys_of[name]}


def match_query(query: Query, paper: IndexedPaper, lexicon: Lexicon) -> Reasons | None:
    """Why `query` wants `paper`, or None where it does not: `match_day` for a single pair."""
    return next((reasons for _, reasons in DayIndex((paper,), lexicon).match(query)), None)


def match_day(
    topics: Iterable[tuple[int, Query]], papers: Sequence[IndexedPaper], lexicon: Lexicon
) -> Iterator[tuple[int, int, Reasons]]:
    """Every (topic id, paper id, reasons) of a day, topic by topic in the order given.

    Within a topic papers come in no promised order. A topic met again in any spelling costs
    nothing but its answer.
    """
    index = DayIndex(papers, lexicon)
    for topic_id, query in topics:
        for paper_id, reasons in index.match(query):
            yield topic_id, paper_id, reasons


def meaningless_leaves(query: Query, lexicon: Lexicon) -> tuple[Text, ...]:
    """The text leaves without a lexeme (stop words, bare punctuation), as the reader wrote them.

    They match no paper at all, so a topic that has one must not be saved.
    """
    return tuple(
        leaf
        for leaf in iterate_leaves(query)
        if isinstance(leaf, Text) and not lexicon[fold_words(leaf.text)]
    )
