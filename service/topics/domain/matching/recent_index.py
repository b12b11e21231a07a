"""The papers of the last days as bitsets, so that a preview needs few database queries.

Bit i is the i-th paper that was loaded. The result of a clause is a bitset (from Postgres, where
this index cannot find it); AND, OR and NOT, counts per day and the newest ten are then cheap.
New and changed papers are appended with new bits and the old bits of changed papers no longer
count, so that an update costs only as much as what changed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from itertools import islice
from operator import or_
from typing import TypeAlias, TypeVar

from service.papers.domain.categories import expand
from service.papers.domain.tsvector import Lexemes
from service.platform.work_budget import spend
from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.matching.bitsets import PaperSet, list_bits, to_bits, union
from service.topics.domain.matching.compiled import find_announced

LookUp: TypeAlias = Callable[[syntax.Leaf], PaperSet]
Known: TypeAlias = Callable[[syntax.Query], PaperSet | None]
Key = TypeVar("Key", date, str)

# Words of fewer titles are stored as lists: most are in one, and a bitset takes ten times more.
FEWEST_TITLES = 5
# Titles that are counted for suggestions; more would hardly change the most frequent words.
_MOST_TITLES = 500
_WORD = re.compile(r"[^\W\d_][\w-]*[^\W_]")


@dataclass(frozen=True, slots=True)
class RecentPaper:
    """The fields of a paper that a preview needs; `title_lexemes` are those of its `tsvector`.

    `announced_on` is the day on which it was new, `counted_on` the day that counts where
    replacements do too, each None where that day is outside the span. `is_first`: it was new here
    once. `is_cross`: the source called it a cross-list. `is_replaced`: a newer version was
    announced. `abstract_lexemes` are needed only for papers that are added later.
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
        """Number of days of the span on which anything was announced."""
        return sum(1 for papers in self.days.values() if papers)

    def count_by_day(self, papers: PaperSet) -> dict[date, int]:
        """Count `papers` on each day of the span that has any papers of this topic's kind."""
        return {on: (papers & here).bit_count() for on, here in self.days.items() if here}


class RecentIndex:
    """An inverted index over the papers of a span of days."""

    def __init__(
        self,
        papers: Iterable[RecentPaper] = (),
        before: RecentIndex | None = None,
        gone_ids: Iterable[int] = (),
    ) -> None:
        """Index `papers`, and those of `before` that are neither among them nor in `gone_ids`."""
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
        """Return a new index with `papers` and without `gone_ids`; this one stays unchanged."""
        return RecentIndex(papers, self, gone_ids)

    def _drop(self, paper_ids: Iterable[int]) -> None:
        gone = to_bits([self._places.pop(i) for i in paper_ids if i in self._places])
        if gone:
            for days in (self._days, self._counted_days):
                days |= {on: papers & ~gone for on, papers in days.items()}

    @property
    def stale_share(self) -> float:
        """The share of bits that no longer stand for a paper."""
        return 1 - len(self._places) / len(self._ids) if self._ids else 0.0

    def _add(self, papers: Sequence[RecentPaper]) -> None:
        start = len(self._ids)
        self._ids += [paper.paper_id for paper in papers]
        self._keys += [paper.key for paper in papers]
        self._titles += [paper.title for paper in papers]
        self._places |= {paper.paper_id: place for place, paper in enumerate(papers, start)}
        self._first |= _places_where((paper.is_first for paper in papers), start)
        self._crosses |= _places_where((paper.is_cross for paper in papers), start)
        self._replaced |= _places_where((paper.is_replaced for paper in papers), start)
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
            lexemes = _gather(((*p.title_lexemes, *p.abstract_lexemes) for p in papers), start)
            _join(self._anywhere, {k: at for k, at in lexemes.items() if k in self._anywhere})
        if self._title_words is not None:
            # Words of removed papers stay: they serve only as correct spellings.
            self._title_words = self._title_words + _count_words(p.title for p in papers)

    @property
    def title_words(self) -> Mapping[str, int]:
        """Lower-case word -> number of titles that contain it."""
        if self._title_words is None:
            self._title_words = _count_words(self._titles)
        return self._title_words

    def learn_spellings(self) -> None:
        """Count the words of all titles now, so that the first misspelt topic need not wait."""
        _ = self.title_words

    def reach(self, *, is_replaced: bool = False) -> TopicPapers:
        """Return the papers that were new in the span, or also those that were replaced in it."""
        days = self._counted_days if is_replaced else self._days
        return TopicPapers(reduce(or_, days.values(), 0), days)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def paper_ids(self) -> Iterable[int]:
        return self._places.keys()

    def bits_of(self, paper_ids: Iterable[int]) -> PaperSet:
        """Return the papers with these ids as a bitset; ids from outside the span are left out."""
        return to_bits([self._places[i] for i in paper_ids if i in self._places])

    def ids_of(self, papers: PaperSet, reach: TopicPapers, most: int | None = None) -> list[int]:
        """Return the ids of those of `papers` that are in `reach`, newest first."""
        return [self._ids[place] for place in islice(self._iterate_newest(papers, reach), most)]

    def _iterate_newest(self, papers: PaperSet, reach: TopicPapers) -> Iterator[int]:
        for on in sorted(reach.days, reverse=True):
            places = list_bits(papers & reach.days[on])
            yield from sorted(places, key=self._keys.__getitem__, reverse=True)

    def find(
        self, query: syntax.Query, within: PaperSet, known: Known, look_up: LookUp
    ) -> PaperSet:
        """Return the papers that `query` wants; `known` returns cached results, else None."""
        return within & self._find(query, within, known, look_up)

    def _find(
        self, query: syntax.Query, within: PaperSet, known: Known, look_up: LookUp
    ) -> PaperSet:
        spend()
        found = known(query)
        if found is not None:
            return found
        if isinstance(query, syntax.And):
            found = within
            for each in query.operands:
                found &= self._find(each, within, known, look_up)
                if not found:
                    break
            return found
        if isinstance(query, syntax.Or):
            branches = (self._find(each, within, known, look_up) for each in query.operands)
            return reduce(or_, branches, 0)
        if isinstance(query, syntax.Not):
            return within & ~self._find(query.operand, within, known, look_up)
        return look_up(query)

    def find_here(self, leaf: syntax.Leaf, lexemes: Lexemes) -> PaperSet | None:
        """Return what a leaf with these lexemes finds, or None if only Postgres can evaluate it."""
        if isinstance(leaf, syntax.Category):
            return union(self._categories, expand(leaf.pattern))
        if isinstance(leaf, syntax.Announced):
            # As `to_sql` does; the caller removes papers outside the span.
            return find_announced(leaf, self._first, self._crosses, self._replaced, self._primaries)
        if not isinstance(leaf, syntax.Text) or leaf.field == "abstract" or len(lexemes) != 1:
            return None
        ((lexeme, positions),) = lexemes.items()
        if len(positions) != 1:
            return None
        if leaf.field == "any":
            return self._anywhere.get(lexeme)
        found = self._lexemes.get(lexeme)
        return to_bits(self._rare.get(lexeme, ())) if found is None else found

    @property
    def knows_words(self) -> bool:
        """Whether it knows the papers of the common words."""
        return bool(self._anywhere)

    def learn_words(self, found: Mapping[str, PaperSet]) -> None:
        """Set the papers with a lexeme in title or abstract, for the common lexemes."""
        self._anywhere = dict(found)

    def count_by_category(self, papers: PaperSet) -> dict[str, int]:
        """Count `papers` in each category that has any of them."""
        counts = {code: (papers & here).bit_count() for code, here in self._categories.items()}
        return {code: count for code, count in counts.items() if count}

    def count_title_words(self, papers: PaperSet, reach: TopicPapers) -> Mapping[str, int]:
        """Count each word in the titles of the newest 500 of `papers`, once per title."""
        places = islice(self._iterate_newest(papers, reach), _MOST_TITLES)
        return _count_words(self._titles[place] for place in places)


def _count_words(titles: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for title in titles:
        counts.update({*_WORD.findall(title.lower())})
    return counts


def _places_where(flags: Iterable[bool], start: int) -> PaperSet:
    return to_bits([place for place, is_so in enumerate(flags, start) if is_so])


def _gather(keys_of_each: Iterable[Sequence[Key | None]], start: int) -> dict[Key, list[int]]:
    """Return key -> places of the papers that have it, counted from `start`."""
    places: dict[Key, list[int]] = defaultdict(list)
    for place, keys in enumerate(keys_of_each, start):
        for key in keys:
            if key is not None:
                places[key].append(place)
    return places


def _join(sets: dict[Key, PaperSet], places: Mapping[Key, Sequence[int]]) -> None:
    for key, found in places.items():
        sets[key] = sets.get(key, 0) | to_bits(found)
