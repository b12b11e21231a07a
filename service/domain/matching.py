"""Which papers of a day each topic wants, and why: Postgres' meaning, without Postgres.

Papers and topics meet in sets of papers held as bits of one integer: bit i is the i-th paper.
AND, OR and NOT over a whole day are then one machine operation per 64 papers, and what one topic
looked up, every other topic with the same clause finds ready. Topics are read in their canonical
text, in which equal clauses are equal strings; a topic of clauses that were all met before costs
a few look-ups and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, TypeAlias, cast

from service.domain.clauses import ClauseIndex, IndexedPaper
from service.domain.paper_sets import Bits, Lexemes, Reasons, iterate_bits
from service.domain.query import parse_query
from service.domain.query_tokens import SWITCHES
from service.domain.query_tree import (
    Announced,
    Leaf,
    Prefix,
    Query,
    Text,
    fold_words,
    iterate_leaves,
)
from service.domain.query_writing import canonical, normalize
from service.domain.tsvector import parse_tsvector

__all__ = [
    "DayIndex",
    "IndexedPaper",
    "Lexicon",
    "clause_texts",
    "match_day",
    "match_query",
    "meaningless_leaves",
    "parse_tsvector",
]

Lexicon: TypeAlias = Mapping[str, Lexemes]
"""Folded text of a leaf -> its lexemes with their positions in `to_tsvector('english', text)`."""

# A clause with its minus and field, a parenthesis, or OR; quotes never hold a quote.
_PART = re.compile(r'[()]|-?(?:[a-z]+:)?"[^"]*"|[^\s()]+')
_SWITCH = re.compile(rf"(?:{'|'.join(SWITCHES)}):")
_TEXT_CLAUSE = re.compile(r'-?(?P<field>ti:|abs:|)(?:"(?P<phrase>[^"]*)"|(?P<word>[^"*:<>]*))')
_TEXT_FIELDS: dict[str, Literal["any", "title", "abstract"]] = {
    "": "any",
    "ti:": "title",
    "abs:": "abstract",
}


_Teller: TypeAlias = Callable[[int], Reasons]


@dataclass(frozen=True, slots=True)
class _Group:
    """Parts of a canonical topic under one AND or OR; a part is a clause or a group."""

    is_or: bool
    parts: tuple[str | _Group, ...]


class DayIndex:
    """The papers of a day, asked by topics in canonical text.

    Every text clause asked for must stand in `lexicon` (see `clause_texts`) and every `like:` clause
    in `likes` (see `ClauseIndex`); one that does not raises `KeyError`. Both may grow meanwhile.
    """

    def __init__(
        self,
        papers: Sequence[IndexedPaper],
        lexicon: Lexicon,
        likes: Mapping[str, Bits] | None = None,
    ) -> None:
        self.ids = [paper.paper_id for paper in papers]
        self._clauses = ClauseIndex(papers, lexicon, {} if likes is None else likes)
        self._found: dict[str, Bits] = {}
        self._leaves: dict[str, Leaf] = {}
        self._titles: dict[str, Bits | None] = {}
        self._tellers: dict[str, _Teller] = {}
        self._plans: dict[str, _Group | tuple[_Teller, ...]] = {}

    def find(self, topic: str) -> Bits:
        """The papers that `topic`, a canonical text, wants.

        Raises `QueryError` for a text that the language does not know.
        """
        parts = _PART.findall(topic)
        if "(" in parts or "OR" in parts or _SWITCH.search(topic):
            return self._find_group(self._compile(topic))
        papers = self._clauses.first
        for part in parts:
            bits = self._found.get(part)
            papers &= self._look_up(part) if bits is None else bits
            if not papers:
                break  # so that a rare word spares looking up all the rest
        return papers

    def split_by_title(self, topic: str) -> tuple[Bits, ...] | None:
        """For each word clause of `topic` the papers that have it in the title.

        None where clauses alone do not tell why a paper is wanted: beside an OR, where a branch
        may have failed, and for authors, who may be a guess.
        """
        parts = _PART.findall(topic)
        titles = []
        for part in parts:
            if part in {"(", "OR"} or part.startswith("au:"):
                return None
            if not part.startswith("-") and part not in self._titles:
                self._titles[part] = self._find_in_title(part)
            if not part.startswith("-") and (found := self._titles[part]) is not None:
                titles.append(found)
        return tuple(titles)

    def _find_in_title(self, clause: str) -> Bits | None:
        if _SWITCH.match(clause):
            return None
        leaf = self._read(clause)
        return self._clauses.find_in_title(leaf) if isinstance(leaf, Text | Prefix) else None

    def tell(self, topic: str, position: int) -> Reasons:
        """Why `topic` wants the paper at `position`: each clause that holds, once.

        A clause in a branch that does not hold as a whole is no reason: of `(a b) OR c` a paper
        with a and c is wanted for c alone.
        """
        plan = self._plans.get(topic)
        if plan is None:
            plan = self._plans[topic] = self._plan(topic)
        if isinstance(plan, _Group):
            reasons: dict[str, Reasons] = {}
            self._tell_group(plan, position, reasons)
            return tuple(chain.from_iterable(reasons.values()))
        told: Reasons = ()
        for tell in plan:
            told = told + tell(position) if told else tell(position)
        return told

    def _plan(self, topic: str) -> _Group | tuple[_Teller, ...]:
        """How to tell of a topic: clause by clause where all must hold, else branch by branch."""
        parts = _PART.findall(topic)
        if "(" in parts or "OR" in parts:
            return self._compile(topic)
        wanted = (part for part in parts if not part.startswith("-") and not _SWITCH.match(part))
        return tuple(map(self._teller, wanted))

    def match(self, query: Query) -> Iterator[tuple[int, Reasons]]:
        """The ids of the papers `query` wants, each with the wanted clauses found in it."""
        topic = canonical(query)
        for position in iterate_bits(self.find(topic)):
            yield self.ids[position], self.tell(topic, position)

    def _compile(self, topic: str) -> _Group:
        """The parts of `topic`. Which announcements count is always the first of them."""
        parts = _PART.findall(topic)
        switches = [part for part in parts if _SWITCH.match(part)]
        if not switches:
            return _Group(False, (_FIRST, _group(iter(parts))))
        name = " ".join(switches)
        key = f"{name} {topic}"
        if key not in self._leaves:
            self._leaves[key] = _read_announced(topic)
        rest = (part for part in parts if not _SWITCH.match(part))
        return _Group(False, (key, _group(rest)))

    def _find_group(self, group: _Group) -> Bits:
        papers: Bits = 0 if group.is_or else self._clauses.everything
        for part in group.parts:
            found = self._find_group(part) if isinstance(part, _Group) else self._look_up(part)
            papers = papers | found if group.is_or else papers & found
        return papers

    def _tell_group(self, group: _Group, position: int, reasons: dict[str, Reasons]) -> None:
        for part in group.parts:
            if isinstance(part, _Group):
                if not group.is_or or self._find_group(part) >> position & 1:
                    self._tell_group(part, position, reasons)
            # A clause is never a branch of an OR itself, so it holds where its group does.
            elif not part.startswith("-") and part not in reasons and part != _FIRST:
                reasons[part] = self._teller(part)(position)

    def _teller(self, clause: str) -> _Teller:
        if clause not in self._tellers:
            self._tellers[clause] = self._clauses.teller(self._read(clause))
        return self._tellers[clause]

    def _look_up(self, clause: str) -> Bits:
        bits = self._found.get(clause)
        if bits is None:
            if clause.startswith("-"):
                bits = self._clauses.everything & ~self._look_up(clause[1:])
            elif clause == _FIRST:
                bits = self._clauses.first
            else:
                bits = self._clauses.find(self._read(clause))
            self._found[clause] = bits
        return bits

    def _read(self, clause: str) -> Leaf:
        leaf = self._leaves.get(clause)
        if leaf is None:
            leaf = self._leaves[clause] = _read_clause(clause)
        return leaf


# Stands for what every topic means that says nothing of announcements: papers that are new here.
_FIRST = ""


def _group(parts: Iterator[str]) -> _Group:
    """The parts up to the closing parenthesis or the end. OR binds least, so it cuts first."""
    branches: list[list[str | _Group]] = [[]]
    for part in parts:
        if part == ")":
            break
        if part == "OR":
            branches.append([])
        else:
            branches[-1].append(_group(parts) if part == "(" else part)
    if len(branches) == 1:
        return _Group(False, tuple(branches[0]))
    return _Group(True, tuple(_Group(False, tuple(branch)) for branch in branches))


def _read_clause(clause: str) -> Leaf:
    """The leaf of one canonical clause without its minus."""
    if text := _TEXT_CLAUSE.fullmatch(clause):
        phrase, word = text["phrase"], text["word"]
        return Text(_TEXT_FIELDS[text["field"]], phrase if word is None else word, word is None)
    return cast("Leaf", normalize(parse_query(clause)))


def _read_announced(topic: str) -> Announced:
    return next(
        leaf
        for leaf in iterate_leaves(normalize(parse_query(topic)))
        if isinstance(leaf, Announced)
    )


def clause_texts(topics: Iterable[str]) -> set[str]:
    """The texts whose lexemes a `DayIndex` needs to be asked these canonical topics.

    The same as `query.leaf_texts` of their trees, without making the trees.
    """
    clauses = {part for topic in topics for part in _PART.findall(topic)}
    found = (_TEXT_CLAUSE.fullmatch(clause) for clause in clauses - {"(", ")", "OR"})
    return {text["word"] if text["phrase"] is None else text["phrase"] for text in found if text}


def match_query(query: Query, paper: IndexedPaper, lexicon: Lexicon) -> Reasons | None:
    """Why `query` wants `paper`, or None where it does not: `match_day` for a single pair."""
    return next((reasons for _, reasons in DayIndex((paper,), lexicon).match(query)), None)


def match_day(
    topics: Iterable[tuple[int, Query]],
    papers: Sequence[IndexedPaper],
    lexicon: Lexicon,
    likes: Mapping[str, Bits] | None = None,
) -> Iterator[tuple[int, int, Reasons]]:
    """Every (topic id, paper id, reasons) of a day, topic by topic in the order given.

    Within a topic papers come in the order of `papers`.
    """
    index = DayIndex(papers, lexicon, likes)
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
