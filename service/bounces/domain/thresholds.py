"""Thresholds: when a subscriber's bounces lead to suppression, at once, after several or never.

Events arrive late, twice and out of order, so the score is computed from all of them and not
incremented: it is idempotent and independent of their order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import fsum

from service.deliveries.domain.recipients import SuppressionReason
from service.deliveries.domain.states import BounceVerdict, DeliveryState

# In percent of a suppression. Soft bounces weigh 20 (`service.deliveries.domain.refusals`): a full
# mailbox ends a daily subscription on the sixth day and a weekly one in the ninth week; two soft
# bounces during a fortnight's holiday never do.
LIMIT = 100.0
HALF_LIFE = timedelta(days=30)

_AGAINST_SUBSCRIBER = frozenset({BounceVerdict.ADDRESS, BounceVerdict.FULL})
# Verdicts about a mail that arrived, or may still arrive.
ARRIVED = frozenset({BounceVerdict.AUTO_REPLY, BounceVerdict.NOT_A_BOUNCE})


@dataclass(frozen=True, slots=True)
class BounceView:
    """A bounce event for scoring. Events with equal keys are one event."""

    key: str
    verdict: BounceVerdict
    weight: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class BounceScore:
    """A bounce score in percent of a suppression; `suppress` is its reason once that is reached."""

    score: float
    suppress: SuppressionReason | None = None
    why: str = ""


def next_score(events: Iterable[BounceView], now: datetime) -> BounceScore:
    """Return a subscriber's bounce score after all of these events.

    A complaint or a certain hard bounce suppresses whenever it happened. Of the others the heaviest
    of each day is added up, with a weight that halves after each HALF_LIFE.
    """
    distinct = {event.key: event for event in events}.values()
    if any(event.verdict is BounceVerdict.COMPLAINT for event in distinct):
        return BounceScore(LIMIT, SuppressionReason.COMPLAINT, "reported as spam")
    days: dict[date, float] = {}
    for event in distinct:
        if event.verdict not in _AGAINST_SUBSCRIBER:
            continue
        if event.weight >= LIMIT:
            return BounceScore(LIMIT, SuppressionReason.HARD_BOUNCE, "there is no such address")
        day = event.occurred_at.date()
        days[day] = max(days.get(day, 0.0), _decayed_weight(event, now))
    # fsum, because the last digit of an ordinary sum depends on the order.
    score = fsum(days.values())
    if score < LIMIT:
        return BounceScore(score)
    return BounceScore(score, SuppressionReason.HARD_BOUNCE, f"mail came back on {len(days)} days")


def _decayed_weight(event: BounceView, now: datetime) -> float:
    age = max(now - event.occurred_at, timedelta(0))
    return float(event.weight * 0.5 ** (age / HALF_LIFE))


def state_after(verdict: BounceVerdict) -> DeliveryState:
    """Return the delivery state after a verdict.

    A delay, a receipt or an auto-reply proves that the relay accepted the mail, so a delivery in
    doubt becomes sent.
    """
    if verdict is BounceVerdict.COMPLAINT:
        return DeliveryState.COMPLAINED
    return DeliveryState.SENT if verdict in ARRIVED else DeliveryState.BOUNCED
