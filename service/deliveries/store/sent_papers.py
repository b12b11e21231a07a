"""The ledger: which papers subscribers were already sent, read where these papers can be."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from service.deliveries.domain.months import IDS
from service.deliveries.domain.states import DeliveryState
from service.platform.database.text_formats import write_numbers, write_texts

# States in which a digest's papers count as sent to the subscriber: the ledger.
LEDGER_STATES = tuple(
    state
    for state in DeliveryState
    if state not in {DeliveryState.SKIPPED, DeliveryState.FAILED, DeliveryState.CARRIED}
)


class Place(NamedTuple):
    """An edition, the month of its deliveries, and a paper that it has."""

    edition_id: int
    month: int
    paper_id: int


# OFFSET 0 keeps PostgreSQL from a join, for which it would read all months wholly.
_FIND = text(f"""
WITH RECURSIVE places AS (
  SELECT edition_id, month, array_agg(paper_id) AS wanted
  FROM unnest(CAST(:editions AS bigint[]), CAST(:months AS int[]), CAST(:papers AS int[]))
    AS given (edition_id, month, paper_id)
  GROUP BY edition_id, month
), found AS (
  SELECT one.*, wanted FROM places CROSS JOIN LATERAL (
    SELECT subscriber_id, edition_id, state, paper_ids, carried_into_id FROM deliveries
    WHERE edition_id = places.edition_id AND id BETWEEN month * {IDS} AND (month + 1) * {IDS} - 1
      AND subscriber_id = ANY(CAST(:subscribers AS bigint[]))
    OFFSET 0
  ) AS one
  WHERE paper_ids && wanted
  UNION ALL
  -- Mails without an edition count too, because a catch-up contains papers.
  SELECT subscriber_id, edition_id, state, paper_ids, carried_into_id, wanted
  FROM deliveries, CAST(:all_papers AS int[]) AS wanted
  WHERE edition_id IS NULL AND subscriber_id = ANY(CAST(:subscribers AS bigint[]))
    AND paper_ids && wanted
  UNION ALL
  -- A digest that was merged or carried over: its papers are in a later one.
  SELECT later.*, wanted FROM found CROSS JOIN LATERAL (
    SELECT subscriber_id, edition_id, state, paper_ids, carried_into_id FROM deliveries
    WHERE id = found.carried_into_id
    OFFSET 0
  ) AS later
)
SELECT DISTINCT subscriber_id, paper_id FROM found, unnest(paper_ids) AS paper_id
WHERE state = ANY(CAST(:states AS delivery_state[])) AND paper_id = ANY(wanted)
  AND edition_id IS DISTINCT FROM :edition_id AND subscriber_id IS NOT NULL
""")  # noqa: S608  # a constant


def find_seen(
    session: Session,
    subscriber_ids: Sequence[int],
    paper_ids: Collection[int],
    places: Sequence[Place],
    edition_id: int,
) -> dict[int, frozenset[int]]:
    """Return which of these papers each subscriber was already sent, in any other edition.

    `places` are all editions that have these papers. Only their deliveries are read, so the cost does
    not grow with the ledger.
    """
    if not paper_ids or not subscriber_ids:
        return {}
    editions, months, papers = zip(*places, strict=True) if places else ((), (), ())
    given = {
        "editions": write_numbers(editions),
        "months": write_numbers(months),
        "papers": write_numbers(papers),
        "all_papers": write_numbers(sorted(paper_ids)),
        "subscribers": write_numbers(subscriber_ids),
        "states": write_texts(LEDGER_STATES),
        "edition_id": edition_id,
    }
    seen: dict[int, set[int]] = {}
    for subscriber_id, paper_id in session.execute(_FIND, given):
        seen.setdefault(subscriber_id, set()).add(paper_id)
    return {subscriber_id: frozenset(ids) for subscriber_id, ids in seen.items()}
