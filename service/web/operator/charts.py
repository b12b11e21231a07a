"""The operator's charts: delivery states of an edition; growth, mails and bounces per day."""

from collections.abc import Mapping, Sequence
from datetime import date

from service.operations.dashboard import BounceDay
from service.operations.growth import GrowthDay, MailDay
from service.presentation.dates import short_date
from service.presentation.phrases import count_of
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

# The parts of a day's column in the charts of growth and of mails: CSS class and label.
GROWTH_KEYS = {"joined": "joined", "left": "left"}
MAIL_KEYS = {
    "sent": "sent",
    "failed": "failed",
    "doubtful": "in doubt or carried over",
    "bounced": "bounced or complained",
}


def draw_growth(days: Sequence[GrowthDay]) -> Chart:
    """Draw who joined and left, a column a day; needs at least one day."""
    return _draw_days(
        {day.on: {"joined": day.joined, "left": day.left} for day in days},
        GROWTH_KEYS,
        "Nobody joined or left",
    )


def draw_subscribed(days: Sequence[GrowthDay]) -> Chart:
    """Draw how many were subscribed at the end of each day; needs at least one day."""
    columns = {
        day.on: [ChartPart(day.subscribed, "subscribed", _count_subscribed(day))]
        if day.subscribed
        else []
        for day in days
    }
    first, last = days[0], days[-1]
    text = f"{first.subscribed:,} on {short_date(first.on)}, {last.subscribed:,} now."
    return draw_columns(columns, text)


def _count_subscribed(day: GrowthDay) -> str:
    return f"{short_date(day.on)}: {count_of(day.subscribed, 'reader')}"


def draw_mails(days: Sequence[MailDay]) -> Chart:
    """Draw what became of each day's mails; needs at least one day."""
    return _draw_days(
        {day.on: {_look(name): count for name, count in day.counts.items()} for day in days},
        MAIL_KEYS,
        "No mails",
    )


def _look(name: str) -> str:
    return "doubtful" if name == "in_doubt" else name


def _draw_days(
    days: Mapping[date, Mapping[str, int]], keys: Mapping[str, str], nothing: str
) -> Chart:
    """Draw a column a day, stacked in the order of `keys`, and describe it by its totals."""
    columns = {
        on: [
            ChartPart(counts[look], look, f"{short_date(on)}: {counts[look]:,} {label}")
            for look, label in keys.items()
            if counts.get(look)
        ]
        for on, counts in days.items()
    }
    totals = {look: sum(counts.get(look, 0) for counts in days.values()) for look in keys}
    parts = [f"{totals[look]:,} {label}" for look, label in keys.items() if totals[look]]
    return draw_columns(columns, f"{', '.join(parts) or nothing} {describe_span(list(days))}.")


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
