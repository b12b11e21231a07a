"""Papers beyond an edition's own that some subscribers get with it: those that waited, and of gaps."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.editions.domain.schedule import LOOKBACK_DAYS, last_covered
from service.editions.domain.waiting import WaitingTopic
from service.editions.store.models import Edition, EditionExtra
from service.platform.database.copy_rows import copy_rows
from service.platform.database.text_formats import is_among, write_numbers
from service.subscribers.store.models import Subscriber
from service.topics.domain.types import TopicMeasure
from service.topics.store.models import Topic, WaitingPapers

# As the partial index `ix_topics_measured` has it, so that no other topic is read.
_IS_MEASURED = text("(is_weekly OR at_least > 1)")


def load_measures(
    session: Session, subscriber_ids: Sequence[int]
) -> dict[int, dict[int, TopicMeasure]]:
    """Return the topics whose papers may wait, by subscriber and topic: of most there are none."""
    rows = session.execute(
        select(Topic.subscriber_id, Topic.id, Topic.is_weekly, Topic.at_least).where(
            is_among(Topic.subscriber_id, subscriber_ids), _IS_MEASURED
        )
    )
    measures: dict[int, dict[int, TopicMeasure]] = {}
    for subscriber_id, topic_id, is_weekly, at_least in rows:
        measures.setdefault(subscriber_id, {})[topic_id] = TopicMeasure(is_weekly, at_least)
    return measures


def load_waiting(session: Session, subscriber_ids: Sequence[int]) -> dict[int, list[WaitingTopic]]:
    """Return the papers that wait, by subscriber; their rows are locked until the commit."""
    rows = session.scalars(
        select(WaitingPapers)
        .where(is_among(WaitingPapers.subscriber_id, subscriber_ids))
        .order_by(WaitingPapers.id)
        .with_for_update()
    )
    waiting: dict[int, list[WaitingTopic]] = {}
    for row in rows:
        one = WaitingTopic(row.topic_id or 0, row.since_on, tuple(row.paper_ids))
        waiting.setdefault(row.subscriber_id, []).append(one)
    return waiting


def save_waiting(
    session: Session, waiting: Mapping[int, Iterable[WaitingTopic]], old: Iterable[int]
) -> None:
    """Replace the waiting papers of the subscribers in `old`, who had some, and in `waiting`."""
    had = [*old]
    if had:
        session.execute(
            delete(WaitingPapers).where(is_among(WaitingPapers.subscriber_id, had)),
            execution_options={"synchronize_session": False},
        )
    rows = [
        (subscriber_id, one.topic_id, one.since_on, list(one.paper_ids))
        for subscriber_id, several in waiting.items()
        for one in several
        if one.paper_ids
    ]
    if rows:
        copy_rows(session, "waiting_papers (subscriber_id, topic_id, since_on, paper_ids)", rows)


def save_extras(session: Session, edition_id: int, paper_ids: Iterable[int]) -> None:
    """Note papers that digests of an edition have beyond its own, in order, lest chunks deadlock."""
    rows = [{"edition_id": edition_id, "paper_id": number} for number in sorted(paper_ids)]
    if rows:
        session.execute(insert(EditionExtra).on_conflict_do_nothing(), rows)


# From the first of a month to the change on the last, with papers that were found late.
LONGEST_GAP = timedelta(days=31 + LOOKBACK_DAYS[Cadence.MONTHLY])

# A paper came after `gap_since` if no daily edition had it by then. Those of editions that the
# subscriber was in are left out: they came with it, or did not match.
_FIND_GAPS = text("""
SELECT subscribers.id, array_agg(DISTINCT came.paper_id)
FROM subscribers CROSS JOIN LATERAL (
    SELECT edition_papers.paper_id
    FROM editions JOIN edition_papers ON edition_papers.edition_id = editions.id
    JOIN papers ON papers.id = edition_papers.paper_id
    WHERE editions.opened_at > subscribers.gap_since AND editions.id <> :edition_id
        AND editions.cadence IN (CAST(:cadence AS cadence), 'daily')
        AND papers.first_announced_on BETWEEN :first AND :last AND NOT papers.is_withdrawn
) AS came
WHERE subscribers.id = ANY(CAST(:ids AS bigint[]))
AND NOT EXISTS (
    SELECT FROM edition_papers AS had JOIN editions ON editions.id = had.edition_id
    WHERE had.paper_id = came.paper_id AND had.cadence = 'daily'
        AND editions.opened_at <= subscribers.gap_since
)
AND NOT EXISTS (
    SELECT FROM edition_papers AS had
    WHERE had.paper_id = came.paper_id AND had.edition_id IN (
        SELECT own.id FROM editions AS own JOIN deliveries ON deliveries.edition_id = own.id
        WHERE own.local_date >= :first AND deliveries.subscriber_id = subscribers.id
    )
)
GROUP BY subscribers.id
""")


def find_gap_papers(
    session: Session, edition: Edition, subscriber_ids: Sequence[int]
) -> dict[int, frozenset[int]]:
    """Return papers of editions that these subscribers were not in, since their `gap_since`."""
    last = last_covered(edition.cadence, edition.local_date)
    given = {
        "ids": write_numbers(subscriber_ids),
        "edition_id": edition.id,
        "cadence": edition.cadence.value,
        "first": last - LONGEST_GAP,
        "last": last,
    }
    return {number: frozenset(ids) for number, ids in session.execute(_FIND_GAPS, given)}


def lock_gaps(session: Session, subscriber_ids: Sequence[int]) -> None:
    """Let no cadence of these subscribers change until the commit."""
    locked = select(Subscriber.id).where(is_among(Subscriber.id, subscriber_ids))
    session.execute(locked.order_by(Subscriber.id).with_for_update(key_share=True))


def close_gaps(session: Session, edition: Edition, subscriber_ids: Sequence[int]) -> None:
    """Note that these subscribers were asked about everything, unless the cadence has changed."""
    session.execute(
        update(Subscriber)
        .where(is_among(Subscriber.id, subscriber_ids), Subscriber.cadence == edition.cadence)
        .values(gap_since=None),
        execution_options={"synchronize_session": False},
    )
