"""`GET /metrics`: delivery balance and other figures in the Prometheus text format.

Authenticated as `/admin` is; see `service.web.operator.auth`. Read from the database and cached for
15 seconds, so that all web processes return the same figures; only those of caches are per process.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from service.operations.figures import WarmUpLine
from service.operations.metrics import MOST_PROVIDERS, Measures, measure
from service.platform.caches import CacheUse
from service.platform.logs import get_logger
from service.web.core.context import Context
from service.web.operator.auth import MonitorOnly

Labels = TypeVar("Labels", bound=tuple[str, ...])

router = APIRouter(include_in_schema=False)

log = get_logger(__name__)


@router.get("/metrics")
def answer_metrics(context: Context, _: MonitorOnly) -> Response:
    def make() -> bytes:
        now, seconds = context.clock(), context.measuring_seconds
        return write_metrics(measure(context.sessions, context.settings, now, seconds))

    try:
        content = context.metrics.read(make)
    except SQLAlchemyError as error:
        log.warning("metrics.unreadable", reason=type(error).__name__)
        return PlainTextResponse("the database does not answer in time\n", status_code=503)
    return Response(content, media_type=CONTENT_TYPE_LATEST)


def write_metrics(measures: Measures) -> bytes:
    """Return the measures in the Prometheus text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_MeasuresCollector(measures))
    return generate_latest(registry)


class _MeasuresCollector(Collector):
    def __init__(self, measures: Measures) -> None:
        self.measures = measures

    def collect(self) -> Iterator[Metric]:
        found = self.measures
        yield from _of_editions(found)
        yield _single("due_mails", "Mails that are due and not sent", found.due_count)
        yield _single("oldest_due_seconds", "Age of the oldest due mail", found.oldest_due_seconds)
        yield _by("queued_mails", "Mails in the queue, due or not", "kind", found.queued)
        yield _single("in_doubt_mails", "Mails in doubt, without a reply", found.in_doubt_count)
        yield _pairs("recent_sends", "Sends of the last hour", ("provider", "reply"), found.sends)
        yield from _of_providers(found)
        yield from _of_gates(found)
        yield from _of_warm_up(found.warm_up)
        yield _pairs("batches", "Batches of the day", ("source", "state"), found.batches)
        yield _by("batch_faults", "Batches of the day with a fault", "source", found.batch_faults)
        yield _by("unreadable_papers", "Entries of the day not parsed", "source", found.unreadable)
        yield _by("subscribers", "Readers", "state", found.subscribers)
        yield _by("recent_bounces", "Bounces and complaints in a day", "verdict", found.bounces)
        yield _by("suppressions", "Suppressed addresses", "reason", found.suppressions)
        yield _single("quarantined_mails", "Mails in quarantine", found.quarantined_count)
        yield _single("sending_paused", "1 while all sending is paused", int(bool(found.pause)))
        yield _single("restored", "1 while a restored backup is refused", int(found.is_restored))
        yield from _of_caches(found.caches)


def _of_editions(found: Measures) -> Iterator[GaugeMetricFamily]:
    names = ("cadence", "date")
    rows = _family("edition_deliveries", "Digests of an edition", (*names, "state", "reason"))
    candidates = _family("edition_candidates", "Readers of an edition when it was frozen", names)
    balanced = _family("edition_balanced", "1 where the states add up to the candidates", names)
    for edition in found.editions:
        labels = (edition.cadence, edition.local_date.isoformat())
        for name, count in edition.states.items():
            state, _, reason = name.partition(": ")
            rows.add_metric((*labels, state, reason), count)
        # An edition that is still being composed cannot balance yet.
        if edition.candidate_count is not None:
            candidates.add_metric(labels, edition.candidate_count)
            balanced.add_metric(labels, int(edition.closes))
    yield from (rows, candidates, balanced)


def _of_providers(found: Measures) -> Iterator[GaugeMetricFamily]:
    paused = _family("provider_paused", "1 while a provider is paused", ("provider",))
    rate = _family("provider_rate", "Mails a second to a provider", ("provider",))
    for line in found.providers[:MOST_PROVIDERS]:
        paused.add_metric((line.provider,), int(line.breaker != "closed"))
        if line.rate is not None:
            rate.add_metric((line.provider,), line.rate)
    yield from (paused, rate)


def _of_gates(found: Measures) -> Iterator[GaugeMetricFamily]:
    closed = _family("closed_gates", "1 while a host of sources refuses us", ("host", "reason"))
    for gate in found.gates:
        closed.add_metric((gate.host, gate.reason), 1)
    yield closed


def _of_warm_up(line: WarmUpLine | None) -> Iterator[GaugeMetricFamily]:
    day, held = (line.day, line.held) if line else (0, {})
    yield _single("warm_up_day", "Day of a new domain's warm-up; 0 without one", day)
    most = sorted(held, key=lambda provider: -held[provider])[:MOST_PROVIDERS]
    counts = {provider: held[provider] for provider in most}
    yield _by("warm_up_held", "Digests held for the next day of a warm-up", "provider", counts)


def _of_caches(caches: Sequence[CacheUse]) -> Iterator[Metric]:
    scope = "of the answering process; each process has its own"
    entries = _family("cache_entries", f"Entries of a cache {scope}", ("cache",))
    maximum = _family("cache_maximum_entries", f"The most entries of a cache {scope}", ("cache",))
    size = _family("cache_bytes", f"Bytes of a cache, estimated, {scope}", ("cache",))
    most = _family("cache_maximum_bytes", f"The most bytes of a cache {scope}", ("cache",))
    hits = CounterMetricFamily("paperboy_cache_hits", f"Hits in a cache {scope}", labels=("cache",))
    misses = CounterMetricFamily(
        "paperboy_cache_misses", f"Misses in a cache {scope}", labels=("cache",)
    )
    for use in caches:
        entries.add_metric((use.name,), use.entries)
        for family, value in (
            (maximum, use.maximum), (size, use.bytes), (most, use.maximum_bytes), (hits, use.hits),
            (misses, use.misses),
        ):  # fmt: skip
            if value is not None:
                family.add_metric((use.name,), value)
    yield from (entries, maximum, size, most, hits, misses)


def _family(name: str, text: str, labels: tuple[str, ...] = ()) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"paperboy_{name}", text, labels=labels)


def _single(name: str, text: str, value: float) -> GaugeMetricFamily:
    family = _family(name, text)
    family.add_metric((), value)
    return family


def _by(name: str, text: str, label: str, counts: Mapping[str, int]) -> GaugeMetricFamily:
    return _pairs(name, text, (label,), {(key,): count for key, count in counts.items()})


def _pairs(name: str, text: str, labels: Labels, counts: Mapping[Labels, int]) -> GaugeMetricFamily:
    family = _family(name, text, labels)
    for key, count in sorted(counts.items()):
        family.add_metric(key, count)
    return family
