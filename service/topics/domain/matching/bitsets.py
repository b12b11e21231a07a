"""Sets of papers as bitsets, and the inverted indexes that yield them.

A bitset is one Python integer in which bit i stands for the i-th paper of the edition, so AND, OR
and NOT over all papers are one operation each.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import TypeAlias

from service.papers.domain.tsvector import Lexemes
from service.topics.domain.types import Reason

PaperSet: TypeAlias = int
Places: TypeAlias = tuple[tuple[str, int], ...]
"""The lexemes of a phrase, each with its distance from the first; the first is 0."""
Reasons: TypeAlias = tuple[Reason, ...]

_Neighbours: TypeAlias = dict[str, dict[str, PaperSet]]
# Side by side, or with one word between: a stop word is not indexed but has a position.
NEAR = (1, 2)
_NO_PAPERS: Mapping[str, PaperSet] = {}


class PhraseIndex:
    """An inverted index over one field of every paper, with an index of neighbouring lexemes.

    Most phrases are two lexemes side by side, or with one stop word between them: one look-up.
    For longer ones, positions are compared only in papers that contain all neighbouring pairs.
    """

    def __init__(self, documents: Sequence[Lexemes]) -> None:
        self._documents = documents
        self.inverted: Mapping[str, PaperSet] = invert(documents)
        self._after: tuple[_Neighbours, ...] = tuple(defaultdict(dict) for _ in NEAR)
        for number, document in enumerate(documents):
            self._add_neighbours(1 << number, document)

    def _add_neighbours(self, paper: PaperSet, document: Lexemes) -> None:
        placed: dict[int, str] = {}
        # Lexemes share a position only past 16,383, where Postgres stops counting.
        crowded: dict[int, list[str]] = {}
        for lexeme, positions in document.items():
            for at in positions:
                if placed.setdefault(at, lexeme) is not lexeme:
                    crowded.setdefault(at, [placed[at]]).append(lexeme)
        for distance, after in zip(NEAR, self._after, strict=True):
            for at, lexeme in placed.items():
                neighbour = placed.get(at + distance)
                if neighbour is not None:
                    _add_pair(after[lexeme], neighbour, paper)
            for at, crowd in crowded.items():
                here, there = at - distance, at + distance
                before = crowded.get(here) or _single(placed, here)
                behind = crowded.get(there) or _single(placed, there)
                for first, second in (*product(before, crowd), *product(crowd, behind)):
                    _add_pair(after[first], second, paper)

    def find_phrase(self, places: Places) -> PaperSet:
        """Return the papers with these lexemes at these distances, as `phraseto_tsquery` does."""
        if len(places) < 2:
            return self.inverted.get(places[0][0], 0) if places else 0
        papers: PaperSet = -1
        for (lexeme, at), (neighbour, then) in pairwise(places):
            papers &= self.find_pair(lexeme, neighbour, then - at)
            if not papers:
                return 0
        if len(places) == 2 and places[1][1] in NEAR:
            return papers
        return sum(1 << at for at in list_bits(papers) if _has_phrase(self._documents[at], places))

    def find_pair(self, lexeme: str, neighbour: str, distance: int) -> PaperSet:
        """Return the papers with both lexemes, at this distance if it is near, else anywhere."""
        if distance in NEAR:
            return self._after[distance - 1].get(lexeme, _NO_PAPERS).get(neighbour, 0)
        return self.inverted.get(lexeme, 0) & self.inverted.get(neighbour, 0)


def _single(placed: Mapping[int, str], at: int) -> list[str]:
    return [placed[at]] if at in placed else []


def _add_pair(followers: dict[str, PaperSet], neighbour: str, paper: PaperSet) -> None:
    # A pair in one paper only shares that paper's integer object, which saves half the memory.
    known = followers.get(neighbour)
    followers[neighbour] = paper if known is None else known | paper


def _has_phrase(document: Lexemes, places: Places) -> bool:
    """Return whether the lexemes occur somewhere at exactly these distances."""
    # A lexeme usually has one or two positions; scanning them is faster than building sets.
    first, _ = places[0]
    for base in document[first]:
        for lexeme, distance in places:
            if base + distance not in document[lexeme]:
                break
        else:
            return True
    return False


def phrase_offsets(lexemes: Lexemes) -> Places:
    """Return the lexemes of a phrase in order, each with its distance from the first."""
    placed = sorted((at, lexeme) for lexeme, positions in lexemes.items() for at in positions)
    return tuple((lexeme, at - placed[0][0]) for at, lexeme in placed)


def invert(documents: Iterable[Iterable[str]]) -> dict[str, PaperSet]:
    """Build an inverted index: key -> the documents, as a bitset, that contain it."""
    inverted: dict[str, PaperSet] = defaultdict(int)
    for position, document in enumerate(documents):
        bit = 1 << position
        for key in document:
            inverted[key] |= bit
    return dict(inverted)


class PrefixIndex:
    """A sorted inverted index of words, in which words with an equal prefix are adjacent."""

    def __init__(self, documents: Iterable[Iterable[str]]) -> None:
        self._inverted = invert(documents)
        self._sorted = sorted(self._inverted)

    def find_prefix(self, beginning: str) -> PaperSet:
        """Return the papers with a word that begins with `beginning`."""
        return union(self._inverted, self._iterate_words(beginning))

    def words_of(self, beginning: str, position: int) -> tuple[str, ...]:
        """Return the words of one paper that begin with `beginning`, in alphabetical order."""
        bit = 1 << position
        return tuple(w for w in self._iterate_words(beginning) if self._inverted[w] & bit)

    def _iterate_words(self, beginning: str) -> Iterator[str]:
        for at in range(bisect_left(self._sorted, beginning), len(self._sorted)):
            if not self._sorted[at].startswith(beginning):
                return
            yield self._sorted[at]


def union(inverted: Mapping[str, PaperSet], keys: Iterable[str]) -> PaperSet:
    """Return the papers that have at least one of these keys."""
    papers: PaperSet = 0
    for key in keys:
        papers |= inverted.get(key, 0)
    return papers


def list_bits(bits: PaperSet) -> list[int]:
    """Return the positions of set bits, by splitting the binary digits at the ones."""
    gaps = bin(bits)[:1:-1].split("1")
    gaps.pop()  # the digits above the highest set bit
    at, found = -1, []
    for gap in gaps:
        at += len(gap) + 1
        found.append(at)
    return found


def to_bits(positions: Collection[int]) -> PaperSet:
    """Return the set of these positions, built in bytes: `|=` on an integer copies it each time."""
    octets = bytearray(max(positions, default=0) // 8 + 1)
    for position in positions:
        octets[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(octets, "little")
