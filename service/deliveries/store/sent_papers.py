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


class PaperPlace(NamedTuple):
    """An edition, the month of its deliveries, and a paper that it has."""

    edition_id: int
    month: int
    paper_id: int


_COLUMNS = "subscriber_id, edition_id, state, paper_ids, carried_into_id"
# OFFSET 0 keeps PostgreSQL from a join, for which it would read all months wholly. The range of ids is a
# literal: of a parameter's it would expect few rows, and read the month by its primary key.
_OF_MONTH = f"""
  SELECT one.*, wanted FROM (
    SELECT edition_id, array_agg(paper_id) AS wanted
    FROM unnest(CAST(:editions AS bigint[]), CAST(:months AS int[]), CAST(:papers AS int[]))
      AS given (edition_id, month, paper_id)
    WHERE month = {{month}} GROUP BY edition_id
  ) AS places CROSS JOIN LATERAL (
    SELECT {_COLUMNS} FROM deliveries
    WHERE edition_id = places.edition_id AND id BETWEEN {{low}} AND {{high}}
      AND subscriber_id = ANY(CAST(:subscribers AS bigint[]))
    OFFSET 0
  ) AS one
  WHERE paper_ids && wanted
  UNION ALL
"""  # noqa: S608  # constants
_FIND = f"""
WITH RECURSIVE found AS (
  {{months}}
  -- Mails without an edition count too, because a catch-up contains papers.
  SELECT {_COLUMNS}, wanted
  FROM deliveries, CAST(:all_papers AS int[]) AS wanted
  WHERE edition_id IS NULL AND subscriber_id = ANY(CAST(:subscribers AS bigint[]))
    AND paper_ids && wanted
  UNION ALL
  -- A digest that was merged or carried over: its papers are in a later one.
  SELECT later.*, wanted FROM found CROSS JOIN LATERAL (
    SELECT {_COLUMNS} FROM deliveries WHERE id = found.carried_into_id OFFSET 0
  ) AS later
)
SELECT DISTINCT subscriber_id, paper_id FROM found, unnest(paper_ids) AS paper_id
WHERE state = ANY(CAST(:states AS delivery_state[])) AND paper_id = ANY(wanted)
  AND edition_id IS DISTINCT FROM :edition_id AND subscriber_id IS NOT NULL
"""  # noqa: S608  # constants


def find_seen(
    session: Session,
    subscriber_ids: Sequence[int],
    paper_ids: Collection[int],
    places: Sequence[PaperPlace],
    edition_id: int,
) -> dict[int, frozenset[int]]:
    """Return which of these papers each subscriber was already sent, in any other edition.

    `places` are all editions that have these papers. Only their deliveries are read, so the cost does
    not grow with the ledger.
    """
    if not paper_ids or not subscriber_ids:
        return {}
    months = "".join(
        _OF_MONTH.format(month=month, low=month * IDS, high=(month + 1) * IDS - 1)
        for month in sorted({place.month for place in places})
    )
    given = {
        "editions": write_numbers(place.edition_id for place in places),
        "months": write_numbers(place.month for place in places),
        "papers": write_numbers(place.paper_id for place in places),
        "all_papers": write_numbers(sorted(paper_ids)),
        "subscribers": write_numbers(subscriber_ids),
        "states": write_texts(LEDGER_STATES),
        "edition_id": edition_id,
    }
    seen: dict[int, set[int]] = {}
    for subscriber_id, paper_id in session.execute(text(_FIND.format(months=months)), given):
        seen.setdefault(subscriber_id, set()).add(paper_id)
    return {subscriber_id: frozenset(ids) for subscriber_id, ids in seen.items()}
