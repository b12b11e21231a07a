"""A topic as a WHERE clause: the same meaning as `domain.matching`, over every stored paper."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, and_, bindparam, cast, func, not_, or_, select
from sqlalchemy import literal_column as sql
from sqlalchemy.orm import Session

from service.domain.author_index import author_query_keys
from service.domain.categories import expand
from service.domain.matching import Lexicon, parse_tsvector
from service.domain.query_tree import And, Author, Category, Not, Or, Query
from service.domain.query_tree import Text as TextLeaf
from service.domain.query_writing import normalize
from service.store.models import PaperRow

# Spelled out, because only a constant configuration lets Postgres use the indexes.
_ENGLISH: ColumnElement[Any] = sql("'english'::regconfig")


def to_sql(query: Query, papers: type[PaperRow] = PaperRow) -> ColumnElement[bool]:
    """The papers that `query` wants; `papers` is the table's class or an alias of it.

    Agrees with `match_query` on every paper whose `author_keys` were made by
    `author_index.author_index_keys` and whose categories are canonical.
    """
    return _compile(normalize(query), papers)


def _compile(query: Query, papers: type[PaperRow]) -> ColumnElement[bool]:
    if isinstance(query, And):
        return and_(*(_compile(each, papers) for each in query.operands))
    if isinstance(query, Or):
        return or_(*(_compile(each, papers) for each in query.operands))
    if isinstance(query, Not):
        return not_(_compile(query.operand, papers))
    if isinstance(query, Category):
        return _overlaps(papers.categories, expand(query.pattern))
    if isinstance(query, Author):
        return _overlaps(papers.author_keys, author_query_keys(query.name))
    return _compile_text(query, papers)


def _compile_text(leaf: TextLeaf, papers: type[PaperRow]) -> ColumnElement[bool]:
    phrase = func.phraseto_tsquery(_ENGLISH, leaf.text)
    in_title = papers.title_lexemes.bool_op("@@")(phrase)
    in_abstract = papers.abstract_lexemes.bool_op("@@")(phrase)
    if leaf.field == "title":
        return in_title
    if leaf.field == "abstract":
        return in_abstract
    return or_(in_title, in_abstract)


def _overlaps(column: Any, values: Iterable[str]) -> ColumnElement[bool]:
    wanted = bindparam(None, sorted(values), type_=ARRAY(Text), unique=True)
    overlap: ColumnElement[bool] = column.bool_op("&&")(cast(wanted, ARRAY(Text)))
    return overlap


def fetch_lexemes(session: Session, texts: Iterable[str]) -> Lexicon:
    """What Postgres makes of each folded text (see `query.leaf_texts`), with positions."""
    given = func.unnest(cast(sorted(set(texts)), ARRAY(Text))).table_valued("text").render_derived()
    vector = cast(func.to_tsvector(_ENGLISH, given.c.text), Text)
    rows = session.execute(select(given.c.text, vector))
    return {text: parse_tsvector(lexemes) for text, lexemes in rows}
