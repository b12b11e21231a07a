"""Provider limits, and the rows that wait for one (column `lane` has the provider's name).

A waiting row is `queued` with `due_at` set to `send_not_after`, so that claims of due rows never
scan it; it is claimed through its provider, or expires as too late. Rows are parked only under the
lock of their provider's limit, and a limit is deleted only when no row waits for it, so no row is
left waiting for a provider without a limit.
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
from service.platform.database.text_formats import write_numbers, write_texts
from service.sending.domain.provider_limits import ProviderLimitView
from service.sending.store.models import ProviderLimit

_FIELDS = [field.name for field in dataclasses.fields(ProviderLimitView)]


def find_limits(session: Session) -> dict[str, ProviderLimitView]:
    """Return every provider limit by the provider's name, without locks."""
    rows = session.scalars(select(ProviderLimit).order_by(ProviderLimit.provider))
    return {row.provider: _limit_of(row) for row in rows}


def lock_limits(session: Session, providers: Iterable[str]) -> dict[str, ProviderLimitView]:
    """Lock and return the existing limits of these providers, in order of their names, so that
    concurrent senders cannot deadlock.
    """
    rows = session.scalars(
        select(ProviderLimit)
        .where(ProviderLimit.provider.in_(sorted(providers)))
        .order_by(ProviderLimit.provider)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.provider: _limit_of(row) for row in rows}


def insert_limits(session: Session, providers: Iterable[str], now: datetime) -> None:
    """Insert limits for these providers; existing ones stay as they are."""
    rows = [{"provider": name, "changed_at": now} for name in sorted(providers)]
    if rows:
        session.execute(insert(ProviderLimit).values(rows).on_conflict_do_nothing())


def update_limit(session: Session, limit_state: ProviderLimitView) -> None:
    """Update a limit that this transaction has locked."""
    row = session.get_one(ProviderLimit, limit_state.provider)
    for name in _FIELDS:
        setattr(row, name, getattr(limit_state, name))
    session.flush()


def find_waiting(session: Session) -> frozenset[str]:
    """Return the providers for which rows wait; costs one index look-up per limit."""
    waits = select(Delivery.id).where(_waits_for(ProviderLimit.provider)).exists()
    return frozenset(session.scalars(select(ProviderLimit.provider).where(waits)))


def _waits_for(name: Any) -> ColumnElement[bool]:
    return and_(Delivery.state == DeliveryState.QUEUED, Delivery.lane != "", Delivery.lane == name)


def delete_limit(session: Session, provider: str) -> bool:
    """Delete a limit that this transaction has locked, unless rows wait for it; return if it did."""
    waits = select(Delivery.id).where(_waits_for(provider)).exists()
    deleted = session.execute(
        delete(ProviderLimit)
        .where(ProviderLimit.provider == provider, ~waits)
        .returning(ProviderLimit.provider)
    ).all()
    return bool(deleted)


def _limit_of(row: ProviderLimit) -> ProviderLimitView:
    return ProviderLimitView(**{name: getattr(row, name) for name in _FIELDS})


_PARK = text("""
UPDATE deliveries
SET state = 'queued', lane = given.lane, due_at = deliveries.send_not_after, lease_owner = NULL,
    lease_until = NULL, updated_at = :now
FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS smallint[]), CAST(:lanes AS text[]))
  AS given (id, attempt, lane)
WHERE deliveries.id = given.id AND deliveries.id = ANY(CAST(:ids AS bigint[]))
  AND deliveries.attempt = given.attempt AND deliveries.state = 'claimed'
""")


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A claimed row that goes back to the queue to wait for its provider."""

    id: int
    attempt: int
    provider: str


def park_claimed(session: Session, rows: Sequence[ParkedRow], now: datetime) -> None:
    """Let claimed rows wait for their providers, whose limits the caller has locked."""
    if rows:
        given = {
            "ids": write_numbers(row.id for row in rows),
            "attempts": write_numbers(row.attempt for row in rows),
            "lanes": write_texts(row.provider for row in rows),
            "now": now,
        }
        session.execute(_PARK, given)


# Not urgent, as in the index: of an edition, or one that may wait for days.
_IS_PATIENT = """(deliveries.edition_id IS NOT NULL
    OR deliveries.send_not_after - deliveries.created_at > interval '5 days')"""
CLAIM_WAITING = claiming(
    f"""waiting AS (
  SELECT deliveries.id
  FROM deliveries LEFT JOIN editions ON editions.id = deliveries.edition_id
  WHERE deliveries.lane = :lane AND deliveries.lane <> '' AND deliveries.state = 'queued'
    AND (CAST(:edition_id AS bigint) IS NULL OR deliveries.edition_id = :edition_id)
    AND (deliveries.edition_id IS NULL OR NOT :is_full)
    AND (deliveries.edition_id IS NULL OR editions.state = 'frozen')
    AND (:others OR NOT {_IS_PATIENT})
  ORDER BY {_IS_PATIENT}, deliveries.created_at, deliveries.id
  LIMIT :limit FOR NO KEY UPDATE OF deliveries SKIP LOCKED
)""",  # noqa: S608  # all parts are constants
    "waiting",
    ", due_at = :now",
)


@dataclass(frozen=True, slots=True)
class LimitClaim:
    """The sender of a claim: its number, its lease, and its one edition, if it has one.

    Without `others` it claims only urgent mail.
    """

    owner: int
    lease: timedelta
    edition_id: int | None = None
    others: bool = True


def claim_waiting_for(
    session: Session,
    claim: LimitClaim,
    provider: str,
    limit: int,
    now: datetime,
    *,
    is_full: bool = False,
) -> list[Claim]:
    """Claim up to `limit` rows that wait for a provider: urgent mail first, then the oldest.

    If the provider `is_full`, no digests.

    They become due now, so that they are not stuck until `send_not_after` if the sender dies.
    """
    given = {
        "owner": claim.owner,
        "until": now + claim.lease,
        "edition_id": claim.edition_id,
        "others": claim.others,
        "lane": provider,
        "limit": limit,
        "now": now,
        "is_full": is_full,
    }
    rows = take_claims(session, CLAIM_WAITING, given)
    return sorted((Claim(row, subscriber) for row, subscriber in rows), key=lambda claim: claim.id)


# A loose index scan: one index look-up per distinct provider, however many rows wait for it.
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
    """Make rows due whose provider's limit is gone (an operator may delete it); return how many."""
    names = session.scalars(_ORPHANED).all()
    return sum(len(session.execute(_RELEASE, {"lane": name, "now": now}).all()) for name in names)
