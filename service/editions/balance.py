"""The accounts of an edition: what the sources announced, and what became of every candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState, balance_closes
from service.editions.store.editions import count_states, find_edition
from service.editions.store.models import Edition
from service.platform.database.engine import transaction


@dataclass(frozen=True, slots=True)
class Balance:
    """The accounting of an edition. `states`: "sent", "skipped: empty" … -> rows."""

    edition_id: int
    cadence: Cadence
    local_date: date
    state: str
    paper_count: int
    candidate_count: int | None
    states: Mapping[str, int]
    closes: bool


def edition_balance(session: Session, edition: Edition) -> Balance:
    """How many candidates the edition had and what became of each."""
    counted = count_states(session, edition.id)
    by_state: dict[DeliveryState, int] = {}
    states: dict[str, int] = {}
    for (state, reason), count in sorted(counted.items()):
        by_state[state] = by_state.get(state, 0) + count
        name = f"{state}: {reason}" if state is DeliveryState.SKIPPED else str(state)
        states[name] = states.get(name, 0) + count
    return Balance(
        edition_id=edition.id,
        cadence=edition.cadence,
        local_date=edition.local_date,
        state=edition.state,
        paper_count=edition.paper_count,
        candidate_count=edition.candidate_count,
        states=states,
        closes=balance_closes(edition.candidate_count, by_state),
    )


def find_balance(sessions: sessionmaker[Session], cadence: Cadence, on: date) -> Balance | None:
    with transaction(sessions) as session:
        edition = find_edition(session, cadence, on)
        return edition_balance(session, edition) if edition else None
