"""The operator's charts: the delivery states of an edition, and bounces per day."""

from collections.abc import Mapping, Sequence

from service.operations.dashboard import BounceDay
from service.presentation.dates import short_date
from service.web.views.charts import Chart, ChartPart, describe_span, draw_columns, draw_shares

# The parts of an edition's bar from left to right: CSS class and delivery states.
_STATES = {
    "sent": ("sent",),
    "waiting": ("queued", "claimed", "in_flight"),
    "doubtful": ("in_doubt", "carried"),
    "refused": ("failed", "bounced", "complained"),
    "skipped": ("skipped",),
}
EDITION_KEYS = {
    "sent": "sent",
    "waiting": "waiting",
    "doubtful": "in doubt or carried over",
    "refused": "refused or bounced",
    "skipped": "skipped",
}
# The parts of a day's column from the bottom up: CSS class and bounce verdicts.
_VERDICTS = {
    "reader": ("address", "full"),
    "ours": ("policy", "content", "configuration"),
    "complaint": ("complaint",),
}
BOUNCE_KEYS = {
    "reader": "address or mailbox",
    "ours": "policy, content or configuration",
    "complaint": "complaint",
}


def draw_edition(states: Mapping[str, int]) -> Chart:
    """Draw one bar with the share of each group of states."""
    counts = _gather(states, _STATES)
    parts = [ChartPart(n, look, f"{n:,} {EDITION_KEYS[look]}") for look, n in counts.items()]
    return draw_shares(parts, "no digests yet")


def draw_bounces(days: Sequence[BounceDay]) -> Chart:
    """Draw a column a day, oldest first, stacked by cause; needs at least one day."""
    columns = {
        day.on: [
            ChartPart(n, look, f"{short_date(day.on)}: {n:,} × {BOUNCE_KEYS[look]}")
            for look, n in _gather(day.verdicts, _VERDICTS).items()
        ]
        for day in days
    }
    return draw_columns(columns, _describe_bounces(days))


def _gather(counts: Mapping[str, int], names_of: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the counts by CSS class, without zeros."""
    sums = {look: sum(counts.get(name, 0) for name in names) for look, names in names_of.items()}
    return {look: count for look, count in sums.items() if count}


def _describe_bounces(days: Sequence[BounceDay]) -> str:
    totals: dict[str, int] = {}
    for day in days:
        for name, count in day.verdicts.items():
            totals[name] = totals.get(name, 0) + count
    parts = [f"{count:,} {BOUNCE_KEYS[look]}" for look, count in _gather(totals, _VERDICTS).items()]
    return f"{', '.join(parts) or 'No bounces or complaints'} {describe_span([day.on for day in days])}."
