"""Compile a topic to a WHERE clause, with the same meaning as `domain.matching`."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import ARRAY, ColumnElement, Text, and_, bindparam, cast, func, not_, or_, select
from sqlalchemy import literal_column as sql
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from service.papers.domain.author_keys import author_query_keys
from service.papers.domain.categories import expand
from service.papers.domain.tsvector import PARSED_AS, SEPARATORS, parse_tsvector, searchable
from service.papers.domain.types import AnnounceType
from service.papers.store.models import Paper
from service.platform.database.text_formats import write_texts
from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.language.canonical import normalize, write_leaf
from service.topics.domain.matching.compiled import Lexicon

# A literal and no bind parameter: Postgres uses the indexes only for a constant configuration.
_ENGLISH: ColumnElement[Any] = sql("'english'::regconfig")
Likes: TypeAlias = Mapping[str, ColumnElement[bool]]
"""Canonical `like:` clause -> the condition for the papers that it finds."""


def to_sql(
    query: syntax.Query, papers: type[Paper] = Paper, likes: Likes | None = None
) -> ColumnElement[bool]:
    """Return the condition for the papers that `query` wants; `papers` is the table or an alias.

    Agrees with `match_papers` on every paper whose `author_keys` come from
    `author_keys.author_index_keys` and whose categories are canonical. Raises `KeyError` for a
    `like:` clause that is not in `likes`.
    """
    normal = normalize(query)
    condition = _compile(normal, papers, likes or {})
    if any(isinstance(leaf, syntax.Announced) for leaf in syntax.iterate_leaves(normal)):
        return condition
    return and_(papers.first_announced_on.is_not(None), condition)


def _compile(query: syntax.Query, papers: type[Paper], likes: Likes) -> ColumnElement[bool]:
    match query:
        case syntax.And():
            return and_(*(_compile(each, papers, likes) for each in query.operands))
        case syntax.Or():
            return or_(*(_compile(each, papers, likes) for each in query.operands))
        case syntax.Not():
            return not_(_compile(query.operand, papers, likes))
        case syntax.Like():
            return likes[write_leaf(query)]
        case _:
            return _compile_leaf(query, papers)


_StoredLeaf: TypeAlias = (
    syntax.Text
    | syntax.Prefix
    | syntax.Author
    | syntax.Category
    | syntax.FromSource
    | syntax.TrendLimit
    | syntax.Announced
)


def _compile_leaf(leaf: _StoredLeaf, papers: type[Paper]) -> ColumnElement[bool]:
    condition: ColumnElement[bool]
    match leaf:
        case syntax.Text():
            phrase = func.phraseto_tsquery(_ENGLISH, searchable(leaf.text))
            condition = _in_fields(
                leaf.field, papers.title_lexemes, papers.abstract_lexemes, phrase
            )
        case syntax.Prefix():
            # Cast, since `to_tsquery` and its like would split the word at a hyphen.
            quoted = leaf.text.replace("\\", "\\\\").replace("'", "''")
            begins = cast(f"'{quoted}':*", TSQUERY)
            condition = _in_fields(leaf.field, papers.title_words, papers.abstract_words, begins)
        case syntax.Author():
            condition = _overlaps(papers.author_keys, author_query_keys(leaf.name))
        case syntax.Category():
            condition = _overlaps(papers.categories, expand(leaf.pattern))
        case syntax.FromSource():
            condition = _overlaps(papers.sources, [leaf.name])
        case syntax.TrendLimit():
            condition = syntax.COMPARE[leaf.comparison](papers.trend, leaf.limit)
        case syntax.Announced():
            condition = _compile_announced(leaf, papers)
    return condition


def _in_fields(
    field: syntax.TextField, title: Any, abstract: Any, wanted: ColumnElement[Any]
) -> ColumnElement[bool]:
    in_title: ColumnElement[bool] = title.bool_op("@@")(wanted)
    in_abstract: ColumnElement[bool] = abstract.bool_op("@@")(wanted)
    if field == "title":
        return in_title
    return in_abstract if field == "abstract" else or_(in_title, in_abstract)


def _compile_announced(leaf: syntax.Announced, papers: type[Paper]) -> ColumnElement[bool]:
    is_first = papers.first_announced_on.is_not(None)
    is_cross: ColumnElement[bool]
    if leaf.home:
        own = {member for pattern in leaf.home for member in expand(pattern)}
        is_cross = papers.primary_category.not_in(sorted({*own, ""}))
    else:
        is_cross = papers.announced_as.is_not_distinct_from(AnnounceType.CROSS)
    wanted: list[ColumnElement[bool]] = []
    if leaf.new:
        wanted.append(and_(is_first, not_(is_cross)))
    if leaf.cross:
        wanted.append(and_(is_first, is_cross))
    if leaf.replaced:
        wanted.append(papers.replaced_on.is_not(None))
    return or_(*wanted)


def _overlaps(column: Any, values: Iterable[str]) -> ColumnElement[bool]:
    wanted = bindparam(None, sorted(values), type_=ARRAY(Text), unique=True)
    overlap: ColumnElement[bool] = column.bool_op("&&")(cast(wanted, ARRAY(Text)))
    return overlap


_GIVEN = (
    func.unnest(cast(bindparam("texts", type_=Text), ARRAY(Text)))
    .table_valued("text")
    .render_derived()
)
_PARSED = func.translate(_GIVEN.c.text, SEPARATORS, PARSED_AS)
_LEXEMES = select(_GIVEN.c.text, cast(func.to_tsvector(_ENGLISH, _PARSED), Text))


def fetch_lexemes(session: Session, texts: Iterable[str]) -> Lexicon:
    """Return the lexemes of each folded text (see `leaf_texts`) by Postgres, with positions."""
    rows = session.execute(_LEXEMES, {"texts": write_texts(sorted(set(texts)))})
    return {text: parse_tsvector(lexemes) for text, lexemes in rows}
