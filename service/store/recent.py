"""The papers of the last days for previews, and the newest that a topic finds for searches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, select, text, true
from sqlalchemy import literal_column as sql
from sqlalchemy.orm import Session

from service.domain.recent_papers import RecentPaper
from service.store.models import PaperRow

# Each span is searched only if those after it did not fill the page. A word in every other paper
# fills it from four days in ten milliseconds; a rare word costs its five index look-ups.
_SPANS = (4, 16, 64, 365)


def limit_time(session: Session, milliseconds: int) -> None:
    """No statement of this transaction may take longer; Postgres cancels the one that does."""
    session.execute(select(func.set_config("statement_timeout", str(milliseconds), True)))


def freeze_view(session: Session) -> None:
    """Let all statements of this transaction see the same rows; must be its first statement."""
    session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def prefer_indexes(session: Session) -> None:
    """Tell the planner, for this transaction, what it costs to look into a text vector.

    It counts `@@` as cheap as a comparison of two numbers, but the vector of an abstract is stored
    compressed and apart: looking into 25,000 of them takes a tenth of a second and more, where the
    index knows the answer. With this an OR of ten words takes a fifth of the time.
    """
    session.execute(select(func.set_config("cpu_operator_cost", "0.2", True)))


def read_snapshot(session: Session) -> str:
    """What this transaction sees: while it is the same text, nothing at all was committed."""
    return session.execute(select(cast(func.pg_current_snapshot(), Text))).scalar_one()


def read_fingerprint(session: Session, since: date, until: date) -> tuple[int, int]:
    """Two numbers that change whenever a paper of the span is added, changed or taken away.

    Every write gives a row the number of its transaction, whatever its columns say: times of
    change would miss two writes under one clock.
    """
    writer = cast(cast(sql("papers.xmin"), Text), BigInteger)
    row = session.execute(
        select(func.count(), func.coalesce(func.sum(writer), 0)).select_from(PaperRow)
        .where(PaperRow.first_announced_on.between(since, until))
    ).one()  # fmt: skip
    return int(row[0]), int(row[1])


def read_recent(session: Session, since: date, until: date) -> list[RecentPaper]:
    """The papers announced from `since` to `until`, both included, newest first."""
    rows = session.execute(
        select(
            PaperRow.id,
            PaperRow.first_announced_on,
            PaperRow.title,
            PaperRow.categories,
            func.tsvector_to_array(PaperRow.title_lexemes),
        )
        .where(PaperRow.first_announced_on.between(since, until))
        .order_by(PaperRow.first_announced_on.desc(), PaperRow.key.desc())
    )
    return [
        RecentPaper(paper_id, on, title, tuple(categories), tuple(lexemes))
        for paper_id, on, title, categories, lexemes in rows
        if on
    ]


def iterate_common_words(
    session: Session, since: date, until: date, fewest: int
) -> Iterator[tuple[str, list[int]]]:
    """The lexemes of at least `fewest` papers of a span, each with the ids of those papers."""
    both = PaperRow.title_lexemes.op("||")(PaperRow.abstract_lexemes)
    words = func.unnest(func.tsvector_to_array(both)).table_valued("word", name="words")
    words = words.render_derived()
    rows = session.execute(
        select(words.c.word, func.array_agg(PaperRow.id))
        .select_from(PaperRow)
        .join(words, true())
        .where(PaperRow.first_announced_on.between(since, until))
        .group_by(words.c.word)
        .having(func.count() >= fewest),
        execution_options={"yield_per": 50},
    )
    yield from rows


def find_ids(
    session: Session, condition: ColumnElement[bool], since: date, until: date
) -> list[int]:
    """The ids of the papers of a span for which a compiled topic holds, in no order."""
    found: Sequence[int] | None = session.execute(
        select(func.array_agg(PaperRow.id)).where(
            condition, PaperRow.first_announced_on.between(since, until)
        )
    ).scalar_one()
    return list(found or ())


def find_newest_ids(session: Session, condition: ColumnElement[bool], most: int) -> list[int]:
    """The ids of the newest `most` papers for which a compiled topic holds, newest first."""
    prefer_indexes(session)
    newest = session.execute(select(func.max(PaperRow.first_announced_on))).scalar_one()
    if newest is None:
        return []
    found: list[int] = []
    after: date = newest + timedelta(days=1)
    for days in (*_SPANS, None):
        since = newest - timedelta(days=days) if days else date.min
        found += _find_newest_between(session, condition, (since, after), most - len(found))
        after = since
        if len(found) >= most:
            break
    return found


def _find_newest_between(
    session: Session, condition: ColumnElement[bool], span: tuple[date, date], most: int
) -> list[int]:
    since, before = span
    # Kept apart from its LIMIT: with it the planner would walk the index of dates through the
    # whole archive for a word that it wrongly takes for a common one.
    found = (
        select(PaperRow.id, PaperRow.first_announced_on, PaperRow.key)
        .where(
            condition, PaperRow.first_announced_on >= since, PaperRow.first_announced_on < before
        )
        .cte("found")
        .prefix_with("MATERIALIZED")
    )
    newest = select(found.c.id).order_by(found.c.first_announced_on.desc(), found.c.key.desc())
    return list(session.execute(newest.limit(most)).scalars())


def read_changed_at(session: Session, paper_ids: Sequence[int]) -> datetime | None:
    """When the last of these papers came or changed; None for no papers."""
    changed = func.greatest(PaperRow.updated_at, PaperRow.first_announced_at)
    found: datetime | None = session.execute(
        select(func.max(changed)).where(PaperRow.id.in_(paper_ids))
    ).scalar_one()
    return found
