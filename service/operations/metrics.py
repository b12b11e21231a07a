"""Metrics for a monitor: computed from the rows at a bounded cost, without personal data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.bounces.store.bounces import count_verdicts
from service.editions.balance import Balance, edition_balances
from service.operations.figures import BatchLine, Figures, batch_line, load_figures, values_of
from service.operations.store.counts import SendCount, count_recent_sends
from service.operations.store.edition_reports import last_of_each_cadence
from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.types import BatchState
from service.papers.store.batches import get_batches
from service.platform.caches import CacheUse, list_caches
from service.platform.database.engine import limit_time, transaction
from service.platform.settings.settings import Settings
from service.sending.domain.providers import provider_of
from service.sending.restore_guard import find_suspicion

# The most time for one statement: slower metrics must not hold up the sending.
MOST_SECONDS = 5
# Sign-ups can bring any number of domains, so only the busiest providers have labels of their own.
MOST_PROVIDERS = 20
OTHERS = "other"
RECENT = timedelta(hours=1)
A_DAY = timedelta(days=1)

_UNFINISHED = frozenset({BatchState.EXPECTED, BatchState.PARTIAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures(Figures):
    """The values of `/metrics`.

    `sends` of the last hour by (provider, class of the reply); `batches` of the day by (source,
    state), `batch_faults` and `unreadable` by source; `bounces` of the last day by verdict. `caches`
    are those of this process; all other values are the same in every process.
    """

    at: datetime
    editions: tuple[Balance, ...]
    sends: Mapping[tuple[str, str], int]
    batches: Mapping[tuple[str, str], int]
    batch_faults: Mapping[str, int]
    unreadable: Mapping[str, int]
    bounces: Mapping[str, int]
    is_restored: bool
    caches: Sequence[CacheUse]

    @property
    def oldest_due_seconds(self) -> float:
        """The age of the oldest due mail in seconds; 0 where nothing is due."""
        return (self.at - self.oldest_due_at).total_seconds() if self.oldest_due_at else 0.0


def measure(
    sessions: sessionmaker[Session],
    settings: Settings,
    now: datetime,
    most_seconds: int = MOST_SECONDS,
) -> Measures:
    """Return the metrics. A statement that takes longer than `most_seconds` fails."""
    is_restored = find_suspicion(sessions, settings, now) is not None
    with transaction(sessions) as session:
        limit_time(session, most_seconds)
        batches = [batch_line(row) for row in get_batches(session, announcement_date(now))]
        return Measures(
            **values_of(load_figures(session, settings, now)),
            at=now,
            editions=tuple(edition_balances(session, last_of_each_cadence(session))),
            sends=count_by_provider(count_recent_sends(session, now - RECENT)),
            batches=Counter((batch.source, str(batch.state)) for batch in batches),
            batch_faults=_batch_faults(batches),
            unreadable=_unreadable(batches),
            bounces={str(v): n for v, n in count_verdicts(session, now - A_DAY).items()},
            is_restored=is_restored,
            caches=list_caches(),
        )


def count_by_provider(rows: Sequence[SendCount]) -> dict[tuple[str, str], int]:
    """Return sends by (provider, reply), with the smaller providers summed as `other`."""
    by_provider: Counter[str] = Counter()
    for row in rows:
        by_provider[provider_of(f"@{row.domain}")] += row.count
    busiest = {name for name, _ in by_provider.most_common(MOST_PROVIDERS) if name}
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        name = provider_of(f"@{row.domain}")
        counts[name if name in busiest else OTHERS, row.reply] += row.count
    return dict(counts)


def _batch_faults(batches: Sequence[BatchLine]) -> dict[str, int]:
    """Return the number of unfinished batches with a note (not fetched or unreadable) by source."""
    counts = dict.fromkeys((batch.source for batch in batches), 0)
    for batch in batches:
        counts[batch.source] += batch.state in _UNFINISHED and bool(batch.note)
    return counts


def _unreadable(batches: Sequence[BatchLine]) -> dict[str, int]:
    counts = dict.fromkeys((batch.source for batch in batches), 0)
    for batch in batches:
        counts[batch.source] += batch.bad_count
    return counts
