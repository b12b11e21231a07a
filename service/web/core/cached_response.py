"""An answer that costs something, made again only when it has become old."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from service.platform.caches import register_cache


@dataclass(slots=True, weakref_slot=True, eq=False)
class CachedResponse:
    """The last answer, good for `seconds`. One thread makes it; the others wait for that one.

    What cannot be made (`make` raises) is tried again by the next who asks.
    """

    seconds: float
    lock: Lock = field(default_factory=Lock)
    answer: bytes = b""
    fresh_until: float = 0.0

    def __post_init__(self) -> None:
        register_cache("fresh answers", self, maximum=1)

    def count_entries(self) -> int:
        return int(monotonic() < self.fresh_until)

    def forget_entries(self) -> None:
        self.fresh_until = 0.0

    def read(self, make: Callable[[], bytes]) -> bytes:
        with self.lock:
            if monotonic() >= self.fresh_until:
                self.answer = make()
                self.fresh_until = monotonic() + self.seconds
            return self.answer
