"""The rate limit `SEND_RATE`: messages per second of all workers on all hosts, kept in Valkey.

The limiter is the generic cell rate algorithm: one number in Valkey holds the next free time slot,
and each worker takes several slots at once. Unused slots expire, so no burst follows a quiet hour.
While Valkey is unavailable each worker sends its share of the rate, by the number of workers last
seen sending; the log says so.
"""

import math
import secrets
import time

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from service.platform.logs import get_logger
from service.platform.settings.settings import Settings

_KEY = "paperboy:send_rate"
# A worker that took no slot for this long does not count as sending.
_SEEN_SECONDS = 30
# Slots taken at once: a worker that dies wastes as many, and others wait behind them.
_AT_ONCE_SECONDS = 0.25
TIMEOUT_SECONDS = 1.0
# Back-off after Valkey did not answer, because each attempt may cost the timeout.
ASK_AGAIN_SECONDS = 5.0
# The number of workers to assume while Valkey was never reached.
ASSUMED_WORKERS = 4

# KEYS: the time of the next free slot; the workers by the time of their last request. ARGV: rate,
# slots wanted, this worker, how long a worker counts. Returns seconds until the first slot, workers.
_RESERVE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local free = tonumber(redis.call('GET', KEYS[1]) or '0')
if free < now then free = now end
local next = free + tonumber(ARGV[2]) / tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.6f', next), 'PX', math.ceil((next - now) * 1000) + 1000)
redis.call('ZADD', KEYS[2], now, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[4]))
redis.call('EXPIRE', KEYS[2], ARGV[4])
return {string.format('%.6f', free - now), redis.call('ZCARD', KEYS[2])}
"""

log = get_logger(__name__)


class SendRate:
    """One worker's share of the rate limit. Not thread-safe; times are those of `time.monotonic`."""

    def __init__(
        self,
        redis_url: str,
        rate: float,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        ask_again_seconds: float = ASK_AGAIN_SECONDS,
    ) -> None:
        self._rate = rate
        self._ask_again_seconds = ask_again_seconds
        self._client = redis.Redis.from_url(
            redis_url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            # The client's own retries would hold up messages that are on the wire.
            retry=Retry(NoBackoff(), 0),
        )
        self._reserve = self._client.register_script(_RESERVE)
        self._name = secrets.token_hex(8)
        self._worker_count = 0
        self._ask_at = 0.0
        self._is_alone = False
        self._next_slot = 0.0
        self._gap = 1 / rate
        self._in_hand = 0

    def wait_seconds(self, wanted: int) -> float:
        """Return the seconds until the next of `wanted` waiting messages may be sent; 0 for now."""
        if not self._in_hand:
            self._take_slots(max(1, min(wanted, math.ceil(self._rate * _AT_ONCE_SECONDS))))
        return max(0.0, self._next_slot - time.monotonic())

    def spend(self) -> None:
        """Use up one slot for a message that is sent now."""
        self._in_hand -= 1
        self._next_slot += self._gap

    def close(self) -> None:
        self._client.close()

    def _take_slots(self, count: int) -> None:
        if time.monotonic() >= self._ask_at and self._take_shared(count):
            return
        share = self._rate / (self._worker_count or ASSUMED_WORKERS)
        self._gap = 1 / share
        self._next_slot = max(self._next_slot, time.monotonic())
        # One at a time, because Valkey may be back before the second.
        self._in_hand = 1

    def _take_shared(self, count: int) -> bool:
        keys = [f"{_KEY}:free", f"{_KEY}:workers"]
        try:
            slots = self._reserve(keys=keys, args=[self._rate, count, self._name, _SEEN_SECONDS])
        except (RedisError, OSError) as error:
            self._ask_at = time.monotonic() + self._ask_again_seconds
            if not self._is_alone:
                log.warning(
                    "send_rate.own",
                    reason=str(error),
                    share=round(self._rate / (self._worker_count or ASSUMED_WORKERS), 3),
                )
            self._is_alone = True
            return False
        if self._is_alone:
            log.info("send_rate.shared")
        self._is_alone = False
        self._gap, self._in_hand = 1 / self._rate, count
        self._next_slot = time.monotonic() + float(slots[0])
        self._worker_count = int(slots[1])
        return True


def open_rate(settings: Settings) -> SendRate | None:
    """Return this process's share of the operator's rate limit; None without a limit."""
    if settings.send_rate is None:
        return None
    return SendRate(settings.redis_url, settings.send_rate)
