"""Match topics with an edition's papers in memory, with the same result as Postgres.

Papers are the bits of one integer (bit i is the i-th paper), so AND, OR and NOT over all papers
cost one machine operation per 64 papers. Results of clauses are cached by canonical text, in which
equal clauses are equal strings; a topic whose clauses are all cached costs a few look-ups.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.language.canonical import canonical
from service.topics.domain.matching import compiled
from service.topics.domain.matching.bitsets import PaperSet, Reasons, list_bits
from service.topics.domain.matching.clause_index import ClauseIndex, IndexedPaper

_Explainer: TypeAlias = Callable[[int], Reasons]


class PaperIndex:
    """An index over an edition's papers that evaluates topics in canonical text.

    `lexicon`, `likes` and `forms` give the keys of clauses: see `ClauseIndex`.
    """

    def __init__(
        self,
        papers: Sequence[IndexedPaper],
        lexicon: compiled.Lexicon,
        likes: Mapping[str, PaperSet] | None = None,
        forms: Mapping[str, compiled.CompiledClause] | None = None,
    ) -> None:
        self.ids = [paper.paper_id for paper in papers]
        self.clauses = ClauseIndex(
            papers, lexicon, {} if likes is None else likes, {} if forms is None else forms
        )
        self._found: dict[str, PaperSet] = {}
        self._leaves: dict[str, syntax.Leaf] = {}
        self._titles: dict[str, PaperSet | None] = {}
        self._explainers: dict[str, _Explainer] = {}
        self._plans: dict[str, compiled.ClauseGroup | tuple[_Explainer, ...]] = {}

    def find(self, topic: str) -> PaperSet:
        """Return the papers that `topic`, a canonical text, wants.

        Raises `QueryError` for a text that is not in the topic language.
        """
        papers = self.clauses.everything
        for clause in compiled.split_topic(topic):
            papers &= self.look_up(clause)
            if not papers:
                break  # a rare word saves the look-ups of the other clauses
        return papers

    def look_up(self, clause: str) -> PaperSet:
        """Return the papers that satisfy one clause of `split_topic`; cached."""
        bits = self._found.get(clause)
        if bits is None:
            bits = self._found[clause] = self._find_clause(clause)
        return bits

    def _find_clause(self, clause: str) -> PaperSet:
        if clause == compiled.DEFAULT_ANNOUNCEMENTS:
            return self.clauses.first
        if clause.startswith("-"):
            return self.clauses.everything & ~self.look_up(clause[1:])
        if compiled.is_group(clause):
            return self._find_group(compiled.parse_group(iter(compiled.PART.findall(clause))))
        return self.clauses.find(self._read(clause))

    def _find_group(self, group: compiled.ClauseGroup) -> PaperSet:
        return compiled.find_group(group, self.clauses.everything, self.look_up)

    def split_by_title(self, topic: str) -> tuple[PaperSet, ...] | None:
        """Return, for each word clause of `topic`, the papers that have it in the title.

        None where the clauses alone do not give the reasons: with an OR, of which one branch may
        have failed, or with an author, whose name may be a guess.
        """
        parts = compiled.PART.findall(topic)
        titles = []
        for part in parts:
            if part in {"(", "OR"} or part.startswith("au:"):
                return None
            if not part.startswith("-") and part not in self._titles:
                self._titles[part] = self._find_in_title(part)
            if not part.startswith("-") and (found := self._titles[part]) is not None:
                titles.append(found)
        return tuple(titles)

    def _find_in_title(self, clause: str) -> PaperSet | None:
        if compiled.SWITCH.match(clause):
            return None
        leaf = self._read(clause)
        return (
            self.clauses.find_fields(leaf)[0]
            if isinstance(leaf, syntax.Text | syntax.Prefix)
            else None
        )

    def explain(self, topic: str, position: int) -> Reasons:
        """Return why `topic` wants the paper at `position`: each wanted clause that holds, once.

        A clause in a branch that does not hold as a whole is no reason: for `(a b) OR c`, a paper
        with a and c has the reason c alone.
        """
        plan = self._plans.get(topic)
        if plan is None:
            plan = self._plans[topic] = self._plan(topic)
        if isinstance(plan, compiled.ClauseGroup):
            reasons: dict[str, Reasons] = {}
            self._explain_group(plan, position, reasons)
            return tuple(chain.from_iterable(reasons.values()))
        found: Reasons = ()
        for explain_clause in plan:
            found = found + explain_clause(position) if found else explain_clause(position)
        return found

    def _plan(self, topic: str) -> compiled.ClauseGroup | tuple[_Explainer, ...]:
        """Return an explainer per clause where all clauses must hold, else the tree of branches."""
        parts = compiled.PART.findall(topic)
        if "(" in parts or "OR" in parts:
            return compiled.parse_group(part for part in parts if not compiled.SWITCH.match(part))
        wanted = (
            part for part in parts if not part.startswith("-") and not compiled.SWITCH.match(part)
        )
        return tuple(map(self._explainer, wanted))

    def match(self, query: syntax.Query) -> Iterator[tuple[int, Reasons]]:
        """Yield the id of each paper that `query` wants, with the reasons."""
        topic = canonical(query)
        for position in list_bits(self.find(topic)):
            yield self.ids[position], self.explain(topic, position)

    def _explain_group(
        self, group: compiled.ClauseGroup, position: int, reasons: dict[str, Reasons]
    ) -> None:
        for part in group.parts:
            if isinstance(part, compiled.ClauseGroup):
                if not group.is_or or self._find_group(part) >> position & 1:
                    self._explain_group(part, position, reasons)
            # A clause is never a branch of an OR itself, so it holds where its group does.
            elif not part.startswith("-") and part not in reasons:
                reasons[part] = self._explainer(part)(position)

    def _explainer(self, clause: str) -> _Explainer:
        if clause not in self._explainers:
            self._explainers[clause] = self.clauses.explainer(self._read(clause))
        return self._explainers[clause]

    def _read(self, clause: str) -> syntax.Leaf:
        leaf = self._leaves.get(clause)
        if leaf is None:
            leaf = self._leaves[clause] = compiled.parse_clause(clause)
        return leaf


def match_papers(
    topics: Iterable[tuple[int, syntax.Query]],
    papers: Sequence[IndexedPaper],
    lexicon: compiled.Lexicon,
    likes: Mapping[str, PaperSet] | None = None,
) -> Iterator[tuple[int, int, Reasons]]:
    """Yield every match as (topic id, paper id, reasons), by order of `topics`, then `papers`."""
    index = PaperIndex(papers, lexicon, likes)
    for topic_id, query in topics:
        for paper_id, reasons in index.match(query):
            yield topic_id, paper_id, reasons


def meaningless_leaves(query: syntax.Query, lexicon: compiled.Lexicon) -> tuple[syntax.Text, ...]:
    """Return the text leaves without a lexeme (stop words, punctuation), as they were written.

    They match no paper at all, so a topic that has one must not be saved.
    """
    return tuple(
        leaf
        for leaf in syntax.iterate_leaves(query)
        if isinstance(leaf, syntax.Text) and not lexicon[syntax.fold_words(leaf.text)]
    )
