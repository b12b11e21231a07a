"""How long to leave a host alone: the pure part of the gate in front of arXiv.

arXiv's terms of use: at most one request every three seconds and one connection at a time, counted
over all machines. In practice 406, 429 and 503 all mean "later", with or without `Retry-After`.
"""

from datetime import timedelta

GAP = timedelta(seconds=3)

# Without a Retry-After: 30 s, then doubling, an hour at the most.
FIRST_BACK_OFF = timedelta(seconds=30)
LONGEST_BACK_OFF = timedelta(hours=1)


class GateClosed(Exception):
    """A host must not be asked now. `wait_seconds` says for how long."""

    def __init__(self, name: str, wait_seconds: float) -> None:
        super().__init__(f"{name} asked to be left alone for another {wait_seconds:.0f} s")
        self.wait_seconds = wait_seconds


def back_off(failure_count: int, retry_after_seconds: float | None) -> timedelta:
    """How long to wait after refusals in a row (1 is the first): what was asked for, or doubling."""
    doubled = FIRST_BACK_OFF * 2 ** min(failure_count - 1, 16)
    asked = timedelta(seconds=retry_after_seconds or 0)
    return max(GAP, min(LONGEST_BACK_OFF, asked if retry_after_seconds is not None else doubled))
