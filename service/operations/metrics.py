"""The accounts as numbers for a monitor: computed from the rows, at a bounded cost, naming nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.bounces.store.bounces import count_verdicts
from service.deliveries.domain.states import DeliveryState, balance_closes
from service.editions.store.editions import count_states
from service.editions.store.models import Edition
from service.operations.status import ProviderLine, provider_line
from service.operations.store.counts import (
    SendCount,
    count_queued,
    count_recent_sends,
    count_suppressed,
    limit_time,
)
from service.operations.store.edition_reports import last_of_each_cadence, list_paces
from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.types import BatchState
from service.papers.store.batches import get_batches
from service.papers.store.models import Batch
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.sending.domain.providers import provider_of
from service.sending.restore_guard import find_mark_ahead
from service.sending.store.claim import count_due, count_in_doubt
from service.subscribers.store.subscribers import count_by_state

# A monitor's patience; what takes longer is not worth holding up the sending for.
MOST_SECONDS = 5
# Providers are labels, and anybody may bring a domain: the busiest stand alone, the rest share one.
MOST_PROVIDERS = 20
OTHERS = "other"
RECENT = timedelta(hours=1)
A_DAY = timedelta(days=1)

_WAITED_FOR = frozenset({BatchState.EXPECTED, BatchState.PARTIAL})


@dataclass(frozen=True, slots=True)
class EditionMeasure:
    """One edition's balance. `states` are counts by (state, reason)."""

    cadence: str
    on: date
    candidate_count: int | None
    closes: bool
    states: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Measures:
    """Everything that `/metrics` tells.

    `queued` by kind of mail; `sends` of the last hour by (provider, class of the reply); `batches`
    of the day by (source, state), `batch_faults` and `unreadable` by source; `bounces` of the last
    day by verdict. `oldest_due_seconds` is 0 where nothing is due.
    """

    editions: tuple[EditionMeasure, ...]
    due_count: int
    oldest_due_seconds: float
    queued: Mapping[str, int]
    in_doubt_count: int
    sends: Mapping[tuple[str, str], int]
    providers: tuple[ProviderLine, ...]
    batches: Mapping[tuple[str, str], int]
    batch_faults: Mapping[str, int]
    unreadable: Mapping[str, int]
    subscribers: Mapping[str, int]
    bounces: Mapping[str, int]
    suppressions: Mapping[str, int]
    is_restored: bool


def measure(
    sessions: sessionmaker[Session],
    settings: Settings,
    now: datetime,
    most_seconds: int = MOST_SECONDS,
) -> Measures:
    """Read the accounts. A statement that takes longer than `most_seconds` is given up (an error)."""
    is_restored = find_mark_ahead(sessions, settings) is not None
    with transaction(sessions) as session:
        limit_time(session, most_seconds)
        due_count, oldest = count_due(session, now)
        batches = get_batches(session, announcement_date(now))
        paces = [provider_line(row) for row in list_paces(session)]
        return Measures(
            editions=tuple(_edition(session, one) for one in last_of_each_cadence(session)),
            due_count=due_count,
            oldest_due_seconds=(now - oldest).total_seconds() if oldest else 0.0,
            queued=count_queued(session),
            in_doubt_count=count_in_doubt(session),
            sends=count_by_provider(count_recent_sends(session, now - RECENT)),
            providers=tuple(paces[:MOST_PROVIDERS]),
            batches=Counter((batch.source, str(batch.state)) for batch in batches),
            batch_faults=_batch_faults(batches),
            unreadable=_unreadable(batches),
            subscribers={str(state): n for state, n in count_by_state(session).items()},
            bounces={str(v): n for v, n in count_verdicts(session, now - A_DAY).items()},
            suppressions=count_suppressed(session),
            is_restored=is_restored,
        )


def _edition(session: Session, edition: Edition) -> EditionMeasure:
    states: Counter[tuple[str, str]] = Counter()
    by_state: Counter[DeliveryState] = Counter()
    for (state, reason), count in count_states(session, edition.id).items():
        by_state[state] += count
        # Only skips have reasons from a short list; those of failures are a relay's words.
        states[str(state), reason if state is DeliveryState.SKIPPED else ""] += count
    closes = balance_closes(edition.candidate_count, by_state)
    return EditionMeasure(
        edition.cadence, edition.local_date, edition.candidate_count, closes, states
    )


def count_by_provider(rows: Sequence[SendCount]) -> dict[tuple[str, str], int]:
    """Sends by (provider, reply), the domains of the smaller providers together."""
    by_provider: Counter[str] = Counter()
    for row in rows:
        by_provider[provider_of(f"@{row.domain}")] += row.count
    alone = {name for name, _ in by_provider.most_common(MOST_PROVIDERS) if name}
    told: Counter[tuple[str, str]] = Counter()
    for row in rows:
        name = provider_of(f"@{row.domain}")
        told[name if name in alone else OTHERS, row.reply] += row.count
    return dict(told)


def _batch_faults(batches: Sequence[Batch]) -> dict[str, int]:
    """How many batches of each source are not in and say why: what could not be fetched or read."""
    told = dict.fromkeys((batch.source for batch in batches), 0)
    for batch in batches:
        told[batch.source] += batch.state in _WAITED_FOR and bool(batch.note)
    return told


def _unreadable(batches: Sequence[Batch]) -> dict[str, int]:
    told = dict.fromkeys((batch.source for batch in batches), 0)
    for batch in batches:
        told[batch.source] += batch.bad_count
    return told
