"""The papers of the last days as sets of bits, so that a preview counts without asking again.

Bit i is the i-th newest paper. What a clause finds comes in as a set (from Postgres, where it is
not known here); AND, OR and NOT over it, a count per day and the newest ten are then cheap.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import islice
from typing import TypeAlias, TypeVar

from service.domain.categories import expand
from service.domain.paper_sets import Bits, Lexemes, iterate_bits, to_bits, unite
from service.domain.query_tree import And, Category, Leaf, Not, Or, Query, Text

LookUp: TypeAlias = Callable[[Leaf], Bits]
Known: TypeAlias = Callable[[Query], Bits | None]
Key = TypeVar("Key", date, str)

# Words of fewer titles are kept as lists: most are of one, and as bits would need ten times more.
FEWEST_TITLES = 5
# Titles that are read for words that stand beside a topic; more would hardly change the first few.
_MOST_TITLES = 500
_WORD = re.compile(r"[^\W\d_][\w-]*[^\W_]")


@dataclass(frozen=True, slots=True)
class RecentPaper:
    """What a preview needs of a paper; `title_lexemes` are those of its `tsvector`."""

    paper_id: int
    announced_on: date
    title: str
    categories: tuple[str, ...]
    title_lexemes: tuple[str, ...]


class RecentIndex:
    """The papers of a span of days, turned round. `papers` are newest first."""

    def __init__(self, papers: Sequence[RecentPaper]) -> None:
        self.ids = [paper.paper_id for paper in papers]
        self.everything: Bits = (1 << len(papers)) - 1
        self._titles = [paper.title for paper in papers]
        self._places = {paper_id: place for place, paper_id in enumerate(self.ids)}
        self._days = _to_sets(_gather((paper.announced_on,) for paper in papers))
        self._categories = _to_sets(_gather(paper.categories for paper in papers))
        titles = _gather(paper.title_lexemes for paper in papers)
        self._lexemes = _to_sets({k: at for k, at in titles.items() if len(at) >= FEWEST_TITLES})
        self._rare = {k: tuple(at) for k, at in titles.items() if len(at) < FEWEST_TITLES}
        self._anywhere: Mapping[str, Bits] = {}

    @cached_property
    def title_words(self) -> Mapping[str, int]:
        """How many titles have each word, as it is written there, in lower case."""
        return _count_words(self._titles)

    def learn_spellings(self) -> None:
        """Read all titles now, so that the first misspelt topic need not wait for it."""
        _ = self.title_words

    @property
    def days_known(self) -> int:
        """On how many days of the span anything was announced."""
        return len(self._days)

    def bits_of(self, paper_ids: Iterable[int]) -> Bits:
        """The papers with these ids; ids from outside the span are left out."""
        places = (self._places.get(paper_id, -1) for paper_id in paper_ids)
        return to_bits([place for place in places if place >= 0])

    def ids_of(self, papers: Bits, most: int | None = None) -> list[int]:
        """Their ids, newest first."""
        return [self.ids[place] for place in islice(iterate_bits(papers), most)]

    def find(self, query: Query, known: Known, look_up: LookUp) -> Bits:
        """The papers that `query` wants. What is `known` of a part of it spares its leaves."""
        found = known(query)
        if found is not None:
            return found
        if isinstance(query, And):
            found = self.everything
            for each in query.operands:
                found &= self.find(each, known, look_up)
                if not found:
                    break
            return found
        if isinstance(query, Or):
            found = 0
            for each in query.operands:
                found |= self.find(each, known, look_up)
            return found
        if isinstance(query, Not):
            return self.everything & ~self.find(query.operand, known, look_up)
        return look_up(query)

    def find_here(self, leaf: Leaf, lexemes: Lexemes) -> Bits | None:
        """What a leaf finds, or None where only Postgres knows. `lexemes` are those of its text."""
        if isinstance(leaf, Category):
            return unite(self._categories, expand(leaf.pattern))
        if not isinstance(leaf, Text) or leaf.field == "abstract" or len(lexemes) != 1:
            return None
        ((lexeme, positions),) = lexemes.items()
        if len(positions) != 1:
            return None
        if leaf.field == "any":
            return self._anywhere.get(lexeme)
        found = self._lexemes.get(lexeme)
        return to_bits(self._rare.get(lexeme, ())) if found is None else found

    def learn_words(self, found: Mapping[str, Bits]) -> None:
        """Take over which papers have a lexeme in title or abstract, for lexemes of many papers."""
        self._anywhere = found

    def count_by_day(self, papers: Bits) -> dict[date, int]:
        """How many of them were announced on each day of the span that had papers."""
        return {on: (papers & of_day).bit_count() for on, of_day in self._days.items()}

    def count_by_category(self, papers: Bits) -> dict[str, int]:
        """How many of them each category has, without those that have none."""
        counts = {code: (papers & here).bit_count() for code, here in self._categories.items()}
        return {code: count for code, count in counts.items() if count}

    def count_title_words(self, papers: Bits) -> Mapping[str, int]:
        """In how many of the newest 500 of their titles each word stands."""
        places = islice(iterate_bits(papers), _MOST_TITLES)
        return _count_words(self._titles[place] for place in places)


def _count_words(titles: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for title in titles:
        counts.update({*_WORD.findall(title.lower())})
    return counts


def _gather(keys_of_each: Iterable[Sequence[Key]]) -> dict[Key, list[int]]:
    """From key to the places of the papers that have it."""
    places: dict[Key, list[int]] = defaultdict(list)
    for place, keys in enumerate(keys_of_each):
        for key in keys:
            places[key].append(place)
    return places


def _to_sets(places: Mapping[Key, Sequence[int]]) -> dict[Key, Bits]:
    return {key: to_bits(found) for key, found in places.items()}
