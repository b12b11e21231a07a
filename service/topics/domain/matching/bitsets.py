"""Sets of papers as the bits of one integer, and what is looked up to make them.

Bit i is the i-th paper of the day. A set of a whole day's papers is then one value that Python
intersects, joins and complements in one operation.
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
# Side by side, or with one word between: a word that is not indexed still takes up its place.
NEAR = (1, 2)
_NOBODY: Mapping[str, PaperSet] = {}

_WORD_BITS = 60
_WORD = (1 << _WORD_BITS) - 1


class PhraseIndex:
    """One text of every paper, both ways: which papers have a lexeme, and what stands after it.

    Most phrases are two lexemes side by side, or with one word between them that is not indexed.
    Those are one look-up; of longer ones only the papers are read in which all neighbours meet.
    """

    def __init__(self, documents: Sequence[Lexemes]) -> None:
        self._documents = documents
        self._inverted = invert(documents)
        self._after: tuple[_Neighbours, ...] = tuple(defaultdict(dict) for _ in NEAR)
        for number, document in enumerate(documents):
            self._note_neighbours(1 << number, document)

    def _note_neighbours(self, paper: PaperSet, document: Lexemes) -> None:
        placed: dict[int, str] = {}
        # Lexemes share a position only where Postgres stops to count, at 16,383.
        crowded: dict[int, list[str]] = {}
        for lexeme, positions in document.items():
            for at in positions:
                if placed.setdefault(at, lexeme) is not lexeme:
                    crowded.setdefault(at, [placed[at]]).append(lexeme)
        for distance, after in zip(NEAR, self._after, strict=True):
            for at, lexeme in placed.items():
                neighbour = placed.get(at + distance)
                if neighbour is not None:
                    _note(after[lexeme], neighbour, paper)
            for at, crowd in crowded.items():
                here, there = at - distance, at + distance
                before = crowded.get(here) or _alone(placed, here)
                behind = crowded.get(there) or _alone(placed, there)
                for first, second in (*product(before, crowd), *product(crowd, behind)):
                    _note(after[first], second, paper)

    def find_phrase(self, places: Places) -> PaperSet:
        """The papers with these lexemes at these very distances: what `phraseto_tsquery` asks."""
        if len(places) < 2:
            return self._inverted.get(places[0][0], 0) if places else 0
        papers: PaperSet = -1
        for (lexeme, at), (neighbour, then) in pairwise(places):
            papers &= self.find_pair(lexeme, neighbour, then - at)
            if not papers:
                return 0
        if len(places) == 2 and places[1][1] in NEAR:
            return papers
        return sum(
            1 << at for at in iterate_bits(papers) if _stands_in(self._documents[at], places)
        )

    def find_pair(self, lexeme: str, neighbour: str, distance: int) -> PaperSet:
        """The papers with both, at this distance if it is a near one, else wherever they stand."""
        if distance in NEAR:
            return self._after[distance - 1].get(lexeme, _NOBODY).get(neighbour, 0)
        return self._inverted.get(lexeme, 0) & self._inverted.get(neighbour, 0)

    @property
    def inverted(self) -> Mapping[str, PaperSet]:
        """Lexeme -> the papers that have it."""
        return self._inverted


def _alone(placed: Mapping[int, str], at: int) -> list[str]:
    return [placed[at]] if at in placed else []


def _note(followers: dict[str, PaperSet], neighbour: str, paper: PaperSet) -> None:
    # A pair that one paper alone has shares that paper's own number, which saves half the memory.
    known = followers.get(neighbour)
    followers[neighbour] = paper if known is None else known | paper


def _stands_in(document: Lexemes, places: Places) -> bool:
    """Whether some base exists from which every lexeme stands at its own distance."""
    # A lexeme has one or two positions as a rule; scanning those beats building sets of them.
    first, _ = places[0]
    for base in document[first]:
        for lexeme, distance in places:
            if base + distance not in document[lexeme]:
                break
        else:
            return True
    return False


def phrase_offsets(lexemes: Lexemes) -> Places:
    """The lexemes of a phrase in their order, each with its distance from the first."""
    placed = sorted((at, lexeme) for lexeme, positions in lexemes.items() for at in positions)
    return tuple((lexeme, at - placed[0][0]) for at, lexeme in placed)


def invert(documents: Iterable[Iterable[str]]) -> dict[str, PaperSet]:
    """From what each document holds to the documents, as bits, that hold it."""
    inverted: dict[str, PaperSet] = defaultdict(int)
    for position, document in enumerate(documents):
        bit = 1 << position
        for key in document:
            inverted[key] |= bit
    return dict(inverted)


class PrefixIndex:
    """The words of every paper in order, so that all with one beginning stand side by side."""

    def __init__(self, documents: Iterable[Iterable[str]]) -> None:
        self._inverted = invert(documents)
        self._sorted = sorted(self._inverted)

    def find_prefix(self, beginning: str) -> PaperSet:
        """The papers with a word that begins like this."""
        return union(self._inverted, self._iterate_words(beginning))

    def words_of(self, beginning: str, position: int) -> tuple[str, ...]:
        """The words of one paper that begin like this, in alphabetical order."""
        bit = 1 << position
        return tuple(w for w in self._iterate_words(beginning) if self._inverted[w] & bit)

    def _iterate_words(self, beginning: str) -> Iterator[str]:
        for at in range(bisect_left(self._sorted, beginning), len(self._sorted)):
            if not self._sorted[at].startswith(beginning):
                return
            yield self._sorted[at]


def union(inverted: Mapping[str, PaperSet], keys: Iterable[str]) -> PaperSet:
    papers: PaperSet = 0
    for key in keys:
        papers |= inverted.get(key, 0)
    return papers


def iterate_bits(bits: PaperSet) -> Iterator[int]:
    """Positions of the bits that are set, word by word: a long integer is slow to take apart."""
    base = 0
    while bits:
        word = bits & _WORD
        while word:
            lowest = word & -word
            yield base + lowest.bit_length() - 1
            word ^= lowest
        bits >>= _WORD_BITS
        base += _WORD_BITS


def list_bits(bits: PaperSet) -> list[int]:
    """The same all at once, in half the time: by the gaps between the ones of the binary text."""
    gaps = bin(bits)[:1:-1].split("1")
    gaps.pop()  # what stands after the last one
    at, found = -1, []
    for gap in gaps:
        at += len(gap) + 1
        found.append(at)
    return found


def to_bits(positions: Collection[int]) -> PaperSet:
    """The bits at these positions. Shifting one in at a time would copy the whole set each time."""
    octets = bytearray(max(positions, default=0) // 8 + 1)
    for position in positions:
        octets[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(octets, "little")
