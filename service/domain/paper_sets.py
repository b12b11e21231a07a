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
Reasons: TypeAlias = tuple[Reason, ...]

_WORD_BITS = 60
_WORD = (1 << _WORD_BITS) - 1


class PhraseIndex:
    """One text of every paper, both ways: from lexeme to papers and from paper to positions."""

    def __init__(self, documents: Sequence[Lexemes]) -> None:
        self._documents = documents
        self._inverted = invert(documents)

    def find_phrase(self, lexemes: Lexemes) -> Bits:
        """The papers with `lexemes` at these very distances: what `phraseto_tsquery` asks."""
        if not lexemes:
            return 0
        candidates: Bits = -1
        for lexeme in lexemes:
            candidates &= self._inverted.get(lexeme, 0)
        offsets = [(lexeme, at) for lexeme, positions in lexemes.items() for at in positions]
        if len(offsets) == 1:
            return candidates
        papers: Bits = 0
        for position in iterate_bits(candidates):
            if _stands_in(self._documents[position], offsets):
                papers |= 1 << position
        return papers


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


def _stands_in(document: Lexemes, offsets: Sequence[tuple[str, int]]) -> bool:
    """Whether some base exists from which every lexeme stands at its own offset."""
    # A lexeme has one or two positions as a rule; scanning those beats building sets of them.
    first, start = offsets[0]
    for at in document[first]:
        base = at - start
        for lexeme, offset in offsets[1:]:
            if base + offset not in document[lexeme]:
                break
        else:
            return True
    return False


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
