"""Topics as they are stored for the morning: which clauses, and how each is looked up.

A canonical topic is a conjunction: what it says of announcements, then clauses, some of them
unwanted, and alternatives in parentheses, each of which counts as one clause. So a stored topic is
a list of numbers of clauses, and each distinct clause is looked up once for all topics that have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple, TypeAlias, cast

from service.papers.domain.author_keys import author_query_keys
from service.papers.domain.categories import expand
from service.papers.domain.tsvector import Lexemes
from service.topics.domain.language import parse_query
from service.topics.domain.language.canonical import normalize
from service.topics.domain.language.lexer import SWITCHES
from service.topics.domain.language.syntax_tree import (
    Announced,
    Author,
    Category,
    Leaf,
    Like,
    Text,
    iterate_leaves,
)
from service.topics.domain.matching.bitsets import PaperSet, Places, phrase_offsets
from service.topics.domain.types import ClauseKind

# Grows whenever the same text would be split or looked up in another way than before: forms that
# were stored under another number are made anew when they are met.
FORM_VERSION = 1

Lexicon: TypeAlias = Mapping[str, Lexemes]
"""Folded text of a leaf -> its lexemes with their positions in `to_tsvector('english', text)`."""

# Stands for what every topic means that says nothing of announcements: papers that are new here.
DEFAULT_ANNOUNCEMENTS = ""

# A clause with its minus and field, a parenthesis, or OR; quotes never hold a quote.
PART = re.compile(r'[()]|-?(?:[a-z]+:)?"[^"]*"|[^\s()]+')
SWITCH = re.compile(rf"(?:{'|'.join(SWITCHES)}):")
TEXT_CLAUSE = re.compile(r'-?(?P<field>ti:|abs:|)(?:"(?P<phrase>[^"]*)"|(?P<word>[^"*:<>]*))')
_TEXT_FIELDS: dict[str, Literal["any", "title", "abstract"]] = {
    "": "any",
    "ti:": "title",
    "abs:": "abstract",
}
_JOINTS = frozenset({"(", ")", "OR"})
# No key holds one: the texts they are made of have single spaces and no other blank.
_BETWEEN = "\t"


class CompiledClause(NamedTuple):
    """`keys` are joined by tabs.

    Of a word its one lexeme; of a phrase (and of a word in one field) the field, then each lexeme
    and its distance from the first; of an author or category those of which one must be there; of
    `like:` the text or the paper's key; of a group its text in parts, with numbers for the clauses.
    Others are read from their text, and have none.
    """

    kind: ClauseKind
    keys: str = ""

    def split(self) -> list[str]:
        return self.keys.split(_BETWEEN)


def split_topic(topic: str) -> tuple[str, ...]:
    """The conjunction that a canonical text is: first how announced, then every clause.

    Unwanted clauses keep their minus and groups their parentheses. The first is `DEFAULT_ANNOUNCEMENTS`, or the
    switches followed by the categories that are the topic's own.
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
            return (DEFAULT_ANNOUNCEMENTS, f"({topic})")  # no switch stands beside an OR
        else:
            (switches if SWITCH.match(part) else clauses).append(part)
    if not switches:
        return (DEFAULT_ANNOUNCEMENTS, *clauses)
    own = {part for part in map(re.Match.group, found) if part.startswith("cat:")}
    return (" ".join([*switches, *sorted(own)]), *clauses)


def is_group(clause: str) -> bool:
    return clause.startswith("(")


def read_clause(clause: str) -> Leaf:
    """The leaf of one clause without its minus. Raises `QueryError` for what is none."""
    if text := TEXT_CLAUSE.fullmatch(clause):
        phrase, word = text["phrase"], text["word"]
        return Text(_TEXT_FIELDS[text["field"]], phrase if word is None else word, word is None)
    if SWITCH.match(clause):
        # Switches alone are no topic, so a word goes with them to be read.
        leaves = iterate_leaves(normalize(parse_query(f"x {clause}")))
        return next(leaf for leaf in leaves if isinstance(leaf, Announced))
    return cast("Leaf", normalize(parse_query(clause)))


def clause_texts(topics: Iterable[str]) -> set[str]:
    """The texts whose lexemes are needed to ask or to compile these canonical topics.

    The same as `query.leaf_texts` of their trees, without making the trees.
    """
    clauses = {part for topic in topics for part in PART.findall(topic)}
    found = (TEXT_CLAUSE.fullmatch(clause) for clause in clauses - _JOINTS)
    return {text["word"] if text["phrase"] is None else text["phrase"] for text in found if text}


def iterate_inner_clauses(group: str) -> Iterator[str]:
    """The clauses inside a group, without their minus."""
    return (part.removeprefix("-") for part in PART.findall(group) if part not in _JOINTS)


def compile_clause(clause: str, lexicon: Lexicon) -> CompiledClause:
    """The form of a clause, without its minus, that is no group.

    Raises `KeyError` for a text that is not in `lexicon`, `QueryError` for what is no clause.
    """
    return compile_leaf(read_clause(clause), lexicon)


def compile_group(group: str, numbers: Mapping[str, int]) -> CompiledClause:
    """The form of a group whose clauses have these numbers; unwanted ones get a minus again."""
    parts = (
        part if part in _JOINTS else str(number_of(part, numbers)) for part in PART.findall(group)
    )
    return CompiledClause(ClauseKind.GROUP, _BETWEEN.join(parts))


def number_of(clause: str, numbers: Mapping[str, int]) -> int:
    """The number of a clause; below zero where it is unwanted, and 0 for `DEFAULT_ANNOUNCEMENTS`."""
    if clause.startswith("-"):
        return -numbers[clause[1:]]
    return numbers[clause] if clause else 0


def inner_numbers(form: CompiledClause) -> set[int]:
    """The numbers of the clauses in a group."""
    return {abs(int(part)) for part in form.split() if part not in _JOINTS}


def compile_leaf(leaf: Leaf, lexicon: Lexicon) -> CompiledClause:
    match leaf:
        case Text():
            return _compile_text(leaf, phrase_offsets(lexicon[leaf.text]))
        case Author():
            return _one_of(ClauseKind.AUTHOR, author_query_keys(leaf.name))
        case Category():
            return _one_of(ClauseKind.CATEGORY, expand(leaf.pattern))
        case Like():
            return CompiledClause(ClauseKind.LIKE, leaf.text)
        case _:
            return CompiledClause(ClauseKind.OTHER)


def _one_of(kind: ClauseKind, keys: Iterable[str]) -> CompiledClause:
    return CompiledClause(kind, _BETWEEN.join(sorted(keys)))


def _compile_text(leaf: Text, places: Places) -> CompiledClause:
    if leaf.field == "any" and len(places) == 1:
        return CompiledClause(ClauseKind.WORD, places[0][0])
    said = chain.from_iterable((lexeme, str(distance)) for lexeme, distance in places)
    return CompiledClause(ClauseKind.PHRASE, _BETWEEN.join([leaf.field, *said]))


def read_places(form: CompiledClause) -> tuple[str, Places]:
    """The field of a text clause ("any", "title", "abstract") and where its lexemes must stand."""
    if form.kind is ClauseKind.WORD:
        return "any", ((form.keys, 0),)
    field, *said = form.split()
    return field, tuple(zip(said[::2], map(int, said[1::2]), strict=True))


@dataclass(frozen=True, slots=True)
class ClauseGroup:
    """Parts of a canonical topic under one AND or OR; a part is a clause or a group."""

    is_or: bool
    parts: tuple[str | ClauseGroup, ...]


def read_group(parts: Iterator[str]) -> ClauseGroup:
    """The parts up to the closing parenthesis or the end. OR binds least, so it cuts first."""
    branches: list[list[str | ClauseGroup]] = [[]]
    for part in parts:
        if part == ")":
            break
        if part == "OR":
            branches.append([])
        else:
            branches[-1].append(read_group(parts) if part == "(" else part)
    if len(branches) == 1:
        return ClauseGroup(False, tuple(branches[0]))
    return ClauseGroup(True, tuple(ClauseGroup(False, tuple(branch)) for branch in branches))


def find_group(
    group: ClauseGroup, everything: PaperSet, look_up: Callable[[str], PaperSet]
) -> PaperSet:
    """The papers that a group wants; `look_up` tells those that a clause wants."""
    papers: PaperSet = 0 if group.is_or else everything
    for part in group.parts:
        found = (
            find_group(part, everything, look_up)
            if isinstance(part, ClauseGroup)
            else look_up(part)
        )
        papers = papers | found if group.is_or else papers & found
    return papers
