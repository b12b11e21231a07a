"""Claimed deliveries with their subscribers, read in one statement.

These are plain tuples of what building a mail needs, because a morning reads a million of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol

from pydantic_core import from_json
from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence, SubscriberState, Timing
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.packed_digests import unpack_digest
from service.platform.database.text_formats import write_numbers


class DeliveryView(Protocol):
    """The fields of a delivery needed to build its mail: a claimed row, or a `Delivery`."""

    @property
    def id(self) -> int: ...
    @property
    def kind(self) -> DeliveryKind: ...
    @property
    def edition_id(self) -> int | None: ...
    @property
    def attempt(self) -> int: ...
    @property
    def deferral_count(self) -> int: ...
    @property
    def send_not_after(self) -> datetime: ...
    @property
    def paper_ids(self) -> Sequence[int]: ...
    @property
    def digest(self) -> dict[str, Any] | None: ...
    @property
    def alert(self) -> dict[str, Any] | None: ...
    @property
    def created_at(self) -> datetime: ...


class RecipientView(Protocol):
    """The fields of a subscriber needed to build a mail: a claimed row's, or a `Subscriber`."""

    @property
    def id(self) -> int: ...
    @property
    def email(self) -> str: ...
    @property
    def email_key(self) -> str: ...
    @property
    def state(self) -> SubscriberState: ...
    @property
    def cadence(self) -> Cadence: ...
    @property
    def hour(self) -> int: ...
    @property
    def timezone(self) -> str: ...
    @property
    def timing(self) -> Timing: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def confirmed_at(self) -> datetime | None: ...
    @property
    def unsubscribed_at(self) -> datetime | None: ...
    @property
    def paused_until(self) -> date | None: ...
    @property
    def has_empty_digests(self) -> bool: ...
    @property
    def has_catch_up(self) -> bool: ...
    @property
    def has_ai_summaries(self) -> bool: ...
    @property
    def full_cards(self) -> int: ...
    @property
    def moves_from_id(self) -> int | None: ...
    @property
    def locale(self) -> str: ...
    @property
    def link_key(self) -> bytes: ...
    @property
    def link_epoch(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A row claimed by this sender at this attempt, and its subscriber as read in the claim."""

    delivery: DeliveryView
    subscriber: RecipientView | None

    @property
    def id(self) -> int:
        return self.delivery.id

    @property
    def attempt(self) -> int:
        return self.delivery.attempt


class ClaimedDelivery(NamedTuple):
    """A `DeliveryView` with its `due_at`, which gives its position in the edition."""

    id: int
    kind: DeliveryKind
    edition_id: int | None
    attempt: int
    deferral_count: int
    due_at: datetime
    send_not_after: datetime
    paper_ids: Sequence[int]
    digest: dict[str, Any] | None
    alert: dict[str, Any] | None
    created_at: datetime


class ClaimedRecipient(NamedTuple):
    """A `RecipientView`."""

    id: int
    email: str
    email_key: str
    state: SubscriberState
    cadence: Cadence
    hour: int
    timezone: str
    timing: Timing
    created_at: datetime
    confirmed_at: datetime | None
    unsubscribed_at: datetime | None
    paused_until: date | None
    has_empty_digests: bool
    has_catch_up: bool
    has_ai_summaries: bool
    full_cards: int
    moves_from_id: int | None
    locale: str
    link_key: bytes
    link_epoch: int


# As text, because pydantic's parser takes half of the driver's time.
_IS_WRITTEN = {"alert": "CAST(taken.alert AS text)"}
_COLUMNS = [
    *(_IS_WRITTEN.get(name, f"taken.{name}") for name in ClaimedDelivery._fields),
    *(f"reader.{name}" for name in ClaimedRecipient._fields),
]
_MAIL_WIDTH = len(ClaimedDelivery._fields)
_DIGEST, _ALERT = (ClaimedDelivery._fields.index(name) for name in ("digest", "alert"))


class Claiming(NamedTuple):
    """The statements of a claim: `find` locks rows, `take` claims them by their ids.

    They are two, because with the ids as a parameter Postgres plans for their months alone. As one
    statement it plans for a join with all months, and reads them wholly where they are small.
    """

    find: TextClause
    take: TextClause


def claiming(steps: str, found: str, also: str = "") -> Claiming:
    """Return the statements that claim the rows of `found`, a relation of ids defined by `steps`
    (CTEs, which lock the rows); `also` are further assignments, after a comma.
    """
    find = text(f"WITH {steps} SELECT id FROM {found} AS found")  # noqa: S608  # all parts are constants
    take = text(f"""
WITH taken AS (
  UPDATE deliveries
  SET state = 'claimed', lane = '', attempt = attempt + 1, lease_owner = :owner,
      lease_until = :until, updated_at = :now{also}
  WHERE id = ANY(CAST(:ids AS bigint[]))
  RETURNING deliveries.*
)
SELECT {", ".join(_COLUMNS)}
FROM taken LEFT JOIN subscribers AS reader ON reader.id = taken.subscriber_id
""")  # noqa: S608  # all parts are constants
    return Claiming(find, take)


def take_claims(
    session: Session, claim: Claiming, given: Mapping[str, Any]
) -> list[tuple[ClaimedDelivery, ClaimedRecipient | None]]:
    """Run the statements of a claim; return the rows in no particular order."""
    ids = session.scalars(claim.find, given).all()
    if not ids:
        return []
    known = {name: given[name] for name in ("owner", "until", "now")}
    rows = session.execute(claim.take, {**known, "ids": write_numbers(ids)}).all()
    return [(_parse_delivery(row), _parse_recipient(row[_MAIL_WIDTH:])) for row in rows]


_KINDS = {kind.value: kind for kind in DeliveryKind}
_STATES = {state.value: state for state in SubscriberState}
_CADENCES = {cadence.value: cadence for cadence in Cadence}
_TIMINGS = {timing.value: timing for timing in Timing}


def _parse_delivery(row: Sequence[Any]) -> ClaimedDelivery:
    mail = ClaimedDelivery._make(row[:_MAIL_WIDTH])
    return mail._replace(
        kind=_KINDS[mail.kind],
        digest=None if row[_DIGEST] is None else unpack_digest(row[_DIGEST]),
        alert=from_json(row[_ALERT]) if row[_ALERT] else None,
    )


def _parse_recipient(row: Sequence[Any]) -> ClaimedRecipient | None:
    if row[0] is None:
        return None
    subscriber = ClaimedRecipient._make(row)
    return subscriber._replace(
        state=_STATES[subscriber.state],
        cadence=_CADENCES[subscriber.cadence],
        timing=_TIMINGS[subscriber.timing],
    )
