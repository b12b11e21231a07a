"""What a reader's bounces come to: suppressed at once, after several, or not at all.

Events arrive late, twice and out of order, so the standing is computed from all of them and not
counted up: the same events in any order, any number of times, give the same standing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import fsum

from service.deliveries.domain.recipients import SuppressionReason
from service.deliveries.domain.states import BounceVerdict, DeliveryState

# In percent of a suppression. Soft bounces weigh 20 (`service.deliveries.domain.refusals`): a daily reader's
# full mailbox ends the subscription on the sixth day, a weekly one's in the ninth week, and a
# fortnight's holiday with two of them never does.
LIMIT = 100.0
HALF_LIFE = timedelta(days=30)

_AGAINST_SUBSCRIBER = frozenset({BounceVerdict.ADDRESS, BounceVerdict.FULL})
# What comes back of a mail that arrived, or may yet.
ARRIVED = frozenset({BounceVerdict.AUTO_REPLY, BounceVerdict.NOT_A_BOUNCE})


@dataclass(frozen=True, slots=True)
class BounceView:
    """One thing that came back. `key` is the event's own: equal keys are one event."""

    key: str
    verdict: BounceVerdict
    weight: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class BounceScore:
    """`score` in percent of a suppression; `suppress` names the reason once it is reached."""

    score: float
    suppress: SuppressionReason | None = None
    why: str = ""


def next_score(events: Iterable[BounceView], now: datetime) -> BounceScore:
    """Where a reader stands after all of these events.

    A complaint or a certain hard bounce is final whenever it happened. The rest adds up, the
    heaviest of each day, and is worth half after each HALF_LIFE.
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
        days[day] = max(days.get(day, 0.0), _worth(event, now))
    # fsum, since the order of an ordinary sum shows in its last digit.
    score = fsum(days.values())
    if score < LIMIT:
        return BounceScore(score)
    why = f"mail came back on {len(days)} days"
    return BounceScore(score, SuppressionReason.HARD_BOUNCE, why)


def _worth(event: BounceView, now: datetime) -> float:
    age = max(now - event.occurred_at, timedelta(0))
    return float(event.weight * 0.5 ** (age / HALF_LIFE))


def state_after(verdict: BounceVerdict) -> DeliveryState:
    """What a delivery becomes by what came back of it.

    A delay, a receipt or a reader's auto-reply prove that the relay took the mail: they settle a
    delivery that was in doubt, as sent.
    """
    if verdict is BounceVerdict.COMPLAINT:
        return DeliveryState.COMPLAINED
    return DeliveryState.SENT if verdict in ARRIVED else DeliveryState.BOUNCED
