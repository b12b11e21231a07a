"""What stored topics want of a day's papers: forms in, sets of papers out, thousands at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import and_

from service.topics.domain.matching.bitsets import PaperSet
from service.topics.domain.matching.compiled import (
    DEFAULT_ANNOUNCEMENTS,
    CompiledClause,
    find_group,
    inner_numbers,
    read_group,
)
from service.topics.domain.matching.paper_index import PaperIndex
from service.topics.domain.types import ClauseKind


@dataclass(frozen=True, slots=True)
class StoredTopics:
    """Topics of as many clauses each. `columns`: the first number of every form, the second …"""

    ids: Sequence[int]
    texts: Sequence[str]
    columns: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class StoredClauses:
    """Clauses of one kind: their numbers, canonical texts and keys."""

    kind: ClauseKind
    ids: Sequence[int]
    texts: Sequence[str]
    keys: Sequence[str]

    def forms(self) -> Iterator[CompiledClause]:
        return (CompiledClause(self.kind, keys) for keys in self.keys)


class CompiledTopics(Mapping[str, CompiledClause]):
    """The forms of clauses by their canonical texts. Each is made only when somebody asks for it."""

    def __init__(self) -> None:
        self._keys: dict[ClauseKind, dict[str, str]] = {kind: {} for kind in ClauseKind}

    def add(self, clauses: Iterable[StoredClauses]) -> None:
        for some in clauses:
            self._keys[some.kind].update(zip(some.texts, some.keys, strict=True))

    def __getitem__(self, clause: str) -> CompiledClause:
        for kind, keys in self._keys.items():
            if clause in keys:
                return CompiledClause(kind, keys[clause])
        raise KeyError(clause)

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._keys.values())

    def __len__(self) -> int:
        return sum(map(len, self._keys.values()))


class TopicSets:
    """The sets of papers of clauses by their numbers, and of topics by theirs.

    Each clause is looked up once; what it finds stands for every topic that has it. All that a set
    of topics needs comes to a few passes over long lists, without a step of Python for each topic.
    """

    def __init__(self, index: PaperIndex) -> None:
        self._index = index
        self._everything = index.clauses.everything
        # 0 stands for `DEFAULT_ANNOUNCEMENTS` in every form; a number below it for the same clause unwanted.
        self._found: dict[int, PaperSet] = {0: index.look_up(DEFAULT_ANNOUNCEMENTS)}

    def lacking(self, topics: Iterable[StoredTopics]) -> set[int]:
        """The numbers of the clauses that these topics have and that were not learned yet."""
        needed: set[int] = set()
        for some in topics:
            needed.update(*some.columns)
        return self._unknown(map(abs, needed))

    def lacking_inside(self, clauses: Iterable[StoredClauses]) -> set[int]:
        """The same of the clauses that stand in groups."""
        inner: set[int] = set()
        for some in clauses:
            if some.kind is ClauseKind.GROUP:
                inner.update(*map(inner_numbers, some.forms()))
        return self._unknown(inner)

    def _unknown(self, numbers: Iterable[int]) -> set[int]:
        # One by one: a difference of sets would go through all that is known each time.
        return {number for number in numbers if number not in self._found}

    def learn(self, clauses: Sequence[StoredClauses]) -> None:
        """Look these clauses up. Those inside groups must have been learned before, or be among them.

        `like:` clauses must be at hand in the index.
        """
        for some in sorted(clauses, key=lambda some: some.kind is ClauseKind.GROUP):
            self._found.update(zip(some.ids, self._find(some), strict=True))

    def _find(self, some: StoredClauses) -> Iterator[PaperSet]:
        if some.kind is ClauseKind.WORD:
            return self._index.clauses.find_words(some.keys)
        if some.kind is ClauseKind.PHRASE:
            return map(self._index.clauses.find_phrase, some.keys)
        if some.kind is ClauseKind.GROUP:
            return map(self._find_group, some.forms())
        if some.kind in {ClauseKind.LIKE, ClauseKind.OTHER}:
            return map(self._index.look_up, some.texts)
        return map(self._index.clauses.find_compiled, some.forms())

    def _find_group(self, form: CompiledClause) -> PaperSet:
        return find_group(read_group(iter(form.split())), self._everything, self._find_number)

    def _find_number(self, part: str) -> PaperSet:
        number = int(part)
        return self._found[number] if number >= 0 else self._everything & ~self._found[-number]

    def find_all(self, topics: StoredTopics) -> list[PaperSet]:
        """The papers that each topic wants. Raises `KeyError` where a clause was not learned."""
        columns = [self._look_up_all(column) for column in topics.columns]
        found = columns[0]
        for column in columns[1:]:
            found = map(and_, found, column)
        return list(found)

    def _look_up_all(self, numbers: Sequence[int]) -> Iterator[PaperSet]:
        found, everything = self._found, self._everything
        for number in self._unknown(set(numbers)):
            found[number] = everything & ~found[-number]
        return map(found.__getitem__, numbers)
