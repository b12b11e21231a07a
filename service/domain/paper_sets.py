"""Sets of papers as the bits of one integer, and what is looked up to make them.

Bit i is the i-th paper of the day. A set of a whole day's papers is then one value that Python
intersects, joins and complements in one operation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from service.domain.tsvector import Positions
from service.domain.types import Reason

Bits: TypeAlias = int
Lexemes: TypeAlias = Mapping[str, Positions]
Places: TypeAlias = tuple[tuple[str, int], ...]
"""The lexemes of a phrase, each with its distance from the first; the first is 0."""
Reasons: TypeAlias = tuple[Reason, ...]

# Postgres counts positions up to 16,383, so that neither a position nor one beside it, at whatever
# distance a phrase can ask, is taken for one of the next paper.
_STRIDE = 1 << 15

_WORD_BITS = 60
_WORD = (1 << _WORD_BITS) - 1


class PhraseIndex:
    """One text of every paper, both ways: which papers have a lexeme, and where it stands in each.

    A place is one number made of the lexeme's, the paper's and the position, so that whether a
    neighbour stands beside a lexeme is one look into a set, for all papers that have the lexeme.
    """

    def __init__(self, documents: Sequence[Lexemes]) -> None:
        self._inverted = invert(documents)
        self._numbers = {lexeme: number for number, lexeme in enumerate(self._inverted)}
        # Where each lexeme stands, without its own number: paper by paper.
        self._spots: dict[str, list[int]] = {lexeme: [] for lexeme in self._inverted}
        for paper, document in enumerate(documents):
            for lexeme, positions in document.items():
                self._spots[lexeme] += [paper * _STRIDE + at for at in positions]
        self._span = len(documents) * _STRIDE
        self._places = {
            number * self._span + spot
            for lexeme, number in self._numbers.items()
            for spot in self._spots[lexeme]
        }

    def find_phrase(self, places: Places) -> Bits:
        """The papers with these lexemes at these very distances: what `phraseto_tsquery` asks."""
        if len(places) < 2:
            return self._inverted.get(places[0][0], 0) if places else 0
        if any(lexeme not in self._spots for lexeme, _ in places):
            return 0
        rarest, start = min(places, key=lambda place: len(self._spots[place[0]]))
        spots: Iterable[int] = self._spots[rarest]
        for lexeme, distance in places:
            if (lexeme, distance) == (rarest, start):
                continue
            shift = self._numbers[lexeme] * self._span + distance - start
            found = self._places.intersection(map(shift.__add__, spots))
            spots = [place - shift for place in found]
        return sum({1 << spot // _STRIDE for spot in spots})

    @property
    def inverted(self) -> Mapping[str, Bits]:
        """Lexeme -> the papers that have it."""
        return self._inverted


def lay_out(lexemes: Lexemes) -> Places:
    """The lexemes of a phrase in their order, each with its distance from the first."""
    placed = sorted((at, lexeme) for lexeme, positions in lexemes.items() for at in positions)
    return tuple((lexeme, at - placed[0][0]) for at, lexeme in placed)


def invert(documents: Iterable[Iterable[str]]) -> dict[str, Bits]:
    """From what each document holds to the documents, as bits, that hold it."""
    inverted: dict[str, Bits] = defaultdict(int)
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

    def find_prefix(self, beginning: str) -> Bits:
        """The papers with a word that begins like this."""
        return unite(self._inverted, self._iterate_words(beginning))

    def words_of(self, beginning: str, position: int) -> tuple[str, ...]:
        """The words of one paper that begin like this, in alphabetical order."""
        bit = 1 << position
        return tuple(w for w in self._iterate_words(beginning) if self._inverted[w] & bit)

    def _iterate_words(self, beginning: str) -> Iterator[str]:
        for at in range(bisect_left(self._sorted, beginning), len(self._sorted)):
            if not self._sorted[at].startswith(beginning):
                return
            yield self._sorted[at]


def unite(inverted: Mapping[str, Bits], keys: Iterable[str]) -> Bits:
    papers: Bits = 0
    for key in keys:
        papers |= inverted.get(key, 0)
    return papers


def iterate_bits(bits: Bits) -> Iterator[int]:
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


def list_bits(bits: Bits) -> list[int]:
    """The same all at once, in half the time: by the gaps between the ones of the binary text."""
    gaps = bin(bits)[:1:-1].split("1")
    gaps.pop()  # what stands after the last one
    at, found = -1, []
    for gap in gaps:
        at += len(gap) + 1
        found.append(at)
    return found


def to_bits(positions: Collection[int]) -> Bits:
    """The bits at these positions. Shifting one in at a time would copy the whole set each time."""
    octets = bytearray(max(positions, default=0) // 8 + 1)
    for position in positions:
        octets[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(octets, "little")
