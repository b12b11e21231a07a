"""Limits on visitors: nobody's inbox is flooded through our form, no password is found by trying.

Counted in Valkey, so that all web processes share them; while it is away each process counts for
itself, because a form without limits is worse than one with lenient limits.
"""

import ipaddress
from time import time

from limits import RateLimitItem, RateLimitItemPerHour
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from service.platform.logs import get_logger

PER_ADDRESS = RateLimitItemPerHour(60, namespace="signup-address")
PER_NETWORK = RateLimitItemPerHour(180, namespace="signup-network")
# A form that was not fetched first, or was sent within two seconds: scripts, ours and others'.
PER_SCRIPT = RateLimitItemPerHour(30, namespace="signup-script")
# Every sign-up may be a mail to somebody who did not ask: this is the most that we send in all.
GLOBAL = RateLimitItemPerHour(500, namespace="signup-all")
# Passwords are long, so that this many guesses an hour find none; an operator mistypes fewer.
WRONG_PASSWORDS = RateLimitItemPerHour(20, namespace="admin-wrong")

_TIMEOUT_SECONDS = 1.0
_EVERYBODY = "all"

log = get_logger(__name__)

Check = tuple[RateLimitItem, str]


class SignUpLimits:
    """The counters of one process, in Valkey or, while that is away, in memory."""

    def __init__(self, redis_url: str) -> None:
        storage = RedisStorage(
            redis_url.replace("unix://", "redis+unix://", 1),
            wrap_exceptions=True,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            socket_timeout=_TIMEOUT_SECONDS,
        )
        self._shared = MovingWindowRateLimiter(storage)
        self._own = MovingWindowRateLimiter(MemoryStorage())

    def seconds_to_wait(self, ip: str, *, is_from_form: bool) -> int:
        """Count one sign-up from `ip`; 0 if it may pass, otherwise after how long to try again."""
        checks = checks_for(ip, is_from_form=is_from_form)
        try:
            return _count(self._shared, checks)
        except StorageError as error:
            log.warning("limits.own", reason=str(error))
            return _count(self._own, checks)

    def seconds_until_password(self, ip: str) -> int:
        """0 if a password from `ip` may be looked at, otherwise after how long to try again."""
        line = (WRONG_PASSWORDS, _line(ip))
        try:
            return _wait(self._shared, *line)
        except StorageError as error:
            log.warning("limits.own", reason=str(error))
            return _wait(self._own, *line)

    def count_wrong_password(self, ip: str) -> None:
        # In both, so that a storage that goes away meanwhile forgives nobody.
        self._own.hit(WRONG_PASSWORDS, _line(ip))
        try:
            self._shared.hit(WRONG_PASSWORDS, _line(ip))
        except StorageError as error:
            log.warning("limits.own", reason=str(error))


def checks_for(ip: str, *, is_from_form: bool) -> tuple[Check, ...]:
    """The counters that a visitor falls under, the narrowest first.

    IPv6 is counted by /64, which is what one subscriber line gets; IPv4 by address and by /24.
    An address that cannot be read (a unix socket has none) is counted as one visitor.
    """
    line = _line(ip)
    by_origin: tuple[Check, ...] = ((PER_ADDRESS, line),)
    if ":" not in line:
        network = str(ipaddress.ip_network((line, 24), strict=False))
        by_origin = (*by_origin, (PER_NETWORK, network))
    script: tuple[Check, ...] = () if is_from_form else ((PER_SCRIPT, line),)
    return (*script, *by_origin, (GLOBAL, _EVERYBODY))


def _line(ip: str) -> str:
    """What one visitor has: an IPv4 address, or an IPv6 network of 64 bits."""
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
    """How long until this counter has room; nothing is counted."""
    if limiter.test(item, name):
        return 0
    reset_at = limiter.get_window_stats(item, name).reset_time
    return max(1, int(reset_at - time()) + 1)


def _count(limiter: MovingWindowRateLimiter, checks: tuple[Check, ...]) -> int:
    """Take one from each counter; the first that is used up decides, and the rest keep theirs."""
    for item, name in checks:
        if not limiter.hit(item, name):
            return max(1, _wait(limiter, item, name))
    return 0
