"""Compiled topics: the ids of a topic's clauses, and the keys by which each clause is looked up.

A canonical topic is a conjunction: its announcement switches, then clauses, of which some are
excluded; alternatives in parentheses count as one clause (a group). So a stored topic is a list of
clause ids, and each distinct clause is looked up once for all topics that have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, TypeAlias, cast

from service.papers.domain.author_keys import author_query_keys
from service.papers.domain.categories import expand
from service.papers.domain.tsvector import Lexemes
from service.topics.domain.language import parse_query
from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.language.canonical import normalize
from service.topics.domain.language.lexer import SWITCHES, TEXT_FIELDS
from service.topics.domain.matching.bitsets import PaperSet, Places, phrase_offsets, union
from service.topics.domain.types import ClauseKind

# Increase when a text is split or looked up differently than before: rows with another version
# are recompiled on use.
COMPILER_VERSION = 1

Lexicon: TypeAlias = Mapping[str, Lexemes]
"""Folded text of a leaf -> its lexemes with their positions in `to_tsvector('english', text)`."""

# The clause of a topic without announcement switches: papers that are new here.
DEFAULT_ANNOUNCEMENTS = ""

# A clause with its minus and field, a parenthesis, or OR; a quoted text contains no quote.
PART = re.compile(r'[()]|-?(?:[a-z]+:)?"[^"]*"|[^\s()]+')
SWITCH = re.compile(rf"(?:{'|'.join(SWITCHES)}):")
TEXT_CLAUSE = re.compile(r'-?(?:(?P<field>ti|abs):)?(?:"(?P<phrase>[^"]*)"|(?P<word>[^"*:<>]*))')
_JOINTS = frozenset({"(", ")", "OR"})
# Keys contain no tab, since the texts that they come from have no blanks but single spaces.
_BETWEEN = "\t"


class CompiledClause(NamedTuple):
    """A clause with the keys by which it is looked up, joined by tabs.

    Word: its one lexeme. Phrase, or a word in one field: the field, then each lexeme and its
    distance from the first. Author, category: keys of which one must be present. `like:`: the text
    or the paper's key. Group: its parts, with ids for the clauses. Other kinds have no keys.
    """

    kind: ClauseKind
    keys: str = ""

    def split(self) -> list[str]:
        return self.keys.split(_BETWEEN)


def split_topic(topic: str) -> tuple[str, ...]:
    """Split a canonical topic into its conjunction: announcements first, then every clause.

    Excluded clauses keep their minus and groups their parentheses. The first part is
    `DEFAULT_ANNOUNCEMENTS`, or the switches followed by the topic's own categories.
    """
    found = list(PART.finditer(topic))
    clauses: list[str] = []
    switches: list[str] = []
    depth = start = 0
    for each in found:
        part = each.group()
        if part == "(":
            start = start if depth else each.start()
            depth += 1
        elif part == ")":
            depth -= 1
            if not depth:
                clauses.append(topic[start : each.end()])
        elif depth:
            continue
        elif part == "OR":
            return (DEFAULT_ANNOUNCEMENTS, f"({topic})")  # canonical: no switch beside an OR
        else:
            (switches if SWITCH.match(part) else clauses).append(part)
    if not switches:
        return (DEFAULT_ANNOUNCEMENTS, *clauses)
    own = {part for part in map(re.Match.group, found) if part.startswith("cat:")}
    return (" ".join([*switches, *sorted(own)]), *clauses)


def is_group(clause: str) -> bool:
    """Return whether a clause of `split_topic` is a group in parentheses."""
    return clause.startswith("(")


def parse_clause(clause: str) -> syntax.Leaf:
    """Parse one clause, without its minus, to its leaf. Raises `QueryError` if it is no clause."""
    if text := TEXT_CLAUSE.fullmatch(clause):
        phrase, word = text["phrase"], text["word"]
        field = TEXT_FIELDS[text["field"] or ""]
        return syntax.Text(field, phrase if word is None else word, word is None)
    if SWITCH.match(clause):
        # A topic of switches alone is refused, so a word is added to parse them.
        leaves = syntax.iterate_leaves(normalize(parse_query(f"x {clause}")))
        return next(leaf for leaf in leaves if isinstance(leaf, syntax.Announced))
    return cast("syntax.Leaf", normalize(parse_query(clause)))


def clause_texts(topics: Iterable[str]) -> set[str]:
    """Return the texts whose lexemes are needed to evaluate or compile these canonical topics.

    Equals `leaf_texts` of their trees, without building the trees.
    """
    clauses = {part for topic in topics for part in PART.findall(topic)}
    found = (TEXT_CLAUSE.fullmatch(clause) for clause in clauses - _JOINTS)
    return {text["word"] if text["phrase"] is None else text["phrase"] for text in found if text}


def iterate_inner_clauses(group: str) -> Iterator[str]:
    """Yield the clauses inside a group, without their minus."""
    return (part.removeprefix("-") for part in PART.findall(group) if part not in _JOINTS)


def compile_clause(clause: str, lexicon: Lexicon) -> CompiledClause:
    """Compile a clause, without its minus, that is no group.

    Raises `KeyError` for a text that is not in `lexicon`, `QueryError` if it is no clause.
    """
    return compile_leaf(parse_clause(clause), lexicon)


def compile_group(group: str, numbers: Mapping[str, int]) -> CompiledClause:
    """Compile a group, given the ids of its clauses; excluded ones become negative."""
    parts = (
        part if part in _JOINTS else str(number_of(part, numbers)) for part in PART.findall(group)
    )
    return CompiledClause(ClauseKind.GROUP, _BETWEEN.join(parts))


def number_of(clause: str, numbers: Mapping[str, int]) -> int:
    """Return the id of a clause, negated if it is excluded; 0 for `DEFAULT_ANNOUNCEMENTS`."""
    if clause.startswith("-"):
        return -numbers[clause[1:]]
    return numbers[clause] if clause else 0


def inner_numbers(form: CompiledClause) -> set[int]:
    """Return the ids of the clauses in a compiled group."""
    return {abs(int(part)) for part in form.split() if part not in _JOINTS}


def compile_leaf(leaf: syntax.Leaf, lexicon: Lexicon) -> CompiledClause:
    """Compile a leaf of a normalized query; raises `KeyError` for a text not in `lexicon`."""
    match leaf:
        case syntax.Text():
            return _compile_text(leaf, phrase_offsets(lexicon[leaf.text]))
        case syntax.Author():
            return _one_of(ClauseKind.AUTHOR, author_query_keys(leaf.name))
        case syntax.Category():
            return _one_of(ClauseKind.CATEGORY, expand(leaf.pattern))
        case syntax.Like():
            return CompiledClause(ClauseKind.LIKE, leaf.text)
        case _:
            return CompiledClause(ClauseKind.OTHER)


def _one_of(kind: ClauseKind, keys: Iterable[str]) -> CompiledClause:
    return CompiledClause(kind, _BETWEEN.join(sorted(keys)))


def _compile_text(leaf: syntax.Text, places: Places) -> CompiledClause:
    if leaf.field == "any" and len(places) == 1:
        return CompiledClause(ClauseKind.WORD, places[0][0])
    parts = chain.from_iterable((lexeme, str(distance)) for lexeme, distance in places)
    return CompiledClause(ClauseKind.PHRASE, _BETWEEN.join([leaf.field, *parts]))


def parse_places(form: CompiledClause) -> tuple[str, Places]:
    """Return a text clause's field ("any", "title", "abstract") and its lexemes with distances."""
    if form.kind is ClauseKind.WORD:
        return "any", ((form.keys, 0),)
    field, *parts = form.split()
    return field, tuple(zip(parts[::2], map(int, parts[1::2]), strict=True))


@dataclass(frozen=True, slots=True)
class ClauseGroup:
    """The operands of one AND or OR in a canonical topic: clauses and groups."""

    is_or: bool
    parts: tuple[str | ClauseGroup, ...]


def parse_group(parts: Iterator[str]) -> ClauseGroup:
    """Parse parts up to the closing parenthesis or the end; OR binds least, so it splits first."""
    branches: list[list[str | ClauseGroup]] = [[]]
    for part in parts:
        if part == ")":
            break
        if part == "OR":
            branches.append([])
        else:
            branches[-1].append(parse_group(parts) if part == "(" else part)
    if len(branches) == 1:
        return ClauseGroup(False, tuple(branches[0]))
    return ClauseGroup(True, tuple(ClauseGroup(False, tuple(branch)) for branch in branches))


def find_group(
    group: ClauseGroup, everything: PaperSet, look_up: Callable[[str], PaperSet]
) -> PaperSet:
    """Return the papers that satisfy a group; `look_up` returns those that satisfy a clause."""
    papers: PaperSet = 0 if group.is_or else everything
    for part in group.parts:
        found = (
            find_group(part, everything, look_up)
            if isinstance(part, ClauseGroup)
            else look_up(part)
        )
        papers = papers | found if group.is_or else papers & found
    return papers


def find_announced(
    leaf: syntax.Announced,
    first: PaperSet,
    crosses: PaperSet,
    replaced: PaperSet,
    primaries: Mapping[str, PaperSet],
) -> PaperSet:
    """Return the papers whose announcement counts; `primaries` by their primary category.

    Cross-lists depend on the topic: a paper with primary cs.LG is one to `cat:cs.CV`.
    """
    if leaf.home:
        own = {member for pattern in leaf.home for member in expand(pattern)}
        crosses = ~union(primaries, {*own, ""})
    found: PaperSet = first & crosses if leaf.cross else 0
    if leaf.new:
        found |= first & ~crosses
    return found | replaced if leaf.replaced else found
