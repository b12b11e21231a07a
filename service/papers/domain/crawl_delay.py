"""Rate limit and exponential back-off: the pure part of the gate in front of arXiv.

arXiv's terms of use: at most one request every three seconds and one connection at a time, counted
over all machines. In practice 406, 429 and 503 all mean "later", with or without `Retry-After`.
"""

from datetime import timedelta

GAP = timedelta(seconds=3)

# Without a Retry-After: 30 s, then doubling, an hour at the most.
FIRST_BACK_OFF = timedelta(seconds=30)
LONGEST_BACK_OFF = timedelta(hours=1)


class RateLimited(Exception):
    """No request to the host is allowed for another `wait_seconds`."""

    def __init__(self, name: str, wait_seconds: float) -> None:
        super().__init__(f"no request to {name} is allowed for another {wait_seconds:.0f} s")
        self.wait_seconds = wait_seconds


def back_off(failure_count: int, retry_after_seconds: float | None) -> timedelta:
    """Return the wait after refusals in a row (from 1): `Retry-After` if given, else doubling."""
    doubled = FIRST_BACK_OFF * 2 ** min(failure_count - 1, 16)
    named = timedelta(seconds=retry_after_seconds or 0)
    return max(GAP, min(LONGEST_BACK_OFF, doubled if retry_after_seconds is None else named))
