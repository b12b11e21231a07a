"""Choose the relay for the next connection: weighted round robin with a back-off after failures.

A relay that fails rests for a while, longer each time, and its share goes to the others; after the
rest one connection tries it. Pure: times are seconds of any one clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

REST_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class RelayHealth:
    """The state of one relay: `credit` for the round robin, `rests_until` for the back-off."""

    weight: int = 1
    credit: int = 0
    failure_count: int = 0
    rests_until: float = 0.0

    def is_awake(self, at: float) -> bool:
        return at >= self.rests_until


def next_relay(
    healths: Sequence[RelayHealth], at: float, avoid: frozenset[int] = frozenset()
) -> tuple[int | None, list[RelayHealth]]:
    """Return the index of the next relay, and the updated states.

    Smooth weighted round robin: weights 3 and 1 give 0, 0, 1, 0 and not three in a row. The index
    is None if all relays rest, or are in `avoid` because they were tried for the same connection.
    """
    awake = [i for i, health in enumerate(healths) if health.is_awake(at) and i not in avoid]
    if not awake:
        return None, list(healths)
    total = sum(healths[i].weight for i in awake)
    grown = [
        replace(health, credit=health.credit + health.weight) if i in awake else health
        for i, health in enumerate(healths)
    ]
    chosen = max(awake, key=lambda i: (grown[i].credit, -i))
    grown[chosen] = replace(grown[chosen], credit=grown[chosen].credit - total)
    return chosen, grown


def after_failure(
    health: RelayHealth, at: float, rest_seconds: Sequence[float] = REST_SECONDS
) -> RelayHealth:
    """Return the state after a failed connection. Failures during a rest do not count again."""
    if not health.is_awake(at):
        return health
    seconds = rest_seconds[min(health.failure_count, len(rest_seconds) - 1)]
    return replace(
        health, failure_count=health.failure_count + 1, rests_until=at + seconds, credit=0
    )


def after_success(health: RelayHealth) -> RelayHealth:
    """Return the state after a reply: no failures, no rest."""
    return replace(health, failure_count=0, rests_until=0.0)
