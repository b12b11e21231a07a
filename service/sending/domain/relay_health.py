"""Which relay takes the next connection: by weight, among those that answer.

A relay that does not answer is left alone for a while, longer each time, and its share goes to the
others; after the rest one connection tries it. Pure: times are seconds of whatever clock the
caller has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

REST_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class RelayHealth:
    """One relay's turn: `credit` is what the weights owe it, `rests_until` when it may be tried."""

    weight: int = 1
    credit: int = 0
    failure_count: int = 0
    rests_until: float = 0.0

    def is_awake(self, at: float) -> bool:
        return at >= self.rests_until


def next_relay(
    healths: Sequence[RelayHealth], at: float, avoid: frozenset[int] = frozenset()
) -> tuple[int | None, list[RelayHealth]]:
    """The relay whose turn it is (its place in the list), and the credits after it.

    Smooth weighted round robin: weights 3 and 1 give 0, 0, 1, 0, and not three in a row. None
    where all rest, or are in `avoid` because they were tried for the same connection.
    """
    awake = [i for i, one in enumerate(healths) if one.is_awake(at) and i not in avoid]
    if not awake:
        return None, list(healths)
    total = sum(healths[i].weight for i in awake)
    grown = [
        replace(one, credit=one.credit + one.weight) if i in awake else one
        for i, one in enumerate(healths)
    ]
    chosen = max(awake, key=lambda i: (grown[i].credit, -i))
    grown[chosen] = replace(grown[chosen], credit=grown[chosen].credit - total)
    return chosen, grown


def after_failure(
    health: RelayHealth, at: float, rest_seconds: Sequence[float] = REST_SECONDS
) -> RelayHealth:
    """It did not answer, or refused the connection. Failures of one moment count once."""
    if not health.is_awake(at):
        return health
    seconds = rest_seconds[min(health.failure_count, len(rest_seconds) - 1)]
    return replace(
        health, failure_count=health.failure_count + 1, rests_until=at + seconds, credit=0
    )


def after_success(health: RelayHealth) -> RelayHealth:
    return replace(health, failure_count=0, rests_until=0.0)


def wakes_at(healths: Sequence[RelayHealth]) -> float:
    """When the first relay may be tried again; in the past where one is awake."""
    return min(one.rests_until for one in healths)
