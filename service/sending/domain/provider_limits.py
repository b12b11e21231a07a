"""How fast a provider takes our mail, and when it takes none: policy over one small row.

Speed goes down by half when a provider says "too fast" and comes back in small steps, as with TCP:
the one way of sharing a road that was shown to settle. A provider that refuses us for what we are
(5.7.x) is a blown fuse: its mails wait, one is tried after a time, and a person is told. Pure: the
workers share the row, and each applies what it saw.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from service.sending.domain.smtp_replies import ReplyKind


class BreakerState(StrEnum):
    """Whether mail goes to a provider: closed is the normal one, as with a fuse.

    `open`: its rows wait; `probing`: one of them is on its way to see whether it is over.
    """

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


# Messages a second. The first complaint brings a provider from "as fast as we can" to the first.
START_RATE = 5.0
SLOWEST_RATE = 1 / 60
FULL_RATE = 20.0
RECOVERY_STEP = 0.5
RECOVERY_EVERY = timedelta(minutes=1)
# What was on the wire when we slowed down complains of the speed before: one halving for all of it.
SLOWING_EVERY = timedelta(seconds=15)
# How much may be taken at once, in seconds of the pace.
BURST = timedelta(seconds=5)

# The breaker opens when this many of the last so many answers refused us for policy.
OPENS_AT = 5
LOOKS_BACK = 10
PROBE_MINUTES = (30, 60, 120, 240)
# A probe that nobody reported on died with its worker; one that met another trouble tells nothing.
PROBE_LOST = timedelta(minutes=15)
PROBE_AGAIN = timedelta(minutes=5)

_ADDRESS = re.compile(r"[^\s<>\"',;:()]+@[^\s<>\"',;:()]+")


@dataclass(frozen=True, slots=True)
class ProviderLimitView:
    """What we know of one provider.

    `rate` is messages a second, None for no limit; `changed_at` when it last changed; `free_at`
    when the next message may go. `recent` are the last answers, a letter each: `a`ccepted or
    `p`olicy. The breaker is open since `opened_at`, was opened `open_count` times in a row, and
    lets a probe through at `probe_at`. `last_reply` is what moved it last, in the provider's words
    but without addresses: a reader who is erased must not live on in it.
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
        """Whether nothing is left to remember: such a row can go."""
        return self.rate is None and not self.is_open and "p" not in self.recent


def is_trouble(kind: ReplyKind) -> bool:
    """Whether an answer is a reason to keep a pace for a provider that had none."""
    return kind in {ReplyKind.THROTTLED, ReplyKind.POLICY}


def next_limit(
    limit_state: ProviderLimitView, replies: Iterable[tuple[ReplyKind, str]], now: datetime
) -> ProviderLimitView:
    """The pace after some answers (kind and words), in the order in which they came."""
    for kind, words in replies:
        limit_state = _hear(limit_state, kind, _ADDRESS.sub("<address>", words)[:300], now)
    return limit_state


def _hear(
    limit_state: ProviderLimitView, kind: ReplyKind, words: str, now: datetime
) -> ProviderLimitView:
    if limit_state.is_open:
        return _hear_while_open(limit_state, kind, words, now)
    match kind:
        case ReplyKind.THROTTLED:
            return _slow_down(limit_state, words, now)
        case ReplyKind.ACCEPTED:
            return replace(_recover(limit_state, now), recent=_add(limit_state.recent, "a"))
        case ReplyKind.POLICY:
            recent = _add(limit_state.recent, "p")
            if recent.count("p") < OPENS_AT:
                return replace(limit_state, recent=recent, last_reply=words)
            return _open(replace(limit_state, recent=recent, opened_at=now), words, now)
        case _:
            return limit_state


def _add(recent: str, letter: str) -> str:
    return (recent + letter)[-LOOKS_BACK:]


def _slow_down(limit_state: ProviderLimitView, words: str, now: datetime) -> ProviderLimitView:
    if limit_state.rate is None:
        return replace(limit_state, rate=START_RATE, changed_at=now, last_reply=words)
    if now - limit_state.changed_at < SLOWING_EVERY:
        return replace(limit_state, last_reply=words)
    rate = max(limit_state.rate / 2, SLOWEST_RATE)
    return replace(limit_state, rate=rate, changed_at=now, last_reply=words)


def _recover(limit_state: ProviderLimitView, now: datetime) -> ProviderLimitView:
    """A step up for each minute in which something was accepted; a quiet hour proves nothing."""
    if limit_state.rate is None or now - limit_state.changed_at < RECOVERY_EVERY:
        return limit_state
    rate = limit_state.rate + RECOVERY_STEP
    return replace(limit_state, rate=rate if rate < FULL_RATE else None, changed_at=now)


def _open(limit_state: ProviderLimitView, words: str, now: datetime) -> ProviderLimitView:
    minutes = PROBE_MINUTES[min(limit_state.open_count, len(PROBE_MINUTES) - 1)]
    return replace(
        limit_state,
        breaker=BreakerState.OPEN,
        open_count=limit_state.open_count + 1,
        probe_at=now + timedelta(minutes=minutes),
        last_reply=words,
    )


def _hear_while_open(
    limit_state: ProviderLimitView, kind: ReplyKind, words: str, now: datetime
) -> ProviderLimitView:
    """Only the probe decides; what was on the wire when the breaker opened is over."""
    if limit_state.breaker is not BreakerState.PROBING:
        return limit_state
    match kind:
        case ReplyKind.ACCEPTED:
            # Everything that has waited must not come down on the provider in one minute.
            return ProviderLimitView(
                limit_state.provider, now, rate=START_RATE, recent="a", last_reply=words
            )
        case ReplyKind.POLICY:
            return _open(limit_state, words, now)
        case _:
            return replace(limit_state, breaker=BreakerState.OPEN, probe_at=now + PROBE_AGAIN)


def take(
    limit_state: ProviderLimitView, wanted: int, now: datetime
) -> tuple[int, ProviderLimitView]:
    """How many of `wanted` mails may go to the provider now, and the pace after they are taken."""
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
    """When the provider takes the next mail: `now` or later."""
    if limit_state.is_open:
        when = limit_state.probe_at
    elif limit_state.rate is not None and limit_state.free_at is not None:
        gap = timedelta(seconds=1 / limit_state.rate)
        when = limit_state.free_at - max(BURST - gap, timedelta(0))
    else:
        when = None
    return max(when or now, now)
