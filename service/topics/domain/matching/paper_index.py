"""Which papers of a day each topic wants, and why: Postgres' meaning, without Postgres.

Papers and topics meet in sets of papers held as bits of one integer: bit i is the i-th paper.
AND, OR and NOT over a whole day are then one machine operation per 64 papers, and what one topic
looked up, every other topic with the same clause finds ready. Topics are read in their canonical
text, in which equal clauses are equal strings; a topic of clauses that were all met before costs
a few look-ups and nothing else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

from service.papers.domain.tsvector import parse_tsvector
from service.topics.domain.language.canonical import canonical
from service.topics.domain.language.syntax_tree import (
    Leaf,
    Prefix,
    Query,
    Text,
    fold_words,
    iterate_leaves,
)
from service.topics.domain.matching.bitsets import PaperSet, Reasons, iterate_bits
from service.topics.domain.matching.clause_index import ClauseIndex, IndexedPaper
from service.topics.domain.matching.compiled import (
    DEFAULT_ANNOUNCEMENTS,
    PART,
    SWITCH,
    ClauseGroup,
    CompiledClause,
    Lexicon,
    clause_texts,
    find_group,
    is_group,
    read_clause,
    read_group,
    split_topic,
)

__all__ = [
    "IndexedPaper",
    "Lexicon",
    "PaperIndex",
    "clause_texts",
    "match_day",
    "meaningless_leaves",
    "parse_tsvector",
]

_Teller: TypeAlias = Callable[[int], Reasons]


class PaperIndex:
    """The papers of a day, asked by topics in canonical text.

    `lexicon`, `likes` and `forms` say what clauses are looked up by: see `ClauseIndex`.
    """

    def __init__(
        self,
        papers: Sequence[IndexedPaper],
        lexicon: Lexicon,
        likes: Mapping[str, PaperSet] | None = None,
        forms: Mapping[str, CompiledClause] | None = None,
    ) -> None:
        self.ids = [paper.paper_id for paper in papers]
        self.clauses = ClauseIndex(
            papers, lexicon, {} if likes is None else likes, {} if forms is None else forms
        )
        self._found: dict[str, PaperSet] = {}
        self._leaves: dict[str, Leaf] = {}
        self._titles: dict[str, PaperSet | None] = {}
        self._tellers: dict[str, _Teller] = {}
        self._plans: dict[str, ClauseGroup | tuple[_Teller, ...]] = {}

    def find(self, topic: str) -> PaperSet:
        """The papers that `topic`, a canonical text, wants.

        Raises `QueryError` for a text that the language does not know.
        """
        papers = self.clauses.everything
        for clause in split_topic(topic):
            papers &= self.look_up(clause)
            if not papers:
                break  # so that a rare word spares looking up all the rest
        return papers

    def look_up(self, clause: str) -> PaperSet:
        """The papers for which one clause of `split_topic` holds."""
        bits = self._found.get(clause)
        if bits is None:
            bits = self._found[clause] = self._find_clause(clause)
        return bits

    def _find_clause(self, clause: str) -> PaperSet:
        if clause == DEFAULT_ANNOUNCEMENTS:
            return self.clauses.first
        if clause.startswith("-"):
            return self.clauses.everything & ~self.look_up(clause[1:])
        if is_group(clause):
            return self._find_group(read_group(iter(PART.findall(clause))))
        return self.clauses.find(self._read(clause))

    def _find_group(self, group: ClauseGroup) -> PaperSet:
        return find_group(group, self.clauses.everything, self.look_up)

    def split_by_title(self, topic: str) -> tuple[PaperSet, ...] | None:
        """For each word clause of `topic` the papers that have it in the title.

        None where clauses alone do not tell why a paper is wanted: beside an OR, where a branch
        may have failed, and for authors, who may be a guess.
        """
        parts = PART.findall(topic)
        titles = []
        for part in parts:
            if part in {"(", "OR"} or part.startswith("au:"):
                return None
            if not part.startswith("-") and part not in self._titles:
                self._titles[part] = self._find_in_title(part)
            if not part.startswith("-") and (found := self._titles[part]) is not None:
                titles.append(found)
        return tuple(titles)

    def _find_in_title(self, clause: str) -> PaperSet | None:
        if SWITCH.match(clause):
            return None
        leaf = self._read(clause)
        return self.clauses.find_in_title(leaf) if isinstance(leaf, Text | Prefix) else None

    def explain(self, topic: str, position: int) -> Reasons:
        """Why `topic` wants the paper at `position`: each clause that holds, once.

        A clause in a branch that does not hold as a whole is no reason: of `(a b) OR c` a paper
        with a and c is wanted for c alone.
        """
        plan = self._plans.get(topic)
        if plan is None:
            plan = self._plans[topic] = self._plan(topic)
        if isinstance(plan, ClauseGroup):
            reasons: dict[str, Reasons] = {}
            self._tell_group(plan, position, reasons)
            return tuple(chain.from_iterable(reasons.values()))
        told: Reasons = ()
        for tell in plan:
            told = told + tell(position) if told else tell(position)
        return told

    def _plan(self, topic: str) -> ClauseGroup | tuple[_Teller, ...]:
        """How to tell of a topic: clause by clause where all must hold, else branch by branch."""
        parts = PART.findall(topic)
        if "(" in parts or "OR" in parts:
            return read_group(part for part in parts if not SWITCH.match(part))
        wanted = (part for part in parts if not part.startswith("-") and not SWITCH.match(part))
        return tuple(map(self._teller, wanted))

    def match(self, query: Query) -> Iterator[tuple[int, Reasons]]:
        """The ids of the papers `query` wants, each with the wanted clauses found in it."""
        topic = canonical(query)
        for position in iterate_bits(self.find(topic)):
            yield self.ids[position], self.explain(topic, position)

    def _tell_group(self, group: ClauseGroup, position: int, reasons: dict[str, Reasons]) -> None:
        for part in group.parts:
            if isinstance(part, ClauseGroup):
                if not group.is_or or self._find_group(part) >> position & 1:
                    self._tell_group(part, position, reasons)
            # A clause is never a branch of an OR itself, so it holds where its group does.
            elif not part.startswith("-") and part not in reasons:
                reasons[part] = self._teller(part)(position)

    def _teller(self, clause: str) -> _Teller:
        if clause not in self._tellers:
            self._tellers[clause] = self.clauses.teller(self._read(clause))
        return self._tellers[clause]

    def _read(self, clause: str) -> Leaf:
        leaf = self._leaves.get(clause)
        if leaf is None:
            leaf = self._leaves[clause] = read_clause(clause)
        return leaf


def match_day(
    topics: Iterable[tuple[int, Query]],
    papers: Sequence[IndexedPaper],
    lexicon: Lexicon,
    likes: Mapping[str, PaperSet] | None = None,
) -> Iterator[tuple[int, int, Reasons]]:
    """Every (topic id, paper id, reasons) of a day, topic by topic in the order given.

    Within a topic papers come in the order of `papers`.
    """
    index = PaperIndex(papers, lexicon, likes)
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
