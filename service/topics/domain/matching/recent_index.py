"""The papers of the last days as sets of bits, so that a preview counts without asking again.

Bit i is the i-th paper that was read. What a clause finds comes in as a set (from Postgres, where it
is not known here); AND, OR and NOT over it, a count per day and the newest ten are then cheap.
Papers that come or change later are added behind the others and the old bits of those that changed
are left out from then on, so that an index follows its store by what changed and no more.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import TypeAlias, TypeVar

from service.papers.domain.categories import expand
from service.papers.domain.tsvector import Lexemes
from service.topics.domain.language.syntax_tree import (
    And,
    Announced,
    Category,
    Leaf,
    Not,
    Or,
    Query,
    Text,
)
from service.topics.domain.matching.bitsets import PaperSet, list_bits, to_bits, union

LookUp: TypeAlias = Callable[[Leaf], PaperSet]
Known: TypeAlias = Callable[[Query], PaperSet | None]
Key = TypeVar("Key", date, str)

# Words of fewer titles are kept as lists: most are of one, and as bits would need ten times more.
FEWEST_TITLES = 5
# Titles that are read for words that stand beside a topic; more would hardly change the first few.
_MOST_TITLES = 500
_WORD = re.compile(r"[^\W\d_][\w-]*[^\W_]")


@dataclass(frozen=True, slots=True)
class RecentPaper:
    """What a preview needs of a paper; `title_lexemes` are those of its `tsvector`.

    `announced_on` is the day on which it was new, `counted_on` the day that counts where
    replacements do too, each None where that day is outside the span. `is_first` says that it was
    new at all, `is_cross` that the source called it a cross-list, `is_replaced` that a newer version
    was ever announced. `abstract_lexemes` are needed of papers that are added later only.
    """

    paper_id: int
    announced_on: date | None
    title: str
    categories: tuple[str, ...]
    title_lexemes: tuple[str, ...]
    key: str = ""
    counted_on: date | None = None
    primary_category: str = ""
    is_first: bool = True
    is_cross: bool = False
    is_replaced: bool = False
    abstract_lexemes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicPapers:
    """The papers that count for a topic, all together and by day."""

    papers: PaperSet
    days: Mapping[date, PaperSet]

    @property
    def days_known(self) -> int:
        """On how many days of the span anything was announced."""
        return sum(1 for papers in self.days.values() if papers)

    def count_by_day(self, papers: PaperSet) -> dict[date, int]:
        """How many of `papers` there were on each day of the span that had any at all."""
        return {on: (papers & here).bit_count() for on, here in self.days.items() if here}


class RecentIndex:
    """The papers of a span of days, turned round."""

    def __init__(
        self,
        papers: Iterable[RecentPaper] = (),
        before: RecentIndex | None = None,
        gone_ids: Iterable[int] = (),
    ) -> None:
        """`papers` beside, or instead of, those of `before`, but for the `gone_ids`."""
        self._ids: list[int] = []
        self._keys: list[str] = []
        self._titles: list[str] = []
        self._places: dict[int, int] = {}
        self._first: PaperSet = 0
        self._crosses: PaperSet = 0
        self._replaced: PaperSet = 0
        self._days: dict[date, PaperSet] = {}
        self._counted_days: dict[date, PaperSet] = {}
        self._categories: dict[str, PaperSet] = {}
        self._primaries: dict[str, PaperSet] = {}
        self._lexemes: dict[str, PaperSet] = {}
        self._rare: dict[str, tuple[int, ...]] = {}
        self._anywhere: dict[str, PaperSet] = {}
        self._title_words: Counter[str] | None = None
        for name, value in vars(before).items() if before is not None else ():
            setattr(self, name, value.copy() if isinstance(value, list | dict) else value)
        given = list(papers)
        self._drop({*gone_ids, *(paper.paper_id for paper in given)})
        self._add(given)

    def with_changes(self, papers: Iterable[RecentPaper], gone_ids: Iterable[int]) -> RecentIndex:
        """An index with `papers` and without those of `gone_ids`; this one stays as it is."""
        return RecentIndex(papers, self, gone_ids)

    def _drop(self, paper_ids: Iterable[int]) -> None:
        places = (self._places.pop(paper_id, -1) for paper_id in paper_ids)
        gone = to_bits([place for place in places if place >= 0])
        if gone:
            for days in (self._days, self._counted_days):
                days |= {on: papers & ~gone for on, papers in days.items()}

    @property
    def worn_share(self) -> float:
        """The part of the bits that stand for no paper any more."""
        return 1 - len(self._places) / len(self._ids) if self._ids else 0.0

    def _add(self, papers: Sequence[RecentPaper]) -> None:
        start = len(self._ids)
        self._ids += [paper.paper_id for paper in papers]
        self._keys += [paper.key for paper in papers]
        self._titles += [paper.title for paper in papers]
        self._places |= {paper.paper_id: place for place, paper in enumerate(papers, start)}
        self._first |= _where((paper.is_first for paper in papers), start)
        self._crosses |= _where((paper.is_cross for paper in papers), start)
        self._replaced |= _where((paper.is_replaced for paper in papers), start)
        _join(self._days, _gather(((p.announced_on,) for p in papers), start))
        _join(self._counted_days, _gather(((p.counted_on,) for p in papers), start))
        _join(self._categories, _gather((p.categories for p in papers), start))
        _join(self._primaries, _gather(((p.primary_category,) for p in papers), start))
        self._add_words(papers, start)

    def _add_words(self, papers: Sequence[RecentPaper], start: int) -> None:
        for lexeme, places in _gather((p.title_lexemes for p in papers), start).items():
            all_places = (*self._rare.pop(lexeme, ()), *places)
            if lexeme in self._lexemes or len(all_places) >= FEWEST_TITLES:
                self._lexemes[lexeme] = self._lexemes.get(lexeme, 0) | to_bits(all_places)
            else:
                self._rare[lexeme] = all_places
        if self._anywhere:
            said = _gather(((*p.title_lexemes, *p.abstract_lexemes) for p in papers), start)
            _join(self._anywhere, {k: at for k, at in said.items() if k in self._anywhere})
        if self._title_words is not None:
            # Those of papers that went stay: they are there to tell how words are spelt.
            self._title_words = self._title_words + _count_words(p.title for p in papers)

    @property
    def title_words(self) -> Mapping[str, int]:
        """How many titles have each word, as it is written there, in lower case."""
        if self._title_words is None:
            self._title_words = _count_words(self._titles)
        return self._title_words

    def learn_spellings(self) -> None:
        """Read all titles now, so that the first misspelt topic need not wait for it."""
        _ = self.title_words

    def reach(self, *, is_replaced: bool = False) -> TopicPapers:
        """The papers that were new in the span, or with those that were replaced in it."""
        days = self._counted_days if is_replaced else self._days
        papers: PaperSet = 0
        for here in days.values():
            papers |= here
        return TopicPapers(papers, days)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def paper_ids(self) -> Iterable[int]:
        return self._places.keys()

    def bits_of(self, paper_ids: Iterable[int]) -> PaperSet:
        """The papers with these ids; ids from outside the span are left out."""
        places = (self._places.get(paper_id, -1) for paper_id in paper_ids)
        return to_bits([place for place in places if place >= 0])

    def ids_of(self, papers: PaperSet, reach: TopicPapers, most: int | None = None) -> list[int]:
        """The ids of those of `papers` that count, newest first."""
        return [self._ids[place] for place in islice(self._iterate_newest(papers, reach), most)]

    def _iterate_newest(self, papers: PaperSet, reach: TopicPapers) -> Iterator[int]:
        for on in sorted(reach.days, reverse=True):
            places = list_bits(papers & reach.days[on])
            yield from sorted(places, key=self._keys.__getitem__, reverse=True)

    def find(self, query: Query, within: PaperSet, known: Known, look_up: LookUp) -> PaperSet:
        """The papers that `query` wants. What is `known` of a part of it spares its leaves."""
        return within & self._find(query, within, known, look_up)

    def _find(self, query: Query, within: PaperSet, known: Known, look_up: LookUp) -> PaperSet:
        found = known(query)
        if found is not None:
            return found
        if isinstance(query, And):
            found = within
            for each in query.operands:
                found &= self._find(each, within, known, look_up)
                if not found:
                    break
            return found
        if isinstance(query, Or):
            found = 0
            for each in query.operands:
                found |= self._find(each, within, known, look_up)
            return found
        if isinstance(query, Not):
            return within & ~self._find(query.operand, within, known, look_up)
        return look_up(query)

    def find_here(self, leaf: Leaf, lexemes: Lexemes) -> PaperSet | None:
        """What a leaf finds, or None where only Postgres knows. `lexemes` are those of its text."""
        if isinstance(leaf, Category):
            return union(self._categories, expand(leaf.pattern))
        if isinstance(leaf, Announced):
            return self._find_announced(leaf)
        if not isinstance(leaf, Text) or leaf.field == "abstract" or len(lexemes) != 1:
            return None
        ((lexeme, positions),) = lexemes.items()
        if len(positions) != 1:
            return None
        if leaf.field == "any":
            return self._anywhere.get(lexeme)
        found = self._lexemes.get(lexeme)
        return to_bits(self._rare.get(lexeme, ())) if found is None else found

    def _find_announced(self, leaf: Announced) -> PaperSet:
        """The same as `topic_sql` says of rows; what is outside the span is left out by the caller."""
        crosses = self._crosses
        if leaf.home:
            own = {member for pattern in leaf.home for member in expand(pattern)}
            crosses = ~union(self._primaries, {*own, ""})
        found: PaperSet = self._first & crosses if leaf.cross else 0
        if leaf.new:
            found |= self._first & ~crosses
        return found | self._replaced if leaf.replaced else found

    def learn_words(self, found: Mapping[str, PaperSet]) -> None:
        """Take over which papers have a lexeme in title or abstract, for lexemes of many papers."""
        self._anywhere = dict(found)

    def count_by_category(self, papers: PaperSet) -> dict[str, int]:
        """How many of them each category has, without those that have none."""
        counts = {code: (papers & here).bit_count() for code, here in self._categories.items()}
        return {code: count for code, count in counts.items() if count}

    def count_title_words(self, papers: PaperSet, reach: TopicPapers) -> Mapping[str, int]:
        """In how many of the newest 500 of their titles each word stands."""
        places = islice(self._iterate_newest(papers, reach), _MOST_TITLES)
        return _count_words(self._titles[place] for place in places)


def _count_words(titles: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for title in titles:
        counts.update({*_WORD.findall(title.lower())})
    return counts


def _where(flags: Iterable[bool], start: int) -> PaperSet:
    return to_bits([place for place, is_so in enumerate(flags, start) if is_so])


def _gather(keys_of_each: Iterable[Sequence[Key | None]], start: int) -> dict[Key, list[int]]:
    """From key to the places of the papers that have it, counted from `start`."""
    places: dict[Key, list[int]] = defaultdict(list)
    for place, keys in enumerate(keys_of_each, start):
        for key in keys:
            if key is not None:
                places[key].append(place)
    return places


def _join(sets: dict[Key, PaperSet], places: Mapping[Key, Sequence[int]]) -> None:
    for key, found in places.items():
        sets[key] = sets.get(key, 0) | to_bits(found)
