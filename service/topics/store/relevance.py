"""The relevance of papers to a topic, in SQL: the sum of what each word and phrase counts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, case, literal

from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.language.canonical import normalize, write_leaf
from service.topics.store.to_sql import to_sql


def weigh_clauses(
    query: syntax.Query, base: int, in_title: int, in_abstract: int
) -> ColumnElement[Any]:
    """Return `base` plus, for each clause that a paper has, `in_title` or else `in_abstract`.

    A clause is a word, a phrase or the beginning of a word; it counts once, at its best place, as in
    `weigh_reasons`. Other clauses and those under a NOT count nothing.
    """
    normal = normalize(query)
    # What every match has is in the abstract where it is not in the title; to look, Postgres would have
    # to decompress the words of each abstract.
    sure = normal.operands if isinstance(normal, syntax.And) else (normal,)
    weights = [
        case((_is_in(leaf, "title"), in_title), else_=in_abstract)
        if leaf in sure
        else case(
            (_is_in(leaf, "title"), in_title), (_is_in(leaf, "abstract"), in_abstract), else_=0
        )
        for leaf in {write_leaf(leaf): leaf for leaf in _wanted(normal)}.values()
    ]
    return sum(weights, start=literal(base))


def _wanted(query: syntax.Query) -> Iterator[syntax.Text | syntax.Prefix]:
    if isinstance(query, syntax.And | syntax.Or):
        for operand in query.operands:
            yield from _wanted(operand)
    elif isinstance(query, syntax.Text | syntax.Prefix):
        yield query


def _is_in(leaf: syntax.Text | syntax.Prefix, field: syntax.TextField) -> ColumnElement[bool]:
    """Return whether a clause is in this field; false where the topic asks for the other one."""
    if leaf.field not in {"any", field}:
        return literal(value=False)
    return to_sql(replace(leaf, field=field))
