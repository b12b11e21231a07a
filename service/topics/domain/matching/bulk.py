"""Match compiled topics with an edition's papers, thousands of topics at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain
from operator import and_

from service.topics.domain.matching import compiled
from service.topics.domain.matching.bitsets import PaperSet
from service.topics.domain.matching.paper_index import PaperIndex
from service.topics.domain.types import ClauseKind


@dataclass(frozen=True, slots=True)
class StoredTopics:
    """Topics with an equal number of clauses. `columns[n]`: the n-th clause id of every topic."""

    ids: Sequence[int]
    texts: Sequence[str]
    columns: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class StoredClauses:
    """Clauses of one kind, as columns: ids, canonical texts and keys."""

    kind: ClauseKind
    ids: Sequence[int]
    texts: Sequence[str]
    keys: Sequence[str]

    def forms(self) -> Iterator[compiled.CompiledClause]:
        """Return the clauses one by one."""
        return (compiled.CompiledClause(self.kind, keys) for keys in self.keys)


class CompiledTopics(Mapping[str, compiled.CompiledClause]):
    """Compiled clauses by canonical text; each object is built on access."""

    def __init__(self) -> None:
        self._keys: dict[ClauseKind, dict[str, str]] = {kind: {} for kind in ClauseKind}

    def add(self, clauses: Iterable[StoredClauses]) -> None:
        for chunk in clauses:
            self._keys[chunk.kind].update(zip(chunk.texts, chunk.keys, strict=True))

    def __getitem__(self, clause: str) -> compiled.CompiledClause:
        for kind, keys in self._keys.items():
            if clause in keys:
                return compiled.CompiledClause(kind, keys[clause])
        raise KeyError(clause)

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._keys.values())

    def __len__(self) -> int:
        return sum(map(len, self._keys.values()))


class TopicSets:
    """The papers that compiled topics want, by clause id.

    Each clause is looked up once for all topics that have it. Topics are evaluated in a few passes
    over long columns, without a step of Python for each topic.
    """

    def __init__(self, index: PaperIndex) -> None:
        self._index = index
        self._everything = index.clauses.everything
        # Id 0 is `DEFAULT_ANNOUNCEMENTS`; a negative id is the excluded clause of the positive one.
        self._found: dict[int, PaperSet] = {0: index.look_up(compiled.DEFAULT_ANNOUNCEMENTS)}

    def lacking(self, topics: Iterable[StoredTopics]) -> set[int]:
        """Return the ids of the clauses of these topics that are not looked up yet."""
        needed = set[int]().union(*chain.from_iterable(chunk.columns for chunk in topics))
        return self._unknown(map(abs, needed))

    def lacking_inside(self, clauses: Iterable[StoredClauses]) -> set[int]:
        """Return the ids of the clauses inside these groups that are not looked up yet."""
        groups = (chunk.forms() for chunk in clauses if chunk.kind is ClauseKind.GROUP)
        inner = map(compiled.inner_numbers, chain.from_iterable(groups))
        return self._unknown(set[int]().union(*inner))

    def _unknown(self, numbers: Iterable[int]) -> set[int]:
        # Checked one by one: building a set difference would iterate over all known ids.
        return {number for number in numbers if number not in self._found}

    def learn(self, clauses: Sequence[StoredClauses]) -> None:
        """Look these clauses up in the index, which must hold the results of `like:` clauses.

        Clauses inside groups must be among them, or have been learned before.
        """
        for chunk in sorted(clauses, key=lambda chunk: chunk.kind is ClauseKind.GROUP):
            self._found.update(zip(chunk.ids, self._find(chunk), strict=True))

    def _find(self, chunk: StoredClauses) -> Iterator[PaperSet]:
        if chunk.kind is ClauseKind.WORD:
            return self._index.clauses.find_words(chunk.keys)
        if chunk.kind is ClauseKind.PHRASE:
            return map(self._index.clauses.find_phrase, chunk.keys)
        if chunk.kind is ClauseKind.GROUP:
            return map(self._find_group, chunk.forms())
        if chunk.kind in {ClauseKind.LIKE, ClauseKind.OTHER}:
            return map(self._index.look_up, chunk.texts)
        return map(self._index.clauses.find_compiled, chunk.forms())

    def _find_group(self, form: compiled.CompiledClause) -> PaperSet:
        return compiled.find_group(
            compiled.parse_group(iter(form.split())), self._everything, self._find_number
        )

    def _find_number(self, part: str) -> PaperSet:
        number = int(part)
        return self._found[number] if number >= 0 else self._everything & ~self._found[-number]

    def find_all(self, topics: StoredTopics) -> list[PaperSet]:
        """Return the papers that each topic wants; raises `KeyError` for a clause not learned."""
        columns = map(self._look_up_all, topics.columns)
        return list(reduce(partial(map, and_), columns))

    def _look_up_all(self, numbers: Sequence[int]) -> Iterator[PaperSet]:
        found, everything = self._found, self._everything
        for number in self._unknown(set(numbers)):
            found[number] = everything & ~found[-number]
        return map(found.__getitem__, numbers)
