"""Account for an edition: how many papers it has, and the state of every candidate's delivery."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState, balance_closes
from service.editions.store.editions import count_states, find_edition
from service.editions.store.models import Edition
from service.platform.database.engine import transaction


@dataclass(frozen=True, slots=True)
class Balance:
    """An edition's counts. `states`: "sent", "skipped: empty" … -> number of deliveries."""

    edition_id: int
    cadence: Cadence
    local_date: date
    state: str
    closed_at: datetime | None
    paper_count: int
    candidate_count: int | None
    states: Mapping[str, int]
    closes: bool

    @property
    def by_state(self) -> dict[str, int]:
        """The counts by state, skips of all reasons together."""
        counts: Counter[str] = Counter()
        for name, count in self.states.items():
            counts[name.partition(":")[0]] += count
        return counts


def edition_balance(session: Session, edition: Edition) -> Balance:
    """Return how many candidates an edition had, and their deliveries counted by state."""
    return edition_balances(session, [edition])[0]


def edition_balances(session: Session, editions: Sequence[Edition]) -> list[Balance]:
    """Return the balances of some editions, in their order, by one query."""
    counted = count_states(session, [edition.id for edition in editions])
    return [_balance(edition, counted[edition.id]) for edition in editions]


def _balance(edition: Edition, counted: Mapping[tuple[DeliveryState, str], int]) -> Balance:
    return Balance(
        edition_id=edition.id,
        cadence=edition.cadence,
        local_date=edition.local_date,
        state=edition.state,
        closed_at=edition.closed_at,
        paper_count=edition.paper_count,
        candidate_count=edition.candidate_count,
        states={
            f"{state}: {reason}" if reason else str(state): count
            for (state, reason), count in sorted(counted.items())
        },
        closes=balance_closes(edition.candidate_count, counted.values()),
    )


def find_balance(sessions: sessionmaker[Session], cadence: Cadence, on: date) -> Balance | None:
    """Return the balance of an edition, or None where there is no such edition."""
    with transaction(sessions) as session:
        edition = find_edition(session, cadence, on)
        return edition_balance(session, edition) if edition else None
