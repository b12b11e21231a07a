"""A rate limiter that never waits and records all requests."""

from collections.abc import Iterator
from contextlib import contextmanager


class OpenGate:
    """`passed` are the addresses let through, hop by hop; `reports` what was reported for each response."""

    def __init__(self, passed: list[str] | None = None) -> None:
        self.passed: list[str] = [] if passed is None else passed
        self.reports: list[tuple[int, float | None]] = []
        self.is_held = False

    @contextmanager
    def hold(self, _url: str) -> Iterator[None]:
        assert not self.is_held, "two requests at once"
        self.is_held = True
        try:
            yield
        finally:
            self.is_held = False

    def wait(self, url: str) -> None:
        self.passed.append(url)

    def report(self, _url: str, status: int, retry_after_seconds: float | None) -> None:
        self.reports.append((status, retry_after_seconds))
