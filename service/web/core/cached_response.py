"""An answer that costs something, made again only when it has become old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic


@dataclass(slots=True)
class FreshAnswer:
    """The last answer, good for `seconds`. One thread makes it; the others wait for that one.

    What cannot be made (`make` raises) is tried again by the next who asks.
    """

    seconds: float
    lock: Lock = field(default_factory=Lock)
    answer: bytes = b""
    fresh_until: float = 0.0

    def read(self, make: Callable[[], bytes]) -> bytes:
        with self.lock:
            if monotonic() >= self.fresh_until:
                self.answer = make()
                self.fresh_until = monotonic() + self.seconds
            return self.answer
