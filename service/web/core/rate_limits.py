"""Rate limits against flooding inboxes through our form, costly queries and guessed passwords.

Counted in Valkey, so that all web processes share them, but for a visitor's first tokens; while it is
unavailable each process falls back to its own counters, because lenient limits are better than none.
"""

import ipaddress
from collections.abc import Callable
from threading import Lock
from time import monotonic, time

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

from service.platform.logs import get_logger

PER_ADDRESS = RateLimitItemPerHour(60, namespace="signup-address")
PER_NETWORK = RateLimitItemPerHour(180, namespace="signup-network")
# Posts without a fetched form, or within two seconds of fetching it, come from scripts.
PER_SCRIPT = RateLimitItemPerHour(30, namespace="signup-script")
# Proofs shown to one visitor; the next one takes longer.
PROOFS = RateLimitItemPerHour(1000, namespace="signup-proofs")
# A solved proof counts once; it expires before this does.
ONCE = RateLimitItemPerHour(1, namespace="signup-solved")
# Counted over all addresses, because a guesser has many; more need not be known (see `delay_after`).
WRONG_PASSWORDS = RateLimitItemPerHour(20, namespace="admin-wrong")
# An operator mistypes it a few times.
_FREE_PASSWORDS = 3
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 4.0
# Tokens for queries, by their estimated cost (`topics.domain.query_limits`). A preview of a few
# words costs one: thirty people behind one address who type all the time cost some 1,200 a minute,
# and a feed reader that polls a thousand feeds at once 1,000. A text to compare with costs 20.
SEARCH_WORK = RateLimitItemPerMinute(1_000, namespace="work-search")
PREVIEW_WORK = RateLimitItemPerMinute(2_000, namespace="work-preview")
FEED_WORK = RateLimitItemPerMinute(2_000, namespace="work-feed")
# Pages of papers, each with papers like it, and changes by links, each with counts before and after.
PAPER_WORK = RateLimitItemPerMinute(240, namespace="work-paper")

# This part of a visitor's tokens for a minute is counted in the process first: to ask Valkey from a thread of
# its own takes as long as a page from the cache, and hardly any visitor needs more.
_PART_COUNTED_HERE = 1 / 20
_MINUTE = 60.0

_TIMEOUT_SECONDS = 1.0
_EVERYBODY = "all"

log = get_logger(__name__)

Check = tuple[RateLimitItem, str]


class FirstTokens:
    """The first tokens of each visitor in a minute, which one process counts by itself. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._ends_at = 0.0
        # None where more were needed; those spent until then have been handed on.
        self._spent: dict[tuple[str, str], int | None] = {}

    def spend(self, item: RateLimitItem, visitor: str, cost: int) -> int:
        """Spend `cost` tokens; return how many are still to be counted for all processes.

        0 while the first suffice; then those that were spent here, too, so that none is given twice.
        """
        key = item.namespace, visitor
        with self._lock:
            if self._clock() >= self._ends_at:
                self._spent.clear()
                self._ends_at = self._clock() + _MINUTE
            spent = self._spent.get(key, 0)
            if spent is None:
                return cost
            if spent + cost <= item.amount * _PART_COUNTED_HERE:
                self._spent[key] = spent + cost
                return 0
            self._spent[key] = None
            return spent + cost


class SignUpLimits:
    """Moving-window counters in Valkey or, while that is unavailable, in this process."""

    def __init__(self, redis_url: str) -> None:
        storage = RedisStorage(
            redis_url.replace("unix://", "redis+unix://", 1),
            wrap_exceptions=True,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            socket_timeout=_TIMEOUT_SECONDS,
        )
        self._valkey = storage.storage
        self._shared = MovingWindowRateLimiter(storage)
        self._own = MovingWindowRateLimiter(MemoryStorage())
        # Two counters a visitor, where a moving window would store every token.
        self._shared_work = SlidingWindowCounterRateLimiter(storage)
        self._own_work = SlidingWindowCounterRateLimiter(MemoryStorage())

    def close(self) -> None:
        """Close the connections to Valkey."""
        self._valkey.close()

    def seconds_to_wait(self, ip: str, *, is_from_form: bool) -> int:
        """Count one sign-up from `ip`; return 0 if it may pass, else the seconds to wait."""
        return self._count(checks_for(ip, is_from_form=is_from_form))

    def count_proof(self, ip: str) -> int:
        """Count one more proof shown to `ip`; return how many there were in the last hour before."""
        check = (PROOFS, name_visitor(ip))
        self._count((check,))
        try:
            remaining = self._shared.get_window_stats(*check).remaining
        except StorageError:
            remaining = self._own.get_window_stats(*check).remaining
        return max(0, PROOFS.amount - 1 - remaining)

    def use_once(self, proof: str) -> bool:
        """Return true the first time that a solved proof is used, and false after that."""
        return self._count(((ONCE, proof),)) == 0

    def _count(self, checks: tuple[Check, ...]) -> int:
        try:
            return _count(self._shared, checks)
        except StorageError as error:
            log.warning("limits.own", reason=str(error))
            return _count(self._own, checks)

    def seconds_until_work(self, item: RateLimitItem, visitor: str, cost: int) -> int:
        """Take `cost` tokens of a visitor; return 0 if there were so many, else the seconds to wait."""
        try:
            return _take(self._shared_work, item, visitor, cost)
        except StorageError as error:
            log.warning("limits.own", reason=str(error))
            return _take(self._own_work, item, visitor, cost)

    def count_wrong_password(self) -> float:
        """Count a wrong password, and return the seconds after which it may be refused."""
        # Counted in both, so that an outage of Valkey does not reset the count.
        count = _hit_and_count(self._own, WRONG_PASSWORDS)
        try:
            count = _hit_and_count(self._shared, WRONG_PASSWORDS)
        except StorageError as error:
            log.warning("limits.own", reason=str(error))
        return delay_after(count)


def delay_after(wrong_count: int) -> float:
    """Return the seconds by which a wrong password is answered late, after so many in an hour."""
    if wrong_count <= _FREE_PASSWORDS:
        return 0.0
    return min(_FIRST_DELAY * 2.0 ** (wrong_count - _FREE_PASSWORDS - 1), _LONGEST_DELAY)


def _hit_and_count(limiter: MovingWindowRateLimiter, item: RateLimitItem) -> int:
    """Hit a counter for everybody; return the hits in its window, at most the item's amount."""
    limiter.hit(item, _EVERYBODY)
    return item.amount - limiter.get_window_stats(item, _EVERYBODY).remaining


def checks_for(ip: str, *, is_from_form: bool) -> tuple[Check, ...]:
    """Return the counters for a visitor, the narrowest first.

    IPv6 is counted by /64, the usual allocation of one customer; IPv4 by address and by /24.
    All unparseable addresses (a unix socket has none) count as one visitor.
    """
    visitor = name_visitor(ip)
    by_origin: tuple[Check, ...] = ((PER_ADDRESS, visitor),)
    if ":" not in visitor:
        network = str(ipaddress.ip_network((visitor, 24), strict=False))
        by_origin = (*by_origin, (PER_NETWORK, network))
    script: tuple[Check, ...] = () if is_from_form else ((PER_SCRIPT, visitor),)
    return (*script, *by_origin)


def name_visitor(ip: str) -> str:
    """Return the unit counted as one visitor: an IPv4 address or an IPv6 /64 network."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        address = ipaddress.ip_address("0.0.0.0")  # noqa: S104  # a name for "unknown", not bound
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _wait(limiter: MovingWindowRateLimiter, item: RateLimitItem, name: str) -> int:
    """Return the seconds until this counter has room, without counting."""
    if limiter.test(item, name):
        return 0
    reset_at = limiter.get_window_stats(item, name).reset_time
    return max(1, int(reset_at - time()) + 1)


def _take(
    limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, visitor: str, cost: int
) -> int:
    if limiter.hit(item, visitor, cost=cost):
        return 0
    return max(1, int(limiter.get_window_stats(item, visitor).reset_time - time()) + 1)


def _count(limiter: MovingWindowRateLimiter, checks: tuple[Check, ...]) -> int:
    """Hit each counter in order; stop at the first that is exhausted, without hitting the rest."""
    for item, name in checks:
        if not limiter.hit(item, name):
            return max(1, _wait(limiter, item, name))
    return 0
