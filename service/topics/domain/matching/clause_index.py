"""One clause over a day's papers: which of them it holds for, and what to tell of one of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

from service.papers.domain.author_keys import author_index_keys, author_query_keys
from service.papers.domain.author_names import author_matches
from service.papers.domain.categories import expand
from service.papers.domain.tsvector import Lexemes
from service.topics.domain.language.canonical import write_leaf
from service.topics.domain.language.syntax_tree import (
    Announced,
    Author,
    Category,
    FromSource,
    Leaf,
    Like,
    Prefix,
    Text,
    TrendLimit,
)
from service.topics.domain.matching.bitsets import (
    NEAR,
    PaperSet,
    PhraseIndex,
    PrefixIndex,
    Reasons,
    invert,
    union,
)
from service.topics.domain.matching.compiled import (
    CompiledClause,
    Lexicon,
    compile_leaf,
    read_places,
)
from service.topics.domain.types import ClauseKind, Reason


@dataclass(frozen=True, slots=True)
class IndexedPaper:
    """What matching needs of a paper, in the state in which it is announced now.

    `title` and `abstract` are its two `tsvector` columns with positions, `title_words` and
    `abstract_words` the unstemmed words of the same texts; `authors` display names; `categories`
    canonical. `is_cross` is the source's own word; `is_first` says that the paper is new here,
    `is_replaced` that a newer version of it was announced. `trend` is a percentile.
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
    """The papers of a day turned round: from lexeme, word, name, category … to papers.

    What each clause is looked up by stands in `forms`, by its canonical text, or else is made from
    `lexicon`, which must then hold its text. `likes` must hold every `like:` clause asked for
    (canonical text -> the papers that are like it, bit i for the i-th paper). What is missing raises
    `KeyError`; all three may grow meanwhile.
    """

    def __init__(
        self,
        papers: Sequence[IndexedPaper],
        lexicon: Lexicon,
        likes: Mapping[str, PaperSet],
        forms: Mapping[str, CompiledClause],
    ) -> None:
        self._papers = papers
        self._lexicon = lexicon
        self._likes = likes
        self._forms = forms
        self.everything: PaperSet = (1 << len(papers)) - 1
        self._titles = PhraseIndex([paper.title for paper in papers])
        self._abstracts = PhraseIndex([paper.abstract for paper in papers])
        self._words = _unite_fields(self._titles.inverted, self._abstracts.inverted)
        self._title_words = PrefixIndex(paper.title_words for paper in papers)
        self._abstract_words = PrefixIndex(paper.abstract_words for paper in papers)
        self._categories = invert(paper.categories for paper in papers)
        self._primaries = invert((paper.primary_category,) for paper in papers)
        self._sources = invert(paper.sources for paper in papers)
        self._keys_of: dict[str, frozenset[str]] = {}
        self._author_keys = invert(self._iterate_author_keys())
        self._shared: dict[Reasons, Reasons] = {}
        self._fields: dict[Text | Prefix, tuple[PaperSet, PaperSet]] = {}
        self.first = self._where(lambda paper: paper.is_first)

    def find(self, leaf: Leaf) -> PaperSet:
        """The papers for which `leaf`, a leaf of a normalized query, holds."""
        match leaf:
            case Prefix():
                titles, abstracts = self._find_fields(leaf)
                papers = titles | abstracts
            case FromSource():
                papers = self._sources.get(leaf.name, 0)
            case TrendLimit():
                papers = self._where(lambda paper: leaf.holds(paper.trend))
            case Like():
                papers = self._likes[write_leaf(leaf)]
            case Announced():
                papers = self._find_announced(leaf)
            case _:
                papers = self.find_compiled(self._compiled_of(leaf))
        return papers

    def _compiled_of(self, leaf: Leaf) -> CompiledClause:
        return self._forms.get(write_leaf(leaf)) or compile_leaf(leaf, self._lexicon)

    def find_compiled(self, form: CompiledClause) -> PaperSet:
        """The papers for which a clause with this form holds; not for kinds that are read by text."""
        match form.kind:
            case ClauseKind.WORD:
                papers = self._words.get(form.keys, 0)
            case ClauseKind.PHRASE:
                titles, abstracts = self._find_places(form)
                papers = titles | abstracts
            case ClauseKind.AUTHOR:
                papers = union(self._author_keys, form.split())
            case ClauseKind.CATEGORY:
                papers = union(self._categories, form.split())
            case _:
                raise ValueError(f"a clause of kind {form.kind} is not looked up by its form")
        return papers

    def find_words(self, lexemes: Iterable[str]) -> Iterator[PaperSet]:
        """`find_compiled` of many words at once, which most clauses of a morning are."""
        return map(self._words.get, lexemes, repeat(0))

    def find_phrase(self, keys: str) -> PaperSet:
        """`find_compiled` of a phrase, in few steps where it is two lexemes side by side, as most are."""
        said = keys.split("\t")
        if len(said) == 5 and said[0] == "any" and (distance := int(said[4])) in NEAR:
            lexeme, neighbour = said[1], said[3]
            return self._titles.find_pair(lexeme, neighbour, distance) | self._abstracts.find_pair(
                lexeme, neighbour, distance
            )
        return self.find_compiled(CompiledClause(ClauseKind.PHRASE, keys))

    def find_in_title(self, leaf: Text | Prefix) -> PaperSet:
        """The papers for whose title `leaf` holds; none for a clause that asks for the abstract."""
        return self._find_fields(leaf)[0]

    def _find_fields(self, leaf: Text | Prefix) -> tuple[PaperSet, PaperSet]:
        """The papers found by title and by abstract, as far as the clause's field asks for either."""
        if leaf not in self._fields:
            self._fields[leaf] = (
                self._find_prefix(leaf)
                if isinstance(leaf, Prefix)
                else self._find_places(self._compiled_of(leaf))
            )
        return self._fields[leaf]

    def _find_places(self, form: CompiledClause) -> tuple[PaperSet, PaperSet]:
        field, places = read_places(form)
        return (
            0 if field == "abstract" else self._titles.find_phrase(places),
            0 if field == "title" else self._abstracts.find_phrase(places),
        )

    def _find_prefix(self, leaf: Prefix) -> tuple[PaperSet, PaperSet]:
        return (
            0 if leaf.field == "abstract" else self._title_words.find_prefix(leaf.text),
            0 if leaf.field == "title" else self._abstract_words.find_prefix(leaf.text),
        )

    def _find_announced(self, leaf: Announced) -> PaperSet:
        """Cross-listed is relative to the topic: to `cat:cs.CV` a paper at home in cs.LG is."""
        if leaf.home:
            own = {member for pattern in leaf.home for member in expand(pattern)}
            cross = self.everything & ~union(self._primaries, {*own, ""})
        else:
            cross = self._where(lambda paper: paper.is_cross)
        papers: PaperSet = self.first & cross if leaf.cross else 0
        if leaf.new:
            papers |= self.first & ~cross
        if leaf.replaced:
            papers |= self._where(lambda paper: paper.is_replaced)
        return papers

    def _where(self, is_wanted: Callable[[IndexedPaper], bool]) -> PaperSet:
        return sum(1 << at for at, paper in enumerate(self._papers) if is_wanted(paper))

    def _iterate_author_keys(self) -> Iterator[set[str]]:
        for paper in self._papers:
            for name in paper.authors:
                if name not in self._keys_of:
                    self._keys_of[name] = author_index_keys(name)
            yield {key for name in paper.authors for key in self._keys_of[name]}

    def teller(self, leaf: Leaf) -> Callable[[int], Reasons]:
        """What says why `leaf` holds for the paper at a position, for which it does hold.

        Papers for which the reasons are equal share them, so that they are weighed and written once.
        """
        if isinstance(leaf, Text):
            return self._make_text_teller(leaf)
        told: dict[int, Reasons] = {}

        def tell(position: int) -> Reasons:
            if position not in told:
                reasons = self._tell(leaf, position)
                told[position] = self._shared.setdefault(reasons, reasons)
            return told[position]

        return tell

    def _make_text_teller(self, leaf: Text) -> Callable[[int], Reasons]:
        clause = write_leaf(leaf)
        titles, abstracts = self._find_fields(leaf)
        in_title = (Reason(clause, "title", (leaf.text,)),)
        in_abstract = (Reason(clause, "abstract", (leaf.text,)),)
        in_both = (*in_title, *in_abstract)

        def tell(position: int) -> Reasons:
            if titles >> position & 1:
                return in_both if abstracts >> position & 1 else in_title
            return in_abstract

        return tell

    def _tell(self, leaf: Leaf, position: int) -> Reasons:
        clause, paper = write_leaf(leaf), self._papers[position]
        match leaf:
            case Prefix():
                reasons = self._tell_prefix(clause, leaf, position)
            case Category():
                found = tuple(sorted(paper.categories & expand(leaf.pattern)))
                reasons = (Reason(clause, "category", found),)
            case Author():
                reasons = (self._tell_author(clause, leaf, paper),)
            case FromSource():
                reasons = (Reason(clause, "source", (leaf.name,)),)
            case TrendLimit():
                reasons = (Reason(clause, "trend", (f"{paper.trend:.0f}",)),)
            case _:  # likeness, since how a paper was announced is never given as a reason
                reasons = (Reason(clause, "meaning"),)
        return reasons

    def _tell_prefix(self, clause: str, leaf: Prefix, position: int) -> Reasons:
        titles, abstracts = self._find_fields(leaf)
        bit, reasons = 1 << position, []
        if titles & bit:
            words = self._title_words.words_of(leaf.text, position)
            reasons.append(Reason(clause, "title", words))
        if abstracts & bit:
            words = self._abstract_words.words_of(leaf.text, position)
            reasons.append(Reason(clause, "abstract", words))
        return tuple(reasons)

    def _tell_author(self, clause: str, leaf: Author, paper: IndexedPaper) -> Reason:
        keys = author_query_keys(leaf.name)
        found = tuple(n for n in paper.authors if not keys.isdisjoint(self._keys_of[n]))
        is_guess = all(author_matches(leaf.name, name) != "exact" for name in found)
        return Reason(clause, "author", found, is_guess)


def _unite_fields(
    titles: Mapping[str, PaperSet], abstracts: Mapping[str, PaperSet]
) -> dict[str, PaperSet]:
    """From lexeme to the papers that have it in either field."""
    words = dict(abstracts)
    for lexeme, papers in titles.items():
        words[lexeme] = words.get(lexeme, 0) | papers
    return words
