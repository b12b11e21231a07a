"""Queries for previews (the papers of the last days) and searches (a topic's newest papers)."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from math import ceil

from sqlalchemy import ColumnElement, Select, bindparam, case, cast, func, or_, select, true
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Session

from service.papers.domain.types import AnnounceType
from service.papers.store import paper_changes
from service.papers.store.models import Paper
from service.papers.store.read import announced_day
from service.platform.database.engine import limiting
from service.platform.database.text_formats import is_among
from service.topics.domain.matching.recent_index import RecentPaper

# The newest days are searched first, and their yield decides how far to search next. A word in
# every other paper fills the page from four days in ten milliseconds; a rare word is searched in
# all days at once, since its index look-up costs the same for any number of days.
_FIRST_DAYS, _MOST_DAYS = 4, 365
_LEAST_GROWTH, _MARGIN = 4, 1.5

# Raises the planner's cost of `@@` for this transaction, so that it uses the text index. The
# planner takes `@@` for as cheap as a comparison of two numbers, but the tsvector of an abstract is
# stored compressed and out of line (TOAST): reading 25,000 of them takes a tenth of a second and
# more, while the index has the answer. An OR of ten words takes a fifth of the time.
_PREFER_INDEXES = func.set_config("cpu_operator_cost", "0.2", True)
# Each statement of this transaction is planned for its own words and days. The plan for any would read
# the index of dates from one end to the other, for a rare word of a year in ten times the time.
_PLAN_EACH = func.set_config("plan_cache_mode", "force_custom_plan", True)
_FOR_TOPICS = (_PREFER_INDEXES, _PLAN_EACH)


def plan_for_topics(session: Session) -> None:
    """Let the planner use the text indexes, as these words need them, for the rest of this transaction."""
    session.execute(select(*_FOR_TOPICS))


def begin_snapshot(session: Session, milliseconds: int) -> str:
    """Make this transaction REPEATABLE READ, READ ONLY; returns its `pg_snapshot` as text.

    Must be its first statement. Postgres cancels any statement that takes over `milliseconds`.
    """
    return paper_changes.begin_snapshot(session, *limiting(milliseconds / 1000), *_FOR_TOPICS)


def snapshot_includes(state: str, other: str) -> bool:
    """Return whether snapshot `state` sees every transaction that snapshot `other` sees."""
    xmax, running = _parse_snapshot(state)
    other_xmax, other_running = _parse_snapshot(other)
    return xmax >= other_xmax and all(xid in other_running for xid in running if xid < other_xmax)


def _parse_snapshot(state: str) -> tuple[int, frozenset[int]]:
    """Return xmax, the first transaction id not yet begun, and the ids still in progress."""
    _, xmax, running = state.split(":")
    return int(xmax), frozenset(int(xid) for xid in running.split(",") if xid)


def count_recent(session: Session, span: tuple[date, date]) -> int:
    is_recent = is_within(span, is_replaced=False)
    return session.scalars(select(func.count()).where(is_recent)).one()


def select_recent(
    session: Session, span: tuple[date, date], among: Sequence[int] | None = None
) -> list[RecentPaper]:
    """Return the papers that were new or replaced in the span, its last day included.

    With `among`, only papers with these ids, with the lexemes of their abstracts.
    """
    first, counted = Paper.first_announced_on, announced_day(is_replaced=True)
    abstract = Paper.abstract_lexemes if among is not None else cast("", TSVECTOR)
    statement = select(
        Paper.id,
        Paper.key,
        Paper.title,
        Paper.categories,
        Paper.primary_category,
        case((first.between(*span), first)).label("announced_on"),
        case((counted.between(*span), counted)).label("counted_on"),
        first.is_not(None).label("is_first"),
        Paper.replaced_on.is_not(None).label("is_replaced"),
        Paper.announced_as,
        func.tsvector_to_array(Paper.title_lexemes).label("title_lexemes"),
        func.tsvector_to_array(abstract).label("abstract_lexemes"),
    ).where(is_within(span, is_replaced=True))
    if among is not None:
        statement = statement.where(is_among(Paper.id, among))
    return [
        RecentPaper(
            paper_id=row.id,
            announced_on=row.announced_on,
            title=row.title,
            categories=tuple(row.categories),
            title_lexemes=tuple(row.title_lexemes),
            key=row.key,
            counted_on=row.counted_on,
            primary_category=row.primary_category,
            is_first=row.is_first,
            is_cross=row.announced_as is AnnounceType.CROSS,
            is_replaced=row.is_replaced,
            abstract_lexemes=tuple(row.abstract_lexemes),
        )
        for row in session.execute(statement)
    ]


def is_within(span: tuple[date, date], *, is_replaced: bool) -> ColumnElement[bool]:
    """Return the condition for papers of a span; two conditions, as each date has its own index."""
    first = Paper.first_announced_on.between(*span)
    return or_(first, Paper.replaced_on.between(*span)) if is_replaced else first


def iterate_common_words(
    session: Session, span: tuple[date, date], fewest: int
) -> Iterator[tuple[str, list[int]]]:
    """Yield each lexeme of at least `fewest` papers of a span, with the ids of those papers."""
    both = Paper.title_lexemes.op("||")(Paper.abstract_lexemes)
    words = func.unnest(func.tsvector_to_array(both)).table_valued("word", name="words")
    words = words.render_derived()
    rows = session.execute(
        select(words.c.word, func.array_agg(Paper.id))
        .select_from(Paper)
        .join(words, true())
        .where(is_within(span, is_replaced=True))
        .group_by(words.c.word)
        .having(func.count() >= fewest),
        execution_options={"yield_per": 50},
    )
    yield from rows


def find_ids(
    session: Session,
    condition: ColumnElement[bool],
    span: tuple[date, date],
    *,
    is_replaced: bool = False,
) -> list[int]:
    """Return the ids of the span's papers that satisfy `condition`, in no order."""
    is_recent = is_within(span, is_replaced=is_replaced)
    found = session.scalar(select(func.array_agg(Paper.id)).where(condition, is_recent))
    return list(found or ())


_NEWEST_DAY = select(func.max(Paper.first_announced_on), *_FOR_TOPICS)


def newest_day(session: Session) -> date:
    """Return the last day on which papers were new, `date.min` without any; from here on as after `plan_for_topics`."""
    newest: date | None = session.execute(_NEWEST_DAY).one()[0]
    return newest or date.min


def find_newest_ids(
    session: Session, condition: ColumnElement[bool], most: int, *, is_rare: bool = False
) -> list[int]:
    """Return the ids of the newest `most` papers that satisfy `condition`, newest first.

    Where they are `is_rare`, Postgres reads them all for a few days, too: it begins with a year.
    """
    newest = newest_day(session)
    if newest == date.min:
        return []
    statement = _select_newest_between(condition)
    found: list[int] = []
    before: date = newest + timedelta(days=1)
    days: int | None = _MOST_DAYS if is_rare else _FIRST_DAYS
    while True:
        since = newest - timedelta(days=days) if days else date.min
        span = {"since": since, "before": before, "most": most - len(found)}
        found += session.scalars(statement, span)
        if days is None or len(found) >= most:
            return found
        before, days = since, _days_to_look(days, len(found), most)


def _days_to_look(days: int, found_count: int, most: int) -> int | None:
    """Estimate how many days fill the page, where `days` brought `found_count`; None for all."""
    if not found_count:
        return None
    wanted = max(days * _LEAST_GROWTH, ceil(days * most / found_count * _MARGIN))
    return wanted if wanted <= _MOST_DAYS else None


def _select_newest_between(condition: ColumnElement[bool]) -> Select[int]:
    """Return the statement for the newest `most` ids from the day `since` to the one before `before`."""
    first = Paper.first_announced_on
    # MATERIALIZED keeps the LIMIT out: with it the planner would walk the index of dates through
    # the whole archive for a word that it wrongly estimates to be common.
    found = (
        select(Paper.id, first, Paper.key)
        .where(condition, first >= bindparam("since"), first < bindparam("before"))
        .cte("found")
        .prefix_with("MATERIALIZED")
    )
    newest = select(found.c.id).order_by(found.c.first_announced_on.desc(), found.c.key.desc())
    return newest.limit(bindparam("most"))


def select_changed_at(session: Session, paper_ids: Sequence[int]) -> datetime | None:
    """Return when the last of these papers came or changed; None for no papers."""
    changed = func.greatest(Paper.updated_at, Paper.first_announced_at)
    latest = select(func.max(changed)).where(is_among(Paper.id, paper_ids))
    found: datetime | None = session.scalar(latest)
    return found
