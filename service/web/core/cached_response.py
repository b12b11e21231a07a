"""A response body cached for some seconds (single-flight: one thread computes it)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from service.platform.caches import register_cache


@dataclass(slots=True, weakref_slot=True, eq=False)
class CachedResponse:
    """The last response body, valid for `seconds`. One thread computes it; the others wait.

    Where `make` raises, nothing is cached and the next caller tries again.
    """

    seconds: float
    lock: Lock = field(default_factory=Lock)
    content: bytes = b""
    fresh_until: float = 0.0

    def __post_init__(self) -> None:
        register_cache("fresh answers", self, maximum=1)

    def count_entries(self) -> int:
        return int(monotonic() < self.fresh_until)

    def clear_entries(self) -> None:
        self.fresh_until = 0.0

    def read(self, make: Callable[[], bytes]) -> bytes:
        with self.lock:
            if monotonic() >= self.fresh_until:
                self.content = make()
                self.fresh_until = monotonic() + self.seconds
            return self.content
