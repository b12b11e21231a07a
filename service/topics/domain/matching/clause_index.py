"""Inverted indexes that evaluate one clause over an edition's papers and explain its matches."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

from service.papers.domain.author_keys import author_index_keys, author_query_keys
from service.papers.domain.author_names import author_matches
from service.papers.domain.categories import expand
from service.papers.domain.tsvector import Lexemes
from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.language.canonical import write_leaf
from service.topics.domain.matching import bitsets, compiled
from service.topics.domain.types import ClauseKind, Reason


@dataclass(frozen=True, slots=True)
class IndexedPaper:
    """The fields of a paper that matching needs, as of its current announcement.

    `title` and `abstract` are its two `tsvector` columns with positions, `title_words` and
    `abstract_words` the unstemmed words of the same texts; `authors` display names; `categories`
    canonical. `is_cross`: the source announced it as a cross-list. `is_first`: it is new here.
    `is_replaced`: a newer version of it was announced. `trend` is a percentile.
    """

    paper_id: int
    title: Lexemes
    abstract: Lexemes
    authors: tuple[str, ...]
    categories: frozenset[str]
    title_words: Iterable[str] = ()
    abstract_words: Iterable[str] = ()
    sources: frozenset[str] = frozenset()
    primary_category: str = ""
    trend: float = 50.0
    is_first: bool = True
    is_cross: bool = False
    is_replaced: bool = False


class ClauseIndex:
    """Inverted indexes over an edition's papers: from lexeme, word, name, category … to papers.

    The keys of a clause come from `forms`, by canonical text, or else are compiled with `lexicon`,
    which must then hold its text. `likes` must hold every `like:` clause that is evaluated
    (canonical text -> the papers it finds, bit i for the i-th paper). A missing entry raises
    `KeyError`; the caller may add entries to all three at any time.
    """

    def __init__(
        self,
        papers: Sequence[IndexedPaper],
        lexicon: compiled.Lexicon,
        likes: Mapping[str, bitsets.PaperSet],
        forms: Mapping[str, compiled.CompiledClause],
    ) -> None:
        self._papers = papers
        self._lexicon = lexicon
        self._likes = likes
        self._forms = forms
        self.everything: bitsets.PaperSet = (1 << len(papers)) - 1
        self._titles = bitsets.PhraseIndex([paper.title for paper in papers])
        self._abstracts = bitsets.PhraseIndex([paper.abstract for paper in papers])
        titles, abstracts = self._titles.inverted, self._abstracts.inverted
        either = {lexeme: found | abstracts.get(lexeme, 0) for lexeme, found in titles.items()}
        self._words = {**abstracts, **either}
        self._title_words = bitsets.PrefixIndex(paper.title_words for paper in papers)
        self._abstract_words = bitsets.PrefixIndex(paper.abstract_words for paper in papers)
        self._categories = bitsets.invert(paper.categories for paper in papers)
        self._primaries = bitsets.invert((paper.primary_category,) for paper in papers)
        self._sources = bitsets.invert(paper.sources for paper in papers)
        self._keys_of: dict[str, frozenset[str]] = {}
        self._author_keys = bitsets.invert(self._iterate_author_keys())
        self._shared: dict[bitsets.Reasons, bitsets.Reasons] = {}
        self._fields: dict[
            syntax.Text | syntax.Prefix, tuple[bitsets.PaperSet, bitsets.PaperSet]
        ] = {}
        self.first = bitsets.to_bits([at for at, p in enumerate(papers) if p.is_first])
        self._crosses = bitsets.to_bits([at for at, p in enumerate(papers) if p.is_cross])
        self._replaced = bitsets.to_bits([at for at, p in enumerate(papers) if p.is_replaced])

    def find(self, leaf: syntax.Leaf) -> bitsets.PaperSet:
        """Return the papers that satisfy `leaf`, a leaf of a normalized query."""
        match leaf:
            case syntax.Prefix():
                titles, abstracts = self.find_fields(leaf)
                papers = titles | abstracts
            case syntax.FromSource():
                papers = self._sources.get(leaf.name, 0)
            case syntax.TrendLimit():
                compare, limit = syntax.COMPARE[leaf.comparison], leaf.limit
                papers = bitsets.to_bits(
                    [at for at, p in enumerate(self._papers) if compare(p.trend, limit)]
                )
            case syntax.Like():
                papers = self._likes[write_leaf(leaf)]
            case syntax.Announced():
                papers = compiled.find_announced(
                    leaf, self.first, self._crosses, self._replaced, self._primaries
                )
            case _:
                papers = self.find_compiled(self._compiled_of(leaf))
        return papers

    def _compiled_of(self, leaf: syntax.Leaf) -> compiled.CompiledClause:
        return self._forms.get(write_leaf(leaf)) or compiled.compile_leaf(leaf, self._lexicon)

    def find_compiled(self, form: compiled.CompiledClause) -> bitsets.PaperSet:
        """Return the papers for a word, phrase, author, category; `ValueError` for other kinds."""
        match form.kind:
            case ClauseKind.WORD:
                papers = self._words.get(form.keys, 0)
            case ClauseKind.PHRASE:
                titles, abstracts = self._find_places(form)
                papers = titles | abstracts
            case ClauseKind.AUTHOR:
                papers = bitsets.union(self._author_keys, form.split())
            case ClauseKind.CATEGORY:
                papers = bitsets.union(self._categories, form.split())
            case _:
                raise ValueError(f"a clause of kind {form.kind} is not looked up by its form")
        return papers

    def find_words(self, lexemes: Iterable[str]) -> Iterator[bitsets.PaperSet]:
        """Return `find_compiled` of many words at once; most clauses of an edition are words."""
        return map(self._words.get, lexemes, repeat(0))

    def find_phrase(self, keys: str) -> bitsets.PaperSet:
        """Return `find_compiled` of a phrase, faster for two neighbouring lexemes, as most are."""
        parts = keys.split("\t")
        if len(parts) == 5 and parts[0] == "any" and (distance := int(parts[4])) in bitsets.NEAR:
            lexeme, neighbour = parts[1], parts[3]
            return self._titles.find_pair(lexeme, neighbour, distance) | self._abstracts.find_pair(
                lexeme, neighbour, distance
            )
        return self.find_compiled(compiled.CompiledClause(ClauseKind.PHRASE, keys))

    def find_fields(
        self, leaf: syntax.Text | syntax.Prefix
    ) -> tuple[bitsets.PaperSet, bitsets.PaperSet]:
        """Return the papers found by title and by abstract, none where the field excludes it."""
        if leaf not in self._fields:
            self._fields[leaf] = (
                (
                    0 if leaf.field == "abstract" else self._title_words.find_prefix(leaf.text),
                    0 if leaf.field == "title" else self._abstract_words.find_prefix(leaf.text),
                )
                if isinstance(leaf, syntax.Prefix)
                else self._find_places(self._compiled_of(leaf))
            )
        return self._fields[leaf]

    def _find_places(
        self, form: compiled.CompiledClause
    ) -> tuple[bitsets.PaperSet, bitsets.PaperSet]:
        field, places = compiled.parse_places(form)
        return (
            0 if field == "abstract" else self._titles.find_phrase(places),
            0 if field == "title" else self._abstracts.find_phrase(places),
        )

    def _iterate_author_keys(self) -> Iterator[set[str]]:
        for paper in self._papers:
            for name in paper.authors:
                if name not in self._keys_of:
                    self._keys_of[name] = author_index_keys(name)
            yield {key for name in paper.authors for key in self._keys_of[name]}

    def explainer(self, leaf: syntax.Leaf) -> Callable[[int], bitsets.Reasons]:
        """Return a function from the position of a paper that satisfies `leaf` to the reasons.

        Papers with equal reasons share one object, so that it is scored and rendered once.
        """
        if isinstance(leaf, syntax.Text):
            return self._make_text_explainer(leaf)
        cached: dict[int, bitsets.Reasons] = {}

        def explain(position: int) -> bitsets.Reasons:
            if position not in cached:
                reasons = self._explain(leaf, position)
                cached[position] = self._shared.setdefault(reasons, reasons)
            return cached[position]

        return explain

    def _make_text_explainer(self, leaf: syntax.Text) -> Callable[[int], bitsets.Reasons]:
        clause = write_leaf(leaf)
        titles, abstracts = self.find_fields(leaf)
        in_title = (Reason(clause, "title", (leaf.text,)),)
        in_abstract = (Reason(clause, "abstract", (leaf.text,)),)
        in_both = (*in_title, *in_abstract)

        def explain(position: int) -> bitsets.Reasons:
            if titles >> position & 1:
                return in_both if abstracts >> position & 1 else in_title
            return in_abstract

        return explain

    def _explain(self, leaf: syntax.Leaf, position: int) -> bitsets.Reasons:
        clause, paper = write_leaf(leaf), self._papers[position]
        match leaf:
            case syntax.Prefix():
                reasons = self._explain_prefix(clause, leaf, position)
            case syntax.Category():
                found = tuple(sorted(paper.categories & expand(leaf.pattern)))
                reasons = (Reason(clause, "category", found),)
            case syntax.Author():
                reasons = (self._explain_author(clause, leaf, paper),)
            case syntax.FromSource():
                reasons = (Reason(clause, "source", (leaf.name,)),)
            case syntax.TrendLimit():
                reasons = (Reason(clause, "trend", (f"{paper.trend:.0f}",)),)
            case _:  # Like, since announcement switches are never given as a reason
                reasons = (Reason(clause, "meaning"),)
        return reasons

    def _explain_prefix(self, clause: str, leaf: syntax.Prefix, position: int) -> bitsets.Reasons:
        titles, abstracts = self.find_fields(leaf)
        bit, reasons = 1 << position, []
        if titles & bit:
            words = self._title_words.words_of(leaf.text, position)
            reasons.append(Reason(clause, "title", words))
        if abstracts & bit:
            words = self._abstract_words.words_of(leaf.text, position)
            reasons.append(Reason(clause, "abstract", words))
        return tuple(reasons)

    def _explain_author(self, clause: str, leaf: syntax.Author, paper: IndexedPaper) -> Reason:
        keys = author_query_keys(leaf.name)
        found = tuple(n for n in paper.authors if not keys.isdisjoint(self._keys_of[n]))
        is_guess = all(author_matches(leaf.name, name) != "exact" for name in found)
        return Reason(clause, "author", found, is_guess)
