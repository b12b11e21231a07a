"""Paces and the lanes in which rows wait for a provider.

A row in a lane is `queued` with `due_at` at the end of its time, so that claiming what is due never
walks over it, however many wait; it comes back through its lane, or in the end as too late. Lanes
are only filled under the lock of their provider's pace, and a pace goes only when its lane is empty:
no row waits for a provider that nobody looks at.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.claimed_rows import Claim, claiming, take_claims
from service.deliveries.store.models import Delivery
from service.platform.database.pg_arrays import write_numbers, write_texts
from service.sending.domain.provider_limits import ProviderLimitView
from service.sending.store.models import ProviderLimit

_FIELDS = [field.name for field in dataclasses.fields(ProviderLimitView)]


def find_limits(session: Session) -> dict[str, ProviderLimitView]:
    """Every provider that has a pace, by name; unlocked, for a look."""
    rows = session.scalars(select(ProviderLimit).order_by(ProviderLimit.provider))
    return {row.provider: _limit_of(row) for row in rows}


def lock_limits(session: Session, providers: Iterable[str]) -> dict[str, ProviderLimitView]:
    """The paces of these providers, so far as there are any, locked in order of their names."""
    rows = session.scalars(
        select(ProviderLimit)
        .where(ProviderLimit.provider.in_(sorted(providers)))
        .order_by(ProviderLimit.provider)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.provider: _limit_of(row) for row in rows}


def insert_limits(session: Session, providers: Iterable[str], now: datetime) -> None:
    """Begin to remember these providers; those that are known stay as they are."""
    rows = [{"provider": name, "changed_at": now} for name in sorted(providers)]
    if rows:
        session.execute(insert(ProviderLimit).values(rows).on_conflict_do_nothing())


def update_limit(session: Session, limit_state: ProviderLimitView) -> None:
    """Write a pace that this transaction has locked."""
    row = session.get_one(ProviderLimit, limit_state.provider)
    for name in _FIELDS:
        setattr(row, name, getattr(limit_state, name))
    session.flush()


def find_waiting(session: Session) -> frozenset[str]:
    """The providers for which rows wait: one look into the index for each that has a pace."""
    waits = select(Delivery.id).where(_waits_for(ProviderLimit.provider)).exists()
    return frozenset(session.scalars(select(ProviderLimit.provider).where(waits)))


def _waits_for(lane: Any) -> ColumnElement[bool]:
    return and_(Delivery.state == DeliveryState.QUEUED, Delivery.lane != "", Delivery.lane == lane)


def delete_limit(session: Session, provider: str) -> bool:
    """Forget a provider that this transaction has locked; not while rows wait in its lane."""
    waits = select(Delivery.id).where(_waits_for(provider)).exists()
    gone = session.execute(
        delete(ProviderLimit)
        .where(ProviderLimit.provider == provider, ~waits)
        .returning(ProviderLimit.provider)
    ).all()
    return bool(gone)


def _limit_of(row: ProviderLimit) -> ProviderLimitView:
    return ProviderLimitView(**{name: getattr(row, name) for name in _FIELDS})


_PARK = text("""
UPDATE deliveries
SET state = 'queued', lane = given.lane, due_at = deliveries.send_not_after, lease_owner = NULL,
    lease_until = NULL, updated_at = :now
FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS smallint[]), CAST(:lanes AS text[]))
  AS given (id, attempt, lane)
WHERE deliveries.id = given.id AND deliveries.attempt = given.attempt
  AND deliveries.state = 'claimed'
""")


@dataclass(frozen=True, slots=True)
class HeldRows:
    """A claimed row that goes into the lane of its provider."""

    id: int
    attempt: int
    lane: str


def park_claimed(session: Session, rows: Sequence[HeldRows], now: datetime) -> None:
    """Put claimed rows into lanes; the caller holds the locks of the lanes' paces."""
    if rows:
        given = {
            "ids": write_numbers(row.id for row in rows),
            "attempts": write_numbers(row.attempt for row in rows),
            "lanes": write_texts(row.lane for row in rows),
            "now": now,
        }
        session.execute(_PARK, given)


_CLAIM_WAITING = claiming(
    """waiting AS (
  SELECT deliveries.id
  FROM deliveries LEFT JOIN editions ON editions.id = deliveries.edition_id
  WHERE deliveries.lane = :lane AND deliveries.lane <> '' AND deliveries.state = 'queued'
    AND (CAST(:edition_id AS bigint) IS NULL OR deliveries.edition_id = :edition_id)
    AND (deliveries.edition_id IS NULL OR editions.state = 'frozen')
  ORDER BY deliveries.id LIMIT :limit FOR NO KEY UPDATE OF deliveries SKIP LOCKED
)""",
    "waiting",
    ", due_at = :now",
)


@dataclass(frozen=True, slots=True)
class LimitClaim:
    """Who claims from lanes: the sender's number, its lease, and the one edition it is about."""

    owner: int
    lease: timedelta
    edition_id: int | None = None


def claim_waiting_for(
    session: Session, claim: LimitClaim, lane: str, limit: int, now: datetime
) -> list[Claim]:
    """Take up to `limit` rows that wait for a provider, the oldest first.

    They are due from now on, so that nothing waits for the end of its time should the sender die.
    """
    given = {
        "owner": claim.owner,
        "until": now + claim.lease,
        "edition_id": claim.edition_id,
        "lane": lane,
        "limit": limit,
        "now": now,
    }
    rows = take_claims(session, _CLAIM_WAITING, given)
    return sorted((Claim(row, subscriber) for row, subscriber in rows), key=lambda claim: claim.id)


# From one lane to the next by the index, however many rows wait in each.
_ORPHANED = text("""
WITH RECURSIVE lanes AS (
  (SELECT lane FROM deliveries WHERE state = 'queued' AND lane <> '' ORDER BY lane LIMIT 1)
  UNION ALL
  SELECT (SELECT lane FROM deliveries
          WHERE state = 'queued' AND lane <> '' AND lane > lanes.lane ORDER BY lane LIMIT 1)
  FROM lanes WHERE lanes.lane IS NOT NULL
)
SELECT lane FROM lanes WHERE lane IS NOT NULL
EXCEPT SELECT provider FROM paces
""")
_RELEASE = text("""
UPDATE deliveries SET lane = '', due_at = :now, updated_at = :now
WHERE state = 'queued' AND lane <> '' AND lane = :lane
RETURNING id
""")


def release_orphans(session: Session, now: datetime) -> int:
    """Rows whose provider has no pace any more, as after an operator deleted it: due at once."""
    lanes = session.scalars(_ORPHANED).all()
    return sum(len(session.execute(_RELEASE, {"lane": lane, "now": now}).all()) for lane in lanes)
