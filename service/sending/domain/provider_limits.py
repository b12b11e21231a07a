"""The limit of one mail provider: an adaptive send rate (AIMD) and a circuit breaker.

The rate is halved when a provider says "too fast" and grows back in small steps (additive increase,
multiplicative decrease, as in TCP congestion control, which is known to converge). When a provider
refuses us for policy (5.7.x) the breaker opens: its mails wait, one probe is sent after a time, and
the operator is alerted. Pure: workers share the row, and each applies the replies that it got.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from service.sending.domain.smtp_replies import ReplyKind


class BreakerState(StrEnum):
    """The state of a provider's circuit breaker. `closed` is normal: mail is sent.

    `open`: its rows wait; `probing` (half-open): one row tests whether the provider accepts again.
    """

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


# Messages per second. The first throttling reply sets an unlimited provider to START_RATE.
START_RATE = 5.0
SLOWEST_RATE = 1 / 60
FULL_RATE = 20.0
RECOVERY_STEP = 0.5
RECOVERY_EVERY = timedelta(minutes=1)
# Messages already in flight still complain of the previous rate: halve once for all of them.
SLOWING_EVERY = timedelta(seconds=15)
# How much may be sent at once, in seconds of the rate.
BURST = timedelta(seconds=5)

# The breaker opens when OPENS_AT of the last LOOKS_BACK replies refused us for policy.
OPENS_AT = 5
LOOKS_BACK = 10
PROBE_MINUTES = (30, 60, 120, 240)
# A probe without a result died with its worker; one with another error is inconclusive.
PROBE_LOST = timedelta(minutes=15)
PROBE_AGAIN = timedelta(minutes=5)

_ADDRESS = re.compile(r"[^\s<>\"',;:()]+@[^\s<>\"',;:()]+")


@dataclass(frozen=True, slots=True)
class ProviderLimitView:
    """The limit of one provider.

    `rate` is messages per second, None for no limit; `changed_at` is when it last changed,
    `free_at` when the next message may be sent. `recent` are the last replies, a letter each:
    `a`ccepted or `p`olicy. The breaker is open since `opened_at`, was opened `open_count` times in
    a row, and allows a probe at `probe_at`. `last_reply` is the reply that changed the limit last,
    without addresses, so that nothing of an erased subscriber remains.
    """

    provider: str
    changed_at: datetime
    rate: float | None = None
    free_at: datetime | None = None
    recent: str = ""
    breaker: BreakerState = BreakerState.CLOSED
    opened_at: datetime | None = None
    open_count: int = 0
    probe_at: datetime | None = None
    last_reply: str = ""

    @property
    def is_open(self) -> bool:
        return self.breaker is not BreakerState.CLOSED

    @property
    def is_healthy(self) -> bool:
        """Whether the row holds no information and can be deleted."""
        return self.rate is None and not self.is_open and "p" not in self.recent


def is_trouble(kind: ReplyKind) -> bool:
    """Return whether a reply makes a provider need a limit."""
    return kind in {ReplyKind.THROTTLED, ReplyKind.POLICY}


def next_limit(
    limit_state: ProviderLimitView, replies: Iterable[tuple[ReplyKind, str]], now: datetime
) -> ProviderLimitView:
    """Return the limit after some replies (kind and text), in the order in which they came."""
    for kind, text in replies:
        limit_state = _apply(limit_state, kind, _ADDRESS.sub("<address>", text)[:300], now)
    return limit_state


def _apply(
    limit_state: ProviderLimitView, kind: ReplyKind, text: str, now: datetime
) -> ProviderLimitView:
    if limit_state.is_open:
        return _apply_while_open(limit_state, kind, text, now)
    match kind:
        case ReplyKind.THROTTLED:
            return _slow_down(limit_state, text, now)
        case ReplyKind.ACCEPTED:
            return replace(_recover(limit_state, now), recent=_add(limit_state.recent, "a"))
        case ReplyKind.POLICY:
            recent = _add(limit_state.recent, "p")
            if recent.count("p") < OPENS_AT:
                return replace(limit_state, recent=recent, last_reply=text)
            return _open(replace(limit_state, recent=recent, opened_at=now), text, now)
        case _:
            return limit_state


def _add(recent: str, letter: str) -> str:
    return (recent + letter)[-LOOKS_BACK:]


def _slow_down(limit_state: ProviderLimitView, text: str, now: datetime) -> ProviderLimitView:
    if limit_state.rate is None:
        return replace(limit_state, rate=START_RATE, changed_at=now, last_reply=text)
    if now - limit_state.changed_at < SLOWING_EVERY:
        return replace(limit_state, last_reply=text)
    rate = max(limit_state.rate / 2, SLOWEST_RATE)
    return replace(limit_state, rate=rate, changed_at=now, last_reply=text)


def _recover(limit_state: ProviderLimitView, now: datetime) -> ProviderLimitView:
    """Raise the rate a step per minute with an accepted message; idle time proves nothing."""
    if limit_state.rate is None or now - limit_state.changed_at < RECOVERY_EVERY:
        return limit_state
    rate = limit_state.rate + RECOVERY_STEP
    return replace(limit_state, rate=rate if rate < FULL_RATE else None, changed_at=now)


def _open(limit_state: ProviderLimitView, text: str, now: datetime) -> ProviderLimitView:
    minutes = PROBE_MINUTES[min(limit_state.open_count, len(PROBE_MINUTES) - 1)]
    return replace(
        limit_state,
        breaker=BreakerState.OPEN,
        open_count=limit_state.open_count + 1,
        probe_at=now + timedelta(minutes=minutes),
        last_reply=text,
    )


def _apply_while_open(
    limit_state: ProviderLimitView, kind: ReplyKind, text: str, now: datetime
) -> ProviderLimitView:
    """Only the probe decides; replies to messages sent before the breaker opened are ignored."""
    if limit_state.breaker is not BreakerState.PROBING:
        return limit_state
    match kind:
        case ReplyKind.ACCEPTED:
            # The waiting mail must not reach the provider all at once.
            return ProviderLimitView(
                limit_state.provider, now, rate=START_RATE, recent="a", last_reply=text
            )
        case ReplyKind.POLICY:
            return _open(limit_state, text, now)
        case _:
            return replace(limit_state, breaker=BreakerState.OPEN, probe_at=now + PROBE_AGAIN)


def take(
    limit_state: ProviderLimitView, wanted: int, now: datetime
) -> tuple[int, ProviderLimitView]:
    """Return how many of `wanted` mails may be sent now, and the limit after they are sent."""
    if wanted < 1:
        return 0, limit_state
    if limit_state.is_open:
        if limit_state.probe_at is not None and now < limit_state.probe_at:
            return 0, limit_state
        return 1, replace(limit_state, breaker=BreakerState.PROBING, probe_at=now + PROBE_LOST)
    if limit_state.rate is None:
        return wanted, limit_state
    start = max(limit_state.free_at or now, now)
    room = int((now + BURST - start) / timedelta(seconds=1) * limit_state.rate)
    count = min(wanted, max(room, 1 if start <= now else 0))
    return count, replace(limit_state, free_at=start + timedelta(seconds=count / limit_state.rate))


def next_at(limit_state: ProviderLimitView, now: datetime) -> datetime:
    """Return when the next mail may be sent to the provider: `now` or later."""
    if limit_state.is_open:
        when = limit_state.probe_at
    elif limit_state.rate is not None and limit_state.free_at is not None:
        gap = timedelta(seconds=1 / limit_state.rate)
        when = limit_state.free_at - max(BURST - gap, timedelta(0))
    else:
        when = None
    return max(when or now, now)
